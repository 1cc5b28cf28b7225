#ifndef POSTERN_CRYPTO_EVP_H
#define POSTERN_CRYPTO_EVP_H
/* OpenSSL's objects behind crypto.h, for crypto/ and tls/ alone. */
#include <openssl/evp.h>

#include "crypto/crypto.h"

/* Fetched by crypto_init(), never freed. */
const EVP_MD *digest_of(enum hash h);

/*
 * The public key in a raw SPKI, without OpenSSL's decoders where that is easily done (they take
 * longer to load than a signature to verify). NULL: unknown kind, or not a valid key of its kind.
 */
EVP_PKEY *public_key_new(struct span spki);
#endif
