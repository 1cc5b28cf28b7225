#include "store/internal.h"

#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

_Static_assert(sizeof(struct reference) == 48, "no padding on disk");

enum { REFERENCE_PAGE_MAX = REFERENCES_PER_PAGE * MESSAGE_FOLDERS };

/* One record: the references of 256 serials, sorted by id. */
struct reference_page {
	struct reference *all;
	size_t count, allocated;
};

static size_t sort_and_join(struct reference_change *changes, size_t count);
static int compare_changes(const void *a, const void *b);
static int reference_page_load(struct store *s, uint64_t number, struct reference_page *page);
static int reference_page_save(struct store *s, uint64_t number, const struct reference_page *page);
static int apply(
    struct reference_page *page, const struct reference_change *change, struct id_list *freed);
static void drop_unreferenced(struct reference_page *page);
static int open_message_folder(struct store *s, uint64_t id);

static uint64_t page_number(uint64_t id)
{
	return id_serial(id) / REFERENCES_PER_PAGE;
}

static void reference_page_clear(struct reference_page *page)
{
	free(page->all);
	*page = (struct reference_page){0};
}

int references_change(
    struct store *s, struct reference_change *changes, size_t count, struct id_list *freed)
{
	count = sort_and_join(changes, count);
	for (size_t at = 0; at < count;) {
		uint64_t number = page_number(changes[at].id);
		struct reference_page page cleanup(reference_page_clear) = {0};
		int error = reference_page_load(s, number, &page);
		for (; error == 0 && at < count && page_number(changes[at].id) == number; at++)
			error = apply(&page, &changes[at], freed);
		drop_unreferenced(&page);
		if (error == 0)
			error = reference_page_save(s, number, &page);
		if (error < 0)
			return error;
	}
	return 0;
}

/* One change per message: a move is one up and one down, and must not come down to 0 between. */
static size_t sort_and_join(struct reference_change *changes, size_t count)
{
	size_t kept = 0;
	if (count > 1)
		qsort(changes, count, sizeof(*changes), compare_changes);
	for (size_t i = 0; i < count; i++)
		if (kept > 0 && changes[kept - 1].id == changes[i].id)
			changes[kept - 1].delta += changes[i].delta;
		else
			changes[kept++] = changes[i];
	return kept;
}

static int compare_changes(const void *a, const void *b)
{
	const struct reference_change *first = a, *second = b;
	return (first->id > second->id) - (first->id < second->id);
}

static int copy_references(struct span value, void *context)
{
	struct reference_page *page = context;
	size_t count = value.n / sizeof(*page->all);
	if (value.n % sizeof(*page->all) != 0 || count == 0 || count > REFERENCE_PAGE_MAX)
		return -EUCLEAN;
	page->all = xcalloc(count + 1, sizeof(*page->all));
	memcpy(page->all, value.p, value.n);
	page->count = count;
	page->allocated = count + 1;
	return 0;
}

static int reference_page_load(struct store *s, uint64_t number, struct reference_page *page)
{
	struct key key = key_of_u64('R', number);
	int error = db_parse(s->index, key_span(&key), copy_references, page);
	return error == -ENOENT ? 0 : error;
}

static int reference_page_save(struct store *s, uint64_t number, const struct reference_page *page)
{
	struct key key = key_of_u64('R', number);
	if (page->count == 0) {
		int error = db_delete(s->index, key_span(&key));
		return error == -ENOENT ? 0 : error;
	}
	return db_put(
	    s->index, key_span(&key), span_of(page->all, page->count * sizeof(*page->all)));
}

/* Place of the first reference whose id is at least that. */
static size_t place_of(const struct reference_page *page, uint64_t id)
{
	size_t low = 0, high = page->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (page->all[middle].id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int apply(
    struct reference_page *page, const struct reference_change *change, struct id_list *freed)
{
	size_t place = place_of(page, change->id);
	bool there = place < page->count && page->all[place].id == change->id;
	if (!there && !change->digest)
		return -EUCLEAN;
	if (!there) {
		ARRAY_ROOM(page->all, page->count, page->allocated);
		memmove(&page->all[place + 1], &page->all[place],
		    (page->count - place) * sizeof(*page->all));
		page->count++;
		page->all[place] = (struct reference){.id = change->id, .size = change->size};
		memcpy(page->all[place].digest, change->digest, DIGEST_BYTES);
	}
	struct reference *reference = &page->all[place];
	if (change->delta < 0 && reference->count < (uint32_t)-change->delta)
		return -EUCLEAN;
	reference->count += (uint32_t)change->delta;
	if (reference->count == 0)
		id_list_add(freed, change->id);
	return 0;
}

static void drop_unreferenced(struct reference_page *page)
{
	size_t kept = 0;
	for (size_t i = 0; i < page->count; i++)
		if (page->all[i].count > 0)
			page->all[kept++] = page->all[i];
	page->count = kept;
}

struct find_call {
	uint64_t id;
	struct reference *reference;
};

static int find_reference(struct span value, void *context)
{
	struct find_call *call = context;
	struct reference reference;
	for (size_t at = 0; at + sizeof(reference) <= value.n; at += sizeof(reference)) {
		memcpy(&reference, value.p + at, sizeof(reference));
		if (reference.id == call->id) {
			*call->reference = reference;
			return 0;
		}
	}
	return -ENOENT;
}

int reference_load(struct store *s, uint64_t id, struct reference *ret)
{
	struct key key = key_of_u64('R', page_number(id));
	struct find_call call = {id, ret};
	return db_parse(s->index, key_span(&key), find_reference, &call);
}

static int find_folder(struct span value, void *context)
{
	const uint8_t *folder = context;
	struct reference reference;
	for (size_t at = 0; at + sizeof(reference) <= value.n; at += sizeof(reference)) {
		memcpy(&reference, value.p + at, sizeof(reference));
		if ((reference.id & 0xff) == *folder)
			return 0;
	}
	return -ENOENT;
}

bool references_know_folder(struct store *s, uint64_t serial, uint8_t folder)
{
	struct key key = key_of_u64('R', serial / REFERENCES_PER_PAGE);
	return db_parse(s->index, key_span(&key), find_folder, &folder) == 0;
}

void message_file_name(uint64_t id, char name[MESSAGE_NAME_CHARS])
{
	(void)snprintf(name, MESSAGE_NAME_CHARS, "%" PRIx64, id_serial(id)); /* at most 14 digits */
}

void message_folder_name(uint64_t id, char name[FOLDER_NAME_CHARS])
{
	(void)snprintf(name, FOLDER_NAME_CHARS, "%02x", (unsigned)(id & 0xff));
}

static int open_message_folder(struct store *s, uint64_t id)
{
	char folder[FOLDER_NAME_CHARS];
	message_folder_name(id, folder);
	return openat(s->message_dirfd, folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

int store_message_open(struct store *s, uint64_t message_id, int *ret_fd)
{
	int dirfd cleanup(close_fd) = open_message_folder(s, message_id);
	if (dirfd < 0)
		return -errno;
	char name[MESSAGE_NAME_CHARS];
	message_file_name(message_id, name);
	int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

void messages_remove(struct store *s, const struct id_list *freed)
{
	int dirfd = -1;
	for (size_t i = 0; i < freed->count; i++) {
		uint64_t id = freed->ids[i];
		/* sorted by serial, and messages of one time share a folder */
		if (i == 0 || (freed->ids[i - 1] & 0xff) != (id & 0xff)) {
			close_fd(&dirfd);
			dirfd = open_message_folder(s, id);
		}
		char name[MESSAGE_NAME_CHARS];
		message_file_name(id, name);
		if (dirfd >= 0)
			(void)unlinkat(dirfd, name, 0); /* what stays is found by store_check() */
		cache_forget(s, id);
	}
	close_fd(&dirfd);
}

void id_list_add(struct id_list *list, uint64_t id)
{
	ARRAY_ROOM(list->ids, list->count, list->allocated);
	list->ids[list->count++] = id;
}

void id_list_clear(struct id_list *list)
{
	free(list->ids);
	*list = (struct id_list){0};
}
