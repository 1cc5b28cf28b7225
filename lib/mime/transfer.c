#include "mime/transfer.h"

#include "base/ascii.h"

static int base64_value(unsigned char c);
static void decode_base64(struct transfer_decoder *d, struct span piece, struct str *out);
static void decode_quoted(struct transfer_decoder *d, struct span piece, struct str *out);
static void quoted_byte(struct transfer_decoder *d, char c, struct str *out);

enum transfer_encoding transfer_encoding_of(struct span token)
{
	if (span_equal_nocase(token, SPAN("base64")))
		return TRANSFER_BASE64;
	if (span_equal_nocase(token, SPAN("quoted-printable")))
		return TRANSFER_QUOTED_PRINTABLE;
	return TRANSFER_IDENTITY;
}

void transfer_decode(struct transfer_decoder *d, struct span piece, struct str *out)
{
	switch (d->encoding) {
	case TRANSFER_IDENTITY: str_append(out, piece); break;
	case TRANSFER_BASE64: decode_base64(d, piece, out); break;
	case TRANSFER_QUOTED_PRINTABLE: decode_quoted(d, piece, out); break;
	}
}

void transfer_decode_end(struct transfer_decoder *d, struct str *out)
{
	str_append(out, span_of(d->held, d->held_count));
	d->held_count = 0;
	d->bit_count = 0;
}

static void decode_base64(struct transfer_decoder *d, struct span piece, struct str *out)
{
	for (size_t i = 0; i < piece.n; i++) {
		unsigned char c = (unsigned char)piece.p[i];
		int value = base64_value(c);
		if (c == '=')
			d->bit_count = 0; /* the bits left are none of the text's */
		if (value < 0)
			continue;
		d->bits = d->bits << 6 | (uint32_t)value;
		d->bit_count += 6;
		if (d->bit_count >= 8) {
			d->bit_count -= 8;
			str_append_char(out, (char)(d->bits >> d->bit_count & 0xff));
		}
	}
}

static int base64_value(unsigned char c)
{
	if (ascii_is_upper(c))
		return c - 'A';
	if (ascii_is_lower(c))
		return c - 'a' + 26;
	if (ascii_is_digit(c))
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static void decode_quoted(struct transfer_decoder *d, struct span piece, struct str *out)
{
	while (piece.n) {
		if (!d->held_count) {
			size_t plain = MIN(span_index(piece, '='), piece.n);
			str_append(out, span_sub(piece, 0, plain));
			piece = span_from(piece, plain);
			if (!piece.n)
				return;
		}
		quoted_byte(d, piece.p[0], out);
		piece = span_from(piece, 1);
	}
}

/* The next byte of what began with "=". */
static void quoted_byte(struct transfer_decoder *d, char c, struct str *out)
{
	if (d->held_count == 0) {
		d->held[d->held_count++] = c; /* "=" */
		return;
	}
	if (d->held_count == 1) {
		if (c == '\n') { /* soft line break of LF alone */
			d->held_count = 0;
			return;
		}
		if (c == '\r' || ascii_hex((unsigned char)c) >= 0) {
			d->held[d->held_count++] = c;
			return;
		}
	} else if (d->held[1] == '\r') {
		if (c == '\n') {
			d->held_count = 0;
			return;
		}
	} else if (ascii_hex((unsigned char)c) >= 0) {
		str_append_char(out, (char)(ascii_hex((unsigned char)d->held[1]) << 4 |
					    ascii_hex((unsigned char)c)));
		d->held_count = 0;
		return;
	}
	str_append(out, span_of(d->held, d->held_count));
	d->held_count = 0;
	decode_quoted(d, span_of(&c, 1), out); /* it may be a "=" itself */
}
