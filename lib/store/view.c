#include "store/internal.h"

/*
 * A view is two sorted arrays: runs of consecutive UIDs, from which every sequence number follows,
 * and one line per page of the mailbox, by which sync.c finds what changed. A mailbox of 100,000
 * messages without gaps is one run and 391 lines: about 10 KiB.
 */

static int view_fill(struct view *v, const struct mailbox *m);
static void view_add_page(struct view *v, const struct page_ref *ref);
static size_t run_before(const struct view *v, uint32_t uid);
static size_t page_of(const struct view *v, uint32_t uid);

int view_open(struct store *s, struct span mailbox, bool read_only, struct view **ret)
{
	struct arena a cleanup(arena_clear) = {0};
	struct mailbox m cleanup(mailbox_clear) = {0};
	struct name name;
	int error = db_read_begin(s->index);
	if (error < 0)
		return error;
	struct view *v = xcalloc(1, sizeof(*v));
	v->store = s;
	v->read_only = read_only;
	v->sequence = db_sequence(s->index);
	v->keyword_bytes = STR_INIT(KEYWORDS_MAX * (KEYWORD_MAX_BYTES + 1));
	error = name_lookup(s, mailbox, &a, &name);
	if (error == 0)
		error = mailbox_load(s, name.id, &m);
	if (error == 0)
		error = view_fill(v, &m);
	db_read_end(s->index);
	if (error < 0) {
		view_close(v);
		return error;
	}
	mailbox_info_fill(&v->info, &name, &m.head);
	v->name = xmalloc(name.text.n);
	memcpy(v->name, name.text.p, name.text.n);
	v->info.name.p = v->name;
	view_keep_head(v, &m);
	*ret = v;
	return 0;
}

/* Reads only the pages that have gaps: of the others the directory knows all UIDs. */
static int view_fill(struct view *v, const struct mailbox *m)
{
	struct page *page cleanup(free_page) = NULL;
	for (uint32_t i = 0; i < m->head.page_count; i++) {
		const struct page_ref *ref = &m->pages[i];
		view_add_page(v, ref);
		if (ref->last_uid - ref->first_uid + 1 == ref->count) {
			runs_add(&v->runs, &v->run_count, &v->runs_allocated, ref->first_uid,
			    ref->count);
			continue;
		}
		if (!page)
			page = xcalloc(1, sizeof(*page));
		int error = page_load(v->store, m->head.id, ref, page);
		if (error < 0)
			return error;
		for (uint32_t j = 0; j < page->count; j++)
			runs_add(
			    &v->runs, &v->run_count, &v->runs_allocated, page->entries[j].uid, 1);
	}
	v->count = m->head.messages;
	v->last_uid = m->head.uid_next - 1;
	struct run *last = v->run_count ? &v->runs[v->run_count - 1] : NULL;
	return (last ? last->sequence + last->count - 1 : 0) == v->count ? 0 : -EUCLEAN;
}

static void view_add_page(struct view *v, const struct page_ref *ref)
{
	ARRAY_ROOM(v->pages, v->page_count, v->pages_allocated);
	v->pages[v->page_count++] = (struct view_page){
	    .modseq = ref->modseq, .base_uid = ref->base_uid, .count = ref->count};
}

void runs_add(struct run **runs, size_t *count, size_t *allocated, uint32_t uid, uint32_t n)
{
	struct run *last = *count ? &(*runs)[*count - 1] : NULL;
	if (last && last->uid + last->count == uid) {
		last->count += n;
		return;
	}
	uint32_t sequence = last ? last->sequence + last->count : 1;
	*runs = array_room(*runs, *count, allocated, sizeof(**runs));
	(*runs)[(*count)++] = (struct run){uid, sequence, n};
}

/* What the mailbox says of itself becomes what the view says. */
void view_keep_head(struct view *v, const struct mailbox *m)
{
	struct mailbox_info *info = &v->info;
	info->uid_validity = m->head.uid_validity;
	info->uid_next = m->head.uid_next;
	info->highest_modseq = m->head.highest_modseq;
	info->messages = m->head.messages;
	info->unseen = m->head.unseen;
	info->deleted = m->head.deleted;
	info->bytes = m->head.bytes;
	v->told_modseq = m->head.highest_modseq;
	v->silent_count = 0;
	v->tell_anyway.count = 0;
	if (m->head.keyword_count == v->keyword_count)
		return;
	str_reset(&v->keyword_bytes);
	str_append(&v->keyword_bytes, str_span(&m->keyword_bytes));
	v->keyword_count = m->head.keyword_count;
	for (size_t i = 0; i < v->keyword_count; i++) /* same bytes, at another address */
		v->keywords[i] =
		    span_of(v->keyword_bytes.data + (m->keywords[i].p - m->keyword_bytes.data),
			m->keywords[i].n);
}

void view_close(struct view *v)
{
	if (!v)
		return;
	free(v->name);
	free(v->runs);
	free(v->pages);
	free(v->silent_modseqs);
	id_list_clear(&v->tell_anyway);
	str_clear(&v->keyword_bytes);
	free(v);
}

const struct mailbox_info *view_info(const struct view *v)
{
	return &v->info;
}

uint32_t view_count(const struct view *v)
{
	return v->count;
}

const struct span *view_keywords(const struct view *v, size_t *ret_count)
{
	*ret_count = v->keyword_count;
	return v->keywords;
}

bool view_is_stale(struct view *v)
{
	return db_sequence(v->store->index) != v->sequence;
}

uint32_t view_uid(const struct view *v, uint32_t sequence)
{
	size_t low = 0, high = v->run_count;
	if (sequence == 0 || sequence > v->count)
		return 0;
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;
		if (v->runs[middle].sequence <= sequence)
			low = middle;
		else
			high = middle;
	}
	return v->runs[low].uid + (sequence - v->runs[low].sequence);
}

/* Index of the last run that begins at or before uid; run_count when there is none. */
static size_t run_before(const struct view *v, uint32_t uid)
{
	size_t low = 0, high = v->run_count;
	if (v->run_count == 0 || v->runs[0].uid > uid)
		return v->run_count;
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;
		if (v->runs[middle].uid <= uid)
			low = middle;
		else
			high = middle;
	}
	return low;
}

uint32_t view_sequence(const struct view *v, uint32_t uid)
{
	size_t at = run_before(v, uid);
	if (at == v->run_count || uid - v->runs[at].uid >= v->runs[at].count)
		return 0;
	return v->runs[at].sequence + (uid - v->runs[at].uid);
}

uint32_t view_sequence_from(const struct view *v, uint32_t uid)
{
	size_t at = run_before(v, uid);
	if (at == v->run_count)
		return 1; /* before everything, or nothing there: count + 1 = 1 */
	uint32_t offset = uid - v->runs[at].uid;
	return v->runs[at].sequence + MIN(offset, v->runs[at].count);
}

/* However many messages it has: the directory may be newer than the view's. */
static int copy_any_page(struct span value, void *context)
{
	struct page *page = context;
	if (value.n % sizeof(page->entries[0]) != 0 || value.n > sizeof(page->entries))
		return -EUCLEAN;
	memcpy(page->entries, value.p, value.n);
	page->count = (uint32_t)(value.n / sizeof(page->entries[0]));
	return 0;
}

int view_page_load(struct view *v, const struct view_page *which, struct page *page)
{
	struct key key = key_of_page(v->info.id, which->base_uid);
	page->count = 0;
	int error = db_parse(v->store->index, key_span(&key), copy_any_page, page);
	return error == -ENOENT ? 0 : error;
}

/* Index of the page that this UID would be in. */
static size_t page_of(const struct view *v, uint32_t uid)
{
	size_t low = 0, high = v->page_count;
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;
		if (v->pages[middle].base_uid <= uid)
			low = middle;
		else
			high = middle;
	}
	return low;
}

int view_each(struct view *v, uint32_t first_uid, uint32_t last_uid,
    int (*fn)(const struct message_info *m, void *context), void *context)
{
	struct page *page cleanup(free_page) = xcalloc(1, sizeof(*page));
	last_uid = MIN(last_uid, v->last_uid);
	/* No lock between pages: fn may write to a peer that does not read. */
	for (size_t i = page_of(v, first_uid); i < v->page_count; i++) {
		if (v->pages[i].base_uid > last_uid)
			break;
		int error = view_page_load(v, &v->pages[i], page);
		if (error < 0)
			return error;
		for (uint32_t j = 0; j < page->count; j++) {
			struct message_info info;
			page_entry_info(&page->entries[j], &info);
			if (info.uid < first_uid || info.uid > last_uid)
				continue;
			int answer = fn(&info, context);
			if (answer != 0)
				return answer;
		}
	}
	return 0;
}

static int keep_message(const struct message_info *m, void *context)
{
	*(struct message_info *)context = *m;
	return 1;
}

int view_message(struct view *v, uint32_t uid, struct message_info *ret)
{
	struct message_info info;
	int answer = view_each(v, uid, uid, keep_message, &info);
	if (answer == 1)
		*ret = info;
	return answer < 0 ? answer : answer == 1 ? 0 : -ENOENT;
}

static int stop_at_unseen(const struct message_info *m, void *context)
{
	if (m->flags & FLAG_SEEN)
		return 0;
	*(uint32_t *)context = m->uid;
	return 1;
}

uint32_t view_first_unseen(struct view *v)
{
	struct mailbox m cleanup(mailbox_clear) = {0};
	uint32_t uid = 0;
	if (mailbox_load(v->store, v->info.id, &m) < 0)
		return 0;
	/* The directory knows which page to read. */
	for (uint32_t i = 0; i < m.head.page_count && uid == 0; i++)
		if (m.pages[i].unseen > 0 && view_each(v, m.pages[i].first_uid, m.pages[i].last_uid,
						 stop_at_unseen, &uid) < 0)
			return 0;
	return view_sequence(v, uid);
}

bool uid_set_has(struct uid_set set, uint32_t uid, size_t *hint)
{
	while (*hint < set.count && set.ranges[*hint].last < uid)
		++*hint;
	return *hint < set.count && set.ranges[*hint].first <= uid;
}

void range_list_add(struct range_list *list, uint32_t uid)
{
	range_list_add_range(list, uid, uid);
}

void range_list_add_range(struct range_list *list, uint32_t first, uint32_t last)
{
	if (list->count && list->ranges[list->count - 1].last + 1 == first) {
		list->ranges[list->count - 1].last = last;
		return;
	}
	ARRAY_ROOM(list->ranges, list->count, list->allocated);
	list->ranges[list->count++] = (struct uid_range){first, last};
}

void range_list_clear(struct range_list *list)
{
	free(list->ranges);
	*list = (struct range_list){0};
}

struct uid_set range_list_copy(const struct range_list *list, struct arena *a)
{
	struct uid_range *ranges = ARENA_ARRAY(a, struct uid_range, list->count);
	if (list->count)
		memcpy(ranges, list->ranges, list->count * sizeof(*ranges));
	return (struct uid_set){ranges, list->count};
}
