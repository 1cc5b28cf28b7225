#include "mime/summary.h"

#include "base/codec.h"

enum {
	FLAG_CUT = 1,
	FLAG_ENVELOPE = 1, /* of a part */
	ADDRESS_NAME = 4,  /* bits above the kind */
	ADDRESS_ROUTE = 8,
	ADDRESS_LOCAL = 16,
	ADDRESS_DOMAIN = 32,
};

static void put_part(struct str *out, const struct mime_part *part);
static void put_optional(struct str *out, struct span s);
static void put_parameters(struct str *out, const struct parameters *list);
static void put_envelope(struct str *out, const struct mime_envelope *e);
static void put_addresses(struct str *out, const struct address_list *list);
static void get_part(struct reader *r, struct arena *a, struct mime_part *ret);
static struct span get_optional(struct reader *r);
static void get_parameters(struct reader *r, struct arena *a, struct parameters *ret);
static const struct mime_envelope *get_envelope(struct reader *r, struct arena *a);
static void get_addresses(struct reader *r, struct arena *a, struct address_list *ret);
static bool link_parts(struct mime_part *parts, size_t count, uint32_t bytes);

int mime_summary_encode(const struct mime_message *m, struct str *out)
{
	if (!m)
		return -EFBIG;
	put_u8(out, MIME_SUMMARY_VERSION);
	put_u8(out, m->cut ? FLAG_CUT : 0);
	put_u32(out, m->bytes);
	put_u16(out, (uint16_t)m->part_count);
	for (size_t i = 0; i < m->part_count; i++)
		put_part(out, &m->parts[i]);
	return str_error(out);
}

static void put_part(struct str *out, const struct mime_part *part)
{
	put_u8(out, (uint8_t)part->kind);
	put_u8(out, part->envelope ? FLAG_ENVELOPE : 0);
	put_u16(out, (uint16_t)part->parent);
	put_u32(out, part->header_start);
	put_u32(out, part->body_start);
	put_u32(out, part->body_end);
	put_u32(out, part->body_lines);
	put_span(out, part->type);
	put_span(out, part->subtype);
	put_parameters(out, &part->parameters);
	put_optional(out, part->encoding);
	put_optional(out, part->id);
	put_optional(out, part->description);
	put_optional(out, part->md5);
	put_optional(out, part->location);
	put_optional(out, part->disposition);
	put_parameters(out, &part->disposition_parameters);
	put_u8(out, (uint8_t)part->language_count);
	for (size_t i = 0; i < part->language_count; i++)
		put_span(out, part->languages[i]);
	if (part->envelope)
		put_envelope(out, part->envelope);
}

static void put_optional(struct str *out, struct span s)
{
	put_u8(out, span_is_set(s));
	if (span_is_set(s))
		put_span(out, s);
}

static void put_parameters(struct str *out, const struct parameters *list)
{
	put_u8(out, (uint8_t)list->count);
	for (size_t i = 0; i < list->count; i++) {
		put_span(out, list->items[i].name);
		put_span(out, list->items[i].value);
	}
}

static void put_envelope(struct str *out, const struct mime_envelope *e)
{
	put_optional(out, e->date);
	put_optional(out, e->subject);
	put_optional(out, e->in_reply_to);
	put_optional(out, e->message_id);
	put_addresses(out, &e->from);
	put_addresses(out, &e->sender);
	put_addresses(out, &e->reply_to);
	put_addresses(out, &e->to);
	put_addresses(out, &e->cc);
	put_addresses(out, &e->bcc);
	put_u8(out, e->date_is_valid);
	if (e->date_is_valid) {
		put_u64(out, (uint64_t)e->date_s);
		put_u16(out, (uint16_t)e->date_zone_minutes);
	}
}

static void put_addresses(struct str *out, const struct address_list *list)
{
	put_u16(out, (uint16_t)list->count);
	put_u8(out, list->complete);
	for (size_t i = 0; i < list->count; i++) {
		const struct address *x = &list->items[i];
		put_u8(out, (uint8_t)(x->kind | (span_is_set(x->name) ? ADDRESS_NAME : 0) |
				      (span_is_set(x->route) ? ADDRESS_ROUTE : 0) |
				      (span_is_set(x->local) ? ADDRESS_LOCAL : 0) |
				      (span_is_set(x->domain) ? ADDRESS_DOMAIN : 0)));
		const struct span spans[] = {x->name, x->route, x->local, x->domain};
		for (size_t j = 0; j < ARRAY_SIZE(spans); j++)
			if (span_is_set(spans[j]))
				put_span(out, spans[j]);
	}
}

int mime_summary_decode(struct span record, struct arena *a, const struct mime_message **ret)
{
	struct reader r = reader_of(record);
	uint8_t version = get_u8(&r);
	uint8_t flags = get_u8(&r);
	uint32_t bytes = get_u32(&r);
	uint16_t count = get_u16(&r);
	if (r.failed || version != MIME_SUMMARY_VERSION || count == 0 || count > MIME_PARTS_MAX)
		return -EBADMSG;
	struct mime_part *parts = ARENA_ARRAY(a, struct mime_part, count);
	for (size_t i = 0; i < count && !r.failed; i++)
		get_part(&r, a, &parts[i]);
	if (reader_end(&r) != 0 || !link_parts(parts, count, bytes))
		return -EBADMSG;
	struct mime_message *m = ARENA_NEW(a, struct mime_message);
	*m = (struct mime_message){
	    .parts = parts, .part_count = count, .bytes = bytes, .cut = flags & FLAG_CUT};
	*ret = m;
	return 0;
}

static void get_part(struct reader *r, struct arena *a, struct mime_part *ret)
{
	uint8_t kind = get_u8(r), flags = get_u8(r);
	r->failed = r->failed || kind > MIME_MESSAGE;
	ret->kind = (enum mime_kind)(kind % 3);
	ret->parent = get_u16(r);
	ret->header_start = get_u32(r);
	ret->body_start = get_u32(r);
	ret->body_end = get_u32(r);
	ret->body_lines = get_u32(r);
	ret->type = get_span(r);
	ret->subtype = get_span(r);
	get_parameters(r, a, &ret->parameters);
	ret->encoding = get_optional(r);
	ret->id = get_optional(r);
	ret->description = get_optional(r);
	ret->md5 = get_optional(r);
	ret->location = get_optional(r);
	ret->disposition = get_optional(r);
	get_parameters(r, a, &ret->disposition_parameters);
	size_t count = get_u8(r);
	r->failed = r->failed || count > PARAMETERS_MAX;
	if (count && !r->failed) {
		struct span *languages = ARENA_ARRAY(a, struct span, count);
		for (size_t i = 0; i < count; i++)
			languages[i] = get_span(r);
		ret->languages = languages;
		ret->language_count = count;
	}
	if (flags & FLAG_ENVELOPE)
		ret->envelope = get_envelope(r, a);
}

static struct span get_optional(struct reader *r)
{
	return get_u8(r) ? get_span(r) : SPAN_NONE;
}

static void get_parameters(struct reader *r, struct arena *a, struct parameters *ret)
{
	size_t count = get_u8(r);
	r->failed = r->failed || count > PARAMETERS_MAX;
	if (r->failed || count == 0)
		return;
	struct parameter *items = ARENA_ARRAY(a, struct parameter, count);
	for (size_t i = 0; i < count; i++) {
		items[i].name = get_span(r);
		items[i].value = get_span(r);
	}
	*ret = (struct parameters){items, count};
}

static const struct mime_envelope *get_envelope(struct reader *r, struct arena *a)
{
	struct mime_envelope *e = ARENA_NEW(a, struct mime_envelope);
	e->date = get_optional(r);
	e->subject = get_optional(r);
	e->in_reply_to = get_optional(r);
	e->message_id = get_optional(r);
	get_addresses(r, a, &e->from);
	get_addresses(r, a, &e->sender);
	get_addresses(r, a, &e->reply_to);
	get_addresses(r, a, &e->to);
	get_addresses(r, a, &e->cc);
	get_addresses(r, a, &e->bcc);
	e->date_is_valid = get_u8(r) != 0;
	if (e->date_is_valid) {
		e->date_s = (int64_t)get_u64(r);
		e->date_zone_minutes = (int16_t)get_u16(r);
	}
	return e;
}

static void get_addresses(struct reader *r, struct arena *a, struct address_list *ret)
{
	size_t count = get_u16(r);
	ret->complete = get_u8(r) != 0;
	r->failed = r->failed || count > ADDRESS_LIST_MAX + 1 || count > r->rest.n;
	if (r->failed || count == 0)
		return;
	struct address *items = ARENA_ARRAY(a, struct address, count);
	for (size_t i = 0; i < count && !r->failed; i++) {
		uint8_t bits = get_u8(r);
		r->failed = r->failed || bits % ADDRESS_NAME > ADDRESS_GROUP_END;
		items[i].kind = (enum address_kind)(bits % ADDRESS_NAME);
		items[i].name = bits & ADDRESS_NAME ? get_span(r) : SPAN_NONE;
		items[i].route = bits & ADDRESS_ROUTE ? get_span(r) : SPAN_NONE;
		items[i].local = bits & ADDRESS_LOCAL ? get_span(r) : SPAN_NONE;
		items[i].domain = bits & ADDRESS_DOMAIN ? get_span(r) : SPAN_NONE;
	}
	ret->items = items;
	ret->count = count;
}

/*
 * Makes the tree from the parents' numbers, and checks what the parser guarantees: parents come
 * first, only containers have children, a message has one, which has an envelope; the nesting is
 * bounded, so that who walks the tree may recurse.
 */
static bool link_parts(struct mime_part *parts, size_t count, uint32_t bytes)
{
	uint32_t last[MIME_PARTS_MAX] = {0};
	uint8_t depth[MIME_PARTS_MAX] = {0};
	for (uint32_t i = 0; i < count; i++) {
		struct mime_part *part = &parts[i];
		if (part->header_start > part->body_start || part->body_start > part->body_end ||
		    part->body_end > bytes)
			return false;
		if (i == 0) {
			if (!part->envelope || part->parent != MIME_NO_PART)
				return false;
			continue;
		}
		if (part->parent >= i)
			return false;
		struct mime_part *parent = &parts[part->parent];
		depth[i] = (uint8_t)(depth[part->parent] + 1);
		bool in_message = parent->kind == MIME_MESSAGE;
		if (parent->kind == MIME_LEAF || depth[i] > MIME_DEPTH_MAX ||
		    (part->envelope != NULL) != in_message || (in_message && last[part->parent]))
			return false;
		if (last[part->parent])
			parts[last[part->parent]].next = i;
		else
			parent->first_child = i;
		last[part->parent] = i;
	}
	for (size_t i = 0; i < count; i++)
		if (parts[i].kind == MIME_MESSAGE && parts[i].first_child == MIME_NO_PART)
			return false;
	return true;
}
