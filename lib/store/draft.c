#include "store/internal.h"

#include <assert.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "io/file.h"
#include "mime/message.h"

/*
 * A message comes in. The order, and what a crash leaves after each step:
 *  1. an unnamed file in msg/XX/ (O_TMPFILE), written piece by piece      nothing
 *  2. fsync of the file                                                   nothing
 *  3. link as msg/XX/SERIAL                                               none, or as after 4.
 *  4. fsync of msg/XX/ (and of msg/, while the folder is new)             an unreferenced file
 *  5. one transaction: references, page, mailbox, counters                the message
 *  6. changes is written, the summary goes to the cache                   the message
 * Unreferenced files do no harm: their serial is skipped when its turn comes. store_check() names
 * them.
 */

enum { SERIAL_TRIES_MAX = 1000000 };

struct draft {
	struct store *store;
	int fd, dirfd; /* dirfd: msg/XX/ */
	uint8_t folder;
	bool folder_fresh; /* its own name may not be on disk yet */
	uint64_t bytes;
	struct hasher *hasher; /* NULL once ended */
	uint8_t digest[HASH_MAX_BYTES];
	struct mime_parser *parser; /* sees the message pass by */
	uint64_t id;		    /* 0: has no name yet */
};

static int open_folder(struct store *s, struct draft *d, uint64_t next_serial);
static int link_all(struct store *s, const struct append_item *items, size_t count);
static int link_one(struct draft *d, uint64_t *serial);
static void unlink_all(const struct append_item *items, size_t count);
static int commit_all(struct store *s, struct span mailbox, const struct append_item *items,
    size_t count, uint32_t *ret_uid_validity, uint32_t *ret_first_uid, bool *ret_keep_files);
static int put_all(struct store *s, struct global *global, struct mailbox *m,
    const struct append_item *items, size_t count);

int draft_new(struct store *s, struct draft **ret)
{
	struct global global;
	int error = global_load(s, &global);
	if (error < 0)
		return error == -ENOENT ? -EUCLEAN : error;
	struct draft *d = xcalloc(1, sizeof(*d));
	/* 256 serials in a row share a folder, and so its fsync */
	*d = (struct draft){
	    .store = s, .fd = -1, .dirfd = -1, .folder = (uint8_t)(global.next_serial >> 8)};
	error = open_folder(s, d, global.next_serial);
	if (error == 0)
		error = file_draft(d->dirfd, 0600, &d->fd);
	if (error < 0) {
		draft_free(d);
		return error;
	}
	d->hasher = hasher_new(HASH_SHA256);
	d->parser = mime_parser_new();
	*ret = d;
	return 0;
}

static int open_folder(struct store *s, struct draft *d, uint64_t next_serial)
{
	char name[FOLDER_NAME_CHARS];
	message_folder_name(d->folder, name);
	int error = folder_open(s->message_dirfd, name, &d->dirfd);
	if (error == -ENOENT)
		error = folder_make(s->message_dirfd, name, 0700, &d->dirfd);
	/*
	 * Another process may have made it a moment ago and not synced msg/ yet. Where a message
	 * has been committed, somebody has.
	 */
	if (error == 0)
		d->folder_fresh = !references_know_folder(s, next_serial, d->folder);
	return error;
}

int draft_write(struct draft *d, struct span bytes)
{
	assert(d->hasher);
	if (bytes.n > DRAFT_MAX_BYTES - d->bytes)
		return -EFBIG;
	int error = fd_write_all(d->fd, bytes);
	if (error < 0)
		return error;
	hasher_add(d->hasher, bytes);
	mime_parser_feed(d->parser, bytes);
	d->bytes += bytes.n;
	return 0;
}

void draft_free(struct draft *d)
{
	if (!d)
		return;
	uint8_t ignored[HASH_MAX_BYTES];
	if (d->hasher)
		hasher_end(d->hasher, ignored); /* frees */
	mime_parser_free(d->parser);
	close_fd(&d->fd);
	close_fd(&d->dirfd);
	free(d);
}

int store_append(struct store *s, struct span mailbox, const struct append_item *items,
    size_t count, uint32_t *ret_uid_validity, uint32_t *ret_first_uid)
{
	assert(count > 0);
	int error = link_all(s, items, count);
	bool keep_files = false;
	if (error == 0)
		error = commit_all(
		    s, mailbox, items, count, ret_uid_validity, ret_first_uid, &keep_files);
	if (error < 0) {
		if (!keep_files)
			unlink_all(items, count);
		return error;
	}
	for (size_t i = 0; i < count; i++)
		cache_fill(s, items[i].draft->id, items[i].draft->parser);
	return 0;
}

/* Names for all, on disk. */
static int link_all(struct store *s, const struct append_item *items, size_t count)
{
	struct global global;
	int error = global_load(s, &global);
	if (error < 0)
		return error;
	uint64_t serial = global.next_serial;
	bool fresh = false;
	for (size_t i = 0; i < count; i++) {
		struct draft *d = items[i].draft;
		assert(d->store == s && d->id == 0);
		if (d->hasher)
			hasher_end(d->hasher, d->digest);
		d->hasher = NULL;
		error = link_one(d, &serial);
		if (error < 0)
			return error;
		fresh = fresh || d->folder_fresh;
	}
	for (size_t i = 0; i < count; i++) /* once for neighbours in one folder */
		if (i + 1 == count || items[i].draft->folder != items[i + 1].draft->folder) {
			error = folder_sync(items[i].draft->dirfd);
			if (error < 0)
				return error;
		}
	return fresh ? folder_sync(s->message_dirfd) : 0;
}

/* Takes the first free serial from *serial on, and sets it to the next. */
static int link_one(struct draft *d, uint64_t *serial)
{
	for (int tries = 0; tries < SERIAL_TRIES_MAX; tries++) {
		uint64_t id = (*serial)++ << 8 | d->folder;
		char name[MESSAGE_NAME_CHARS];
		message_file_name(id, name);
		int error = file_draft_link_unsynced(d->fd, d->dirfd, name);
		if (error == 0)
			d->id = id;
		if (error != -EEXIST)
			return error;
	}
	return -EEXIST;
}

static void unlink_all(const struct append_item *items, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct draft *d = items[i].draft;
		char name[MESSAGE_NAME_CHARS];
		message_file_name(d->id, name);
		if (d->id != 0)
			(void)unlinkat(d->dirfd, name, 0); /* what stays is unreferenced */
	}
}

static int commit_all(struct store *s, struct span mailbox, const struct append_item *items,
    size_t count, uint32_t *ret_uid_validity, uint32_t *ret_first_uid, bool *ret_keep_files)
{
	struct arena a cleanup(arena_clear) = {0};
	struct mailbox m cleanup(mailbox_clear) = {0};
	struct global global;
	struct name name;
	int error = store_begin(s, &global);
	if (error < 0)
		return error;
	error = name_lookup(s, mailbox, &a, &name);
	if (error == 0)
		error = mailbox_load(s, name.id, &m);
	uint32_t first_uid = m.head.uid_next;
	if (error == 0)
		error = put_all(s, &global, &m, items, count);
	if (error == 0 && ((s->quota_bytes && global.bytes > s->quota_bytes) ||
			      (s->quota_messages && global.messages > s->quota_messages)))
		error = -EDQUOT;
	if (error < 0) {
		store_cancel(s);
		return error;
	}
	/*
	 * A failed commit has put everything back as it was, or, if the disk refused even that, the
	 * next opener will. Until then nobody knows: the files stay.
	 */
	*ret_keep_files = true;
	error = store_commit(s, &global);
	if (error < 0)
		return error;
	*ret_uid_validity = m.head.uid_validity;
	*ret_first_uid = first_uid;
	return 0;
}

static int put_all(struct store *s, struct global *global, struct mailbox *m,
    const struct append_item *items, size_t count)
{
	struct arena a cleanup(arena_clear) = {0};
	struct page_entry *entries = ARENA_ARRAY(&a, struct page_entry, count);
	struct reference_change *changes = ARENA_ARRAY(&a, struct reference_change, count);
	struct id_list freed cleanup(id_list_clear) = {0};
	int error = 0;
	for (size_t i = 0; i < count && error == 0; i++) {
		const struct append_item *item = &items[i];
		const struct draft *d = item->draft;
		entries[i] = (struct page_entry){
		    .id = d->id,
		    .internal_date_s = item->internal_date_s,
		    .zone_minutes = item->zone_minutes,
		    .size = (uint32_t)d->bytes,
		    .flags = (uint16_t)(item->flags & FLAGS_ALL),
		};
		changes[i] = (struct reference_change){d->id, 1, (uint32_t)d->bytes, d->digest};
		error = mailbox_keyword_bits(
		    m, item->keywords, item->keyword_count, true, &entries[i].keywords);
		global->next_serial = MAX(global->next_serial, id_serial(d->id) + 1);
	}
	if (error == 0)
		error = page_append(s, global, m, entries, count, m->head.highest_modseq + 1);
	if (error == 0)
		error = references_change(s, changes, count, &freed);
	if (error == 0)
		error = mailbox_save(s, m);
	return error;
}
