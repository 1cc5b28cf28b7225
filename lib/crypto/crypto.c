#include "crypto/crypto.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/ssl.h>
#include <sys/random.h>

#include "base/encode.h"
#include "crypto/evp.h"
#include "crypto/lean.h"

enum { HMAC_MAX_BLOCK_BYTES = 128, RANDOM_PIECE_BYTES = 256 };

struct hasher {
	EVP_MD_CTX *context;
	enum hash hash;
};

/* Filled by crypto_init(), constant afterwards. */
static EVP_MD *digests[HASH_COUNT];
static EVP_KDF *pbkdf2;

static const struct {
	const char *name;
	size_t bytes, block_bytes;
} hashes[HASH_COUNT] = {
    [HASH_SHA1] = {"SHA1", 20, 64},
    [HASH_SHA256] = {"SHA2-256", 32, 64},
    [HASH_SHA384] = {"SHA2-384", 48, 128},
    [HASH_SHA512] = {"SHA2-512", 64, 128},
    [HASH_MD5] = {"MD5", 16, 64},
};

/* No atexit handlers: tearing OpenSSL down costs time that the exiting process need not spend. */
static const uint64_t init_options = OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT;

static int fetch_all(void);

int crypto_init(void)
{
	return OPENSSL_init_ssl(init_options, NULL) ? fetch_all() : -EIO;
}

int crypto_init_lean(void)
{
	if (digests[HASH_SHA256])
		return 0; /* in the process that this one was forked from */
	/* First come, first served: what is said here first, OPENSSL_init_ssl() cannot undo. */
	if (!OPENSSL_init_crypto(init_options | OPENSSL_INIT_NO_LOAD_CRYPTO_STRINGS |
				     OPENSSL_INIT_NO_ADD_ALL_CIPHERS |
				     OPENSSL_INIT_NO_ADD_ALL_DIGESTS,
		NULL) ||
	    crypto_lean_load() < 0 || !OPENSSL_init_ssl(init_options, NULL))
		return -EIO;
	/* By which X509_get_signature_info() knows how a certificate is signed. */
	const EVP_MD *known[] = {
	    EVP_sha1(), EVP_sha224(), EVP_sha256(), EVP_sha384(), EVP_sha512()};
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (!EVP_add_digest(known[i]))
			return -EIO;
	return fetch_all();
}

static int fetch_all(void)
{
	for (size_t i = 0; i < HASH_COUNT; i++) {
		if (!digests[i])
			digests[i] = EVP_MD_fetch(NULL, hashes[i].name, NULL);
		if (!digests[i])
			return -EIO;
	}
	if (!pbkdf2)
		pbkdf2 = EVP_KDF_fetch(NULL, "PBKDF2", NULL);
	return pbkdf2 ? 0 : -EIO;
}

/* An own bug, or memory is out: nothing that a caller could handle. */
static void must(int openssl_result)
{
	if (openssl_result != 1)
		abort();
}

const EVP_MD *digest_of(enum hash h)
{
	if (h >= HASH_COUNT || !digests[h])
		abort();
	return digests[h];
}

size_t hash_bytes(enum hash h)
{
	return hashes[h].bytes;
}

void hash_digest(enum hash h, struct span data, uint8_t out[HASH_MAX_BYTES])
{
	struct hasher *s = hasher_new(h);
	hasher_add(s, data);
	hasher_end(s, out);
}

struct hasher *hasher_new(enum hash h)
{
	struct hasher *s = xcalloc(1, sizeof(*s));
	s->hash = h;
	s->context = EVP_MD_CTX_new();
	must(s->context && EVP_DigestInit_ex(s->context, digest_of(h), NULL));
	return s;
}

void hasher_add(struct hasher *s, struct span data)
{
	if (data.n > 0)
		must(EVP_DigestUpdate(s->context, data.p, data.n));
}

void hasher_end(struct hasher *s, uint8_t out[HASH_MAX_BYTES])
{
	must(EVP_DigestFinal_ex(s->context, out, NULL));
	EVP_MD_CTX_free(s->context);
	free(s);
}

/* By hand, because a fetch of OpenSSL's MACs would be one more thing to pay for at each start. */
void hash_hmac(enum hash h, struct span key, struct span data, uint8_t out[HASH_MAX_BYTES])
{
	uint8_t short_key[HMAC_MAX_BLOCK_BYTES] = {0};
	uint8_t pad[HMAC_MAX_BLOCK_BYTES] = {0}, inner[HASH_MAX_BYTES];
	size_t block = hashes[h].block_bytes;

	if (key.n > block)
		hash_digest(h, key, short_key);
	else if (key.n > 0)
		memcpy(short_key, key.p, key.n);
	for (size_t i = 0; i < block; i++)
		pad[i] = short_key[i] ^ 0x36;
	struct hasher *s = hasher_new(h);
	hasher_add(s, span_of(pad, block));
	hasher_add(s, data);
	hasher_end(s, inner);
	for (size_t i = 0; i < block; i++)
		pad[i] = short_key[i] ^ 0x5c;
	s = hasher_new(h);
	hasher_add(s, span_of(pad, block));
	hasher_add(s, span_of(inner, hashes[h].bytes));
	hasher_end(s, out);
	explicit_bzero(short_key, sizeof(short_key));
	explicit_bzero(pad, sizeof(pad));
	explicit_bzero(inner, sizeof(inner));
}

void hash_hi(enum hash h, struct span password, struct span salt, uint32_t iterations,
    uint8_t out[HASH_MAX_BYTES])
{
	unsigned rounds = iterations;
	int no_lower_limits =
	    1; /* whether a salt or a count is good enough is the caller's to say */
	OSSL_PARAM parameters[] = {
	    OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)hashes[h].name, 0),
	    OSSL_PARAM_construct_octet_string(
		OSSL_KDF_PARAM_PASSWORD, (void *)(password.n ? password.p : ""), password.n),
	    OSSL_PARAM_construct_octet_string(
		OSSL_KDF_PARAM_SALT, (void *)(salt.n ? salt.p : ""), salt.n),
	    OSSL_PARAM_construct_uint(OSSL_KDF_PARAM_ITER, &rounds),
	    OSSL_PARAM_construct_int(OSSL_KDF_PARAM_PKCS5, &no_lower_limits),
	    OSSL_PARAM_construct_end(),
	};
	EVP_KDF_CTX *context = EVP_KDF_CTX_new(pbkdf2);
	must(context && EVP_KDF_derive(context, out, hashes[h].bytes, parameters) == 1);
	EVP_KDF_CTX_free(context);
}

void random_bytes(void *out, size_t n)
{
	/* Straight from the kernel: starting OpenSSL's generators takes longer than many logins. */
	uint8_t *p = out;
	while (n > 0) {
		/* Up to 256 bytes come whole and uninterrupted (getrandom(2)). */
		size_t piece = MIN(n, (size_t)RANDOM_PIECE_BYTES);
		ssize_t got = getrandom(p, piece, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			abort();
		p += got;
		n -= (size_t)got;
	}
}

void random_name(char *out, size_t n)
{
	static const char alphabet[65] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	random_bytes(out, n);
	for (size_t i = 0; i < n; i++)
		out[i] = alphabet[(unsigned char)out[i] & 63];
	out[n] = '\0';
}

bool secret_equal(struct span a, struct span b)
{
	return a.n == b.n && (a.n == 0 || CRYPTO_memcmp(a.p, b.p, a.n) == 0);
}

void key_fingerprint(struct span spki, char out[FINGERPRINT_CHARS + 1])
{
	uint8_t hash[HASH_MAX_BYTES];
	struct str text cleanup(str_clear) = STR_INIT(FINGERPRINT_CHARS);
	hash_digest(HASH_SHA256, spki, hash);
	base64url_encode(span_of(hash, hash_bytes(HASH_SHA256)), &text);
	memcpy(out, text.data, FINGERPRINT_CHARS + 1);
}
