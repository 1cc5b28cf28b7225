#include "store/internal.h"

#include <fcntl.h>
#include <unistd.h>

#include "io/file.h"

static const struct {
	struct span name;
	enum special_use use;
} FIRST_MAILBOXES[] = {
    {{"INBOX", 5}, SPECIAL_NONE},
    {{"Archive", 7}, SPECIAL_ARCHIVE},
    {{"Drafts", 6}, SPECIAL_DRAFTS},
    {{"Junk", 4}, SPECIAL_JUNK},
    {{"Sent", 4}, SPECIAL_SENT},
    {{"Trash", 5}, SPECIAL_TRASH},
};

static int open_files(struct store *s, bool create);
static int make_first_mailboxes(struct store *s);
static int fill_first_mailboxes(struct store *s, struct global *global);
static void touch_changes(struct store *s);

int store_open(int mail_dirfd, bool create, struct store **ret)
{
	struct store *s = xcalloc(1, sizeof(*s));
	*s = (struct store){.dirfd = mail_dirfd, .message_dirfd = -1, .changes_fd = -1};
	int error = open_files(s, create);
	struct global global;
	if (error == 0) {
		error = global_load(s, &global);
		if (error == -ENOENT && create)
			error = make_first_mailboxes(s);
	}
	if (error < 0) {
		store_close(s);
		return error;
	}
	*ret = s;
	return 0;
}

static int open_files(struct store *s, bool create)
{
	int error = db_open(s->dirfd, "index.tdb", DB_DURABLE, create ? DB_CREATE : DB_READ_WRITE,
	    EXPECTED_RECORDS, &s->index);
	if (error < 0)
		return error;
	error = folder_make(s->dirfd, "msg", 0700, &s->message_dirfd);
	if (error < 0)
		return error;
	s->changes_fd =
	    openat(s->dirfd, "changes", O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (s->changes_fd < 0)
		return -errno;
	/* Without a cache everything works, only slower. */
	if (db_open(s->dirfd, "cache.tdb", DB_CACHE, DB_CREATE, CACHE_EXPECTED_RECORDS, &s->cache) <
	    0)
		s->cache = NULL;
	return 0;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	db_close(s->index);
	db_close(s->cache);
	close_fd(&s->message_dirfd);
	close_fd(&s->changes_fd);
	free(s);
}

void store_set_quota(struct store *s, uint64_t bytes, uint64_t messages)
{
	s->quota_bytes = bytes;
	s->quota_messages = messages;
}

int store_usage(struct store *s, uint64_t *ret_bytes, uint64_t *ret_messages)
{
	struct global global;
	int error = global_load(s, &global);
	if (error < 0)
		return error;
	*ret_bytes = global.bytes;
	*ret_messages = global.messages;
	return 0;
}

/*
 * All in one transaction: a store without INBOX is never seen. The names of index.tdb and msg/ are
 * synced before, whoever made them: where there are mailboxes, their files have lasting names.
 */
static int make_first_mailboxes(struct store *s)
{
	int error = folder_sync(s->dirfd);
	if (error == 0)
		error = db_begin(s->index);
	if (error < 0)
		return error;
	struct global global;
	error = global_load(s, &global);
	if (error != -ENOENT) { /* another process was faster */
		db_cancel(s->index);
		return error;
	}
	global = (struct global){.format = STORE_FORMAT, .next_mailbox_id = 1, .next_serial = 1};
	error = fill_first_mailboxes(s, &global);
	if (error < 0) {
		store_cancel(s);
		return error;
	}
	return store_commit(s, &global);
}

static int fill_first_mailboxes(struct store *s, struct global *global)
{
	struct arena a cleanup(arena_clear) = {0};
	struct names names = {.arena = &a};
	for (size_t i = 0; i < ARRAY_SIZE(FIRST_MAILBOXES); i++) {
		struct mailbox m cleanup(mailbox_clear) = {0};
		mailbox_init(&m, global);
		struct name name = {.id = m.head.id,
		    .special_use = (uint8_t)FIRST_MAILBOXES[i].use,
		    .subscribed = true,
		    .text = FIRST_MAILBOXES[i].name};
		int error = mailbox_save(s, &m);
		if (error == 0)
			error = names_add(&names, &name);
		if (error < 0)
			return error;
	}
	return names_save(s, &names);
}

static int copy_global(struct span value, void *context)
{
	struct global *global = context;
	if (value.n != sizeof(*global))
		return -EUCLEAN;
	memcpy(global, value.p, sizeof(*global));
	return global->format == STORE_FORMAT ? 0 : -EUCLEAN;
}

int global_load(struct store *s, struct global *ret)
{
	struct key key = key_of('G');
	struct global global;
	int error = db_parse(s->index, key_span(&key), copy_global, &global);
	if (error == 0)
		*ret = global;
	return error;
}

int store_begin(struct store *s, struct global *ret)
{
	int error = db_begin(s->index);
	if (error < 0)
		return error;
	error = global_load(s, ret);
	if (error < 0)
		db_cancel(s->index);
	return error == -ENOENT ? -EUCLEAN : error;
}

int store_commit(struct store *s, const struct global *global)
{
	struct key key = key_of('G');
	int error = db_put(s->index, key_span(&key), span_of(global, sizeof(*global)));
	if (error < 0) {
		db_cancel(s->index);
		return error;
	}
	error = db_commit(s->index);
	if (error == 0)
		touch_changes(s);
	return error;
}

void store_cancel(struct store *s)
{
	db_cancel(s->index);
}

/*
 * Sessions watch this file with inotify. A write and not utimensat(), which a session's cage does
 * not have. If it fails (disk full) the change is found at the other's next command.
 */
static void touch_changes(struct store *s)
{
	uint32_t sequence = db_sequence(s->index);
	(void)!pwrite(s->changes_fd, &sequence, sizeof(sequence), 0);
}

struct key key_of(char kind)
{
	return (struct key){{kind}, 1};
}

struct key key_of_u32(char kind, uint32_t number)
{
	return (struct key){
	    {kind, (char)(number >> 24), (char)(number >> 16), (char)(number >> 8), (char)number},
	    5};
}

struct key key_of_u64(char kind, uint64_t number)
{
	struct key key = key_of_page((uint32_t)(number >> 32), (uint32_t)number);
	key.bytes[0] = kind;
	return key;
}

struct key key_of_page(uint32_t mailbox_id, uint32_t base_uid)
{
	struct key high = key_of_u32('P', mailbox_id), low = key_of_u32('P', base_uid);
	memcpy(high.bytes + 5, low.bytes + 1, 4);
	high.n = 9;
	return high;
}
