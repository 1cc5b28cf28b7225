#ifndef POSTERN_CRYPTO_HI_H
#define POSTERN_CRYPTO_HI_H
/* Of hash_hi(), for SHA-256: `out` takes 32 bytes. False: not to be had, and nothing is done. */
#include "crypto/crypto.h"

must_use bool hi_sha256(struct span password, struct span salt, uint32_t iterations, uint8_t *out);
#endif
