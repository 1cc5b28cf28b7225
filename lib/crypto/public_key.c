#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/x509.h>

#include "base/encode.h"
#include "crypto/crypto.h"
#include "crypto/der.h"
#include "crypto/evp.h"

enum { INPUT_MAX_BYTES = 1048576 };

enum family { FAMILY_RSA, FAMILY_RSA_PSS, FAMILY_EC, FAMILY_EDWARDS };
/* The kinds of keys (RFC 3279 §2.3.1, RFC 5480 §2.1, RFC 8410 §3, RFC 4055 §3.1). */
static const struct kind {
	struct span algorithm, curve; /* contents of the OIDs */
	enum family family;
	const char *name, *openssl_name;
} kinds[] = {
    {SPAN("\x2a\x86\x48\xce\x3d\x02\x01"), SPAN("\x2a\x86\x48\xce\x3d\x03\x01\x07"), FAMILY_EC,
	"ecdsa-p256", "prime256v1"},
    {SPAN("\x2a\x86\x48\xce\x3d\x02\x01"), SPAN("\x2b\x81\x04\x00\x22"), FAMILY_EC, "ecdsa-p384",
	"secp384r1"},
    {SPAN("\x2a\x86\x48\xce\x3d\x02\x01"), SPAN("\x2b\x81\x04\x00\x23"), FAMILY_EC, "ecdsa-p521",
	"secp521r1"},
    {SPAN("\x2b\x65\x70"), SPAN_NONE, FAMILY_EDWARDS, "ed25519", "ED25519"},
    {SPAN("\x2b\x65\x71"), SPAN_NONE, FAMILY_EDWARDS, "ed448", "ED448"},
    {SPAN("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"), SPAN_NONE, FAMILY_RSA, "rsa", "RSA"},
    {SPAN("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a"), SPAN_NONE, FAMILY_RSA_PSS, "rsa-pss", NULL},
};

struct spki_parts {
	const struct kind *kind;
	struct span key; /* contents of the BIT STRING */
	struct span modulus, exponent;
	size_t modulus_bits;
};

static int parse_spki(struct span spki, struct spki_parts *ret);
static const struct kind *find_kind(struct span algorithm, struct span parameters);
static int parse_rsa(struct span key, struct spki_parts *parts);
static size_t bits_of(struct span number);
static EVP_PKEY *ec_key_new(const struct spki_parts *parts);
static EVP_PKEY *rsa_key_new(const struct spki_parts *parts);
static EVP_PKEY *key_from_parameters(const char *type, OSSL_PARAM *parameters);
static bool pem_next(struct span *rest, struct span *ret_label, struct span *ret_body);
static int pem_decode(struct span body, struct str *der);
static int append_spki(struct span spki, struct str *out);

int key_type(struct span spki, struct str *out)
{
	struct spki_parts parts;
	int r = parse_spki(spki, &parts);
	if (r < 0)
		return r;
	bool rsa = parts.kind->family == FAMILY_RSA || parts.kind->family == FAMILY_RSA_PSS;
	if (rsa && (parts.modulus_bits < KEY_RSA_MIN_BITS || parts.modulus_bits > KEY_RSA_MAX_BITS))
		return -EOPNOTSUPP;
	EVP_PKEY *key = public_key_new(spki);
	if (!key)
		return -EINVAL;
	EVP_PKEY_free(key);
	str_append_cstr(out, parts.kind->name);
	if (rsa) {
		str_append_char(out, '-');
		str_append_u64(out, parts.modulus_bits);
	}
	return str_error(out);
}

EVP_PKEY *public_key_new(struct span spki)
{
	struct spki_parts parts;
	if (parse_spki(spki, &parts) < 0)
		return NULL;
	switch (parts.kind->family) {
	case FAMILY_EC: return ec_key_new(&parts);
	case FAMILY_EDWARDS:
		return EVP_PKEY_new_raw_public_key_ex(NULL, parts.kind->openssl_name, NULL,
		    (const uint8_t *)parts.key.p, parts.key.n);
	case FAMILY_RSA: return rsa_key_new(&parts);
	case FAMILY_RSA_PSS: break;
	}
	/* Its parameters restrict what may be signed: left to OpenSSL, and too rare to care. */
	const uint8_t *p = (const uint8_t *)spki.p;
	return d2i_PUBKEY_ex(NULL, &p, (long)spki.n, NULL, NULL);
}

/* SubjectPublicKeyInfo, RFC 5280 §4.1. -EINVAL; -EOPNOTSUPP when the kind is unknown. */
static int parse_spki(struct span spki, struct spki_parts *ret)
{
	struct span inner, identifier, algorithm, bits;
	if (!der_get(&spki, DER_SEQUENCE, &inner, NULL) || spki.n > 0 ||
	    !der_get(&inner, DER_SEQUENCE, &identifier, NULL) ||
	    !der_get(&identifier, DER_OID, &algorithm, NULL) ||
	    !der_get(&inner, DER_BIT_STRING, &bits, NULL) || inner.n > 0 || bits.n < 2 ||
	    bits.p[0] != 0)
		return -EINVAL;
	struct spki_parts parts = {.key = span_from(bits, 1)};
	parts.kind = find_kind(algorithm, identifier);
	if (!parts.kind)
		return -EOPNOTSUPP;
	if (parts.kind->family == FAMILY_RSA || parts.kind->family == FAMILY_RSA_PSS) {
		int r = parse_rsa(parts.key, &parts);
		if (r < 0)
			return r;
	}
	*ret = parts;
	return 0;
}

static const struct kind *find_kind(struct span algorithm, struct span parameters)
{
	struct span curve = SPAN_NONE;
	(void)!der_get(&parameters, DER_OID, &curve, NULL); /* only elliptic curves have one */
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (span_equal(kinds[i].algorithm, algorithm) && span_equal(kinds[i].curve, curve))
			return &kinds[i];
	return NULL;
}

/* RSAPublicKey, RFC 8017 §A.1.1. */
static int parse_rsa(struct span key, struct spki_parts *parts)
{
	struct span inner, modulus, exponent;
	if (!der_get(&key, DER_SEQUENCE, &inner, NULL) || key.n > 0 ||
	    !der_get(&inner, DER_INTEGER, &modulus, NULL) ||
	    !der_get(&inner, DER_INTEGER, &exponent, NULL) || inner.n > 0 || modulus.n == 0 ||
	    exponent.n == 0 || ((modulus.p[0] | exponent.p[0]) & 0x80))
		return -EINVAL;
	parts->modulus = modulus;
	parts->exponent = exponent;
	parts->modulus_bits = bits_of(modulus);
	return 0;
}

static size_t bits_of(struct span number)
{
	while (number.n > 0 && number.p[0] == 0)
		number = span_from(number, 1);
	size_t bits = number.n * 8;
	for (unsigned top = 0x80; bits > 0 && !((unsigned char)number.p[0] & top); top >>= 1)
		bits--;
	return bits;
}

static EVP_PKEY *ec_key_new(const struct spki_parts *parts)
{
	OSSL_PARAM parameters[] = {
	    OSSL_PARAM_construct_utf8_string(
		OSSL_PKEY_PARAM_GROUP_NAME, (char *)parts->kind->openssl_name, 0),
	    OSSL_PARAM_construct_octet_string(
		OSSL_PKEY_PARAM_PUB_KEY, (void *)parts->key.p, parts->key.n),
	    OSSL_PARAM_construct_end(),
	};
	return key_from_parameters("EC", parameters);
}

static EVP_PKEY *rsa_key_new(const struct spki_parts *parts)
{
	if (parts->modulus_bits > KEY_RSA_MAX_BITS || bits_of(parts->exponent) > KEY_RSA_MAX_BITS)
		return NULL;
	EVP_PKEY *key = NULL;
	OSSL_PARAM *parameters = NULL;
	OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
	BIGNUM *n = BN_bin2bn((const uint8_t *)parts->modulus.p, (int)parts->modulus.n, NULL);
	BIGNUM *e = BN_bin2bn((const uint8_t *)parts->exponent.p, (int)parts->exponent.n, NULL);
	if (builder && n && e && OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) &&
	    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e))
		parameters = OSSL_PARAM_BLD_to_param(builder);
	if (parameters)
		key = key_from_parameters("RSA", parameters);
	OSSL_PARAM_free(parameters);
	OSSL_PARAM_BLD_free(builder);
	BN_free(n);
	BN_free(e);
	return key;
}

static EVP_PKEY *key_from_parameters(const char *type, OSSL_PARAM *parameters)
{
	EVP_PKEY *key = NULL;
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	if (context && EVP_PKEY_fromdata_init(context) == 1)
		(void)EVP_PKEY_fromdata(
		    context, &key, EVP_PKEY_PUBLIC_KEY, parameters); /* NULL says it */
	EVP_PKEY_CTX_free(context);
	return key;
}

int key_spki_from_input(struct span input, struct str *spki)
{
	if (input.n > INPUT_MAX_BYTES)
		return -EINVAL;
	struct span found, label, body, rest = input;
	while (pem_next(&rest, &label, &body)) {
		bool certificate = span_equal(label, SPAN("CERTIFICATE"));
		if (!certificate && !span_equal(label, SPAN("PUBLIC KEY")))
			continue;
		struct str der cleanup(str_clear) = STR_INIT(INPUT_MAX_BYTES);
		int r = pem_decode(body, &der);
		found = str_span(&der);
		if (r == 0 && certificate)
			r = certificate_spki(str_span(&der), &found);
		return r < 0 ? -EINVAL : append_spki(found, spki);
	}
	if (certificate_spki(input, &found) == 0)
		return append_spki(found, spki);
	return append_spki(input, spki);
}

/* Appends what is an SPKI at least in form: its kind is for key_type() to judge. */
static int append_spki(struct span spki, struct str *out)
{
	struct spki_parts parts;
	if (parse_spki(spki, &parts) == -EINVAL)
		return -EINVAL;
	str_append(out, spki);
	return str_error(out);
}

int certificate_spki(struct span der, struct span *ret_spki)
{
	/*
	 * Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm, signatureValue }, where
	 * tbsCertificate begins with version [0], serialNumber, signature, issuer, validity,
	 * subject, subjectPublicKeyInfo (RFC 5280 §4.1).
	 */
	struct span certificate, tbs, spki;
	if (!der_get(&der, DER_SEQUENCE, &certificate, NULL) || der.n > 0 ||
	    !der_get(&certificate, DER_SEQUENCE, &tbs, NULL) ||
	    !der_get(&certificate, DER_SEQUENCE, NULL, NULL) ||
	    !der_get(&certificate, DER_BIT_STRING, NULL, NULL) || certificate.n > 0)
		return -EINVAL;
	(void)!der_get(&tbs, DER_CONTEXT_0, NULL, NULL); /* version 1 has none */
	if (!der_get(&tbs, DER_INTEGER, NULL, NULL))
		return -EINVAL;
	for (int i = 0; i < 4; i++)
		if (!der_get(&tbs, DER_SEQUENCE, NULL, NULL))
			return -EINVAL;
	if (!der_get(&tbs, DER_SEQUENCE, NULL, &spki))
		return -EINVAL;
	*ret_spki = spki;
	return 0;
}

/*
 * Takes the next block of textual encoding (RFC 7468 §2): the label and what is between the lines.
 */
static bool pem_next(struct span *rest, struct span *ret_label, struct span *ret_body)
{
	size_t at = span_find(*rest, SPAN("-----BEGIN "));
	if (at == SIZE_MAX)
		return false;
	struct span s = span_from(*rest, at + sizeof("-----BEGIN ") - 1);
	size_t label_end = span_find(s, SPAN("-----"));
	if (label_end == SIZE_MAX)
		return false;
	*ret_label = span_sub(s, 0, label_end);
	s = span_from(s, label_end + sizeof("-----") - 1);
	size_t body_end = span_find(s, SPAN("-----END "));
	if (body_end == SIZE_MAX)
		return false;
	*ret_body = span_sub(s, 0, body_end);
	*rest = span_from(s, body_end);
	return true;
}

static int pem_decode(struct span body, struct str *der)
{
	struct str text cleanup(str_clear) = STR_INIT(INPUT_MAX_BYTES);
	struct span word;
	while (span_next_word(&body, " \t\r\n", &word))
		str_append(&text, word);
	return base64_decode(str_span(&text), der);
}
