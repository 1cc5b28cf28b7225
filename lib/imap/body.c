#include "imap/body.h"

static void put_one_envelope(struct str *out, const struct mime_envelope *e, enum imap_text mode);
static void put_addresses(struct str *out, const struct address_list *list, enum imap_text mode);
static void put_address(struct str *out, const struct address *a, enum imap_text mode);
static void put_part(struct str *out, const struct mime_message *m, uint32_t index,
    enum imap_body form, enum imap_text mode);
static void put_multipart(struct str *out, const struct mime_message *m, uint32_t index,
    enum imap_body form, enum imap_text mode);
static void put_single(struct str *out, const struct mime_message *m, uint32_t index,
    enum imap_body form, enum imap_text mode);
static void put_parameters(struct str *out, const struct parameters *list, enum imap_text mode);
static void put_extension(struct str *out, const struct mime_part *part, enum imap_text mode);
static int find_part(
    const struct mime_message *m, const struct imap_section *section, uint32_t *ret);
static int nth(const struct mime_message *m, uint32_t parent, uint32_t number, uint32_t *ret);

void imap_put_envelope(struct str *out, const struct mime_message *m, enum imap_text mode)
{
	put_one_envelope(out, m->parts[0].envelope, mode);
}

static void sp(struct str *out)
{
	str_append_char(out, ' ');
}

/* RFC 9051 §7.5.2: an absent or empty Sender or Reply-To is the From. */
static void put_one_envelope(struct str *out, const struct mime_envelope *e, enum imap_text mode)
{
	str_append_char(out, '(');
	imap_put_nstring(out, e->date, mode);
	sp(out);
	imap_put_nstring(out, e->subject, mode);
	sp(out);
	put_addresses(out, &e->from, mode);
	sp(out);
	put_addresses(out, e->sender.count ? &e->sender : &e->from, mode);
	sp(out);
	put_addresses(out, e->reply_to.count ? &e->reply_to : &e->from, mode);
	sp(out);
	put_addresses(out, &e->to, mode);
	sp(out);
	put_addresses(out, &e->cc, mode);
	sp(out);
	put_addresses(out, &e->bcc, mode);
	sp(out);
	imap_put_nstring(out, e->in_reply_to, mode);
	sp(out);
	imap_put_nstring(out, e->message_id, mode);
	str_append_char(out, ')');
}

static void put_addresses(struct str *out, const struct address_list *list, enum imap_text mode)
{
	if (list->count == 0) {
		str_append(out, SPAN("NIL"));
		return;
	}
	str_append_char(out, '(');
	for (size_t i = 0; i < list->count; i++)
		put_address(out, &list->items[i], mode);
	str_append_char(out, ')');
}

/* A host NIL means the begin or end of a group, so a mailbox without a domain gets "". */
static void put_address(struct str *out, const struct address *a, enum imap_text mode)
{
	struct span name = SPAN_NONE, local = SPAN_NONE, domain = SPAN_NONE;
	if (a->kind == ADDRESS_GROUP_BEGIN)
		local = a->name;
	if (a->kind == ADDRESS_MAILBOX) {
		name = a->name;
		local = span_is_set(a->local) ? a->local : SPAN("");
		domain = span_is_set(a->domain) ? a->domain : SPAN("");
	}
	str_append_char(out, '(');
	imap_put_nstring(out, name, mode);
	sp(out);
	imap_put_nstring(out, a->route, mode);
	sp(out);
	imap_put_nstring(out, local, mode);
	sp(out);
	imap_put_nstring(out, domain, mode);
	str_append_char(out, ')');
}

void imap_put_body(
    struct str *out, const struct mime_message *m, enum imap_body form, enum imap_text mode)
{
	put_part(out, m, 0, form, mode);
}

static void put_part(struct str *out, const struct mime_message *m, uint32_t index,
    enum imap_body form, enum imap_text mode)
{
	str_append_char(out, '(');
	if (m->parts[index].kind == MIME_MULTIPART)
		put_multipart(out, m, index, form, mode);
	else
		put_single(out, m, index, form, mode);
	str_append_char(out, ')');
}

/* body-type-mpart = 1*body SP media-subtype [SP body-ext-mpart] */
static void put_multipart(struct str *out, const struct mime_message *m, uint32_t index,
    enum imap_body form, enum imap_text mode)
{
	const struct mime_part *part = &m->parts[index];
	for (uint32_t i = part->first_child; i != MIME_NO_PART; i = m->parts[i].next)
		put_part(out, m, i, form, mode);
	if (part->first_child == MIME_NO_PART) {
		str_append(out, SPAN("(\"text\" \"plain\" (\"charset\" \"us-ascii\")"
				     " NIL NIL \"7bit\" 0 0"));
		str_append_cstr(out, form == IMAP_BODYSTRUCTURE ? " NIL NIL NIL NIL)" : ")");
	}
	sp(out);
	imap_put_string(out, part->subtype, mode);
	if (form == IMAP_BODYSTRUCTURE) {
		sp(out);
		put_parameters(out, &part->parameters, mode);
		put_extension(out, part, mode);
	}
}

/* body-type-1part = (body-type-basic / body-type-msg / body-type-text) [SP body-ext-1part] */
static void put_single(struct str *out, const struct mime_message *m, uint32_t index,
    enum imap_body form, enum imap_text mode)
{
	const struct mime_part *part = &m->parts[index];
	imap_put_string(out, part->type, mode);
	sp(out);
	imap_put_string(out, part->subtype, mode);
	sp(out);
	put_parameters(out, &part->parameters, mode);
	sp(out);
	imap_put_nstring(out, part->id, mode);
	sp(out);
	imap_put_nstring(out, part->description, mode);
	sp(out);
	imap_put_string(out, span_is_set(part->encoding) ? part->encoding : SPAN("7bit"), mode);
	sp(out);
	str_append_u64(out, part->body_end - part->body_start);
	if (part->kind == MIME_MESSAGE) {
		sp(out);
		put_one_envelope(out, m->parts[part->first_child].envelope, mode);
		sp(out);
		put_part(out, m, part->first_child, form, mode);
	}
	if (part->kind == MIME_MESSAGE || span_equal_nocase(part->type, SPAN("text"))) {
		sp(out);
		str_append_u64(out, part->body_lines);
	}
	if (form == IMAP_BODYSTRUCTURE) {
		sp(out);
		imap_put_nstring(out, part->md5, mode);
		put_extension(out, part, mode);
	}
}

/* body-fld-param */
static void put_parameters(struct str *out, const struct parameters *list, enum imap_text mode)
{
	if (list->count == 0) {
		str_append(out, SPAN("NIL"));
		return;
	}
	for (size_t i = 0; i < list->count; i++) {
		str_append_char(out, i ? ' ' : '(');
		imap_put_string(out, list->items[i].name, mode);
		sp(out);
		imap_put_string(out, list->items[i].value, mode);
	}
	str_append_char(out, ')');
}

/* SP body-fld-dsp SP body-fld-lang SP body-fld-loc */
static void put_extension(struct str *out, const struct mime_part *part, enum imap_text mode)
{
	if (span_is_set(part->disposition)) {
		str_append(out, SPAN(" ("));
		imap_put_string(out, part->disposition, mode);
		sp(out);
		put_parameters(out, &part->disposition_parameters, mode);
		str_append_char(out, ')');
	} else {
		str_append(out, SPAN(" NIL"));
	}
	for (size_t i = 0; i < part->language_count; i++) {
		str_append_cstr(out, i ? " " : " (");
		imap_put_string(out, part->languages[i], mode);
	}
	str_append_cstr(out, part->language_count ? ") " : " NIL ");
	imap_put_nstring(out, part->location, mode);
}

int imap_section_locate(
    const struct mime_message *m, const struct imap_section *section, struct imap_range *ret)
{
	uint32_t index = 0;
	int error = find_part(m, section, &index);
	if (error)
		return error;
	bool of_message =
	    section->text == IMAP_SECTION_HEADER || section->text == IMAP_SECTION_HEADER_FIELDS ||
	    section->text == IMAP_SECTION_HEADER_FIELDS_NOT || section->text == IMAP_SECTION_TEXT;
	if (of_message && section->number_count) {
		if (m->parts[index].kind != MIME_MESSAGE)
			return -ENOENT;
		index = m->parts[index].first_child;
	}
	const struct mime_part *part = &m->parts[index];
	if (section->text == IMAP_SECTION_TEXT ||
	    (section->text == IMAP_SECTION_ALL && section->number_count))
		*ret = (struct imap_range){part->body_start, part->body_end - part->body_start};
	else if (section->text == IMAP_SECTION_ALL)
		*ret = (struct imap_range){0, m->bytes};
	else
		*ret =
		    (struct imap_range){part->header_start, part->body_start - part->header_start};
	return 0;
}

/*
 * Follows the numbers. In a message that is no multipart, "1" is its body (RFC 9051 §6.4.5.1); a
 * number after a message/rfc822 part counts within the message inside.
 */
static int find_part(
    const struct mime_message *m, const struct imap_section *section, uint32_t *ret)
{
	uint32_t index = 0;
	for (size_t i = 0; i < section->number_count; i++) {
		if (i > 0 && m->parts[index].kind == MIME_LEAF)
			return -ENOENT;
		if (i > 0 && m->parts[index].kind == MIME_MESSAGE)
			index = m->parts[index].first_child;
		int error = nth(m, index, section->numbers[i], &index);
		if (error)
			return error;
	}
	*ret = index;
	return 0;
}

static int nth(const struct mime_message *m, uint32_t parent, uint32_t number, uint32_t *ret)
{
	uint32_t index = parent;
	if (m->parts[parent].kind == MIME_MULTIPART) {
		index = m->parts[parent].first_child;
		while (index != MIME_NO_PART && number > 1) {
			index = m->parts[index].next;
			number--;
		}
		if (index == MIME_NO_PART)
			return -ENOENT;
	}
	if (number != 1)
		return -ENOENT;
	*ret = index;
	return 0;
}

void imap_range_cut(struct imap_range *range, const struct imap_fetch_item *item)
{
	if (!item->partial)
		return;
	uint32_t skipped = (uint32_t)MIN(item->offset, (uint64_t)range->bytes);
	range->offset += skipped;
	range->bytes = (uint32_t)MIN((uint64_t)(range->bytes - skipped), item->count);
}
