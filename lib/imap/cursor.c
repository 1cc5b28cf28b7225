#include "imap/cursor.h"

#include "base/ascii.h"
#include "imap/command.h"
#include "imap/reader.h"

static bool is_atom_char(unsigned char c);
static bool quoted(struct imap_cursor *c, struct span *ret);
static bool literal(struct imap_cursor *c, struct span *ret);
static size_t run(struct span s, bool (*is)(unsigned char));
static bool one_flag(struct imap_cursor *c, struct imap_flags *ret, struct span_list *keywords);

bool cursor_fail(struct imap_cursor *c, int code, const char *error)
{
	if (!c->error) {
		c->error = error;
		c->code = code;
	}
	return false;
}

bool cursor_sees(const struct imap_cursor *c, char wanted)
{
	return c->rest.n > 0 && c->rest.p[0] == wanted;
}

bool cursor_char(struct imap_cursor *c, char wanted)
{
	if (!cursor_sees(c, wanted))
		return false;
	c->rest = span_from(c->rest, 1);
	return true;
}

bool cursor_sp(struct imap_cursor *c)
{
	return cursor_char(c, ' ');
}

bool cursor_end(const struct imap_cursor *c)
{
	for (size_t i = 0; i < c->rest.n; i++)
		if (c->rest.p[i] != ' ')
			return false;
	return true;
}

/* ATOM-CHAR: any CHAR but atom-specials ( ) { SP CTL % * " \ ] */
static bool is_atom_char(unsigned char c)
{
	return ascii_is_vchar(c) && c != '(' && c != ')' && c != '{' && c != '%' && c != '*' &&
	       c != '"' && c != '\\' && c != ']';
}

static bool is_astring_char(unsigned char c)
{
	return is_atom_char(c) || c == ']';
}

static bool is_list_char(unsigned char c)
{
	return is_astring_char(c) || c == '%' || c == '*';
}

static bool is_name_char(unsigned char c)
{
	return ascii_is_alnum(c) || c == '.';
}

static bool is_set_char(unsigned char c)
{
	return ascii_is_digit(c) || c == ':' || c == ',' || c == '*';
}

static size_t run(struct span s, bool (*is)(unsigned char))
{
	size_t n = 0;
	while (n < s.n && is((unsigned char)s.p[n]))
		n++;
	return n;
}

/* One or more bytes of the class. */
static bool take_run(struct imap_cursor *c, bool (*is)(unsigned char), struct span *ret)
{
	size_t n = run(c->rest, is);
	if (n == 0)
		return false;
	*ret = span_sub(c->rest, 0, n);
	c->rest = span_from(c->rest, n);
	return true;
}

bool cursor_atom(struct imap_cursor *c, struct span *ret)
{
	return take_run(c, is_atom_char, ret);
}

bool cursor_name(struct imap_cursor *c, struct span *ret)
{
	return take_run(c, is_name_char, ret);
}

bool cursor_word(struct imap_cursor *c, const char *word)
{
	struct imap_cursor ahead = *c;
	struct span atom;
	if (!cursor_atom(&ahead, &atom) || !span_equal_nocase(atom, span_cstr(word)))
		return false;
	c->rest = ahead.rest;
	return true;
}

bool cursor_number(struct imap_cursor *c, uint64_t max, uint64_t *ret)
{
	size_t n = 0;
	while (n < c->rest.n && ascii_is_digit((unsigned char)c->rest.p[n]))
		n++;
	if (span_to_u64(span_sub(c->rest, 0, n), max, ret) != 0)
		return false;
	c->rest = span_from(c->rest, n);
	return true;
}

static bool quoted(struct imap_cursor *c, struct span *ret)
{
	size_t escapes = 0, i;
	for (i = 1; i < c->rest.n && c->rest.p[i] != '"'; i++) {
		char b = c->rest.p[i];
		if (b == '\0' || b == '\r' || b == '\n')
			return cursor_fail(c, -EINVAL, "A quoted string holds no CR, LF or NUL");
		if (b != '\\')
			continue;
		i++;
		escapes++;
		if (i == c->rest.n || (c->rest.p[i] != '"' && c->rest.p[i] != '\\'))
			return cursor_fail(
			    c, -EINVAL, "In a quoted string only \" and \\ are escaped");
	}
	if (i == c->rest.n)
		return cursor_fail(c, -EINVAL, "A quoted string does not end");
	struct span inside = span_sub(c->rest, 1, i - 1);
	c->rest = span_from(c->rest, i + 1);
	if (escapes) {
		char *plain = arena_alloc(c->arena, inside.n - escapes);
		size_t n = 0;
		for (size_t j = 0; j < inside.n; j++) {
			if (inside.p[j] == '\\')
				j++;
			plain[n++] = inside.p[j];
		}
		inside = span_of(plain, n);
	}
	*ret = inside;
	return true;
}

static bool literal(struct imap_cursor *c, struct span *ret)
{
	size_t line = span_find(c->rest, SPAN("\r\n"));
	struct imap_literal head;
	if (line == SIZE_MAX || span_index(c->rest, '}') + 1 != line ||
	    !imap_literal_marker(span_sub(c->rest, 0, line), &head))
		return cursor_fail(c, -EINVAL, "A literal is malformed");
	struct span rest = span_from(c->rest, line + 2);
	if (head.bytes > rest.n)
		return cursor_fail(c, -EINVAL, "A literal is incomplete");
	struct span bytes = span_sub(rest, 0, (size_t)head.bytes);
	if (span_index(bytes, '\0') != SIZE_MAX)
		return cursor_fail(c, -EINVAL, "A literal holds no NUL");
	c->rest = span_from(rest, bytes.n);
	*ret = bytes;
	return true;
}

bool cursor_string(struct imap_cursor *c, struct span *ret)
{
	if (cursor_sees(c, '"'))
		return quoted(c, ret);
	if (cursor_sees(c, '{'))
		return literal(c, ret);
	return false;
}

bool cursor_nstring(struct imap_cursor *c, struct span *ret)
{
	if (cursor_word(c, "NIL")) {
		*ret = SPAN_NONE;
		return true;
	}
	return cursor_string(c, ret);
}

bool cursor_astring(struct imap_cursor *c, struct span *ret)
{
	return cursor_string(c, ret) || (!c->error && take_run(c, is_astring_char, ret));
}

bool cursor_pattern(struct imap_cursor *c, struct span *ret)
{
	return cursor_string(c, ret) || (!c->error && take_run(c, is_list_char, ret));
}

bool cursor_mailbox(struct imap_cursor *c, struct span *ret)
{
	struct span wire;
	if (!cursor_astring(c, &wire))
		return false;
	if (imap_mailbox_decode(wire, c->mode, c->arena, ret) != 0)
		return cursor_fail(c, -EILSEQ, "No mailbox can have this name");
	return true;
}

bool cursor_seqset(struct imap_cursor *c, struct seqset *ret)
{
	struct span text = span_sub(c->rest, 0, run(c->rest, is_set_char));
	int error = seqset_parse(text, c->arena, ret);
	if (error == -E2BIG)
		return cursor_fail(c, -E2BIG, "The sequence set has too many ranges");
	if (error)
		return cursor_fail(c, -EINVAL, "The sequence set is malformed");
	c->rest = span_from(c->rest, text.n);
	return true;
}

bool span_list_add(struct imap_cursor *c, struct span_list *list, struct span item)
{
	if (list->count == IMAP_LIST_ITEMS_MAX)
		return cursor_fail(c, -E2BIG, "A list has too many items");
	ARENA_ROOM(c->arena, list->items, list->count, list->allocated);
	list->items[list->count++] = item;
	return true;
}

/* flag of RFC 9051 §9, but for flag-extension: an unknown system flag has no meaning here. */
static bool one_flag(struct imap_cursor *c, struct imap_flags *ret, struct span_list *keywords)
{
	static const struct {
		const char *name;
		unsigned flag;
	} table[] = {
	    {"Answered", IMAP_FLAG_ANSWERED},
	    {"Deleted", IMAP_FLAG_DELETED},
	    {"Draft", IMAP_FLAG_DRAFT},
	    {"Flagged", IMAP_FLAG_FLAGGED},
	    {"Recent", 0},
	    {"Seen", IMAP_FLAG_SEEN},
	};
	bool system = cursor_char(c, '\\');
	struct span atom;
	if (!cursor_atom(c, &atom))
		return cursor_fail(c, -EINVAL, "A flag is malformed");
	if (system) {
		for (size_t i = 0; i < ARRAY_SIZE(table); i++)
			if (span_equal_nocase(atom, span_cstr(table[i].name))) {
				ret->system |= table[i].flag;
				return true;
			}
		return cursor_fail(c, -EINVAL, "There is no such system flag");
	}
	for (size_t i = 0; i < keywords->count; i++)
		if (span_equal_nocase(keywords->items[i], atom))
			return true;
	return span_list_add(c, keywords, atom);
}

bool cursor_flags_bare(struct imap_cursor *c, struct imap_flags *ret)
{
	struct span_list keywords = {0};
	*ret = (struct imap_flags){0};
	do {
		if (!one_flag(c, ret, &keywords))
			return false;
	} while (!cursor_end(c) && !cursor_sees(c, ')') && cursor_sp(c));
	ret->keywords = keywords.items;
	ret->keyword_count = keywords.count;
	return true;
}

bool cursor_flag_list(struct imap_cursor *c, struct imap_flags *ret)
{
	if (!cursor_char(c, '('))
		return false;
	*ret = (struct imap_flags){0};
	if (cursor_char(c, ')'))
		return true;
	if (!cursor_flags_bare(c, ret))
		return false;
	return cursor_char(c, ')') || cursor_fail(c, -EINVAL, "A flag list does not end");
}
