#include "crypto/der.h"

enum { DER_LENGTH_MAX_BYTES = 4, DER_TAG_LONG = 0x1f };

static bool get_header(struct span s, uint8_t *ret_tag, size_t *ret_header, size_t *ret_length);

bool der_get(struct span *rest, uint8_t tag, struct span *ret_contents, struct span *ret_whole)
{
	uint8_t found;
	size_t header, length;
	if (!get_header(*rest, &found, &header, &length) || found != tag)
		return false;
	if (ret_contents)
		*ret_contents = span_sub(*rest, header, length);
	if (ret_whole)
		*ret_whole = span_sub(*rest, 0, header + length);
	*rest = span_from(*rest, header + length);
	return true;
}

static bool get_header(struct span s, uint8_t *ret_tag, size_t *ret_header, size_t *ret_length)
{
	const unsigned char *p = (const unsigned char *)s.p;
	if (s.n < 2 || (p[0] & DER_TAG_LONG) == DER_TAG_LONG)
		return false;
	size_t length = p[1], header = 2;
	if (length >= 0x80) {
		size_t count = length & 0x7f;
		if (count == 0 || count > DER_LENGTH_MAX_BYTES || s.n - 2 < count || p[2] == 0)
			return false;
		length = 0;
		for (size_t i = 0; i < count; i++)
			length = length << 8 | p[2 + i];
		if (length < 0x80)
			return false;
		header += count;
	}
	if (length > s.n - header)
		return false;
	*ret_tag = p[0];
	*ret_header = header;
	*ret_length = length;
	return true;
}
