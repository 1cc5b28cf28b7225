#ifndef POSTERN_BASE_ENCODE_H
#define POSTERN_BASE_ENCODE_H
/* Base64 (RFC 4648 §4), base64url without padding (§5), hexadecimal. Strict decoders. */
#include "base/str.h"

void base64_encode(struct span bytes, struct str *out);
void base64url_encode(struct span bytes, struct str *out);
/*
 * Appends what the text stands for. No blanks, padding exactly as §3.2 wants, unused bits zero
 * (§3.5). -EINVAL, or -EMSGSIZE past out's maximum; out is then as before, but for its memory.
 */
must_use int base64_decode(struct span text, struct str *out);
must_use int base64url_decode(struct span text, struct str *out);
/* Lower-case hexadecimal. */
void hex_encode(struct span bytes, struct str *out);
must_use int hex_decode(struct span text, struct str *out);
#endif
