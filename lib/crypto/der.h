#ifndef POSTERN_CRYPTO_DER_H
#define POSTERN_CRYPTO_DER_H
/*
 * Reads DER (X.690 §8.1, §10.1) as far as certificates need it: one-byte tags, definite lengths in
 * their shortest form. Pure; everything borrows the input.
 */
#include "base/span.h"

enum {
	DER_INTEGER = 0x02,
	DER_BIT_STRING = 0x03,
	DER_OID = 0x06,
	DER_SEQUENCE = 0x30,
	DER_CONTEXT_0 = 0xa0, /* [0], constructed */
};

/*
 * Takes the next value from *rest if it has this tag: its contents, and the whole of it with tag
 * and length (each may be NULL). False, and nothing moved, when it is another or does not fit.
 */
must_use bool der_get(
    struct span *rest, uint8_t tag, struct span *ret_contents, struct span *ret_whole);
#endif
