#include "store/internal.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>

#include "io/file.h"

/*
 * Everything that doc/states.md promises of a store, looked at. The records are read within one
 * transaction, so that nobody changes them meanwhile; then, without it, the files.
 */

struct check {
	struct store *store;
	const struct store_check *options;
	int answer; /* 0 or -EUCLEAN */
	struct global global;
	struct id_list named;	   /* ids of mailboxes, by name */
	struct id_list used;	   /* ids of messages, one for each page entry; sorted later */
	struct id_list referenced; /* each once */
	struct id_list counts;	   /* each as often as it is counted */
	uint64_t page_records, mailbox_records, pages, bytes, messages;
	uint64_t highest_serial;
};

static int check_records(struct check *c);
static int look_at_record(struct span key, struct span value, void *context);
static int look_at_references(struct check *c, struct span value);
static int check_mailbox(struct check *c, const struct name *name);
static void check_page(
    struct check *c, const struct mailbox *m, const struct page_ref *ref, struct page *page);
static void check_references(struct check *c);
static int check_files(struct check *c, struct store_check_result *result);
static int check_folder(struct check *c, unsigned folder, struct store_check_result *result);
static bool file_id(const char *name, unsigned folder, uint64_t *ret_id);
static void check_missing(struct check *c, struct store_check_result *result);
static void problem(struct check *c, const char *format, ...) printf_like(2, 3);
static void sort_ids(struct id_list *list);
static int compare_ids(const void *a, const void *b);

int store_check(struct store *s, const struct store_check *options, struct store_check_result *ret)
{
	struct check c = {.store = s, .options = options};
	struct store_check_result result = {0};
	int error = store_begin(s, &c.global);
	if (error == 0) {
		error = check_records(&c);
		store_cancel(s);
	}
	if (error == 0)
		error = check_files(&c, &result);
	id_list_clear(&c.named);
	id_list_clear(&c.used);
	id_list_clear(&c.referenced);
	id_list_clear(&c.counts);
	if (error < 0)
		return error;
	*ret = result;
	return c.answer;
}

static int check_records(struct check *c)
{
	struct arena a cleanup(arena_clear) = {0};
	struct names names;
	int error = db_check(c->store->index);
	if (error == 0)
		error = names_load(c->store, &a, &names);
	if (error == 0)
		error = db_each(c->store->index, look_at_record, c);
	if (error < 0)
		return error;
	for (size_t i = 0; i < names.count; i++)
		if (names.all[i].id != 0) {
			id_list_add(&c->named, names.all[i].id);
			error = check_mailbox(c, &names.all[i]);
			if (error < 0)
				return error;
		}
	if (!names_find(&names, SPAN("INBOX")))
		problem(c, "there is no INBOX");
	sort_ids(&c->named);
	for (size_t i = 1; i < c->named.count; i++)
		if (c->named.ids[i] == c->named.ids[i - 1])
			problem(c, "mailbox %u has two names", (unsigned)c->named.ids[i]);
	if (c->mailbox_records != c->named.count)
		problem(c, "a mailbox without a name");
	if (c->page_records != c->pages)
		problem(c, "a page in no directory");
	if (c->bytes != c->global.bytes || c->messages != c->global.messages)
		problem(c, "the account's totals are wrong");
	check_references(c);
	return 0;
}

static int look_at_record(struct span key, struct span value, void *context)
{
	struct check *c = context;
	switch (key.n ? key.p[0] : 0) {
	case 'G':
	case 'N':
	case 'X': return 0;
	case 'M': c->mailbox_records++; return 0;
	case 'P': c->page_records++; return 0;
	case 'R': return look_at_references(c, value);
	default: problem(c, "a record of unknown kind"); return 0;
	}
}

static int look_at_references(struct check *c, struct span value)
{
	struct reference reference;
	if (value.n == 0 || value.n % sizeof(reference) != 0)
		problem(c, "references of odd length");
	uint64_t before = 0;
	for (size_t at = 0; at + sizeof(reference) <= value.n; at += sizeof(reference)) {
		memcpy(&reference, value.p + at, sizeof(reference));
		if (reference.count == 0 || reference.id <= before)
			problem(c, "references out of order or without use");
		before = reference.id;
		c->highest_serial = MAX(c->highest_serial, id_serial(reference.id));
		for (uint32_t i = 0; i < MIN(reference.count, c->global.messages); i++)
			id_list_add(&c->counts, reference.id);
		id_list_add(&c->referenced, reference.id);
	}
	return 0;
}

static int check_mailbox(struct check *c, const struct name *name)
{
	struct mailbox m cleanup(mailbox_clear) = {0};
	struct page *page cleanup(free_page) = xcalloc(1, sizeof(*page));
	int error = mailbox_load(c->store, name->id, &m);
	if (error == -ENOENT || error == -EUCLEAN) {
		problem(c, "mailbox %u is damaged", name->id);
		return 0;
	}
	if (error < 0)
		return error;
	uint64_t bytes_before = c->bytes, messages_before = c->messages;
	uint32_t unseen = 0, deleted = 0;
	for (uint32_t i = 0; i < m.head.page_count; i++) {
		error = page_load(c->store, m.head.id, &m.pages[i], page);
		if (error == -EUCLEAN) {
			problem(c, "a page of mailbox %u is damaged", name->id);
			continue;
		}
		if (error < 0)
			return error;
		check_page(c, &m, &m.pages[i], page);
		unseen += m.pages[i].unseen;
		deleted += m.pages[i].deleted;
	}
	c->pages += m.head.page_count;
	if (m.head.messages != c->messages - messages_before || m.head.unseen != unseen ||
	    m.head.deleted != deleted || m.head.bytes != c->bytes - bytes_before)
		problem(c, "the counts of mailbox %u are wrong", name->id);
	if (m.head.id >= c->global.next_mailbox_id || m.head.uid_validity > c->global.uid_validity)
		problem(c, "mailbox %u is ahead of the account's counters", name->id);
	return 0;
}

static void check_page(
    struct check *c, const struct mailbox *m, const struct page_ref *ref, struct page *page)
{
	uint32_t unseen = 0, deleted = 0;
	for (uint32_t i = 0; i < page->count; i++) {
		const struct page_entry *entry = &page->entries[i];
		unseen += (entry->flags & FLAG_SEEN) == 0;
		deleted += (entry->flags & FLAG_DELETED) != 0;
		if (entry->modseq > ref->modseq || entry->modseq == 0)
			problem(c, "uid %u of mailbox %u has a modseq ahead of its page",
			    entry->uid, m->head.id);
		if (m->head.keyword_count < KEYWORDS_MAX &&
		    entry->keywords >> m->head.keyword_count)
			problem(
			    c, "uid %u of mailbox %u has unknown keywords", entry->uid, m->head.id);
		c->bytes += entry->size;
		c->messages++;
		id_list_add(&c->used, entry->id);
	}
	if (ref->modseq > m->head.highest_modseq || ref->unseen != unseen ||
	    ref->deleted != deleted)
		problem(c, "the directory of mailbox %u is wrong", m->head.id);
}

/* Each message is counted as often as it stands in a page. */
static void check_references(struct check *c)
{
	sort_ids(&c->used);
	sort_ids(&c->counts);
	sort_ids(&c->referenced);
	if (c->used.count != c->counts.count ||
	    (c->used.count &&
		memcmp(c->used.ids, c->counts.ids, c->used.count * sizeof(uint64_t)) != 0))
		problem(c, "reference counts are wrong");
	if (c->highest_serial >= c->global.next_serial)
		problem(c, "a message is ahead of the account's counter");
}

static int check_files(struct check *c, struct store_check_result *result)
{
	for (unsigned folder = 0; folder < MESSAGE_FOLDERS; folder++) {
		int error = check_folder(c, folder, result);
		if (error < 0)
			return error;
	}
	check_missing(c, result);
	return 0;
}

/*
 * Files that nothing refers to: what a crash between link and commit, or commit and unlink, leaves.
 */
static int check_folder(struct check *c, unsigned folder, struct store_check_result *result)
{
	char name[FOLDER_NAME_CHARS];
	int fd = -1;
	message_folder_name(folder, name);
	int error = folder_open(c->store->message_dirfd, name, &fd);
	if (error < 0)
		return error == -ENOENT ? 0 : error;
	DIR *d = fdopendir(fd);
	if (!d) {
		error = -errno;
		close_fd(&fd);
		return error;
	}
	int64_t oldest_s = wall_ms() / 1000 - c->options->file_age_s;
	for (struct dirent *e; (e = readdir(d));) {
		struct stat st;
		uint64_t id;
		if (e->d_name[0] == '.')
			continue;
		if (!file_id(e->d_name, folder, &id))
			problem(c, "a file that is no message in msg/%s", name);
		else if (!(c->referenced.count &&
			     bsearch(&id, c->referenced.ids, c->referenced.count, sizeof(id),
				 compare_ids)) &&
			 fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
			 st.st_mtime <= oldest_s)
			result->unreferenced_files++;
	}
	(void)closedir(d); /* was only read; closes fd */
	return 0;
}

static bool file_id(const char *name, unsigned folder, uint64_t *ret_id)
{
	static const char digits[] = "0123456789abcdef";
	char again[MESSAGE_NAME_CHARS];
	uint64_t serial = 0;
	for (const char *p = name; *p; p++) {
		const char *digit = strchr(digits, *p);
		if (!digit || serial >> 52)
			return false;
		serial = serial << 4 | (uint64_t)(digit - digits);
	}
	*ret_id = serial << 8 | folder;
	message_file_name(*ret_id, again);
	return strcmp(name, again) == 0;
}

static void check_missing(struct check *c, struct store_check_result *result)
{
	for (size_t i = 0; i < c->referenced.count; i++) {
		int fd cleanup(close_fd) = -1;
		struct stat st;
		struct reference reference;
		uint64_t id = c->referenced.ids[i];
		int error = store_message_open(c->store, id, &fd);
		if (error == 0 && fstat(fd, &st) < 0)
			error = -errno;
		/* Looked up again: it may have been expunged since. */
		if (reference_load(c->store, id, &reference) < 0)
			continue;
		if (error < 0) {
			result->missing_files++;
			problem(c, "message %llx has no file", (unsigned long long)id);
		} else if ((uint64_t)st.st_size != reference.size) {
			problem(c, "message %llx has another size", (unsigned long long)id);
		}
	}
}

static void problem(struct check *c, const char *format, ...)
{
	struct str text cleanup(str_clear) = STR_INIT(200);
	va_list args;
	va_start(args, format);
	str_vformat(&text, format, args);
	va_end(args);
	c->answer = -EUCLEAN;
	if (c->options->problem)
		c->options->problem(c->options->context, str_span(&text));
}

static void sort_ids(struct id_list *list)
{
	if (list->count)
		qsort(list->ids, list->count, sizeof(list->ids[0]), compare_ids);
}

static int compare_ids(const void *a, const void *b)
{
	uint64_t first, second;
	memcpy(&first, a, sizeof(first));
	memcpy(&second, b, sizeof(second));
	return (first > second) - (first < second);
}
