/*
 * Hi() of RFC 5802 §2.2 over HMAC-SHA-256 with two compressions a round. OpenSSL's own PBKDF2 copies
 * contexts on the heap for each HMAC and takes twice as long: 2.8 ms of each login with a password.
 * The compression function by itself is deprecated since OpenSSL 3.0; where it is not offered any
 * more, crypto.c takes the long way.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "crypto/hi.h"

#include <endian.h>
#include <openssl/sha.h>

#ifdef OPENSSL_NO_DEPRECATED_3_0

bool hi_sha256(struct span password, struct span salt, uint32_t iterations, uint8_t *out)
{
	(void)password, (void)salt, (void)iterations, (void)out;
	return false;
}

#else

enum { BLOCK_BYTES = SHA256_CBLOCK, WORDS = SHA256_DIGEST_LENGTH / 4 };

static void absorb_key(SHA256_CTX *s, const uint8_t key[BLOCK_BYTES], uint8_t pad);
static void first_round(struct span password, struct span salt, uint8_t out[BLOCK_BYTES]);
static void compress(const SHA256_CTX *from, uint8_t block[BLOCK_BYTES]);

bool hi_sha256(struct span password, struct span salt, uint32_t iterations, uint8_t *out)
{
	SHA256_CTX inner, outer; /* after ipad and opad: where each HMAC begins */
	uint8_t key[BLOCK_BYTES] = {0}, block[BLOCK_BYTES] = {0};
	uint8_t sum[SHA256_DIGEST_LENGTH];

	if (password.n > BLOCK_BYTES)
		hash_digest(HASH_SHA256, password, key);
	else if (password.n > 0)
		memcpy(key, password.p, password.n);
	absorb_key(&inner, key, 0x36);
	absorb_key(&outer, key, 0x5c);
	first_round(password, salt, block);
	memcpy(sum, block, sizeof(sum));
	/* What is hashed is always a digest behind one block: the padding (FIPS 180-4 §5.1.1) stays. */
	const unsigned bits = 8 * (BLOCK_BYTES + SHA256_DIGEST_LENGTH);
	memset(block + SHA256_DIGEST_LENGTH, 0, BLOCK_BYTES - SHA256_DIGEST_LENGTH);
	block[SHA256_DIGEST_LENGTH] = 0x80;
	block[BLOCK_BYTES - 2] = (uint8_t)(bits >> 8);
	block[BLOCK_BYTES - 1] = (uint8_t)bits;
	for (uint32_t i = 1; i < iterations; i++) {
		compress(&inner, block);
		compress(&outer, block);
		for (size_t k = 0; k < sizeof(sum); k++)
			sum[k] ^= block[k];
	}
	memcpy(out, sum, sizeof(sum));
	explicit_bzero(&inner, sizeof(inner));
	explicit_bzero(&outer, sizeof(outer));
	explicit_bzero(key, sizeof(key));
	explicit_bzero(block, sizeof(block));
	explicit_bzero(sum, sizeof(sum));
	return true;
}

static void absorb_key(SHA256_CTX *s, const uint8_t key[BLOCK_BYTES], uint8_t pad)
{
	uint8_t block[BLOCK_BYTES];
	for (size_t i = 0; i < BLOCK_BYTES; i++)
		block[i] = key[i] ^ pad;
	(void)SHA256_Init(s); /* cannot fail */
	SHA256_Transform(s, block);
	explicit_bzero(block, sizeof(block));
}

static void first_round(struct span password, struct span salt, uint8_t out[BLOCK_BYTES])
{
	struct str first cleanup(str_clear) = STR_INIT(salt.n + 4);
	str_append(&first, salt);
	str_append(&first, span_of("\0\0\0\1", 4));
	hash_hmac(HASH_SHA256, password, str_span(&first), out);
}

/* The digest of the whole message takes the block's first half. */
static void compress(const SHA256_CTX *from, uint8_t block[BLOCK_BYTES])
{
	SHA256_CTX s = *from;
	SHA256_Transform(&s, block);
	for (size_t i = 0; i < WORDS; i++) {
		uint32_t word = htobe32(s.h[i]);
		memcpy(block + 4 * i, &word, sizeof(word));
	}
}
#endif
