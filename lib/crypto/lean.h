#ifndef POSTERN_CRYPTO_LEAN_H
#define POSTERN_CRYPTO_LEAN_H
/*
 * Of crypto_init_lean(): OpenSSL with a part of its algorithms. Once, before anything is fetched.
 * -EIO.
 */
#include "base/base.h"

must_use int crypto_lean_load(void);
#endif
