#include "imap/write.h"

#include "base/ascii.h"
#include "base/date.h"
#include "text/text.h"

enum { QUOTED_BYTES_MAX = 1000 }; /* longer strings go as literals, which need no scan to read */

static bool can_be_quoted(struct span s, enum imap_text mode);
static bool can_be_atom(struct span s);
static void put_quoted(struct str *out, struct span s);
static void put_literal(struct str *out, struct span s);

void imap_put_string(struct str *out, struct span s, enum imap_text mode)
{
	if (can_be_quoted(s, mode))
		put_quoted(out, s);
	else
		put_literal(out, s);
}

void imap_put_nstring(struct str *out, struct span s, enum imap_text mode)
{
	if (span_is_set(s))
		imap_put_string(out, s, mode);
	else
		str_append(out, SPAN("NIL"));
}

void imap_put_astring(struct str *out, struct span s, enum imap_text mode)
{
	if (can_be_atom(s))
		str_append(out, s);
	else
		imap_put_string(out, s, mode);
}

static bool can_be_quoted(struct span s, enum imap_text mode)
{
	bool ascii = true;
	if (s.n > QUOTED_BYTES_MAX)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c == '\0' || c == '\r' || c == '\n')
			return false;
		ascii = ascii && c < 0x80;
	}
	return ascii || (mode == IMAP_TEXT_UTF8 && utf8_is_valid(s));
}

/* Letters, digits and few others: "NIL" is not among them, and '&' and '%' are left to strings. */
static bool can_be_atom(struct span s)
{
	if (s.n == 0 || span_equal_nocase(s, SPAN("NIL")))
		return false;
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (!ascii_is_alnum(c) && (c == '\0' || !strchr("-_./$@#:+=", c)))
			return false;
	}
	return true;
}

static void put_quoted(struct str *out, struct span s)
{
	str_append_char(out, '"');
	size_t from = 0;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] != '"' && s.p[i] != '\\')
			continue;
		str_append(out, span_sub(s, from, i - from));
		str_append_char(out, '\\');
		from = i;
	}
	str_append(out, span_from(s, from));
	str_append_char(out, '"');
}

static void put_literal(struct str *out, struct span s)
{
	size_t zeros = 0;
	for (size_t i = 0; i < s.n; i++)
		zeros += s.p[i] == '\0';
	imap_put_literal_head(out, s.n - zeros);
	size_t from = 0;
	for (size_t i = 0; zeros && i < s.n; i++) {
		if (s.p[i] != '\0')
			continue;
		str_append(out, span_sub(s, from, i - from));
		from = i + 1;
	}
	str_append(out, span_from(s, from));
}

void imap_put_literal_head(struct str *out, uint64_t bytes)
{
	str_append_char(out, '{');
	str_append_u64(out, bytes);
	str_append(out, SPAN("}\r\n"));
}

void imap_put_text(struct str *out, struct span s, enum imap_text mode)
{
	if (mode != IMAP_TEXT_UTF8 || !utf8_is_valid(s)) {
		text_to_printable_ascii(s, out);
		return;
	}
	for (size_t i = 0; i < s.n; i++)
		str_append_char(out, ascii_is_control((unsigned char)s.p[i]) ? '?' : s.p[i]);
}

void imap_put_flags(struct str *out, unsigned system_flags, uint64_t keyword_bits,
    const struct span *keywords, size_t keyword_count)
{
	static const struct {
		const char *name;
		unsigned flag;
	} table[] = {
	    {"\\Answered", IMAP_FLAG_ANSWERED},
	    {"\\Flagged", IMAP_FLAG_FLAGGED},
	    {"\\Deleted", IMAP_FLAG_DELETED},
	    {"\\Seen", IMAP_FLAG_SEEN},
	    {"\\Draft", IMAP_FLAG_DRAFT},
	};
	const char *separator = "";
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		if (!(system_flags & table[i].flag))
			continue;
		str_append_cstr(out, separator);
		str_append_cstr(out, table[i].name);
		separator = " ";
	}
	for (size_t i = 0; i < keyword_count && i < 64; i++) {
		if (!(keyword_bits >> i & 1))
			continue;
		str_append_cstr(out, separator);
		str_append(out, keywords[i]);
		separator = " ";
	}
}

void imap_put_date(struct str *out, int64_t seconds, int zone_minutes)
{
	str_append_char(out, '"');
	date_put_imap(out, seconds, zone_minutes);
	str_append_char(out, '"');
}

void imap_put_section_name(struct str *out, const struct imap_fetch_item *item)
{
	static const char *const texts[] = {
	    [IMAP_SECTION_ALL] = "",
	    [IMAP_SECTION_HEADER] = "HEADER",
	    [IMAP_SECTION_HEADER_FIELDS] = "HEADER.FIELDS",
	    [IMAP_SECTION_HEADER_FIELDS_NOT] = "HEADER.FIELDS.NOT",
	    [IMAP_SECTION_TEXT] = "TEXT",
	    [IMAP_SECTION_MIME] = "MIME",
	};
	const struct imap_section *s = &item->section;
	switch (item->kind) {
	case IMAP_FETCH_RFC822: str_append(out, SPAN("RFC822")); return;
	case IMAP_FETCH_RFC822_HEADER: str_append(out, SPAN("RFC822.HEADER")); return;
	case IMAP_FETCH_RFC822_TEXT: str_append(out, SPAN("RFC822.TEXT")); return;
	default: break;
	}
	str_append(out, SPAN("BODY["));
	for (size_t i = 0; i < s->number_count; i++) {
		if (i)
			str_append_char(out, '.');
		str_append_u64(out, s->numbers[i]);
	}
	if (s->number_count && s->text != IMAP_SECTION_ALL)
		str_append_char(out, '.');
	str_append_cstr(out, texts[s->text]);
	for (size_t i = 0; i < s->field_count; i++) {
		str_append_cstr(out, i ? " " : " (");
		imap_put_astring(out, s->fields[i], IMAP_TEXT_ASCII);
	}
	str_append_cstr(out, s->field_count ? ")]" : "]");
	if (item->partial) {
		str_append_char(out, '<');
		str_append_u64(out, item->offset);
		str_append_char(out, '>');
	}
}
