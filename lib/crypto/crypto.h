#ifndef POSTERN_CRYPTO_CRYPTO_H
#define POSTERN_CRYPTO_CRYPTO_H
/* Digests, MACs, key derivation, randomness: with tls/ the sole user of OpenSSL. */
#include "base/str.h"

enum hash { HASH_SHA1, HASH_SHA256, HASH_SHA384, HASH_SHA512, HASH_MD5, HASH_COUNT };
enum { HASH_MAX_BYTES = 64 };

/*
 * OPENSSL_init without its configuration file, and the digests fetched: once, before any fork, so
 * that the processes share the pages and nothing is loaded later. -EIO.
 */
must_use int crypto_init(void);
size_t hash_bytes(enum hash h);
/* Wrong use of these cannot happen and failure inside OpenSSL aborts: they return nothing. */
void hash_digest(enum hash h, struct span data, uint8_t out[HASH_MAX_BYTES]);
void hash_hmac(enum hash h, struct span key, struct span data, uint8_t out[HASH_MAX_BYTES]);
/* PBKDF2 with HMAC-h, one block: Hi() of RFC 5802 §2.2. */
void hash_hi(enum hash h, struct span password, struct span salt, uint32_t iterations,
    uint8_t out[HASH_MAX_BYTES]);
/* Running digest. */
struct hasher;
struct hasher *hasher_new(enum hash h);
void hasher_add(struct hasher *s, struct span data);
void hasher_end(struct hasher *s, uint8_t out[HASH_MAX_BYTES]); /* frees */

void random_bytes(void *out, size_t n);
/* n random characters of base64url, NUL-terminated; out has n + 1 bytes. */
void random_name(char *out, size_t n);
/* Constant-time; different lengths are unequal at once. */
bool secret_equal(struct span a, struct span b);

/* SHA-256 over a raw DER SubjectPublicKeyInfo, base64url: 43 characters and NUL (spec 1 §1.2). */
enum { FINGERPRINT_CHARS = 43 };
void key_fingerprint(struct span spki, char out[FINGERPRINT_CHARS + 1]);
/* "rsa-2048", "ecdsa-p256", "ed25519", …: -EOPNOTSUPP for what spec 1 §1.3 does not accept. */
must_use int key_type(struct span spki, struct str *out);
/*
 * Certificate PEM, public key PEM or DER certificate → raw SPKI bytes as they stand there.
 * -EINVAL when it is none of these.
 */
must_use int key_spki_from_input(struct span input, struct str *spki);

/* Makes a key and its minimal certificate (CN=name, valid to 9999-12-31). PEM, secrets in *key. */
enum key_kind { KEY_ED25519, KEY_P256 };
must_use int key_generate(enum key_kind kind, struct span name, struct str *key_pem,
    struct str *certificate_pem, struct str *ret_seed /* Ed25519 only: 32 bytes */);
/* A server certificate for these DNS names and addresses 127.0.0.1 and ::1, self-signed, P-256. */
must_use int key_generate_server(const struct span *names, size_t count, struct str *key_pem,
    struct str *certificate_pem);
must_use int key_pkcs12(struct span key_pem, struct span certificate_pem, struct span name,
    const char *passphrase, struct str *p12);
#endif
