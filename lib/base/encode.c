#include "base/encode.h"

#include "base/ascii.h"

static const char alphabet_standard[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char alphabet_url[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void encode(struct span bytes, const char *alphabet, bool pad, struct str *out)
{
	const unsigned char *p = (const unsigned char *)bytes.p;
	for (size_t i = 0; i < bytes.n; i += 3) {
		size_t have = MIN(bytes.n - i, 3);
		uint32_t group = (uint32_t)p[i] << 16;
		if (have > 1)
			group |= (uint32_t)p[i + 1] << 8;
		if (have > 2)
			group |= p[i + 2];
		char four[4];
		for (size_t k = 0; k < 4; k++)
			four[k] = k <= have ? alphabet[group >> (18 - 6 * k) & 63] : '=';
		str_append(out, span_of(four, pad ? 4 : have + 1));
	}
}

void base64_encode(struct span bytes, struct str *out)
{
	encode(bytes, alphabet_standard, true, out);
}

void base64url_encode(struct span bytes, struct str *out)
{
	encode(bytes, alphabet_url, false, out);
}

static int value_of(char c, const char *alphabet)
{
	unsigned char u = (unsigned char)c;
	if (ascii_is_upper(u))
		return u - 'A';
	if (ascii_is_lower(u))
		return u - 'a' + 26;
	if (ascii_is_digit(u))
		return u - '0' + 52;
	if (c == alphabet[62])
		return 62;
	return c == alphabet[63] ? 63 : -1;
}

static int decode(struct span text, const char *alphabet, bool pad, struct str *out)
{
	size_t before = out->n;
	size_t n = text.n;
	if (pad) {
		if (n % 4)
			return -EINVAL;
		for (int i = 0; i < 2 && n && text.p[n - 1] == '='; i++)
			n--;
	}
	if (n % 4 == 1)
		return -EINVAL;
	for (size_t i = 0; i < n; i += 4) {
		size_t have = MIN(n - i, 4);
		uint32_t group = 0;
		for (size_t k = 0; k < have; k++) {
			int value = value_of(text.p[i + k], alphabet);
			if (value < 0)
				goto invalid;
			group |= (uint32_t)value << (18 - 6 * k);
		}
		char three[3] = {(char)(group >> 16), (char)(group >> 8), (char)group};
		if ((have == 2 && (group & 0xffff)) || (have == 3 && (group & 0xff)))
			goto invalid;
		str_append(out, span_of(three, have - 1));
		if (out->failed) {
			str_truncate(out, before);
			return -EMSGSIZE;
		}
	}
	return 0;
invalid:
	str_truncate(out, before);
	return -EINVAL;
}

int base64_decode(struct span text, struct str *out)
{
	return decode(text, alphabet_standard, true, out);
}

int base64url_decode(struct span text, struct str *out)
{
	return decode(text, alphabet_url, false, out);
}

void hex_encode(struct span bytes, struct str *out)
{
	static const char digits[] = "0123456789abcdef";
	for (size_t i = 0; i < bytes.n; i++) {
		unsigned char c = (unsigned char)bytes.p[i];
		str_append(out, span_of((char[]){digits[c >> 4], digits[c & 15]}, 2));
	}
}

int hex_decode(struct span text, struct str *out)
{
	size_t before = out->n;
	if (text.n % 2)
		return -EINVAL;
	for (size_t i = 0; i < text.n; i += 2) {
		int high = ascii_hex((unsigned char)text.p[i]);
		int low = ascii_hex((unsigned char)text.p[i + 1]);
		if (high < 0 || low < 0) {
			str_truncate(out, before);
			return -EINVAL;
		}
		str_append_char(out, (char)(high << 4 | low));
	}
	if (out->failed) {
		str_truncate(out, before);
		return -EMSGSIZE;
	}
	return 0;
}
