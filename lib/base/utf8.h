#ifndef POSTERN_BASE_UTF8_H
#define POSTERN_BASE_UTF8_H
/*
 * UTF-8 (RFC 3629 §4) a character at a time, for what is shown to people. text/text.h has the rest.
 */
#include "base/span.h"

/* Bytes of the well-formed character in front: not overlong, no surrogate. 0: there is none. */
size_t utf8_decode(struct span s, uint32_t *ret);
/* C0, DEL or C1 (ISO 6429): what a terminal takes for a command. */
static inline bool utf8_is_control(uint32_t point)
{
	return point < 0x20 || (point >= 0x7f && point < 0xa0);
}
#endif
