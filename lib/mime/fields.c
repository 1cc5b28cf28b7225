#include "mime/fields.h"

#include <assert.h>

#include "base/date.h"
#include "mime/header.h"

typedef void taker(
    struct span value, struct arena *a, struct mime_part *p, struct mime_envelope *e);
static taker content_type, encoding, disposition, language, date;

static struct span keep(struct span value, struct arena *a);

/* Values that are kept as they are, or as addresses, have their place instead of a function. */
static const struct {
	const char *name;
	taker *take;
	size_t text;	  /* offset of a struct span */
	size_t addresses; /* offset of a struct address_list */
	bool envelope;
} fields[] = {
    {"Bcc", NULL, 0, offsetof(struct mime_envelope, bcc), true},
    {"Cc", NULL, 0, offsetof(struct mime_envelope, cc), true},
    {"Content-Description", NULL, offsetof(struct mime_part, description), 0, false},
    {"Content-Disposition", disposition, 0, 0, false},
    {"Content-ID", NULL, offsetof(struct mime_part, id), 0, false},
    {"Content-Language", language, 0, 0, false},
    {"Content-Location", NULL, offsetof(struct mime_part, location), 0, false},
    {"Content-MD5", NULL, offsetof(struct mime_part, md5), 0, false},
    {"Content-Transfer-Encoding", encoding, 0, 0, false},
    {"Content-Type", content_type, 0, 0, false},
    {"Date", date, 0, 0, true},
    {"From", NULL, 0, offsetof(struct mime_envelope, from), true},
    {"In-Reply-To", NULL, offsetof(struct mime_envelope, in_reply_to), 0, true},
    {"Message-ID", NULL, offsetof(struct mime_envelope, message_id), 0, true},
    {"Reply-To", NULL, 0, offsetof(struct mime_envelope, reply_to), true},
    {"Sender", NULL, 0, offsetof(struct mime_envelope, sender), true},
    {"Subject", NULL, offsetof(struct mime_envelope, subject), 0, true},
    {"To", NULL, 0, offsetof(struct mime_envelope, to), true},
};
_Static_assert(ARRAY_SIZE(fields) < 32, "the set of seen fields is 32 bits");

int mime_field_find(struct span name, bool in_message)
{
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		if (span_equal_nocase(name, span_cstr(fields[i].name)))
			return fields[i].envelope && !in_message ? MIME_FIELD_NONE : (int)i;
	return MIME_FIELD_NONE;
}

void mime_field_take(
    int field, struct span value, struct arena *a, struct mime_part *part, struct mime_envelope *e)
{
	assert(field >= 0 && field < (int)ARRAY_SIZE(fields));
	char *base = fields[field].envelope ? (char *)e : (char *)part;
	if (fields[field].take)
		fields[field].take(value, a, part, e);
	else if (fields[field].addresses)
		*(struct address_list *)(void *)(base + fields[field].addresses) =
		    address_parse(value, a);
	else
		*(struct span *)(void *)(base + fields[field].text) = keep(value, a);
}

static struct span keep(struct span value, struct arena *a)
{
	struct str text cleanup(str_clear) = STR_INIT(value.n);
	header_unfold(value, &text);
	return arena_span(a, str_span(&text));
}

static void content_type(
    struct span value, struct arena *a, struct mime_part *p, struct mime_envelope *e)
{
	(void)e;
	if (content_type_parse(value, a, &p->type, &p->subtype, &p->parameters) != 0)
		p->type = SPAN_NONE; /* the default, as if there were none (RFC 2045 §5.2) */
}

static void encoding(
    struct span value, struct arena *a, struct mime_part *p, struct mime_envelope *e)
{
	(void)e;
	p->encoding = arena_span(a, token_parse(value));
}

static void disposition(
    struct span value, struct arena *a, struct mime_part *p, struct mime_envelope *e)
{
	(void)e;
	if (disposition_parse(value, a, &p->disposition, &p->disposition_parameters) != 0)
		p->disposition = SPAN_NONE;
}

static void language(
    struct span value, struct arena *a, struct mime_part *p, struct mime_envelope *e)
{
	(void)e;
	p->language_count = language_parse(value, a, &p->languages);
}

static void date(struct span value, struct arena *a, struct mime_part *p, struct mime_envelope *e)
{
	(void)p;
	e->date = keep(value, a);
	e->date_is_valid = date_parse_mail(value, &e->date_s, &e->date_zone_minutes) == 0;
}
