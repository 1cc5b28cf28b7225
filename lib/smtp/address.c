#include "smtp/address.h"

#include <arpa/inet.h>

#include "base/ascii.h"
#include "text/text.h"

static int mailbox(struct span *rest, struct arena *a, struct smtp_path *ret);
static int source_route(struct span *rest);
static int local_part(struct span *rest, struct arena *a, struct span *ret);
static int quoted_string(struct span *rest, struct arena *a, struct span *ret);
static int domain_or_literal(struct span *rest, struct span *ret);
static struct span join(struct arena *a, struct span local, struct span domain);

static bool take(struct span *s, char c)
{
	if (s->n == 0 || s->p[0] != c)
		return false;
	*s = span_from(*s, 1);
	return true;
}

/* RFC 5322 §3.2.3, with UTF8-non-ascii (RFC 6531 §3.3) */
static bool is_atext(unsigned char c)
{
	return ascii_is_alnum(c) || c >= 0x80 ||
	       (c && span_index(SPAN("!#$%&'*+-/=?^_`{|}~"), (char)c) != SIZE_MAX);
}

/* RFC 5321 §4.1.2: Dot-string */
static bool is_dot_string(struct span s)
{
	bool atom = false;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '.' ? !atom : !is_atext((unsigned char)s.p[i]))
			return false;
		atom = s.p[i] != '.';
	}
	return atom;
}

/* §4.1.2: Reverse-path, Forward-path */
int smtp_path_parse(struct span *rest, struct arena *a, struct smtp_path *ret)
{
	struct span s = *rest;
	struct smtp_path path = {.local = SPAN(""), .domain = SPAN(""), .address = SPAN("")};
	if (!take(&s, '<'))
		return -EINVAL;
	if (!take(&s, '>')) {
		int error = source_route(&s);
		if (error == 0)
			error = mailbox(&s, a, &path);
		if (error < 0)
			return error;
		if (!take(&s, '>'))
			return -EINVAL;
		/* Only the postmaster comes without a domain (§4.5.1). */
		if (path.domain.n == 0 && !span_equal_nocase(path.local, SPAN("postmaster")))
			return -EINVAL;
	}
	*rest = s;
	*ret = path;
	return 0;
}

bool smtp_address_is_valid(struct span address)
{
	struct arena scratch cleanup(arena_clear) = {0};
	struct smtp_path path;
	struct span rest = address;
	return mailbox(&rest, &scratch, &path) == 0 && rest.n == 0 && path.domain.n != 0;
}

/* §4.1.2: Mailbox; here the part from "@" on may be missing. */
static int mailbox(struct span *rest, struct arena *a, struct smtp_path *ret)
{
	struct span s = *rest;
	struct span domain = SPAN("");
	struct span local;
	int error = local_part(&s, a, &local);
	if (error < 0)
		return error;
	if (take(&s, '@') && (error = domain_or_literal(&s, &domain)) < 0)
		return error;
	struct span whole = span_sub(*rest, 0, rest->n - s.n);
	if (!utf8_is_valid(whole))
		return -EINVAL;
	*rest = s;
	*ret = (struct smtp_path){local, domain, join(a, local, domain), !span_is_ascii(whole)};
	return 0;
}

/* §4.1.2: A-d-l ":"; nothing of it is kept (§4.1.1.3, appendix C). */
static int source_route(struct span *rest)
{
	struct span ignored;
	if (rest->n == 0 || rest->p[0] != '@')
		return 0;
	do {
		int error = take(rest, '@') ? domain_or_literal(rest, &ignored) : -EINVAL;
		if (error < 0)
			return error;
	} while (take(rest, ','));
	return take(rest, ':') ? 0 : -EINVAL;
}

/* §4.1.2: Local-part, its meaning (without quotes and backslashes). */
static int local_part(struct span *rest, struct arena *a, struct span *ret)
{
	struct span s = *rest, local;
	if (take(&s, '"')) {
		int error = quoted_string(&s, a, &local);
		if (error < 0)
			return error;
	} else {
		size_t n = 0;
		while (n < s.n && (s.p[n] == '.' || is_atext((unsigned char)s.p[n])))
			n++;
		local = span_sub(s, 0, n);
		if (!is_dot_string(local))
			return -EINVAL;
		s = span_from(s, n);
	}
	if (local.n > SMTP_LOCAL_PART_MAX_BYTES)
		return -EMSGSIZE;
	*rest = s;
	*ret = local;
	return 0;
}

/* §4.1.2: Quoted-string behind its first quote; "" is a local part too, though a strange one. */
static int quoted_string(struct span *rest, struct arena *a, struct span *ret)
{
	struct span s = *rest;
	char *out = arena_alloc(a, s.n + 1);
	size_t n = 0;
	while (!take(&s, '"')) {
		(void)take(&s, '\\'); /* what follows is checked alike, quoted or not */
		if (s.n == 0 || ascii_is_control((unsigned char)s.p[0]))
			return -EINVAL;
		out[n++] = s.p[0];
		s = span_from(s, 1);
	}
	*rest = s;
	*ret = span_of(out, n);
	return 0;
}

static int domain_or_literal(struct span *rest, struct span *ret)
{
	bool literal = rest->n && rest->p[0] == '[';
	size_t n = literal ? span_index(*rest, ']') : 0;
	if (n == SIZE_MAX)
		return -EINVAL;
	if (literal)
		n++;
	else
		while (n < rest->n && span_index(SPAN(">,: "), rest->p[n]) == SIZE_MAX)
			n++;
	struct span domain = span_sub(*rest, 0, n);
	if (domain.n > SMTP_DOMAIN_MAX_BYTES)
		return -EMSGSIZE;
	if (literal ? !smtp_literal_is_valid(domain) : !smtp_domain_is_valid(domain, true))
		return -EINVAL;
	*rest = span_from(*rest, n);
	*ret = domain;
	return 0;
}

bool smtp_domain_is_valid(struct span domain, bool utf8)
{
	enum { LABEL_MAX_BYTES = 63 };
	bool more = true;
	if (domain.n == 0 || domain.n > SMTP_DOMAIN_MAX_BYTES)
		return false;
	while (more) {
		struct span label;
		more = span_cut(domain, '.', &label, &domain);
		/* A U-label may be longer than its A-label has room for; IDNA checks that. */
		if (label.n == 0 || (label.n > LABEL_MAX_BYTES && span_is_ascii(label)))
			return false;
		if (label.p[0] == '-' || label.p[label.n - 1] == '-')
			return false;
		for (size_t i = 0; i < label.n; i++) {
			unsigned char c = (unsigned char)label.p[i];
			if (!ascii_is_alnum(c) && c != '-' && (c < 0x80 || !utf8))
				return false;
		}
	}
	return true;
}

bool smtp_literal_is_valid(struct span literal)
{
	char text[INET6_ADDRSTRLEN];
	unsigned char address[16];
	int family = AF_INET;
	if (literal.n < 3 || literal.p[0] != '[' || literal.p[literal.n - 1] != ']')
		return false;
	literal = span_sub(literal, 1, literal.n - 2);
	if (span_starts_with_nocase(literal, SPAN("IPv6:"))) {
		family = AF_INET6;
		literal = span_from(literal, sizeof("IPv6:") - 1);
	}
	if (literal.n >= sizeof(text) || span_index(literal, '\0') != SIZE_MAX)
		return false;
	memcpy(text, literal.p, literal.n);
	text[literal.n] = '\0';
	return inet_pton(family, text, address) == 1;
}

/* local "@" domain, the local part quoted where it is no Dot-string (§4.1.2 asks for the least). */
static struct span join(struct arena *a, struct span local, struct span domain)
{
	char *out = arena_alloc(a, 2 * local.n + domain.n + sizeof("\"\"@"));
	size_t n = 0;
	bool quote = !is_dot_string(local);
	if (quote)
		out[n++] = '"';
	for (size_t i = 0; i < local.n; i++) {
		if (quote && (local.p[i] == '"' || local.p[i] == '\\'))
			out[n++] = '\\';
		out[n++] = local.p[i];
	}
	if (quote)
		out[n++] = '"';
	if (domain.n) {
		out[n++] = '@';
		memcpy(out + n, domain.p, domain.n);
		n += domain.n;
	}
	return span_of(out, n);
}

/* RFC 3461 §4: xchar is VCHAR without "+" and "="; hexchar is "+" and two upper-case digits. */
static bool xtext_next(struct span *rest, char *ret)
{
	unsigned char c = (unsigned char)rest->p[0];
	if (c != '+') {
		*ret = (char)c;
		*rest = span_from(*rest, 1);
		return ascii_is_vchar(c) && c != '=';
	}
	if (rest->n < 3)
		return false;
	unsigned char high = (unsigned char)rest->p[1], low = (unsigned char)rest->p[2];
	if (ascii_hex(high) < 0 || ascii_hex(low) < 0 || ascii_is_lower(high) ||
	    ascii_is_lower(low))
		return false;
	*ret = (char)(ascii_hex(high) << 4 | ascii_hex(low));
	*rest = span_from(*rest, 3);
	return true;
}

bool xtext_is_valid(struct span text)
{
	char c;
	while (text.n)
		if (!xtext_next(&text, &c))
			return false;
	return true;
}

int xtext_decode(struct span text, struct str *out)
{
	if (!xtext_is_valid(text))
		return -EINVAL;
	while (text.n) {
		char c;
		(void)xtext_next(&text, &c); /* was checked as a whole above */
		str_append_char(out, c);
	}
	return str_error(out);
}

void xtext_encode(struct span bytes, struct str *out)
{
	for (size_t i = 0; i < bytes.n; i++) {
		unsigned char c = (unsigned char)bytes.p[i];
		if (ascii_is_vchar(c) && c != '+' && c != '=')
			str_append_char(out, (char)c);
		else
			str_format(out, "+%02X", c);
	}
}
