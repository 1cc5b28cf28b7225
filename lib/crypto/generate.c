#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "crypto/crypto.h"

enum {
	SERIAL_BYTES = 16,
	COMMON_NAME_MAX_CHARS = 64, /* ub-common-name */
	DNS_NAME_MAX_BYTES = 253,
	BACKDATE_S = 86400, /* for clocks that are behind */
	SERVER_DAYS = 3650,
	X509_VERSION_3_VALUE = 2,
};

static X509 *certificate_new(EVP_PKEY *key, struct span name);
static bool set_serial(X509 *certificate);
static bool set_name(X509 *certificate, struct span name);
static bool set_server_extensions(X509 *certificate, const struct span *names, size_t count);
static bool set_alternative_names(X509 *certificate, const struct span *names, size_t count);
static bool push_name(GENERAL_NAMES *list, int type, ASN1_STRING *value);
static ASN1_STRING *new_string(struct span bytes, bool octets);
static bool set_extension(X509 *certificate, int nid, const char *value);
static int finish(
    EVP_PKEY *key, X509 *certificate, struct str *key_pem, struct str *certificate_pem);
static int append_bio(BIO *bio, struct str *out);
static char *name_cstr(struct span name);

int key_generate(enum key_kind kind, struct span name, struct str *key_pem,
    struct str *certificate_pem, struct str *ret_seed)
{
	if (kind == KEY_ED25519) {
		char seed[KEY_SEED_BYTES];
		random_bytes(seed, sizeof(seed));
		int r = key_from_seed(span_of(seed, sizeof(seed)), name, key_pem, certificate_pem);
		if (r == 0 && ret_seed) {
			str_append(ret_seed, span_of(seed, sizeof(seed)));
			r = str_error(ret_seed);
		}
		explicit_bzero(seed, sizeof(seed));
		return r;
	}
	EVP_PKEY *key = EVP_EC_gen("P-256");
	int r = key ? finish(key, certificate_new(key, name), key_pem, certificate_pem) : -EIO;
	EVP_PKEY_free(key);
	return r;
}

int key_from_seed(
    struct span seed, struct span name, struct str *key_pem, struct str *certificate_pem)
{
	if (seed.n != KEY_SEED_BYTES)
		return -EINVAL;
	EVP_PKEY *key =
	    EVP_PKEY_new_raw_private_key_ex(NULL, "ED25519", NULL, (const uint8_t *)seed.p, seed.n);
	int r = key ? finish(key, certificate_new(key, name), key_pem, certificate_pem) : -EIO;
	EVP_PKEY_free(key);
	return r;
}

int key_generate_server(
    const struct span *names, size_t count, struct str *key_pem, struct str *certificate_pem)
{
	struct span name =
	    count > 0 && names[0].n <= COMMON_NAME_MAX_CHARS ? names[0] : SPAN("server");
	EVP_PKEY *key = EVP_EC_gen("P-256");
	if (!key)
		return -EIO;
	X509 *certificate = certificate_new(key, name);
	if (certificate &&
	    (!X509_gmtime_adj(X509_getm_notAfter(certificate), SERVER_DAYS * 86400L) ||
		!set_server_extensions(certificate, names, count))) {
		X509_free(certificate);
		certificate = NULL;
	}
	int r = finish(key, certificate, key_pem, certificate_pem);
	EVP_PKEY_free(key);
	return r;
}

/* Self-signed but for the signature; NULL: the name does not do. */
static X509 *certificate_new(EVP_PKEY *key, struct span name)
{
	X509 *certificate = X509_new();
	if (certificate && X509_set_version(certificate, X509_VERSION_3_VALUE) &&
	    set_serial(certificate) && set_name(certificate, name) &&
	    X509_gmtime_adj(X509_getm_notBefore(certificate), -BACKDATE_S) &&
	    /* "no well-defined expiration date", RFC 5280 §4.1.2.5 */
	    ASN1_TIME_set_string(X509_getm_notAfter(certificate), "99991231235959Z") &&
	    X509_set_pubkey(certificate, key))
		return certificate;
	X509_free(certificate);
	return NULL;
}

static bool set_serial(X509 *certificate)
{
	uint8_t bytes[SERIAL_BYTES];
	random_bytes(bytes, sizeof(bytes));
	bytes[0] = (uint8_t)((bytes[0] & 0x7f) | 0x40); /* positive, and of one length */
	BIGNUM *number = BN_bin2bn(bytes, sizeof(bytes), NULL);
	bool good = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));
	BN_free(number);
	return good;
}

static bool set_name(X509 *certificate, struct span name)
{
	if (name.n == 0 || name.n > (size_t)COMMON_NAME_MAX_CHARS * 4)
		return false;
	X509_NAME *subject = X509_NAME_new();
	bool good = subject &&
		    X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8,
			(const uint8_t *)name.p, (int)name.n, -1, 0) &&
		    X509_set_subject_name(certificate, subject) &&
		    X509_set_issuer_name(certificate, subject);
	X509_NAME_free(subject);
	return good;
}

static bool set_server_extensions(X509 *certificate, const struct span *names, size_t count)
{
	return set_extension(certificate, NID_basic_constraints, "critical,CA:FALSE") &&
	       set_extension(certificate, NID_key_usage, "critical,digitalSignature") &&
	       set_extension(certificate, NID_ext_key_usage, "serverAuth") &&
	       set_alternative_names(certificate, names, count);
}

static bool set_alternative_names(X509 *certificate, const struct span *names, size_t count)
{
	static const char loopback_6[16] = {[15] = 1};
	GENERAL_NAMES *list = GENERAL_NAMES_new();
	bool good = list != NULL;
	for (size_t i = 0; good && i < count; i++)
		good = names[i].n > 0 && names[i].n <= DNS_NAME_MAX_BYTES &&
		       span_is_ascii(names[i]) &&
		       push_name(list, GEN_DNS, new_string(names[i], false));
	good =
	    good && push_name(list, GEN_IPADD, new_string(SPAN("\x7f\x00\x00\x01"), true)) &&
	    push_name(list, GEN_IPADD, new_string(span_of(loopback_6, sizeof(loopback_6)), true)) &&
	    X509_add1_ext_i2d(certificate, NID_subject_alt_name, list, 0, 0) == 1;
	GENERAL_NAMES_free(list);
	return good;
}

/* Takes the value over. */
static bool push_name(GENERAL_NAMES *list, int type, ASN1_STRING *value)
{
	GENERAL_NAME *name = GENERAL_NAME_new();
	if (!name || !value) {
		ASN1_STRING_free(value);
		GENERAL_NAME_free(name);
		return false;
	}
	GENERAL_NAME_set0_value(name, type, value);
	if (sk_GENERAL_NAME_push(list, name) > 0)
		return true;
	GENERAL_NAME_free(name);
	return false;
}

static ASN1_STRING *new_string(struct span bytes, bool octets)
{
	ASN1_STRING *s = octets ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();
	if (s && !ASN1_STRING_set(s, bytes.p, (int)bytes.n)) {
		ASN1_STRING_free(s);
		return NULL;
	}
	return s;
}

static bool set_extension(X509 *certificate, int nid, const char *value)
{
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
	bool good = extension && X509_add_ext(certificate, extension, -1);
	X509_EXTENSION_free(extension);
	return good;
}

/* Signs, and appends both as PEM; frees the certificate, which may be NULL: -EINVAL. */
static int finish(
    EVP_PKEY *key, X509 *certificate, struct str *key_pem, struct str *certificate_pem)
{
	if (!certificate)
		return -EINVAL;
	/* Ed25519 signs the message itself and takes no digest. */
	const EVP_MD *digest = EVP_PKEY_is_a(key, "ED25519") ? NULL : EVP_sha256();
	BIO *key_bio = BIO_new(BIO_s_secmem()), *certificate_bio = BIO_new(BIO_s_mem());
	int r = -EIO;
	if (key_bio && certificate_bio && X509_sign(certificate, key, digest) > 0 &&
	    PEM_write_bio_PrivateKey(key_bio, key, NULL, NULL, 0, NULL, NULL) &&
	    PEM_write_bio_X509(certificate_bio, certificate)) {
		r = append_bio(key_bio, key_pem);
		int r2 = append_bio(certificate_bio, certificate_pem);
		r = r < 0 ? r : r2;
	}
	BIO_free(key_bio);
	BIO_free(certificate_bio);
	X509_free(certificate);
	return r;
}

static int append_bio(BIO *bio, struct str *out)
{
	char *bytes;
	long n = BIO_get_mem_data(bio, &bytes);
	str_append(out, span_of(bytes, (size_t)n));
	return str_error(out);
}

int key_pkcs12(struct span key_pem, struct span certificate_pem, struct span name,
    const char *passphrase, struct str *p12)
{
	char *friendly_name = name_cstr(name);
	BIO *key_bio = BIO_new_mem_buf(key_pem.p ? key_pem.p : "", (int)key_pem.n);
	BIO *certificate_bio =
	    BIO_new_mem_buf(certificate_pem.p ? certificate_pem.p : "", (int)certificate_pem.n);
	BIO *out = BIO_new(BIO_s_secmem());
	EVP_PKEY *key = NULL;
	X509 *certificate = NULL;
	PKCS12 *container = NULL;
	int r = -EIO;
	if (!friendly_name || !key_bio || !certificate_bio || !out)
		goto end;
	r = -EINVAL;
	key = PEM_read_bio_PrivateKey(key_bio, NULL, NULL, (void *)"");
	certificate = PEM_read_bio_X509(certificate_bio, NULL, NULL, (void *)"");
	if (!key || !certificate)
		goto end;
	/* Zeros: the library's defaults, which are PBES2 with AES-256 and an HMAC with SHA-256. */
	container = PKCS12_create(passphrase, friendly_name, key, certificate, NULL, 0, 0, 0, 0, 0);
	if (container && i2d_PKCS12_bio(out, container) == 1)
		r = append_bio(out, p12);
end:
	PKCS12_free(container);
	X509_free(certificate);
	EVP_PKEY_free(key);
	BIO_free(out);
	BIO_free(certificate_bio);
	BIO_free(key_bio);
	free(friendly_name);
	return r;
}

static char *name_cstr(struct span name)
{
	if (span_index(name, '\0') != SIZE_MAX)
		return NULL;
	char *copy = xcalloc(1, name.n + 1);
	if (name.n > 0)
		memcpy(copy, name.p, name.n);
	return copy;
}
