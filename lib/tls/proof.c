#include "tls/proof.h"

#include <openssl/err.h>
#include <openssl/rsa.h>

#include "crypto/evp.h"

/* HandshakeType, RFC 8446 §4 */
enum message_type {
	CLIENT_HELLO = 1,
	SERVER_HELLO = 2,
	ENCRYPTED_EXTENSIONS = 8,
	CERTIFICATE = 11,
	CERTIFICATE_REQUEST = 13,
	CERTIFICATE_VERIFY = 15,
	FINISHED = 20,
	MESSAGE_HASH = 254,
};
enum {
	RANDOM_BYTES = 32,
	SESSION_ID_MAX_BYTES = 32,
	VERSION_TLS12 = 0x0303,
	VERSION_TLS13 = 0x0304,
	SUPPORTED_VERSIONS = 43,      /* RFC 8446 §4.2.1 */
	CLIENT_CERTIFICATE_TYPE = 19, /* RFC 7250 §3 */
	SIGNED_PREFIX_BYTES = 64,
};
/* RFC 8446 §4.4.3 */
static const char signed_context[] = "TLS 1.3, client CertificateVerify"; /* and its NUL */

/* SignatureScheme, RFC 8446 §4.2.3: those for CertificateVerify. The key must be of its kind. */
static const struct scheme {
	unsigned number;
	const char *digest; /* NULL: the algorithm has its own */
	const char *key;
	const char *curve; /* NULL: not ECDSA */
} schemes[] = {
    {0x0403, "SHA2-256", "EC", "prime256v1"},
    {0x0503, "SHA2-384", "EC", "secp384r1"},
    {0x0603, "SHA2-512", "EC", "secp521r1"},
    {0x0804, "SHA2-256", "RSA", NULL},
    {0x0805, "SHA2-384", "RSA", NULL},
    {0x0806, "SHA2-512", "RSA", NULL},
    {0x0807, NULL, "ED25519", NULL},
    {0x0808, NULL, "ED448", NULL},
    {0x0809, "SHA2-256", "RSA-PSS", NULL},
    {0x080a, "SHA2-384", "RSA-PSS", NULL},
    {0x080b, "SHA2-512", "RSA-PSS", NULL},
};

/* RFC 7250 §3, RFC 8446 §4.4.2 */
enum certificate_type { CERTIFICATE_X509 = 0, CERTIFICATE_RAW_PUBLIC_KEY = 2 };

struct message {
	enum message_type type;
	struct span whole, body;
};
struct handshake {
	struct message first_hello, retry; /* unset but after a HelloRetryRequest */
	struct message hello, server_hello, certificate_request, client_certificate, verify;
	struct span hashed; /* from hello (or its second) to client_certificate */
	enum hash hash;
	enum certificate_type certificate_type; /* of the client's */
};
struct server_hello {
	bool retry;
	unsigned cipher;
};

static bool parse_handshake(struct span transcript, struct handshake *ret);
static bool get_message(struct span *rest, enum message_type type, struct message *ret);
static bool parse_server_hello(struct span body, struct server_hello *ret);
static bool hash_of_cipher(unsigned cipher, enum hash *ret);
static bool parse_certificate_type(struct span body, enum certificate_type *ret);
static enum proof_result check_nonce(struct span body, const uint8_t *nonce);
static bool parse_leaf(struct span body, enum certificate_type type, struct span *ret_spki);
static enum proof_result check_signature(const struct handshake *h, struct span spki);
static void hash_transcript(const struct handshake *h, uint8_t out[HASH_MAX_BYTES]);
static bool fits(const struct scheme *scheme, EVP_PKEY *key);
static bool verify(unsigned scheme, EVP_PKEY *key, struct span content, struct span signature);
static bool find_extension(struct span extensions, unsigned wanted, struct span *ret);
static bool get_number(struct span *rest, size_t bytes, size_t *ret);
static bool get_vector(struct span *rest, size_t length_bytes, struct span *ret);

enum proof_result proof_verify(
    struct span transcript, const uint8_t nonce[TLS_NONCE_BYTES], struct span *ret_spki)
{
	struct handshake h = {0};
	struct span spki;
	if (transcript.n > TLS_TRANSCRIPT_MAX_BYTES || !parse_handshake(transcript, &h) ||
	    !parse_leaf(h.client_certificate.body, h.certificate_type, &spki))
		return PROOF_MALFORMED;
	enum proof_result result = check_nonce(h.certificate_request.body, nonce);
	if (result == PROOF_GOOD)
		result = check_signature(&h, spki);
	if (result == PROOF_GOOD)
		*ret_spki = spki;
	return result;
}

void proof_prepare(void)
{
	/* Any valid key will do: this one is of RFC 8032 §7.1, test 1. */
	static const uint8_t spki[] = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03,
	    0x21, 0x00, 0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3,
	    0xc9, 0x64, 0x07, 0x3a, 0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02,
	    0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a};
	EVP_PKEY *key = public_key_new(span_of(spki, sizeof(spki)));
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	if (key && context) /* what fails here, fails again where it matters */
		(void)EVP_DigestVerifyInit_ex(context, NULL, NULL, NULL, NULL, key, NULL);
	EVP_MD_CTX_free(context);
	EVP_PKEY_free(key);
	ERR_clear_error();
}

/* The order of messages of RFC 8446 §2 and §4, full handshake with client authentication. */
static bool parse_handshake(struct span transcript, struct handshake *ret)
{
	struct span rest = transcript;
	struct server_hello hello;
	struct message encrypted_extensions, ignored;
	if (!get_message(&rest, CLIENT_HELLO, &ret->hello) ||
	    !get_message(&rest, SERVER_HELLO, &ret->server_hello) ||
	    !parse_server_hello(ret->server_hello.body, &hello))
		return false;
	if (hello.retry) {
		unsigned cipher = hello.cipher;
		ret->first_hello = ret->hello;
		ret->retry = ret->server_hello;
		/* §4.1.4: the ServerHello that follows has the same cipher suite. */
		if (!get_message(&rest, CLIENT_HELLO, &ret->hello) ||
		    !get_message(&rest, SERVER_HELLO, &ret->server_hello) ||
		    !parse_server_hello(ret->server_hello.body, &hello) || hello.retry ||
		    hello.cipher != cipher)
			return false;
	}
	if (!hash_of_cipher(hello.cipher, &ret->hash) ||
	    !get_message(&rest, ENCRYPTED_EXTENSIONS, &encrypted_extensions) ||
	    !parse_certificate_type(encrypted_extensions.body, &ret->certificate_type) ||
	    !get_message(&rest, CERTIFICATE_REQUEST, &ret->certificate_request) ||
	    !get_message(&rest, CERTIFICATE, &ignored) ||
	    !get_message(&rest, CERTIFICATE_VERIFY, &ignored) ||
	    !get_message(&rest, FINISHED, &ignored) ||
	    !get_message(&rest, CERTIFICATE, &ret->client_certificate))
		return false;
	const char *from = ret->hello.whole.p;
	ret->hashed = span_of(from, (size_t)(rest.p - from));
	return get_message(&rest, CERTIFICATE_VERIFY, &ret->verify) && rest.n == 0;
}

static bool get_message(struct span *rest, enum message_type type, struct message *ret)
{
	struct span s = *rest, body;
	size_t found;
	if (!get_number(&s, 1, &found) || found != type || !get_vector(&s, 3, &body))
		return false;
	*ret = (struct message){type, span_sub(*rest, 0, rest->n - s.n), body};
	*rest = s;
	return true;
}

/* RFC 8446 §4.1.3. Nothing but TLS 1.3. */
static bool parse_server_hello(struct span body, struct server_hello *ret)
{
	/* SHA-256 of "HelloRetryRequest" */
	static const uint8_t retry_random[RANDOM_BYTES] = {0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61,
	    0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11, 0x16, 0x7a,
	    0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c};
	size_t legacy_version, cipher, compression, version = 0;
	struct span session_id, extensions, random = span_sub(body, 2, RANDOM_BYTES);
	if (!get_number(&body, 2, &legacy_version) || legacy_version != VERSION_TLS12 ||
	    random.n != RANDOM_BYTES)
		return false;
	body = span_from(body, RANDOM_BYTES);
	if (!get_vector(&body, 1, &session_id) || session_id.n > SESSION_ID_MAX_BYTES ||
	    !get_number(&body, 2, &cipher) || !get_number(&body, 1, &compression) ||
	    compression != 0 || !get_vector(&body, 2, &extensions) || body.n > 0)
		return false;
	struct span data;
	if (!find_extension(extensions, SUPPORTED_VERSIONS, &data) ||
	    !get_number(&data, 2, &version) || data.n > 0)
		return false;
	ret->retry = span_equal(random, span_of(retry_random, RANDOM_BYTES));
	ret->cipher = (unsigned)cipher;
	return version == VERSION_TLS13;
}

/* RFC 8446 §B.4 */
static bool hash_of_cipher(unsigned cipher, enum hash *ret)
{
	if (cipher < 0x1301 || cipher > 0x1305)
		return false;
	*ret = cipher == 0x1302 ? HASH_SHA384 : HASH_SHA256;
	return true;
}

/*
 * EncryptedExtensions, RFC 8446 §4.3.1: what the server took of what the client can send. The
 * client signs this, too, so it cannot be said of a certificate that it is a raw key, or the other
 * way round.
 */
static bool parse_certificate_type(struct span body, enum certificate_type *ret)
{
	struct span extensions, data;
	size_t kind = CERTIFICATE_X509;
	if (!get_vector(&body, 2, &extensions) || body.n > 0 ||
	    !find_extension(extensions, CLIENT_CERTIFICATE_TYPE, &data))
		return false;
	if (span_is_set(data) && (!get_number(&data, 1, &kind) || data.n > 0))
		return false;
	*ret = (enum certificate_type)kind;
	return kind == CERTIFICATE_X509 || kind == CERTIFICATE_RAW_PUBLIC_KEY;
}

/* CertificateRequest, RFC 8446 §4.3.2: exactly one extension of our type, and in it the nonce. */
static enum proof_result check_nonce(struct span body, const uint8_t *nonce)
{
	struct span context, extensions, found;
	if (!get_vector(&body, 1, &context) || context.n > 0 ||
	    !get_vector(&body, 2, &extensions) || body.n > 0 ||
	    !find_extension(extensions, TLS_NONCE_EXTENSION, &found))
		return PROOF_MALFORMED;
	return secret_equal(found, span_of(nonce, TLS_NONCE_BYTES)) ? PROOF_GOOD : PROOF_BAD;
}

/* Certificate, RFC 8446 §4.4.2: at least the leaf; a raw key is alone. */
static bool parse_leaf(struct span body, enum certificate_type type, struct span *ret_spki)
{
	struct span context, list, leaf = SPAN_NONE;
	if (!get_vector(&body, 1, &context) || context.n > 0 || !get_vector(&body, 3, &list) ||
	    body.n > 0)
		return false;
	while (list.n > 0) {
		struct span certificate, extensions;
		bool is_first = !span_is_set(leaf);
		if ((!is_first && type == CERTIFICATE_RAW_PUBLIC_KEY) ||
		    !get_vector(&list, 3, &certificate) || certificate.n == 0 ||
		    !get_vector(&list, 2, &extensions))
			return false;
		if (is_first)
			leaf = certificate;
	}
	if (type == CERTIFICATE_X509)
		return certificate_spki(leaf, ret_spki) == 0;
	*ret_spki = leaf;
	return span_is_set(leaf);
}

/* CertificateVerify, RFC 8446 §4.4.3 */
static enum proof_result check_signature(const struct handshake *h, struct span spki)
{
	struct span rest = h->verify.body, signature;
	size_t scheme;
	if (!get_number(&rest, 2, &scheme) || !get_vector(&rest, 2, &signature) || rest.n > 0)
		return PROOF_MALFORMED;

	char content[SIGNED_PREFIX_BYTES + sizeof(signed_context) + HASH_MAX_BYTES];
	memset(content, ' ', SIGNED_PREFIX_BYTES);
	memcpy(content + SIGNED_PREFIX_BYTES, signed_context, sizeof(signed_context));
	uint8_t *hash = (uint8_t *)content + SIGNED_PREFIX_BYTES + sizeof(signed_context);
	hash_transcript(h, hash);
	size_t n = SIGNED_PREFIX_BYTES + sizeof(signed_context) + hash_bytes(h->hash);

	EVP_PKEY *key = public_key_new(spki);
	bool good = key && verify((unsigned)scheme, key, span_of(content, n), signature);
	EVP_PKEY_free(key);
	ERR_clear_error();
	return good ? PROOF_GOOD : PROOF_BAD;
}

/* RFC 8446 §4.4.1: a first ClientHello is replaced by a message_hash. */
static void hash_transcript(const struct handshake *h, uint8_t out[HASH_MAX_BYTES])
{
	struct hasher *s = hasher_new(h->hash);
	if (span_is_set(h->first_hello.whole)) {
		uint8_t first[HASH_MAX_BYTES];
		uint8_t header[4] = {MESSAGE_HASH, 0, 0, (uint8_t)hash_bytes(h->hash)};
		hash_digest(h->hash, h->first_hello.whole, first);
		hasher_add(s, span_of(header, sizeof(header)));
		hasher_add(s, span_of(first, hash_bytes(h->hash)));
		hasher_add(s, h->retry.whole);
	}
	hasher_add(s, h->hashed);
	hasher_end(s, out);
}

static bool verify(unsigned number, EVP_PKEY *key, struct span content, struct span signature)
{
	const struct scheme *scheme = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++)
		if (schemes[i].number == number)
			scheme = &schemes[i];
	if (!scheme || !fits(scheme, key))
		return false;
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	EVP_PKEY_CTX *key_context = NULL; /* context's */
	bool good = context && EVP_DigestVerifyInit_ex(context, &key_context, scheme->digest, NULL,
				   NULL, key, NULL) == 1;
	if (good && scheme->digest && !scheme->curve)
		good = EVP_PKEY_CTX_set_rsa_padding(key_context, RSA_PKCS1_PSS_PADDING) == 1 &&
		       EVP_PKEY_CTX_set_rsa_pss_saltlen(key_context, RSA_PSS_SALTLEN_DIGEST) == 1;
	good = good && EVP_DigestVerify(context, (const uint8_t *)signature.p, signature.n,
			   (const uint8_t *)content.p, content.n) == 1;
	EVP_MD_CTX_free(context);
	return good;
}

static bool fits(const struct scheme *scheme, EVP_PKEY *key)
{
	char curve[32];
	size_t n;
	if (!EVP_PKEY_is_a(key, scheme->key))
		return false;
	return !scheme->curve || (EVP_PKEY_get_group_name(key, curve, sizeof(curve), &n) == 1 &&
				     span_equal(span_of(curve, n), span_cstr(scheme->curve)));
}

/*
 * Of a list of extensions (RFC 8446 §4.2): unset when it has none of this type; false: malformed,
 * or two.
 */
static bool find_extension(struct span extensions, unsigned wanted, struct span *ret)
{
	*ret = SPAN_NONE;
	while (extensions.n > 0) {
		size_t type;
		struct span data;
		if (!get_number(&extensions, 2, &type) || !get_vector(&extensions, 2, &data) ||
		    (type == wanted && span_is_set(*ret)))
			return false;
		if (type == wanted)
			*ret = data;
	}
	return true;
}

static bool get_number(struct span *rest, size_t bytes, size_t *ret)
{
	if (rest->n < bytes)
		return false;
	size_t number = 0;
	for (size_t i = 0; i < bytes; i++)
		number = number << 8 | (unsigned char)rest->p[i];
	*ret = number;
	*rest = span_from(*rest, bytes);
	return true;
}

/* A vector with its length in front (RFC 8446 §3.4). */
static bool get_vector(struct span *rest, size_t length_bytes, struct span *ret)
{
	struct span s = *rest;
	size_t n;
	if (!get_number(&s, length_bytes, &n) || n > s.n)
		return false;
	*ret = span_sub(s, 0, n);
	*rest = span_from(s, n);
	return true;
}
