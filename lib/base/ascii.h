#ifndef POSTERN_BASE_ASCII_H
#define POSTERN_BASE_ASCII_H
/* Character classes of US-ASCII, independent of the locale. Wire data never meets <ctype.h>. */
#include "base/base.h"

static inline bool ascii_is_digit(unsigned char c)
{
	return c >= '0' && c <= '9';
}
static inline bool ascii_is_upper(unsigned char c)
{
	return c >= 'A' && c <= 'Z';
}
static inline bool ascii_is_lower(unsigned char c)
{
	return c >= 'a' && c <= 'z';
}
static inline bool ascii_is_alpha(unsigned char c)
{
	return ascii_is_upper(c) || ascii_is_lower(c);
}
static inline bool ascii_is_alnum(unsigned char c)
{
	return ascii_is_alpha(c) || ascii_is_digit(c);
}
/* SP or HTAB: WSP of RFC 5234 */
static inline bool ascii_is_wsp(unsigned char c)
{
	return c == ' ' || c == '\t';
}
/* VCHAR of RFC 5234: 0x21 to 0x7e */
static inline bool ascii_is_vchar(unsigned char c)
{
	return c > 0x20 && c < 0x7f;
}
static inline bool ascii_is_control(unsigned char c)
{
	return c < 0x20 || c == 0x7f;
}
static inline unsigned char ascii_lower(unsigned char c)
{
	return ascii_is_upper(c) ? (unsigned char)(c + 32) : c;
}
static inline unsigned char ascii_upper(unsigned char c)
{
	return ascii_is_lower(c) ? (unsigned char)(c - 32) : c;
}
/* Value of a hexadecimal digit, or -1. */
static inline int ascii_hex(unsigned char c)
{
	if (ascii_is_digit(c))
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}
#endif
