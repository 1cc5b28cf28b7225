#ifndef POSTERN_MIME_TRANSFER_H
#define POSTERN_MIME_TRANSFER_H
/*
 * Content-Transfer-Encoding (RFC 2045 §6) undone piece by piece, for readers: lenient, never an
 * error. Base64: bytes outside of the alphabet are skipped, "=" ends a group. Quoted-printable:
 * what is no "=XY" and no soft line break stays as it is; blanks at line ends are kept. All other
 * encodings, unknown ones too, pass through.
 */
#include "base/str.h"

enum transfer_encoding { TRANSFER_IDENTITY, TRANSFER_BASE64, TRANSFER_QUOTED_PRINTABLE };
/* Of the encoding's token, in any case; unset: identity. */
enum transfer_encoding transfer_encoding_of(struct span token);

struct transfer_decoder {
	enum transfer_encoding encoding;
	uint32_t bits; /* base64: of the group that is not complete */
	unsigned bit_count;
	char held[2]; /* quoted-printable: "=", "=X" or "=" CR at the end of the last piece */
	size_t held_count;
};
static inline struct transfer_decoder transfer_decoder_of(enum transfer_encoding encoding)
{
	return (struct transfer_decoder){.encoding = encoding};
}
/* Appends what the piece stands for: never more than its size and 2 bytes. */
void transfer_decode(struct transfer_decoder *d, struct span piece, struct str *out);
/* At the end: what was held back of a broken sequence. */
void transfer_decode_end(struct transfer_decoder *d, struct str *out);
#endif
