#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "tls/connection.h"

/*
 * No finite-field groups (RFC 7919): they cost a server up to a hundred times as much per
 * handshake, and no client that speaks TLS 1.2 is without curves.
 */
#define CURVES "X25519:P-256:P-384:P-521:X448"
#if OPENSSL_VERSION_NUMBER >= 0x30500000L
#define SERVER_GROUPS "X25519MLKEM768:" CURVES
#else
#define SERVER_GROUPS CURVES
#endif

struct tls_server {
	SSL_CTX *context;
	struct identity *identities;
	size_t count;
	uint8_t nonce[TLS_NONCE_BYTES];
};

static bool configure(struct tls_server *t, bool request_client_certificate);
static int accept_any_certificate(X509_STORE_CTX *store, void *context);
static int add_nonce(SSL *ssl, unsigned type, unsigned where, const unsigned char **ret_bytes,
    size_t *ret_n, X509 *certificate, size_t chain_index, int *alert, void *context);
static int choose_identity(SSL *ssl, int *alert, void *context);
static bool use_identity(SSL *ssl, const struct identity *identity);

/* Of tls_prepare(), for the first tls_server_new(). */
static SSL_CTX *prepared;

void tls_prepare(void)
{
	if (!prepared)
		prepared = SSL_CTX_new(TLS_server_method());
}

int tls_server_new(const struct tls_identity *identities, size_t count,
    bool request_client_certificate, const uint8_t nonce[TLS_NONCE_BYTES], struct tls_server **ret,
    struct str *ret_error)
{
	if (count == 0) {
		str_append_cstr(ret_error, "no certificate is configured");
		return -EINVAL;
	}
	struct tls_server *t = xcalloc(1, sizeof(*t));
	t->identities = xcalloc(count, sizeof(*t->identities));
	if (nonce)
		memcpy(t->nonce, nonce, sizeof(t->nonce));
	int r = 0;
	for (; r == 0 && t->count < count; t->count++)
		r = identity_load(&identities[t->count], &t->identities[t->count], ret_error);
	if (r == 0) {
		t->context = prepared ? prepared : SSL_CTX_new(TLS_server_method());
		prepared = NULL;
		if (!t->context || !configure(t, request_client_certificate))
			r = tls_error(-EINVAL, ret_error, "TLS cannot be set up");
	}
	if (r < 0)
		tls_server_free(t);
	else
		*ret = t;
	return r;
}

void tls_server_free(struct tls_server *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->count; i++)
		identity_clear(&t->identities[i]);
	free(t->identities);
	SSL_CTX_free(t->context);
	free(t);
}

static bool configure(struct tls_server *t, bool request_client_certificate)
{
	SSL_CTX *context = t->context;
	SSL_CTX_set_options(context, TLS_OPTIONS);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_tlsext_servername_callback(context, choose_identity);
	SSL_CTX_set_tlsext_servername_arg(context, t);
	if (SSL_CTX_set_num_tickets(context, 0) != 1 ||
	    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 ||
	    SSL_CTX_set1_groups_list(context, SERVER_GROUPS) != 1)
		return false;
	if (!request_client_certificate)
		return true;
	SSL_CTX_set_max_cert_list(context, TLS_CLIENT_CERTIFICATES_MAX_BYTES);
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_cert_verify_callback(context, accept_any_certificate, NULL);
#if TLS_HAS_RAW_PUBLIC_KEYS
	static const uint8_t kinds[] = {TLSEXT_cert_type_rpk, TLSEXT_cert_type_x509};
	if (SSL_CTX_set1_client_cert_type(context, kinds, sizeof(kinds)) != 1)
		return false;
#endif
	return SSL_CTX_add_custom_ext(context, TLS_NONCE_EXTENSION,
		   SSL_EXT_TLS1_3_CERTIFICATE_REQUEST, add_nonce, NULL, t, NULL, NULL) == 1;
}

/* The key is the identity; who signed the certificate, if there is one, says nothing. */
static int accept_any_certificate(X509_STORE_CTX *store, void *context)
{
	(void)context;
	X509_STORE_CTX_set_error(store, X509_V_OK);
	return 1;
}

static int add_nonce(SSL *ssl, unsigned type, unsigned where, const unsigned char **ret_bytes,
    size_t *ret_n, X509 *certificate, size_t chain_index, int *alert, void *context)
{
	const struct tls_server *t = context;
	(void)ssl;
	(void)type;
	(void)where;
	(void)certificate;
	(void)chain_index;
	(void)alert;
	*ret_bytes = t->nonce;
	*ret_n = sizeof(t->nonce);
	return 1;
}

static int choose_identity(SSL *ssl, int *alert, void *context)
{
	const struct tls_server *t = context;
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	bool chosen = false;
	(void)alert;
	if (!name)
		return SSL_TLSEXT_ERR_NOACK;
	/* Backwards: of several with the same kind of key, the one set last counts. */
	for (size_t i = t->count; i-- > 0;) {
		if (X509_check_host(t->identities[i].leaf, name, 0, 0, NULL) != 1)
			continue;
		if (!chosen)
			SSL_certs_clear(ssl);
		if (!use_identity(ssl, &t->identities[i]))
			return SSL_TLSEXT_ERR_ALERT_FATAL;
		chosen = true;
	}
	return SSL_TLSEXT_ERR_OK;
}

static bool use_identity(SSL *ssl, const struct identity *identity)
{
	return SSL_use_cert_and_key(ssl, identity->leaf, identity->key, identity->chain, 1) == 1;
}

int tls_accept(struct tls_server *server, struct channel below, int64_t deadline_ms,
    struct tls **ret, struct str *ret_error)
{
	struct tls *t = tls_new(SSL_new(server->context), below);
	if (!t || !use_identity(t->ssl, &server->identities[0])) {
		tls_free(t);
		return tls_error(-EPROTO, ret_error, "TLS cannot be set up");
	}
	SSL_set_accept_state(t->ssl);
	if (SSL_get_verify_mode(t->ssl) != SSL_VERIFY_NONE)
		tls_record(t);
	int r = tls_handshake(t, deadline_ms, ret_error);
	if (r < 0) {
		tls_free(t);
		return r;
	}
	/* No second handshake ever: what is left of the private keys is the server's. */
	SSL_certs_clear(t->ssl);
	*ret = t;
	return 0;
}
