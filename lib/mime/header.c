#include "mime/header.h"

#include "base/ascii.h"

static size_t field_bytes(struct span rest);
static struct span field_name(struct span field, size_t colon);

bool header_next(struct span *rest, struct header_field *ret)
{
	if (rest->n == 0 || span_starts_with(*rest, SPAN("\n")) ||
	    span_starts_with(*rest, SPAN("\r\n")))
		return false;
	struct span whole = span_sub(*rest, 0, field_bytes(*rest));
	*rest = span_from(*rest, whole.n);
	struct span text = whole;
	if (span_ends_with(text, SPAN("\n")))
		text.n--;
	if (span_ends_with(text, SPAN("\r")))
		text.n--;
	size_t colon = span_index(text, ':');
	ret->whole = whole;
	ret->name = colon == SIZE_MAX ? SPAN_NONE : field_name(text, colon);
	ret->value = span_is_set(ret->name) ? span_from(text, colon + 1) : text;
	return true;
}

/* To the line end that no SP or HTAB follows. */
static size_t field_bytes(struct span rest)
{
	size_t n = 0;
	while (n < rest.n) {
		size_t line = span_index(span_from(rest, n), '\n');
		if (line == SIZE_MAX)
			return rest.n;
		n += line + 1;
		if (n == rest.n || !ascii_is_wsp((unsigned char)rest.p[n]))
			break;
	}
	return n;
}

/* field-name of RFC 5322 §3.6.8, blanks behind it allowed (§4.5.8). */
static struct span field_name(struct span field, size_t colon)
{
	size_t n = colon;
	while (n > 0 && ascii_is_wsp((unsigned char)field.p[n - 1]))
		n--;
	for (size_t i = 0; i < n; i++)
		if (!ascii_is_vchar((unsigned char)field.p[i]))
			return SPAN_NONE;
	return n ? span_sub(field, 0, n) : SPAN_NONE;
}

bool header_find(struct span section, struct span name, struct header_field *ret)
{
	struct header_field field;
	while (header_next(&section, &field))
		if (span_is_set(field.name) && span_equal_nocase(field.name, name)) {
			*ret = field;
			return true;
		}
	return false;
}

size_t header_count(struct span section, struct span name)
{
	struct header_field field;
	size_t count = 0;
	while (header_next(&section, &field))
		count += span_is_set(field.name) && span_equal_nocase(field.name, name);
	return count;
}

void header_unfold(struct span value, struct str *out)
{
	value = span_trim(value);
	size_t from = 0;
	for (size_t i = 0; i < value.n; i++) {
		char c = value.p[i];
		if (c != '\r' && c != '\n' && c != '\0')
			continue;
		str_append(out, span_sub(value, from, i - from));
		from = i + 1;
	}
	str_append(out, span_from(value, from));
}

void header_select(struct span section, enum header_choice choice, const struct span *names,
    size_t name_count, struct str *out)
{
	struct header_field field;
	while (header_next(&section, &field)) {
		bool named = false;
		for (size_t i = 0; i < name_count && !named; i++)
			named = span_is_set(field.name) && span_equal_nocase(field.name, names[i]);
		if (named == (choice == HEADER_NAMED))
			str_append(out, field.whole);
	}
	str_append(out, SPAN("\r\n"));
}
