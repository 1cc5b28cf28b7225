#include "conf/address.h"

#include "base/ascii.h"
#include "text/text.h"

static int unquote(struct span quoted, struct str *out);
static bool has_control(struct span s);

int address_split(struct span address, struct str *local, struct str *domain)
{
	str_reset(local);
	str_reset(domain);
	if (address.n > ADDRESS_MAX_BYTES || !utf8_is_valid(address) || has_control(address))
		return -EINVAL;
	size_t at = span_last_index(address, '@');
	if (at == SIZE_MAX || at == 0 || at > ADDRESS_LOCAL_MAX_BYTES)
		return -EINVAL;
	struct span left = span_sub(address, 0, at);
	struct str plain cleanup(str_clear) = STR_INIT(ADDRESS_LOCAL_MAX_BYTES);
	if (left.p[0] == '"') {
		int rc = unquote(left, &plain);
		if (rc < 0)
			return rc;
		left = str_span(&plain);
	}
	if (text_nfc(left, local) < 0 || text_domain_ascii(span_from(address, at + 1), domain) < 0)
		return -EINVAL;
	return local->n > 0 && domain->n > 0 ? 0 : -EINVAL;
}

int address_fold_local(struct span local, bool case_sensitive, struct str *out)
{
	return case_sensitive ? text_nfc(local, out) : text_fold(local, out);
}

struct span address_without_tag(struct span local)
{
	size_t plus = span_index(local, '+');
	return plus == SIZE_MAX || plus == 0 ? local : span_sub(local, 0, plus);
}

/* Quoted-string of RFC 5321 §4.1.2: what stands for what, without the quotes. */
static int unquote(struct span quoted, struct str *out)
{
	if (quoted.n < 3 || quoted.p[quoted.n - 1] != '"')
		return -EINVAL;
	struct span inside = span_sub(quoted, 1, quoted.n - 2);
	for (size_t i = 0; i < inside.n; i++) {
		if (inside.p[i] == '"')
			return -EINVAL;
		if (inside.p[i] == '\\' && ++i == inside.n)
			return -EINVAL;
		str_append_char(out, inside.p[i]);
	}
	return str_error(out);
}

static bool has_control(struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (ascii_is_control((unsigned char)s.p[i]))
			return true;
	}
	return false;
}
