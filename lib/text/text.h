#ifndef POSTERN_TEXT_TEXT_H
#define POSTERN_TEXT_TEXT_H
/*
 * Unicode for mail (sole user of libunistring and libidn2). Input is hostile: everything is
 * checked to be UTF-8 first. All results are appended to a str and bounded by its maximum.
 */
#include "base/str.h"

bool utf8_is_valid(struct span s); /* RFC 3629; NUL is refused */
size_t utf8_count(struct span s);  /* code points of valid UTF-8 */
/*
 * For where nothing but printable ASCII may go: each other character becomes one '?', in what is no
 * UTF-8 about so. Never longer than s.
 */
void text_to_printable_ascii(struct span s, struct str *out);
/* NFC. -EILSEQ, -EMSGSIZE. */
must_use int text_nfc(struct span s, struct str *out);
/* Simple case folding of a local part: NFC, lower case, NFC again. */
must_use int text_fold(struct span s, struct str *out);
/* Any spelling of a domain → lower-case A-labels (IDNA2008, RFC 5891; UTS 46 mapping). -EINVAL. */
must_use int text_domain_ascii(struct span domain, struct str *out);

/*
 * PRECIS OpaqueString (RFC 8265 §4.2): for setting and verifying passwords. -EILSEQ not UTF-8,
 * -EINVAL a code point that FreeformClass (RFC 8264 §4.3) forbids, in *ret_bad (0: empty).
 */
must_use int text_opaque_string(struct span password, struct str *out, uint32_t *ret_bad);

/* IMAP mailbox names: modified UTF-7 (RFC 3501 §5.1.3) ↔ UTF-8. -EINVAL for malformed input. */
must_use int text_utf7_decode(struct span s, struct str *out);
must_use int text_utf7_encode(struct span s, struct str *out);

/* i;unicode-casemap (RFC 5051) of valid UTF-8, for comparing and substring search. */
must_use int text_casemap(struct span s, struct str *out);
/*
 * Any charset → UTF-8 through iconv; unknown ones and broken bytes become U+FFFD, never an error;
 * stops at out's maximum. RFC 2047 words in a header value likewise.
 */
void text_to_utf8(struct span charset, struct span bytes, struct str *out);
void text_decode_words(struct span header, struct str *out);
#endif
