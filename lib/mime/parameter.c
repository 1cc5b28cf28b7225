#include "mime/parameter.h"

#include "base/ascii.h"
#include "mime/lexer.h"

enum { NOT_NUMBERED = -1 };

/* One parameter as written: name*number* = value */
struct piece {
	struct span name, value;
	int number;
	bool extended;
};

static struct parameters parse_parameters(struct lexer *l, struct arena *a);
static bool one_piece(struct lexer *l, struct arena *a, struct piece *ret);
static struct span piece_value(struct lexer *l, struct arena *a);
static void split_name(struct piece *p);
static struct parameter join(
    const struct piece *pieces, size_t count, size_t first, struct arena *a);
static const struct piece *find_piece(
    const struct piece *pieces, size_t count, struct span name, int number);
static void put_encoded(struct str *out, const struct piece *p);

int content_type_parse(struct span value, struct arena *a, struct span *ret_type,
    struct span *ret_subtype, struct parameters *ret)
{
	struct lexer l = {.rest = value};
	lexer_skip(&l, NULL);
	struct span type = lexer_token(&l);
	lexer_skip(&l, NULL);
	bool slash = lexer_char(&l, '/');
	lexer_skip(&l, NULL);
	struct span subtype = slash ? lexer_token(&l) : SPAN_NONE;
	if (type.n == 0 || subtype.n == 0)
		return -EINVAL;
	*ret_type = arena_span(a, type);
	*ret_subtype = arena_span(a, subtype);
	*ret = parse_parameters(&l, a);
	return 0;
}

int disposition_parse(
    struct span value, struct arena *a, struct span *ret_token, struct parameters *ret)
{
	struct lexer l = {.rest = value};
	lexer_skip(&l, NULL);
	struct span token = lexer_token(&l);
	if (token.n == 0)
		return -EINVAL;
	*ret_token = arena_span(a, token);
	*ret = parse_parameters(&l, a);
	return 0;
}

struct span token_parse(struct span value)
{
	struct lexer l = {.rest = value};
	lexer_skip(&l, NULL);
	struct span token = lexer_token(&l);
	return token.n ? token : SPAN_NONE;
}

size_t language_parse(struct span value, struct arena *a, const struct span **ret)
{
	struct span found[PARAMETERS_MAX];
	struct lexer l = {.rest = value};
	size_t count = 0;
	while (l.rest.n && count < PARAMETERS_MAX) {
		lexer_skip(&l, NULL);
		struct span tag = lexer_token(&l);
		if (tag.n)
			found[count++] = arena_span(a, tag);
		else
			l.rest = span_from(l.rest, 1);
	}
	struct span *kept = ARENA_ARRAY(a, struct span, MAX(count, (size_t)1));
	for (size_t i = 0; i < count; i++)
		kept[i] = found[i];
	*ret = kept;
	return count;
}

struct span parameter_find(const struct parameters *list, struct span name)
{
	for (size_t i = 0; i < list->count; i++)
		if (span_equal_nocase(list->items[i].name, name))
			return list->items[i].value;
	return SPAN_NONE;
}

/* *(";" parameter), what is no parameter being skipped */
static struct parameters parse_parameters(struct lexer *l, struct arena *a)
{
	struct piece pieces[PARAMETERS_MAX];
	size_t count = 0, used = 0;
	for (;;) {
		lexer_to_semicolon(l);
		if (!lexer_char(l, ';') || count == PARAMETERS_MAX)
			break;
		count += one_piece(l, a, &pieces[count]);
	}
	struct parameter *items = ARENA_ARRAY(a, struct parameter, MAX(count, (size_t)1));
	for (size_t i = 0; i < count; i++) {
		const struct piece *first =
		    find_piece(pieces, count, pieces[i].name, pieces[i].number);
		if (pieces[i].number == NOT_NUMBERED ||
		    (pieces[i].number == 0 && first == &pieces[i]))
			items[used++] = join(pieces, count, i, a);
	}
	return (struct parameters){items, used};
}

/* parameter := attribute "=" value */
static bool one_piece(struct lexer *l, struct arena *a, struct piece *ret)
{
	lexer_skip(l, NULL);
	struct span name = lexer_token(l);
	lexer_skip(l, NULL);
	if (name.n == 0 || !lexer_char(l, '='))
		return false;
	lexer_skip(l, NULL);
	*ret = (struct piece){.name = arena_span(a, name), .value = piece_value(l, a)};
	split_name(ret);
	return true;
}

/*
 * token / quoted-string; unquoted values with specials and blanks in them ("boundary=a=b",
 * "filename=my file") are taken up to the semicolon.
 */
static struct span piece_value(struct lexer *l, struct arena *a)
{
	if (lexer_peek(l) == '"') {
		struct str value cleanup(str_clear) = STR_INIT(l->rest.n);
		lexer_quoted(l, &value);
		return arena_span(a, str_span(&value));
	}
	struct span start = l->rest;
	struct span value = lexer_token(l);
	lexer_skip(l, NULL);
	if (l->rest.n && lexer_peek(l) != ';') {
		lexer_to_semicolon(l);
		value = span_trim(span_sub(start, 0, start.n - l->rest.n));
	}
	return arena_span(a, value);
}

/* RFC 2231 §3 and §4.1: name*, name*0, name*0* */
static void split_name(struct piece *p)
{
	p->number = NOT_NUMBERED;
	struct span name = p->name;
	bool star = span_ends_with(name, SPAN("*"));
	name.n -= star;
	size_t at = span_last_index(name, '*');
	uint64_t number;
	if (at != SIZE_MAX && at > 0 &&
	    span_to_u64(span_from(name, at + 1), PARAMETERS_MAX, &number) == 0) {
		p->number = (int)number;
		name = span_sub(name, 0, at);
	}
	if (star && name.n == 0) {
		p->number = NOT_NUMBERED; /* the name is "*": not ours to understand */
		return;
	}
	p->extended = star;
	p->name = name;
}

static const struct piece *find_piece(
    const struct piece *pieces, size_t count, struct span name, int number)
{
	for (size_t i = 0; i < count; i++)
		if (pieces[i].number == number && span_equal_nocase(pieces[i].name, name))
			return &pieces[i];
	return NULL;
}

/* The parameter that begins with this piece. */
static struct parameter join(
    const struct piece *pieces, size_t count, size_t first, struct arena *a)
{
	struct piece p = pieces[first];
	if (p.number == 0) {
		size_t bytes = 0;
		const struct piece *next = &p;
		bool extended = p.extended;
		for (int i = 0; next; next = find_piece(pieces, count, p.name, ++i)) {
			bytes += 3 * next->value.n;
			extended = extended || next->extended;
		}
		struct str value cleanup(str_clear) = STR_INIT(bytes + 2);
		if (extended && !p.extended)
			str_append(&value, SPAN("''")); /* no charset is known */
		next = &p;
		for (int i = 0; next; next = find_piece(pieces, count, p.name, ++i)) {
			if (extended && !next->extended)
				put_encoded(&value, next);
			else
				str_append(&value, next->value);
		}
		p.value = arena_span(a, str_span(&value));
		p.extended = extended;
	}
	if (p.extended)
		p.name = arena_format(a, "%.*s*", SPAN_ARG(p.name));
	return (struct parameter){p.name, p.value};
}

/* RFC 2231 §7: attribute-char as they are, others as %XX */
static void put_encoded(struct str *out, const struct piece *p)
{
	for (size_t i = 0; i < p->value.n; i++) {
		unsigned char c = (unsigned char)p->value.p[i];
		if (ascii_is_alnum(c) || (c != '\0' && strchr("!#$&+-.^_`{|}~", c)))
			str_append_char(out, (char)c);
		else
			str_format(out, "%%%02X", c);
	}
}
