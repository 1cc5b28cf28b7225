#include "store/internal.h"

_Static_assert(sizeof(struct global) == 40, "no padding on disk");
_Static_assert(sizeof(struct mailbox_head) == 56, "no padding on disk");
_Static_assert(sizeof(struct page_ref) == 32, "no padding on disk");
_Static_assert(sizeof(struct expunge_log_entry) == 16, "no padding on disk");

static int parse_mailbox(struct span record, struct mailbox *m);
static int find_keywords(struct span bytes, size_t count, struct span keywords[KEYWORDS_MAX]);
static int check_pages(const struct mailbox *m);
static bool keyword_is_valid(struct span keyword);
static int keyword_add(struct mailbox *m, struct span keyword);

int mailbox_load(struct store *s, uint32_t id, struct mailbox *ret)
{
	struct key key = key_of_u32('M', id);
	struct str record cleanup(str_clear) = STR_INIT(RECORD_MAX_BYTES);
	int error = db_get(s->index, key_span(&key), &record);
	if (error < 0)
		return error;
	struct mailbox m = {.keyword_bytes = STR_INIT(KEYWORDS_MAX * (KEYWORD_MAX_BYTES + 1))};
	error = parse_mailbox(str_span(&record), &m);
	if (error == 0 && m.head.id != id)
		error = -EUCLEAN;
	if (error < 0) {
		mailbox_clear(&m);
		return error;
	}
	*ret = m;
	return 0;
}

static int parse_mailbox(struct span record, struct mailbox *m)
{
	struct mailbox_head *head = &m->head;
	if (record.n < sizeof(*head))
		return -EUCLEAN;
	memcpy(head, record.p, sizeof(*head));
	size_t page_bytes = (size_t)head->page_count * sizeof(*m->pages);
	if (head->keyword_count > KEYWORDS_MAX || head->page_count > MAILBOX_PAGES_MAX ||
	    record.n != sizeof(*head) + head->keyword_bytes + page_bytes)
		return -EUCLEAN;
	str_append(&m->keyword_bytes, span_sub(record, sizeof(*head), head->keyword_bytes));
	if (m->keyword_bytes.failed)
		return -EUCLEAN;
	int error = find_keywords(str_span(&m->keyword_bytes), head->keyword_count, m->keywords);
	if (error < 0)
		return error;
	m->pages_allocated = head->page_count;
	m->pages = xcalloc(head->page_count, sizeof(*m->pages));
	if (page_bytes)
		memcpy(m->pages, record.p + sizeof(*head) + head->keyword_bytes, page_bytes);
	return check_pages(m);
}

static int find_keywords(struct span bytes, size_t count, struct span keywords[KEYWORDS_MAX])
{
	for (size_t i = 0; i < count; i++) {
		if (bytes.n == 0)
			return -EUCLEAN;
		size_t n = (unsigned char)bytes.p[0];
		keywords[i] = span_sub(bytes, 1, n);
		if (n == 0 || keywords[i].n != n)
			return -EUCLEAN;
		bytes = span_from(bytes, n + 1);
	}
	return bytes.n == 0 ? 0 : -EUCLEAN;
}

/* The directory is in order, so that whoever walks it need not doubt it again. */
static int check_pages(const struct mailbox *m)
{
	uint32_t last = 0;
	for (uint32_t i = 0; i < m->head.page_count; i++) {
		const struct page_ref *ref = &m->pages[i];
		if (ref->base_uid <= last || ref->first_uid < ref->base_uid ||
		    ref->last_uid < ref->first_uid || ref->count == 0 ||
		    ref->count > PAGE_ENTRIES ||
		    ref->last_uid - ref->first_uid < (uint32_t)ref->count - 1)
			return -EUCLEAN;
		last = ref->last_uid;
	}
	return last < m->head.uid_next ? 0 : -EUCLEAN;
}

static int copy_head(struct span value, void *context)
{
	if (value.n < sizeof(struct mailbox_head))
		return -EUCLEAN;
	memcpy(context, value.p, sizeof(struct mailbox_head));
	return 0;
}

int mailbox_head_load(struct store *s, uint32_t id, struct mailbox_head *ret)
{
	struct key key = key_of_u32('M', id);
	struct mailbox_head head;
	int error = db_parse(s->index, key_span(&key), copy_head, &head);
	if (error < 0)
		return error;
	if (head.id != id)
		return -EUCLEAN;
	*ret = head;
	return 0;
}

int mailbox_save(struct store *s, const struct mailbox *m)
{
	struct key key = key_of_u32('M', m->head.id);
	struct str record cleanup(str_clear) = STR_INIT(RECORD_MAX_BYTES);
	str_append(&record, span_of(&m->head, sizeof(m->head)));
	str_append(&record, str_span(&m->keyword_bytes));
	str_append(&record, span_of(m->pages, m->head.page_count * sizeof(*m->pages)));
	if (record.failed)
		return -ENOSPC;
	return db_put(s->index, key_span(&key), str_span(&record));
}

void mailbox_clear(struct mailbox *m)
{
	free(m->pages);
	str_clear(&m->keyword_bytes);
	*m = (struct mailbox){0};
}

void mailbox_init(struct mailbox *m, struct global *global)
{
	*m = (struct mailbox){
	    .keyword_bytes = STR_INIT(KEYWORDS_MAX * (KEYWORD_MAX_BYTES + 1)),
	    .head = {.id = global->next_mailbox_id++,
		.uid_validity = next_uid_validity(global),
		.uid_next = 1,
		.highest_modseq = 1},
	};
}

/* Starts from the clock, so that a store made anew does not repeat the values of the lost one. */
uint32_t next_uid_validity(struct global *global)
{
	uint32_t now_s = (uint32_t)(wall_ms() / 1000);
	global->uid_validity = MAX(global->uid_validity + 1, now_s);
	return global->uid_validity;
}

void mailbox_info_fill(
    struct mailbox_info *info, const struct name *name, const struct mailbox_head *head)
{
	*info = (struct mailbox_info){
	    .id = head->id,
	    .name = name->text,
	    .uid_validity = head->uid_validity,
	    .uid_next = head->uid_next,
	    .highest_modseq = head->highest_modseq,
	    .messages = head->messages,
	    .unseen = head->unseen,
	    .deleted = head->deleted,
	    .bytes = head->bytes,
	    .special_use = name->special_use,
	    .subscribed = name->subscribed,
	    .selectable = true,
	};
}

int mailbox_keyword_bits(
    struct mailbox *m, const struct span *keywords, size_t count, bool add, uint64_t *ret_bits)
{
	uint64_t bits = 0;
	for (size_t i = 0; i < count; i++) {
		size_t at = 0;
		while (
		    at < m->head.keyword_count && !span_equal_nocase(m->keywords[at], keywords[i]))
			at++;
		if (at == m->head.keyword_count) {
			if (!add)
				continue;
			int error = keyword_add(m, keywords[i]);
			if (error < 0)
				return error;
		}
		bits |= UINT64_C(1) << at;
	}
	*ret_bits = bits;
	return 0;
}

static bool keyword_is_valid(struct span keyword)
{
	if (keyword.n == 0 || keyword.n > KEYWORD_MAX_BYTES)
		return false;
	for (size_t i = 0; i < keyword.n; i++)
		if (keyword.p[i] <= 0x20 || keyword.p[i] >= 0x7f)
			return false;
	return true;
}

static int keyword_add(struct mailbox *m, struct span keyword)
{
	if (!keyword_is_valid(keyword))
		return -EINVAL;
	if (m->head.keyword_count == KEYWORDS_MAX)
		return -ENOSPC;
	str_append_char(&m->keyword_bytes, (char)keyword.n);
	str_append(&m->keyword_bytes, keyword);
	m->head.keyword_count++;
	m->head.keyword_bytes = (uint32_t)m->keyword_bytes.n;
	/* the bytes may have moved: all spans again */
	return find_keywords(str_span(&m->keyword_bytes), m->head.keyword_count, m->keywords);
}

size_t mailbox_page_from(const struct mailbox *m, uint32_t uid)
{
	size_t low = 0, high = m->head.page_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (m->pages[middle].last_uid < uid)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The record "X": u64 floor (everything up to that modseq is forgotten), then the entries. */
int expunge_log_add(struct store *s, uint32_t mailbox_id, uint64_t modseq,
    const struct uid_range *ranges, size_t count)
{
	struct key key = key_of_u32('X', mailbox_id);
	struct str record cleanup(str_clear) = STR_INIT(RECORD_MAX_BYTES);
	uint64_t floor = 0;
	int error = db_get(s->index, key_span(&key), &record);
	if (error < 0 && error != -ENOENT)
		return error;
	if (error == -ENOENT)
		str_append(&record, span_of(&floor, sizeof(floor)));
	if (record.n < sizeof(floor) ||
	    (record.n - sizeof(floor)) % sizeof(struct expunge_log_entry) != 0)
		return -EUCLEAN;
	for (size_t i = 0; i < count; i++) {
		struct expunge_log_entry entry = {modseq, ranges[i].first, ranges[i].last};
		str_append(&record, span_of(&entry, sizeof(entry)));
	}
	if (record.failed)
		return -ENOSPC;
	size_t entries = (record.n - sizeof(floor)) / sizeof(struct expunge_log_entry);
	if (entries > EXPUNGE_LOG_MAX) {
		size_t gone = entries - EXPUNGE_LOG_MAX / 2;
		struct expunge_log_entry last;
		memcpy(
		    &last, record.data + sizeof(floor) + (gone - 1) * sizeof(last), sizeof(last));
		str_drop_front(&record, gone * sizeof(last));
		memcpy(record.data, &last.modseq, sizeof(floor));
	}
	return db_put(s->index, key_span(&key), str_span(&record));
}
