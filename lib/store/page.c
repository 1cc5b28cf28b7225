#include "store/internal.h"

_Static_assert(sizeof(struct page_entry) == 56, "no padding on disk");

static void page_count(const struct page *page, struct page_ref *ref);
static int page_new(struct mailbox *m, uint32_t base_uid, size_t *ret_index);

struct load_call {
	struct page *page;
	const struct page_ref *ref;
};

static int copy_page(struct span value, void *context)
{
	struct load_call *call = context;
	struct page *page = call->page;
	size_t bytes = (size_t)call->ref->count * sizeof(page->entries[0]);
	if (value.n != bytes)
		return -EUCLEAN;
	memcpy(page->entries, value.p, bytes);
	page->count = call->ref->count;
	return 0;
}

int page_load(struct store *s, uint32_t mailbox_id, const struct page_ref *ref, struct page *page)
{
	struct key key = key_of_page(mailbox_id, ref->base_uid);
	struct load_call call = {page, ref};
	int error = db_parse(s->index, key_span(&key), copy_page, &call);
	if (error < 0)
		return error == -ENOENT ? -EUCLEAN : error;
	for (uint32_t i = 1; i < page->count; i++)
		if (page->entries[i].uid <= page->entries[i - 1].uid)
			return -EUCLEAN;
	if (page->entries[0].uid != ref->first_uid ||
	    page->entries[page->count - 1].uid != ref->last_uid)
		return -EUCLEAN;
	return 0;
}

int page_save(struct store *s, struct mailbox *m, size_t index, const struct page *page,
    uint64_t modseq, bool *ret_gone)
{
	struct page_ref *ref = &m->pages[index];
	struct key key = key_of_page(m->head.id, ref->base_uid);
	struct page_ref now = {.modseq = modseq, .base_uid = ref->base_uid};
	page_count(page, &now);
	m->head.messages += (uint32_t)now.count - ref->count;
	m->head.unseen += (uint32_t)now.unseen - ref->unseen;
	m->head.deleted += (uint32_t)now.deleted - ref->deleted;
	m->head.highest_modseq = modseq;
	*ref = now;
	if (ret_gone)
		*ret_gone = page->count == 0;
	if (page->count == 0) {
		m->head.page_count--;
		memmove(ref, ref + 1, (m->head.page_count - index) * sizeof(*ref));
		return db_delete(s->index, key_span(&key));
	}
	return db_put(s->index, key_span(&key),
	    span_of(page->entries, page->count * sizeof(page->entries[0])));
}

static void page_count(const struct page *page, struct page_ref *ref)
{
	uint32_t unseen = 0, deleted = 0;
	for (uint32_t i = 0; i < page->count; i++) {
		unseen += (page->entries[i].flags & FLAG_SEEN) == 0;
		deleted += (page->entries[i].flags & FLAG_DELETED) != 0;
	}
	ref->count = (uint16_t)page->count; /* all at most PAGE_ENTRIES */
	ref->unseen = (uint16_t)unseen;
	ref->deleted = (uint16_t)deleted;
	if (page->count > 0) {
		ref->first_uid = page->entries[0].uid;
		ref->last_uid = page->entries[page->count - 1].uid;
	}
}

int page_append(struct store *s, struct global *global, struct mailbox *m,
    struct page_entry *entries, size_t count, uint64_t modseq)
{
	if (count > UINT32_MAX - 1 - m->head.uid_next)
		return -ENOSPC;
	struct page *page cleanup(free_page) = xcalloc(1, sizeof(*page));
	int64_t now_s = wall_ms() / 1000;
	int error = 0;
	for (size_t done = 0; done < count && error == 0;) {
		size_t index = m->head.page_count ? m->head.page_count - 1 : 0;
		page->count = 0;
		if (m->head.page_count == 0 || m->pages[index].count == PAGE_ENTRIES)
			error = page_new(m, m->head.uid_next, &index);
		else
			error = page_load(s, m->head.id, &m->pages[index], page);
		if (error < 0)
			break;
		while (done < count && page->count < PAGE_ENTRIES) {
			struct page_entry *entry = &entries[done++];
			entry->uid = m->head.uid_next++;
			entry->modseq = modseq;
			entry->save_date_s = now_s;
			m->head.bytes += entry->size;
			global->bytes += entry->size;
			global->messages++;
			page->entries[page->count++] = *entry;
		}
		error = page_save(s, m, index, page, modseq, NULL);
	}
	return error;
}

/* An empty page at the end of the directory, to be saved. */
static int page_new(struct mailbox *m, uint32_t base_uid, size_t *ret_index)
{
	if (m->head.page_count >= MAILBOX_PAGES_MAX)
		return -ENOSPC;
	ARRAY_ROOM(m->pages, m->head.page_count, m->pages_allocated);
	*ret_index = m->head.page_count++;
	m->pages[*ret_index] = (struct page_ref){.base_uid = base_uid};
	return 0;
}

void free_page(struct page **page)
{
	free(*page);
}

void page_entry_info(const struct page_entry *entry, struct message_info *info)
{
	*info = (struct message_info){
	    .uid = entry->uid,
	    .flags = entry->flags,
	    .keywords = entry->keywords,
	    .modseq = entry->modseq,
	    .internal_date_s = entry->internal_date_s,
	    .save_date_s = entry->save_date_s,
	    .zone_minutes = entry->zone_minutes,
	    .size = entry->size,
	    .id = entry->id,
	};
}
