#include "mime/lexer.h"

#include "base/ascii.h"

static size_t comment_bytes(struct lexer *l);
static size_t quoted_bytes(struct lexer *l);
static struct span run(struct lexer *l, const char *specials);

bool lexer_skip(struct lexer *l, struct span *comment)
{
	size_t before = l->rest.n;
	while (l->rest.n) {
		char c = l->rest.p[0];
		size_t n = 1;
		if (c == '(') {
			n = comment_bytes(l);
			if (comment)
				*comment = span_sub(l->rest, 1, n > 1 ? n - 2 : 0);
		} else if (c != ' ' && c != '\t' && c != '\r' && c != '\n' && c != '\0') {
			break;
		}
		l->rest = span_from(l->rest, n);
	}
	return l->rest.n != before;
}

/* Nested by counting, not by recursion (RFC 5322 §3.2.2). */
static size_t comment_bytes(struct lexer *l)
{
	size_t depth = 0;
	for (size_t i = 0; i < l->rest.n; i++) {
		char c = l->rest.p[i];
		if (c == '\\')
			i++;
		else if (c == '(')
			depth++;
		else if (c == ')' && --depth == 0)
			return i + 1;
	}
	l->broken = true;
	return l->rest.n;
}

int lexer_peek(const struct lexer *l)
{
	return l->rest.n ? (unsigned char)l->rest.p[0] : -1;
}

bool lexer_char(struct lexer *l, char c)
{
	if (l->rest.n == 0 || l->rest.p[0] != c)
		return false;
	l->rest = span_from(l->rest, 1);
	return true;
}

void lexer_quoted(struct lexer *l, struct str *out)
{
	size_t n = quoted_bytes(l);
	bool ends = !l->broken; /* what breaks a lexer takes all, so this is about this string */
	lexer_unescape(span_sub(l->rest, 1, n - 1 - ends), out);
	l->rest = span_from(l->rest, n);
}

/* Both quotes included; all there is, and broken, when the second is missing. */
static size_t quoted_bytes(struct lexer *l)
{
	size_t i = 1;
	while (i < l->rest.n && l->rest.p[i] != '"')
		i += l->rest.p[i] == '\\' ? 2 : 1;
	if (i < l->rest.n)
		return i + 1;
	l->broken = true;
	return l->rest.n;
}

void lexer_unescape(struct span text, struct str *out)
{
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '\\' && i + 1 < text.n)
			i++;
		char c = text.p[i];
		if (c != '\r' && c != '\n' && c != '\0')
			str_append_char(out, c);
	}
}

static struct span run(struct lexer *l, const char *specials)
{
	size_t n = 0;
	while (n < l->rest.n) {
		unsigned char c = (unsigned char)l->rest.p[n];
		if (c == ' ' || ascii_is_control(c) || strchr(specials, c))
			break;
		n++;
	}
	struct span found = span_sub(l->rest, 0, n);
	l->rest = span_from(l->rest, n);
	return found;
}

struct span lexer_atom(struct lexer *l)
{
	return run(l, "()<>[]:;@\\,.\"");
}

struct span lexer_token(struct lexer *l)
{
	return run(l, "()<>@,;:\\\"/[]?=");
}

void lexer_to_semicolon(struct lexer *l)
{
	while (l->rest.n && l->rest.p[0] != ';') {
		size_t n = 1;
		if (l->rest.p[0] == '(')
			n = comment_bytes(l);
		else if (l->rest.p[0] == '"')
			n = quoted_bytes(l);
		else if (l->rest.p[0] == '\\')
			n = 2;
		l->rest = span_from(l->rest, n);
	}
}
