/*
 * Modified UTF-7 (RFC 3501 §5.1.3). One name has one spelling, so the decoder refuses the others:
 * printable US-ASCII inside base64, two runs in a row, unused bits that are not zero.
 */
#include "text/text.h"

#include <unistr.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

static int decode_run(struct span base64, struct str *out);
static int decode_unit(uint32_t unit, uint32_t *high, struct str *out);
static int append_code_point(uint32_t c, struct str *out);
static void put_unit(struct str *out, uint32_t unit, uint32_t *bits, int *bit_count);

static bool is_direct(uint32_t c)
{
	return c >= 0x20 && c <= 0x7e;
}

int text_utf7_decode(struct span s, struct str *out)
{
	bool after_run = false;
	for (size_t at = 0; at < s.n;) {
		unsigned char c = (unsigned char)s.p[at];
		if (!is_direct(c))
			return -EINVAL;
		if (c != '&') {
			str_append_char(out, (char)c);
			at++;
			after_run = false;
			continue;
		}
		struct span run = span_from(s, at + 1);
		size_t length = span_index(run, '-');
		if (length == SIZE_MAX)
			return -EINVAL;
		if (length == 0) {
			str_append_char(out, '&');
			after_run = false;
		} else {
			int rc = after_run ? -EINVAL : decode_run(span_sub(run, 0, length), out);
			if (rc < 0)
				return rc;
			after_run = true;
		}
		at += length + 2;
	}
	return str_error(out);
}

static int decode_run(struct span base64, struct str *out)
{
	uint32_t bits = 0, high = 0;
	int bit_count = 0;
	for (size_t i = 0; i < base64.n; i++) {
		const char *digit = memchr(alphabet, base64.p[i], sizeof(alphabet) - 1);
		if (!digit)
			return -EINVAL;
		bits = bits << 6 | (uint32_t)(digit - alphabet);
		bit_count += 6;
		if (bit_count < 16)
			continue;
		bit_count -= 16;
		int rc = decode_unit(bits >> bit_count & 0xffff, &high, out);
		if (rc < 0)
			return rc;
		bits &= (1u << bit_count) - 1;
	}
	/* Fewer than six bits are left over, all zero, and no half of a pair. */
	return bit_count >= 6 || bits != 0 || high != 0 ? -EINVAL : 0;
}

/* One unit of UTF-16; *high remembers the first half of a surrogate pair. */
static int decode_unit(uint32_t unit, uint32_t *high, struct str *out)
{
	bool is_low = unit >= 0xdc00 && unit <= 0xdfff;
	if (*high) {
		if (!is_low)
			return -EINVAL;
		uint32_t c = 0x10000 + ((*high - 0xd800) << 10) + (unit - 0xdc00);
		*high = 0;
		return append_code_point(c, out);
	}
	if (is_low || is_direct(unit) || unit == 0)
		return -EINVAL;
	if (unit >= 0xd800 && unit <= 0xdbff) {
		*high = unit;
		return 0;
	}
	return append_code_point(unit, out);
}

static int append_code_point(uint32_t c, struct str *out)
{
	uint8_t utf8[6];
	int n = u8_uctomb(utf8, c, sizeof(utf8));
	if (n <= 0)
		return -EINVAL;
	str_append(out, span_of(utf8, (size_t)n));
	return 0;
}

int text_utf7_encode(struct span s, struct str *out)
{
	if (!utf8_is_valid(s))
		return -EINVAL;
	bool in_run = false;
	uint32_t bits = 0;
	int bit_count = 0;
	for (size_t at = 0; at <= s.n;) {
		ucs4_t c = 0;
		if (at < s.n)
			at += (size_t)u8_mbtouc(&c, (const uint8_t *)s.p + at, s.n - at);
		else
			at++; /* the end closes a run as a printable character does */
		if (in_run && (c == 0 || is_direct(c))) {
			if (bit_count > 0)
				str_append_char(out, alphabet[bits << (6 - bit_count) & 0x3f]);
			str_append_char(out, '-');
			in_run = false;
			bits = 0;
			bit_count = 0;
		}
		if (c == 0)
			break;
		if (is_direct(c)) {
			str_append_char(out, (char)c);
			if (c == '&')
				str_append_char(out, '-');
			continue;
		}
		if (!in_run)
			str_append_char(out, '&');
		in_run = true;
		if (c >= 0x10000) {
			put_unit(out, 0xd800 + ((c - 0x10000) >> 10), &bits, &bit_count);
			c = 0xdc00 + ((c - 0x10000) & 0x3ff);
		}
		put_unit(out, c, &bits, &bit_count);
	}
	return str_error(out);
}

static void put_unit(struct str *out, uint32_t unit, uint32_t *bits, int *bit_count)
{
	*bits = *bits << 16 | unit;
	*bit_count += 16;
	while (*bit_count >= 6) {
		*bit_count -= 6;
		str_append_char(out, alphabet[*bits >> *bit_count & 0x3f]);
	}
	*bits &= (1u << *bit_count) - 1;
}
