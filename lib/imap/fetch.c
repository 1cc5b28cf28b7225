/* FETCH's items: fetch-att, section (RFC 9051 §9, with RFC 3501's RFC822 items). */
#include "base/ascii.h"
#include "imap/command.h"
#include "imap/cursor.h"

struct item_list {
	struct imap_fetch_item *items;
	size_t count, allocated;
	unsigned seen; /* 1 << kind, of the items without a section */
};

static bool fetch_att(struct imap_cursor *c, struct item_list *list);
static bool add(struct imap_cursor *c, struct item_list *list, const struct imap_fetch_item *item);
static bool body(struct imap_cursor *c, struct imap_fetch_item *item);
static bool section_spec(struct imap_cursor *c, struct imap_section *ret);
static bool section_text(struct imap_cursor *c, struct imap_section *ret);
static bool partial(struct imap_cursor *c, struct imap_fetch_item *item);

bool imap_parse_fetch_items(
    struct imap_cursor *c, const struct imap_fetch_item **ret, size_t *ret_count)
{
	static const struct {
		const char *name;
		enum imap_fetch_kind kinds[5];
		size_t count;
	} macros[] = {
	    {"ALL",
		{IMAP_FETCH_FLAGS, IMAP_FETCH_INTERNALDATE, IMAP_FETCH_RFC822_SIZE,
		    IMAP_FETCH_ENVELOPE},
		4},
	    {"FAST", {IMAP_FETCH_FLAGS, IMAP_FETCH_INTERNALDATE, IMAP_FETCH_RFC822_SIZE}, 3},
	    {"FULL",
		{IMAP_FETCH_FLAGS, IMAP_FETCH_INTERNALDATE, IMAP_FETCH_RFC822_SIZE,
		    IMAP_FETCH_ENVELOPE, IMAP_FETCH_BODY},
		5},
	};
	struct item_list list = {0};
	for (size_t i = 0; i < ARRAY_SIZE(macros); i++) {
		if (!cursor_word(c, macros[i].name))
			continue;
		for (size_t j = 0; j < macros[i].count; j++)
			if (!add(c, &list, &(struct imap_fetch_item){.kind = macros[i].kinds[j]}))
				return false;
		goto done;
	}
	if (cursor_char(c, '(')) {
		do {
			if (!fetch_att(c, &list))
				return false;
		} while (cursor_sp(c));
		if (!cursor_char(c, ')'))
			return cursor_fail(c, -EINVAL, "FETCH: the list of items does not end");
	} else if (!fetch_att(c, &list)) {
		return false;
	}
done:
	*ret = list.items;
	*ret_count = list.count;
	return true;
}

static bool add(struct imap_cursor *c, struct item_list *list, const struct imap_fetch_item *item)
{
	if (item->kind < IMAP_FETCH_BODY_SECTION) {
		if (list->seen & 1u << item->kind)
			return true;
		list->seen |= 1u << item->kind;
	}
	if (list->count == IMAP_LIST_ITEMS_MAX)
		return cursor_fail(c, -E2BIG, "FETCH: too many items");
	ARENA_ROOM(c->arena, list->items, list->count, list->allocated);
	list->items[list->count++] = *item;
	return true;
}

/* fetch-att */
static bool fetch_att(struct imap_cursor *c, struct item_list *list)
{
	static const struct {
		const char *name;
		struct imap_fetch_item item;
	} table[] = {
	    {"UID", {.kind = IMAP_FETCH_UID}},
	    {"FLAGS", {.kind = IMAP_FETCH_FLAGS}},
	    {"INTERNALDATE", {.kind = IMAP_FETCH_INTERNALDATE}},
	    {"RFC822.SIZE", {.kind = IMAP_FETCH_RFC822_SIZE}},
	    {"ENVELOPE", {.kind = IMAP_FETCH_ENVELOPE}},
	    {"BODY", {.kind = IMAP_FETCH_BODY}},
	    {"BODY.PEEK", {.kind = IMAP_FETCH_BODY_SECTION, .peek = true}},
	    {"BODYSTRUCTURE", {.kind = IMAP_FETCH_BODYSTRUCTURE}},
	    {"RFC822", {.kind = IMAP_FETCH_RFC822}},
	    {"RFC822.HEADER", {.kind = IMAP_FETCH_RFC822_HEADER,
				  .peek = true,
				  .section.text = IMAP_SECTION_HEADER}},
	    {"RFC822.TEXT", {.kind = IMAP_FETCH_RFC822_TEXT, .section.text = IMAP_SECTION_TEXT}},
	};
	struct span name;
	if (!cursor_name(c, &name))
		return cursor_fail(c, -EINVAL, "FETCH: an item is missing");
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		if (!span_equal_nocase(name, span_cstr(table[i].name)))
			continue;
		struct imap_fetch_item item = table[i].item;
		if (item.kind == IMAP_FETCH_BODY_SECTION && !cursor_sees(c, '['))
			break;
		if ((item.kind == IMAP_FETCH_BODY || item.kind == IMAP_FETCH_BODY_SECTION) &&
		    cursor_sees(c, '[') && !body(c, &item))
			return false;
		return add(c, list, &item);
	}
	return cursor_fail(c, -EINVAL, "FETCH: there is no such item");
}

/* What comes behind BODY or BODY.PEEK: section ["<" number "." nz-number ">"] */
static bool body(struct imap_cursor *c, struct imap_fetch_item *item)
{
	item->kind = IMAP_FETCH_BODY_SECTION;
	if (!cursor_char(c, '[') || !section_spec(c, &item->section) || !cursor_char(c, ']'))
		return cursor_fail(c, -EINVAL, "FETCH: the section is malformed");
	return !cursor_sees(c, '<') || partial(c, item);
}

static bool partial(struct imap_cursor *c, struct imap_fetch_item *item)
{
	item->partial = true;
	if (!cursor_char(c, '<') || !cursor_number(c, INT64_MAX, &item->offset) ||
	    !cursor_char(c, '.') || !cursor_number(c, INT64_MAX, &item->count) ||
	    item->count == 0 || !cursor_char(c, '>'))
		return cursor_fail(c, -EINVAL, "FETCH: a partial is <offset.count>, count not 0");
	return true;
}

/* [section-spec]: section-msgtext / (section-part ["." section-text]) */
static bool section_spec(struct imap_cursor *c, struct imap_section *ret)
{
	uint32_t numbers[IMAP_SECTION_DEPTH_MAX];
	size_t n = 0;
	while (c->rest.n && ascii_is_digit((unsigned char)c->rest.p[0])) {
		uint64_t number;
		if (n == IMAP_SECTION_DEPTH_MAX)
			return cursor_fail(c, -E2BIG, "FETCH: the section has too many numbers");
		if (!cursor_number(c, UINT32_MAX, &number) || number == 0)
			return cursor_fail(c, -EINVAL, "FETCH: a part's number is not valid");
		numbers[n++] = (uint32_t)number;
		if (cursor_sees(c, ']'))
			break;
		if (!cursor_char(c, '.') || cursor_sees(c, ']'))
			return false;
	}
	if (n) {
		uint32_t *kept = ARENA_ARRAY(c->arena, uint32_t, n);
		memcpy(kept, numbers, n * sizeof(*kept));
		ret->numbers = kept;
		ret->number_count = n;
	}
	return cursor_sees(c, ']') || section_text(c, ret);
}

/* section-msgtext / "MIME" */
static bool section_text(struct imap_cursor *c, struct imap_section *ret)
{
	static const struct {
		const char *name;
		enum imap_section_text text;
	} table[] = {
	    {"HEADER", IMAP_SECTION_HEADER},
	    {"HEADER.FIELDS", IMAP_SECTION_HEADER_FIELDS},
	    {"HEADER.FIELDS.NOT", IMAP_SECTION_HEADER_FIELDS_NOT},
	    {"MIME", IMAP_SECTION_MIME},
	    {"TEXT", IMAP_SECTION_TEXT},
	};
	struct span name;
	size_t i = 0;
	if (!cursor_name(c, &name))
		return false;
	while (i < ARRAY_SIZE(table) && !span_equal_nocase(name, span_cstr(table[i].name)))
		i++;
	if (i == ARRAY_SIZE(table))
		return cursor_fail(c, -EINVAL, "FETCH: there is no such section");
	ret->text = table[i].text;
	if (ret->text == IMAP_SECTION_MIME && ret->number_count == 0)
		return cursor_fail(c, -EINVAL, "FETCH: MIME is of a numbered part only");
	if (ret->text != IMAP_SECTION_HEADER_FIELDS && ret->text != IMAP_SECTION_HEADER_FIELDS_NOT)
		return true;
	struct span_list fields = {0};
	if (!cursor_sp(c) || !cursor_char(c, '('))
		return false;
	do {
		struct span field;
		if (!cursor_astring(c, &field) || !span_list_add(c, &fields, field))
			return false;
	} while (cursor_sp(c));
	ret->fields = fields.items;
	ret->field_count = fields.count;
	return cursor_char(c, ')');
}
