#include "text/text.h"

#include <idn2.h>

#include "base/ascii.h"

/* RFC 1035 §2.3.4, in presentation form without the final dot. */
enum { DOMAIN_MAX_BYTES = 253, LABEL_MAX_BYTES = 63, DOMAIN_INPUT_MAX_BYTES = 1000 };

static bool is_ldh_domain(struct span domain);
static bool has_ace_label(struct span domain);
static int encode(const char *domain, char **ret);
static int decode(const char *ascii, char **ret);

static void free_string(char **s)
{
	free(*s);
}

int text_domain_ascii(struct span domain, struct str *out)
{
	if (domain.n == 0 || domain.n > DOMAIN_INPUT_MAX_BYTES || !utf8_is_valid(domain))
		return -EINVAL;
	if (span_is_ascii(domain) && !has_ace_label(domain)) {
		if (!is_ldh_domain(domain))
			return -EINVAL;
		for (size_t i = 0; i < domain.n; i++)
			str_append_char(out, (char)ascii_lower((unsigned char)domain.p[i]));
		return str_error(out);
	}
	/* A-labels are taken apart and made again: a made-up "xn--…" is no domain. */
	char text[DOMAIN_INPUT_MAX_BYTES + 1];
	memcpy(text, domain.p, domain.n);
	text[domain.n] = '\0';
	char *first cleanup(free_string) = NULL;
	char *plain cleanup(free_string) = NULL;
	char *ascii cleanup(free_string) = NULL;
	if (encode(text, &first) < 0 || decode(first, &plain) < 0 || encode(plain, &ascii) < 0)
		return -EINVAL;
	if (!is_ldh_domain(span_cstr(ascii)) ||
	    !span_equal_nocase(span_cstr(first), span_cstr(ascii)))
		return -EINVAL;
	str_append_cstr(out, ascii);
	return str_error(out);
}

/* RFC 5321 §4.1.2 "Domain", with the limits of RFC 1035. */
static bool is_ldh_domain(struct span domain)
{
	if (domain.n == 0 || domain.n > DOMAIN_MAX_BYTES)
		return false;
	struct span rest = domain;
	for (bool more = true; more;) {
		struct span label;
		more = span_cut(rest, '.', &label, &rest);
		if (label.n == 0 || label.n > LABEL_MAX_BYTES || label.p[0] == '-' ||
		    label.p[label.n - 1] == '-')
			return false;
		for (size_t i = 0; i < label.n; i++) {
			if (!ascii_is_alnum((unsigned char)label.p[i]) && label.p[i] != '-')
				return false;
		}
	}
	return true;
}

static bool has_ace_label(struct span domain)
{
	struct span rest = domain;
	for (bool more = true; more;) {
		struct span label;
		more = span_cut(rest, '.', &label, &rest);
		if (span_starts_with_nocase(label, SPAN("xn--")))
			return true;
	}
	return false;
}

/* RFC 5891 §5 after the mapping of UTS 46, not transitional: "ß" stays. */
static int encode(const char *domain, char **ret)
{
	int rc = idn2_to_ascii_8z(
	    domain, ret, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL | IDN2_USE_STD3_ASCII_RULES);
	return rc == IDN2_OK ? 0 : -EINVAL;
}

static int decode(const char *ascii, char **ret)
{
	return idn2_to_unicode_8z8z(ascii, ret, 0) == IDN2_OK ? 0 : -EINVAL;
}
