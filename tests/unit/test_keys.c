/* Keys: fingerprints, types, SPKI from every form of input, and keys made here. */
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include "base/encode.h"
#include "crypto/crypto.h"
#include "tap.h"

enum { PEM_MAX = 65536 };

/* A public key of that kind: its SPKI. */
static void make_spki(EVP_PKEY *key, struct str *spki)
{
	unsigned char *der = NULL;
	int n = i2d_PUBKEY(key, &der);
	str_reset(spki);
	str_append(spki, span_of(der, (size_t)n));
	OPENSSL_free(der);
	EVP_PKEY_free(key);
}

static void check_type(struct span spki, int want_result, const char *want)
{
	struct str type cleanup(str_clear) = STR_INIT(32);
	check_int(key_type(spki, &type), want_result);
	check_span(str_span(&type), span_cstr(want));
}

static void test_seeds(void)
{
	static const struct {
		const char *spki, *fingerprint;
	} cases[] = {
	    {"302a300506032b65700321003b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59d"
	     "a29",
		"M54v-RdjBQe2pCO1zghOKF0fpl2Ts-J6YZXTu-vJriM"},
	    {"302a300506032b657003210003a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc866412553"
	     "1b8",
		"oFCDfYUHBYLM9zlLCYiEfMMSy4glm4lImfbyOc8XkaU"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char seed[KEY_SEED_BYTES], fingerprint[FINGERPRINT_CHARS + 1];
		for (size_t k = 0; k < sizeof(seed); k++)
			seed[k] = i == 0 ? 0 : (char)k;
		struct str key cleanup(str_clear) = STR_INIT(PEM_MAX);
		struct str certificate cleanup(str_clear) = STR_INIT(PEM_MAX);
		struct str spki cleanup(str_clear) = STR_INIT(PEM_MAX);
		struct str want cleanup(str_clear) = STR_INIT(PEM_MAX);
		check_int(
		    key_from_seed(span_of(seed, sizeof(seed)), SPAN("laptop"), &key, &certificate),
		    0);
		check_int(key_spki_from_input(str_span(&certificate), &spki), 0);
		check_int(hex_decode(span_cstr(cases[i].spki), &want), 0);
		check_span(str_span(&spki), str_span(&want));
		key_fingerprint(str_span(&spki), fingerprint);
		check_span(span_cstr(fingerprint), span_cstr(cases[i].fingerprint));
		check_type(str_span(&spki), 0, "ed25519");
		check_int(key_from_seed(span_of(seed, 31), SPAN("x"), &key, &certificate), -EINVAL);
	}
}

static void test_types(void)
{
	struct str spki cleanup(str_clear) = STR_INIT(PEM_MAX);
	struct str cut cleanup(str_clear) = STR_INIT(PEM_MAX);
	make_spki(EVP_EC_gen("P-256"), &spki);
	check_type(str_span(&spki), 0, "ecdsa-p256");
	bool cuts_refused = true;
	for (size_t i = 0; i < spki.n; i++)
		cuts_refused = cuts_refused && key_type(span_sub(str_span(&spki), 0, i), &cut) < 0;
	check(cuts_refused && cut.n == 0);
	spki.data[spki.n - 1] ^= 1; /* a point that is not on the curve */
	check_type(str_span(&spki), -EINVAL, "");
	make_spki(EVP_EC_gen("P-384"), &spki);
	check_type(str_span(&spki), 0, "ecdsa-p384");
	make_spki(EVP_EC_gen("P-521"), &spki);
	check_type(str_span(&spki), 0, "ecdsa-p521");
	make_spki(EVP_EC_gen("secp256k1"), &spki);
	check_type(str_span(&spki), -EOPNOTSUPP, "");
	make_spki(EVP_PKEY_Q_keygen(NULL, NULL, "ED448"), &spki);
	check_type(str_span(&spki), 0, "ed448");
	make_spki(EVP_PKEY_Q_keygen(NULL, NULL, "X25519"), &spki);
	check_type(str_span(&spki), -EOPNOTSUPP, "");
	make_spki(EVP_RSA_gen(2048), &spki);
	check_type(str_span(&spki), 0, "rsa-2048");
	make_spki(EVP_RSA_gen(1024), &spki);
	check_type(str_span(&spki), -EOPNOTSUPP, "");
	EVP_PKEY *pss = NULL;
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA-PSS", NULL);
	check(EVP_PKEY_keygen_init(context) == 1 &&
	      EVP_PKEY_CTX_set_rsa_keygen_bits(context, 2048) == 1 &&
	      EVP_PKEY_generate(context, &pss) == 1);
	EVP_PKEY_CTX_free(context);
	make_spki(pss, &spki);
	check_type(str_span(&spki), 0, "rsa-pss-2048");
	check_type(SPAN("nonsense"), -EINVAL, "");
	check_type(SPAN_NONE, -EINVAL, "");
}

static void test_input(void)
{
	struct str key cleanup(str_clear) = STR_INIT(PEM_MAX);
	struct str certificate cleanup(str_clear) = STR_INIT(PEM_MAX);
	struct str seed cleanup(str_clear) = STR_INIT(KEY_SEED_BYTES);
	struct str spki cleanup(str_clear) = STR_INIT(PEM_MAX);
	struct str again cleanup(str_clear) = STR_INIT(PEM_MAX);
	struct str both cleanup(str_clear) = STR_INIT(PEM_MAX);
	check_int(key_generate(KEY_P256, SPAN("m\xc3\xbcller"), &key, &certificate, &seed), 0);
	check_int(seed.n, 0);
	check_int(key_spki_from_input(str_span(&certificate), &spki), 0);
	check_type(str_span(&spki), 0, "ecdsa-p256");

	/* A file that begins with the private key, as sendmail's does. */
	str_append(&both, str_span(&key));
	str_append(&both, str_span(&certificate));
	check_int(key_spki_from_input(str_span(&both), &again), 0);
	check_span(str_span(&again), str_span(&spki));
	check_int(key_spki_from_input(str_span(&key), &again), -EINVAL);

	/* DER certificate, DER SPKI, PEM public key. */
	BIO *bio = BIO_new_mem_buf(certificate.data, (int)certificate.n);
	X509 *x = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	BIO_free(bio);
	unsigned char *der = NULL;
	size_t n = (size_t)i2d_X509(x, &der);
	str_reset(&again);
	check_int(key_spki_from_input(span_of(der, n), &again), 0);
	check_span(str_span(&again), str_span(&spki));
	bool cuts_refused = true;
	for (size_t i = 0; i < n; i++) {
		str_reset(&again);
		cuts_refused =
		    cuts_refused && key_spki_from_input(span_of(der, i), &again) == -EINVAL;
	}
	check(cuts_refused);
	OPENSSL_free(der);
	str_reset(&again);
	check_int(key_spki_from_input(str_span(&spki), &again), 0);
	check_span(str_span(&again), str_span(&spki));

	bio = BIO_new(BIO_s_mem());
	check(PEM_write_bio_PUBKEY(bio, X509_get0_pubkey(x)) == 1);
	char *text;
	n = (size_t)BIO_get_mem_data(bio, &text);
	str_reset(&again);
	check_int(key_spki_from_input(span_of(text, n), &again), 0);
	check_span(str_span(&again), str_span(&spki));
	BIO_free(bio);

	char line[100];
	X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, line, sizeof(line));
	check_span(span_cstr(line), SPAN("m\xc3\xbcller"));
	struct tm end;
	check(ASN1_TIME_to_tm(X509_get0_notAfter(x), &end) == 1 && end.tm_year == 9999 - 1900);
	check(X509_verify(x, X509_get0_pubkey(x)) == 1);
	X509_free(x);

	check_int(key_generate(KEY_ED25519, SPAN(""), &key, &certificate, &seed), -EINVAL);
	check_int(key_generate(KEY_ED25519, SPAN("\xff\xfe"), &key, &certificate, &seed), -EINVAL);
	check_int(key_generate(KEY_ED25519, SPAN("x"), &key, &certificate, &seed), 0);
	check_int(seed.n, KEY_SEED_BYTES);
	struct str small cleanup(str_clear) = STR_INIT(10);
	check_int(key_generate(KEY_ED25519, SPAN("x"), &key, &small, NULL), -EMSGSIZE);
}

static void test_server(void)
{
	struct str key cleanup(str_clear) = STR_INIT(PEM_MAX);
	struct str certificate cleanup(str_clear) = STR_INIT(PEM_MAX);
	struct span names[] = {SPAN("localhost"), SPAN("mail.example")};
	check_int(key_generate_server(names, 2, &key, &certificate), 0);
	BIO *bio = BIO_new_mem_buf(certificate.data, (int)certificate.n);
	X509 *x = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	BIO_free(bio);
	check_int(X509_check_host(x, "localhost", 0, 0, NULL), 1);
	check_int(X509_check_host(x, "mail.example", 0, 0, NULL), 1);
	check_int(X509_check_host(x, "other.example", 0, 0, NULL), 0);
	check_int(X509_check_ip_asc(x, "127.0.0.1", 0), 1);
	check_int(X509_check_ip_asc(x, "::1", 0), 1);
	check_int(X509_check_purpose(x, X509_PURPOSE_SSL_SERVER, 0), 1);
	X509_free(x);
	names[1] = SPAN("m\xc3\xbcller.example");
	check_int(key_generate_server(names, 2, &key, &certificate), -EINVAL);
}

static void test_pkcs12(void)
{
	struct str key cleanup(str_clear) = STR_INIT(PEM_MAX);
	struct str certificate cleanup(str_clear) = STR_INIT(PEM_MAX);
	struct str other cleanup(str_clear) = STR_INIT(PEM_MAX);
	struct str p12 cleanup(str_clear) = STR_INIT(PEM_MAX);
	check_int(key_generate(KEY_P256, SPAN("phone"), &key, &certificate, NULL), 0);
	check_int(
	    key_pkcs12(str_span(&key), str_span(&certificate), SPAN("phone"), "secret", &p12), 0);
	const unsigned char *p = (const unsigned char *)p12.data;
	PKCS12 *container = d2i_PKCS12(NULL, &p, (long)p12.n);
	EVP_PKEY *out_key = NULL;
	X509 *out_certificate = NULL;
	check(PKCS12_parse(container, "wrong", &out_key, &out_certificate, NULL) == 0);
	check(PKCS12_parse(container, "secret", &out_key, &out_certificate, NULL) == 1);
	check(X509_check_private_key(out_certificate, out_key) == 1);
	EVP_PKEY_free(out_key);
	X509_free(out_certificate);
	PKCS12_free(container);
	check_int(key_generate(KEY_P256, SPAN("other"), &other, &p12, NULL), 0);
	str_reset(&p12);
	check_int(
	    key_pkcs12(str_span(&other), str_span(&certificate), SPAN("x"), "s", &p12), -EINVAL);
	check_int(key_pkcs12(SPAN("junk"), str_span(&certificate), SPAN("x"), "s", &p12), -EINVAL);
	check_int(p12.n, 0);
}

int main(void)
{
	alarm(60);
	check_int(crypto_init(), 0);
	test_seeds();
	test_types();
	test_input();
	test_server();
	test_pkcs12();
	ERR_clear_error();
	return tap_end();
}
