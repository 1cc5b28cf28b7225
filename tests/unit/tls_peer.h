#ifndef POSTERN_TESTS_TLS_PEER_H
#define POSTERN_TESTS_TLS_PEER_H
/*
 * A TLS client in a thread, made of OpenSSL alone, for tests of the server: it connects over one
 * end of a socket pair, waits for one byte, and ends.
 */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base.h"
#include "tls/tls.h"

#define PEER_HAS_RAW_PUBLIC_KEYS (OPENSSL_VERSION_NUMBER >= 0x30200000L)

enum { PEER_TIMEOUT_MS = 20000, PEER_PEM_MAX_BYTES = 65536 };

struct peer {
	EVP_PKEY *key; /* NULL: no certificate */
	bool raw;      /* the key itself instead of a certificate: PEER_HAS_RAW_PUBLIC_KEYS */
	int chain;     /* further certificates, of about chain_bytes more than the smallest */
	int chain_bytes;
	int hello_bytes; /* of a private extension in the ClientHello */
	const char *groups, *suites, *name;
	int max_version;
	uint64_t options; /* SSL_OP_… */
	int fd;
	/* out */
	bool connected;
	unsigned char exporter[32];
	unsigned char finished[64];
	size_t finished_bytes;
	pthread_t thread;
};

static inline EVP_PKEY *peer_key(const char *kind)
{
	EVP_PKEY *key = NULL;
	if (kind[0] == 'P')
		return EVP_EC_gen(kind);
	if (strncmp(kind, "RSA", 3) != 0)
		return EVP_PKEY_Q_keygen(NULL, NULL, kind);
	bool weak = strcmp(kind, "RSA-1024") == 0;
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(
	    NULL, strcmp(kind, "RSA-PSS") == 0 ? "RSA-PSS" : "RSA", NULL);
	if (EVP_PKEY_keygen_init(context) != 1 ||
	    EVP_PKEY_CTX_set_rsa_keygen_bits(context, weak ? 1024 : 2048) != 1 ||
	    EVP_PKEY_generate(context, &key) != 1)
		abort();
	EVP_PKEY_CTX_free(context);
	return key;
}

static inline X509 *peer_certificate(EVP_PKEY *key)
{
	X509 *x = X509_new();
	bool own_digest = EVP_PKEY_is_a(key, "ED25519") || EVP_PKEY_is_a(key, "ED448");
	X509_set_pubkey(x, key); /* expired in 1970, and without a name: nobody looks */
	X509_gmtime_adj(X509_getm_notBefore(x), 0);
	ASN1_TIME_set(X509_getm_notAfter(x), 0);
	X509_sign(x, key, own_digest ? NULL : EVP_sha256());
	return x;
}

/* Any certificates at all, each with a comment of so many bytes. */
static inline STACK_OF(X509) * peer_chain(int count, int bytes)
{
	STACK_OF(X509) *chain = sk_X509_new_null();
	EVP_PKEY *key = peer_key("P-256");
	char *comment = xmalloc((size_t)bytes + 1);
	memset(comment, 'x', (size_t)bytes);
	comment[bytes] = '\0';
	for (int i = 0; i < count; i++) {
		X509 *x = peer_certificate(key);
		X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, NID_netscape_comment, comment);
		if (bytes &&
		    (!e || X509_add_ext(x, e, -1) != 1 || !X509_sign(x, key, EVP_sha256())))
			abort();
		X509_EXTENSION_free(e);
		sk_X509_push(chain, x);
	}
	free(comment);
	EVP_PKEY_free(key);
	return chain;
}

/* Of a ClientHello: some bytes that nobody knows. */
static inline int peer_add_extension(SSL *ssl, unsigned type, unsigned where,
    const unsigned char **ret_bytes, size_t *ret_n, X509 *x, size_t index, int *alert,
    void *context)
{
	static const unsigned char bytes[65536];
	(void)ssl, (void)type, (void)where, (void)x, (void)index, (void)alert;
	*ret_bytes = bytes;
	*ret_n = (size_t)((struct peer *)context)->hello_bytes;
	return 1;
}

static inline void *peer_run(void *argument)
{
	struct peer *p = argument;
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_security_level(context, 0);
	if (p->groups && SSL_CTX_set1_groups_list(context, p->groups) != 1)
		abort();
	if (p->suites && SSL_CTX_set_ciphersuites(context, p->suites) != 1)
		abort();
	if (p->max_version)
		SSL_CTX_set_max_proto_version(context, p->max_version);
	SSL_CTX_set_options(context, p->options);
#if PEER_HAS_RAW_PUBLIC_KEYS
	static const unsigned char raw = TLSEXT_cert_type_rpk;
	if (p->raw && SSL_CTX_set1_client_cert_type(context, &raw, 1) != 1)
		abort();
#endif
	if (p->key) {
		X509 *x = peer_certificate(p->key);
		STACK_OF(X509) *chain = peer_chain(p->chain, p->chain_bytes);
		if (SSL_CTX_use_cert_and_key(context, x, p->key, chain, 1) != 1)
			abort();
		sk_X509_pop_free(chain, X509_free);
		X509_free(x);
	}
	if (p->hello_bytes && SSL_CTX_add_custom_ext(context, 0xffa0, SSL_EXT_CLIENT_HELLO,
				  peer_add_extension, NULL, p, NULL, NULL) != 1)
		abort();
	SSL *ssl = SSL_new(context);
	SSL_set_fd(ssl, p->fd);
	if (p->name)
		SSL_set_tlsext_host_name(ssl, p->name);
	char byte;
	p->connected = SSL_connect(ssl) == 1 && SSL_read(ssl, &byte, 1) == 1;
	(void)SSL_export_keying_material(ssl, p->exporter, sizeof(p->exporter),
	    "EXPORTER-Channel-Binding", 24, NULL, 0, 0); /* meaningless if not connected */
	p->finished_bytes = SSL_get_finished(ssl, p->finished, sizeof(p->finished));
	SSL_free(ssl);
	SSL_CTX_free(context);
	close(p->fd);
	ERR_clear_error();
	OPENSSL_thread_stop();
	return NULL;
}

/* Starts the peer; the channel of the other end. */
static inline struct channel peer_start(struct peer *p)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		abort();
	p->fd = pair[1];
	if (pthread_create(&p->thread, NULL, peer_run, p) != 0)
		abort();
	return channel_fd(pair[0]);
}

/* Accepts, sends the one byte, and waits for the peer's end. NULL when the handshake failed. */
static inline struct tls *peer_accept(struct tls_server *server, struct peer *p, struct str *error)
{
	struct tls *t = NULL;
	struct channel below = peer_start(p);
	int r = tls_accept(server, below, monotonic_ms() + PEER_TIMEOUT_MS, &t, error);
	if (r == 0) {
		short wait;
		struct channel c = tls_channel(t);
		if (c.ops->write(c.context, "x", 1, &wait) != 1)
			abort();
	}
	pthread_join(p->thread, NULL);
	return t;
}

static inline void peer_tls_free(struct tls *t)
{
	if (t) {
		struct channel c = tls_channel(t);
		channel_close(&c);
	}
}
#endif
