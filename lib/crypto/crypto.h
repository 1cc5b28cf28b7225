#ifndef POSTERN_CRYPTO_CRYPTO_H
#define POSTERN_CRYPTO_CRYPTO_H
/* Digests, MACs, key derivation, randomness: with tls/ the sole user of OpenSSL. */
#include "base/str.h"

enum hash { HASH_SHA1, HASH_SHA256, HASH_SHA384, HASH_SHA512, HASH_MD5, HASH_COUNT };
enum { HASH_MAX_BYTES = 64 };

/*
 * OpenSSL without its configuration file, and the digests fetched: once, before any fork, so that
 * the processes share the pages and no file is needed later. Everything below needs it. -EIO.
 */
must_use int crypto_init(void);
/*
 * The same for a process per connection, at a third of the price: with the algorithms that TLS 1.2
 * and 1.3 and our files use (lean.c), without the names of old ones (certificates may be signed
 * with SHA-1 and SHA-2; encrypted keys cannot be read), and without the texts of libcrypto's
 * errors, whose numbers stay.
 */
must_use int crypto_init_lean(void);

size_t hash_bytes(enum hash h);
/*
 * Wrong use of these cannot happen and failure inside OpenSSL aborts: they return nothing. Only the
 * first hash_bytes(h) bytes of out are written.
 */
void hash_digest(enum hash h, struct span data, uint8_t out[HASH_MAX_BYTES]);
/* RFC 2104 */
void hash_hmac(enum hash h, struct span key, struct span data, uint8_t out[HASH_MAX_BYTES]);
/* PBKDF2 (RFC 8018 §5.2) with HMAC-h, one block: Hi() of RFC 5802 §2.2. iterations ≥ 1. */
void hash_hi(enum hash h, struct span password, struct span salt, uint32_t iterations,
    uint8_t out[HASH_MAX_BYTES]);
/*
 * CRAM-MD5 (RFC 2195) without the password: what HMAC-MD5 makes of it before any data, which is
 * good for CRAM-MD5 and for nothing else. A secret all the same.
 */
enum { CRAM_MD5_KEY_BYTES = 32 };
void cram_md5_key(struct span password, uint8_t out[CRAM_MD5_KEY_BYTES]);
void cram_md5_digest(
    const uint8_t key[CRAM_MD5_KEY_BYTES], struct span challenge, uint8_t out[HASH_MAX_BYTES]);
/* Running digest. */
struct hasher;
struct hasher *hasher_new(enum hash h);
void hasher_add(struct hasher *s, struct span data);
void hasher_end(struct hasher *s, uint8_t out[HASH_MAX_BYTES]); /* frees */

/* From the kernel. */
void random_bytes(void *out, size_t n);
/* n random characters of base64url, NUL-terminated; out has n + 1 bytes. */
void random_name(char *out, size_t n);
/* Constant-time; different lengths are unequal at once. */
bool secret_equal(struct span a, struct span b);

/* SHA-256 over a raw DER SubjectPublicKeyInfo, base64url: 43 characters and NUL. */
enum { FINGERPRINT_CHARS = 43 };
void key_fingerprint(struct span spki, char out[FINGERPRINT_CHARS + 1]);
/*
 * Appends "rsa-2048", "rsa-pss-3072", "ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "ed25519" or
 * "ed448". -EOPNOTSUPP for what may not be registered: other kinds, other curves, RSA of less than
 * KEY_RSA_MIN_BITS; -EINVAL for what is no key at all.
 */
enum { KEY_RSA_MIN_BITS = 2048, KEY_RSA_MAX_BITS = 16384 };
must_use int key_type(struct span spki, struct str *out);
/*
 * Appends the raw SPKI bytes as they stand in the input: PEM (the first certificate or public key
 * in it; other blocks, such as private keys, are passed over), DER certificate or DER SPKI. -EINVAL
 * when it is none of these.
 */
must_use int key_spki_from_input(struct span input, struct str *spki);
/* The raw SPKI in a DER certificate (RFC 5280 §4.1), borrowed from it. -EINVAL. */
must_use int certificate_spki(struct span der, struct span *ret_spki);

/*
 * The makers of keys append PEM (PKCS #8; X.509). Clear the keys with str_clear_secret(). Names are
 * UTF-8, 1 to 64 characters (the ub-common-name of X.520); others are -EINVAL. -EMSGSIZE when an
 * output is full.
 *
 * The client's certificate is minimal: CN=name, self-signed, valid to 9999-12-31.
 */
enum key_kind { KEY_ED25519, KEY_P256 };
enum { KEY_SEED_BYTES = 32 };
must_use int key_generate(enum key_kind kind, struct span name, struct str *key_pem,
    struct str *certificate_pem, struct str *ret_seed /* Ed25519 only: 32 bytes; may be NULL */);
/* The same for a given Ed25519 seed (RFC 8032 §5.1.5: the private key). -EINVAL: not 32 bytes. */
must_use int key_from_seed(
    struct span seed, struct span name, struct str *key_pem, struct str *certificate_pem);
/*
 * A server certificate for these DNS names and addresses 127.0.0.1 and ::1, self-signed, P-256,
 * valid for ten years. The first name is its CN, too, if it is short enough.
 */
must_use int key_generate_server(
    const struct span *names, size_t count, struct str *key_pem, struct str *certificate_pem);
/* PKCS #12 with AES-256 and a SHA-256 MAC. -EINVAL: key or certificate cannot be read or differ. */
must_use int key_pkcs12(struct span key_pem, struct span certificate_pem, struct span name,
    const char *passphrase, struct str *p12);
#endif
