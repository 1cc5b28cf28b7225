#include "base/utf8.h"

size_t utf8_decode(struct span s, uint32_t *ret)
{
	static const uint32_t smallest[5] = {0, 0, 0x80, 0x800, 0x10000};
	unsigned char c = s.n > 0 ? (unsigned char)s.p[0] : 0x80; /* which is in front of nothing */
	size_t n = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;
	if (n == 0 || s.n < n)
		return 0;
	uint32_t point = n == 1 ? c : c & (0xffU >> (n + 1));
	for (size_t i = 1; i < n; i++) {
		unsigned char next = (unsigned char)s.p[i];
		if ((next & 0xc0) != 0x80)
			return 0;
		point = point << 6 | (next & 0x3f);
	}
	if (point < smallest[n] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
		return 0;
	*ret = point;
	return n;
}
