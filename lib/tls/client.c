#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "crypto/crypto.h"
#include "tls/connection.h"

static int context_new(
    const struct tls_client_options *options, SSL_CTX **ret, struct str *ret_error);
static int trust(SSL_CTX *context, struct span ca_pem, struct str *ret_error);
static int use_client_key(SSL_CTX *context, const struct tls_identity *pem, struct str *ret_error);
static int check_pin(X509_STORE_CTX *store, void *context);
static bool set_name(SSL *ssl, const struct tls_client_options *options);

int tls_connect(const struct tls_client_options *options, struct channel below, int64_t deadline_ms,
    struct tls **ret, struct str *ret_error)
{
	SSL_CTX *context = NULL;
	int r = context_new(options, &context, ret_error);
	if (r < 0) {
		channel_close(&below);
		return r;
	}
	struct tls *t = tls_new(SSL_new(context), below);
	SSL_CTX_free(context); /* the connection holds on to it */
	if (!t || !set_name(t->ssl, options)) {
		tls_free(t);
		return tls_error(-EINVAL, ret_error, "TLS cannot be set up");
	}
	SSL_set_connect_state(t->ssl);
	r = tls_handshake(t, deadline_ms, ret_error);
	if (r < 0) {
		tls_free(t);
		return r;
	}
	SSL_certs_clear(t->ssl);
	*ret = t;
	return 0;
}

int tls_client_check(const struct tls_client_options *options, struct str *ret_error)
{
	SSL_CTX *context = NULL;
	int r = context_new(options, &context, ret_error);
	SSL_CTX_free(context);
	return r;
}

static int context_new(
    const struct tls_client_options *options, SSL_CTX **ret, struct str *ret_error)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	if (!context || SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1) {
		SSL_CTX_free(context);
		return tls_error(-EINVAL, ret_error, "TLS cannot be set up");
	}
	SSL_CTX_set_options(context, TLS_OPTIONS);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	int r = 0;
	switch (options->verify) {
	case TLS_VERIFY_PKIX:
		SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
		r = trust(context, options->ca_pem, ret_error);
		break;
	case TLS_VERIFY_PIN:
		SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
		SSL_CTX_set_cert_verify_callback(context, check_pin, (void *)options);
		break;
	case TLS_VERIFY_NONE: break;
	}
	if (r == 0 && span_is_set(options->client.key_pem))
		r = use_client_key(context, &options->client, ret_error);
	if (r < 0)
		SSL_CTX_free(context);
	else
		*ret = context;
	return r;
}

static int trust(SSL_CTX *context, struct span ca_pem, struct str *ret_error)
{
	X509_STORE *store = SSL_CTX_get_cert_store(context);
	if (!span_is_set(ca_pem)) {
		if (X509_STORE_load_path(store, TLS_CA_FOLDER) == 1)
			return 0;
		return tls_error(-EINVAL, ret_error, TLS_CA_FOLDER);
	}
	STACK_OF(X509) *authorities = certificates_load(ca_pem);
	bool good = authorities != NULL;
	for (int i = 0; good && i < sk_X509_num(authorities); i++)
		good = X509_STORE_add_cert(store, sk_X509_value(authorities, i)) == 1;
	sk_X509_pop_free(authorities, X509_free);
	return good ? 0 : tls_error(-EINVAL, ret_error, "CA certificates cannot be read");
}

static int use_client_key(SSL_CTX *context, const struct tls_identity *pem, struct str *ret_error)
{
	struct identity identity;
	int r = identity_load(pem, &identity, ret_error);
	if (r < 0)
		return r;
	if (SSL_CTX_use_cert_and_key(context, identity.leaf, identity.key, identity.chain, 1) != 1)
		r = tls_error(-EINVAL, ret_error, "client certificate");
	identity_clear(&identity);
	return r;
}

/* During the handshake, so that the client's certificate is not shown to a stranger. */
static int check_pin(X509_STORE_CTX *store, void *context)
{
	const struct tls_client_options *options = context;
	uint8_t hash[HASH_MAX_BYTES];
	struct span spki;
	unsigned char *der = NULL;
	int n = i2d_X509(X509_STORE_CTX_get0_cert(store), &der);
	bool good = n > 0 && certificate_spki(span_of(der, (size_t)n), &spki) == 0;
	if (good) {
		hash_digest(HASH_SHA256, spki, hash);
		good = memcmp(hash, options->pin, sizeof(options->pin)) == 0;
	}
	OPENSSL_free(der);
	X509_STORE_CTX_set_error(store, good ? X509_V_OK : X509_V_ERR_CERT_UNTRUSTED);
	return good;
}

static bool set_name(SSL *ssl, const struct tls_client_options *options)
{
	const char *name = options->server_name;
	uint8_t address[sizeof(struct in6_addr)];
	if (!name)
		return options->verify != TLS_VERIFY_PKIX;
	bool is_address =
	    inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1;
	if (!is_address && SSL_set_tlsext_host_name(ssl, name) != 1)
		return false;
	if (options->verify != TLS_VERIFY_PKIX)
		return true;
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (is_address)
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
	return SSL_set1_host(ssl, name) == 1;
}
