#include "text/text.h"

#include <iconv.h>
#include <unistr.h>

#include "base/ascii.h"

/* The slack: modules of iconv have written a few bytes past their room before. */
enum { CHARSET_NAME_MAX_BYTES = 40, PIECE_BYTES = 1024, PIECE_SLACK_BYTES = 16 };

/* Names that mail uses and iconv does not know, or knows too narrowly (senders use supersets). */
static const struct {
	struct span mail, iconv;
} charset_aliases[] = {
    {{"cp-850", 6}, {"CP850", 5}},
    {{"gb2312", 6}, {"GB18030", 7}},
    {{"gbk", 3}, {"GB18030", 7}},
    {{"iso-8859-1", 10}, {"CP1252", 6}},
    {{"iso-8859-6-i", 12}, {"ISO-8859-6", 10}},
    {{"iso-8859-8-i", 12}, {"ISO-8859-8", 10}},
    {{"ks_c_5601-1987", 14}, {"CP949", 5}},
    {{"shift_jis", 9}, {"CP932", 5}},
    {{"unicode-1-1-utf-7", 17}, {"UTF-7", 5}},
    {{"x-gbk", 5}, {"GB18030", 7}},
    {{"x-sjis", 6}, {"CP932", 5}},
};

struct encoded_word {
	struct span charset, text;
	bool base64;
	size_t length; /* of the whole "=?…?=" */
};

static bool append_whole(struct str *out, struct span utf8);
static void append_utf8_replacing(struct span bytes, struct str *out);
static iconv_t open_converter(struct span charset);
static void convert(iconv_t converter, struct span bytes, struct str *out);
static bool parse_encoded_word(struct span s, struct encoded_word *ret);
static void decode_word_text(const struct encoded_word *word, struct str *out);
static void decode_q(struct span text, struct str *out);
static void decode_b(struct span text, struct str *out);
static void flush_word(struct span charset, struct str *bytes, struct str *out);
static size_t blank_length(struct span s);

void text_to_utf8(struct span charset, struct span bytes, struct str *out)
{
	iconv_t converter = open_converter(charset);
	if (converter == (iconv_t)-1) {
		append_utf8_replacing(bytes, out);
		return;
	}
	convert(converter, bytes, out);
	(void)iconv_close(converter); /* nothing to lose */
}

/* (iconv_t)-1: UTF-8, ASCII or unknown, which are all read as UTF-8 with replacements. */
static iconv_t open_converter(struct span charset)
{
	char name[CHARSET_NAME_MAX_BYTES + 1];
	if (charset.n == 0 || charset.n > CHARSET_NAME_MAX_BYTES ||
	    span_equal_nocase(charset, SPAN("utf-8")) ||
	    span_equal_nocase(charset, SPAN("us-ascii")))
		return (iconv_t)-1;
	for (size_t i = 0; i < ARRAY_SIZE(charset_aliases); i++) {
		if (span_equal_nocase(charset, charset_aliases[i].mail))
			charset = charset_aliases[i].iconv;
	}
	for (size_t i = 0; i < charset.n; i++) {
		unsigned char c = (unsigned char)charset.p[i];
		/* no '/': "//TRANSLIT" and the like are not for strangers */
		if (!ascii_is_alnum(c) && !memchr("-_.:+()", c, 7))
			return (iconv_t)-1;
		name[i] = (char)c;
	}
	name[charset.n] = '\0';
	return iconv_open("UTF-8", name);
}

static void convert(iconv_t converter, struct span bytes, struct str *out)
{
	char *in = (char *)(uintptr_t)bytes.p; /* iconv does not write to it */
	size_t in_left = bytes.n;
	for (bool ending = false; !ending;) {
		char piece[PIECE_BYTES];
		char *at = piece;
		size_t room = sizeof(piece) - PIECE_SLACK_BYTES;
		ending = in_left == 0; /* then what the converter still holds */
		size_t rc = !ending ? iconv(converter, &in, &in_left, &at, &room)
				    : iconv(converter, NULL, NULL, &at, &room);
		int error = errno;
		if (at > piece) {
			size_t before = out->n;
			append_utf8_replacing(span_of(piece, (size_t)(at - piece)), out);
			if (out->n == before || out->n >= out->max)
				return;
		}
		if (rc != (size_t)-1 || error == E2BIG)
			continue;
		if (!append_whole(out, SPAN("\xef\xbf\xbd")) || error == EINVAL)
			return; /* full, or cut inside a character: nothing follows */
		if (ending)
			return;
		in++;
		in_left--;
		/* Not back to the initial state: in ISO-2022 what follows is still in its shift. */
	}
}

/* False, and nothing added, when it does not fit: a character is never cut. */
static bool append_whole(struct str *out, struct span utf8)
{
	if (out->failed || utf8.n > out->max - out->n)
		return false;
	str_append(out, utf8);
	return true;
}

static void append_utf8_replacing(struct span bytes, struct str *out)
{
	for (size_t at = 0; at < bytes.n;) {
		ucs4_t c;
		int n = u8_mbtoucr(&c, (const uint8_t *)bytes.p + at, bytes.n - at);
		bool good = n > 0 && c != 0;
		struct span piece = good ? span_sub(bytes, at, (size_t)n) : SPAN("\xef\xbf\xbd");
		if (!append_whole(out, piece))
			return;
		at += good ? (size_t)n : 1;
	}
}

/*
 * RFC 2047 §6. Lenient where senders are: a word may touch its neighbours and be longer than 75
 * characters, and a character may be cut by the end of a word and go on in the next (§5 forbids
 * it). So the bytes of adjacent words of one charset are joined before they are converted.
 */
void text_decode_words(struct span header, struct str *out)
{
	struct str bytes cleanup(str_clear) = STR_INIT(header.n);
	struct span charset = SPAN_NONE; /* set: `bytes` holds words of it */
	size_t plain_from = 0;
	for (size_t at = 0; at < header.n;) {
		struct encoded_word word;
		if (header.p[at] != '=' || !parse_encoded_word(span_from(header, at), &word)) {
			at++;
			continue;
		}
		struct span plain = span_sub(header, plain_from, at - plain_from);
		if (!span_is_set(charset) || blank_length(plain) < plain.n) {
			flush_word(charset, &bytes, out);
			append_utf8_replacing(plain, out);
		} else if (!span_equal_nocase(charset, word.charset)) {
			flush_word(charset, &bytes, out);
		}
		charset = word.charset;
		decode_word_text(&word, &bytes);
		at += word.length;
		plain_from = at;
	}
	flush_word(charset, &bytes, out);
	append_utf8_replacing(span_from(header, plain_from), out);
}

static void flush_word(struct span charset, struct str *bytes, struct str *out)
{
	if (span_is_set(charset))
		text_to_utf8(charset, str_span(bytes), out);
	str_reset(bytes);
}

/* How much of the beginning is linear white space. */
static size_t blank_length(struct span s)
{
	size_t n = 0;
	while (n < s.n && memchr(" \t\r\n", s.p[n], 4))
		n++;
	return n;
}

/* encoded-word = "=?" charset ["*" language] "?" encoding "?" encoded-text "?=" (RFC 2231 §5) */
static bool parse_encoded_word(struct span s, struct encoded_word *ret)
{
	if (!span_starts_with(s, SPAN("=?")))
		return false;
	size_t at = 2;
	while (at < s.n && ascii_is_vchar((unsigned char)s.p[at]) &&
	       !memchr("()<>@,;:\"/[]?=", s.p[at], 14))
		at++;
	struct span charset = span_sub(s, 2, at - 2);
	if (charset.n == 0 || s.n - at < 3 || s.p[at] != '?' || s.p[at + 2] != '?')
		return false;
	unsigned char encoding = ascii_lower((unsigned char)s.p[at + 1]);
	if (encoding != 'b' && encoding != 'q')
		return false;
	size_t from = at += 3;
	while (at < s.n && s.p[at] != '?' && ascii_is_vchar((unsigned char)s.p[at]))
		at++;
	if (s.n - at < 2 || s.p[at] != '?' || s.p[at + 1] != '=')
		return false;
	(void)span_cut(
	    charset, '*', &charset, &(struct span){0}); /* the language says nothing here */
	*ret =
	    (struct encoded_word){charset, span_sub(s, from, at - from), encoding == 'b', at + 2};
	return true;
}

static void decode_word_text(const struct encoded_word *word, struct str *out)
{
	if (word->base64)
		decode_b(word->text, out);
	else
		decode_q(word->text, out);
}

static void decode_q(struct span text, struct str *out)
{
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];
		if (c == '_') {
			c = ' ';
		} else if (c == '=' && text.n - i > 2) {
			int high = ascii_hex((unsigned char)text.p[i + 1]);
			int low = ascii_hex((unsigned char)text.p[i + 2]);
			if (high >= 0 && low >= 0) {
				c = (char)(high << 4 | low);
				i += 2;
			}
		}
		str_append_char(out, c);
	}
}

/* Base64 as senders write it: padding missing or in the middle, stray characters skipped. */
static void decode_b(struct span text, struct str *out)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint32_t bits = 0;
	int bit_count = 0;
	for (size_t i = 0; i < text.n; i++) {
		const char *digit = memchr(digits, text.p[i], sizeof(digits) - 1);
		if (!digit) {
			if (text.p[i] == '=')
				bit_count = 0;
			continue;
		}
		bits = (bits << 6 | (uint32_t)(digit - digits)) & 0xffff;
		bit_count += 6;
		if (bit_count >= 8) {
			bit_count -= 8;
			str_append_char(out, (char)(bits >> bit_count & 0xff));
		}
	}
}
