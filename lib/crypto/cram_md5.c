/*
 * HMAC-MD5 with the key kept as MD5's two states behind its padded blocks (RFC 2104 §4). Only the
 * old interface of OpenSSL shows them.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "crypto/crypto.h"

#include <openssl/md5.h>

enum { WORDS = 4, HALF_BYTES = CRAM_MD5_KEY_BYTES / 2, BITS_PER_BYTE = 8 };

static void absorb(const uint8_t block[MD5_CBLOCK], uint8_t pad, uint8_t out[HALF_BYTES]);
static void resume(const uint8_t half[HALF_BYTES], MD5_CTX *ret);

void cram_md5_key(struct span password, uint8_t out[CRAM_MD5_KEY_BYTES])
{
	uint8_t block[MD5_CBLOCK] = {0};
	uint8_t digest[HASH_MAX_BYTES];
	if (password.n > sizeof(block)) {
		hash_digest(HASH_MD5, password, digest);
		password = span_of(digest, hash_bytes(HASH_MD5));
	}
	if (password.n > 0)
		memcpy(block, password.p, password.n);
	absorb(block, 0x36, out);
	absorb(block, 0x5c, out + HALF_BYTES);
	explicit_bzero(block, sizeof(block));
	explicit_bzero(digest, sizeof(digest));
}

static void absorb(const uint8_t block[MD5_CBLOCK], uint8_t pad, uint8_t out[HALF_BYTES])
{
	uint8_t padded[MD5_CBLOCK];
	MD5_CTX c;
	for (size_t i = 0; i < sizeof(padded); i++)
		padded[i] = block[i] ^ pad;
	if (MD5_Init(&c) != 1 || MD5_Update(&c, padded, sizeof(padded)) != 1)
		abort(); /* they cannot fail */
	const uint32_t words[WORDS] = {c.A, c.B, c.C, c.D};
	for (size_t i = 0; i < HALF_BYTES; i++)
		out[i] = (uint8_t)(words[i / 4] >> BITS_PER_BYTE * (i % 4));
	explicit_bzero(&c, sizeof(c));
	explicit_bzero(padded, sizeof(padded));
}

void cram_md5_digest(
    const uint8_t key[CRAM_MD5_KEY_BYTES], struct span challenge, uint8_t out[HASH_MAX_BYTES])
{
	uint8_t inner[MD5_DIGEST_LENGTH];
	MD5_CTX c;
	resume(key, &c);
	if (MD5_Update(&c, challenge.p, challenge.n) != 1 || MD5_Final(inner, &c) != 1)
		abort();
	resume(key + HALF_BYTES, &c);
	if (MD5_Update(&c, inner, sizeof(inner)) != 1 || MD5_Final(out, &c) != 1)
		abort();
	explicit_bzero(&c, sizeof(c));
	explicit_bzero(inner, sizeof(inner));
}

/* As it was when one block had been absorbed. */
static void resume(const uint8_t half[HALF_BYTES], MD5_CTX *ret)
{
	uint32_t words[WORDS] = {0};
	for (size_t i = 0; i < HALF_BYTES; i++)
		words[i / 4] |= (uint32_t)half[i] << BITS_PER_BYTE * (i % 4);
	if (MD5_Init(ret) != 1)
		abort();
	ret->A = words[0];
	ret->B = words[1];
	ret->C = words[2];
	ret->D = words[3];
	ret->Nl = MD5_CBLOCK * BITS_PER_BYTE;
}
