/* TLS over channels: facts, names, verification, half-close, hostile peers, and the gate's cage. */
#include "tls/tls.h"

#include <fcntl.h>
#include <openssl/pem.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/wait.h>

#include "crypto/crypto.h"
#include "tap.h"
#include "tls/proof.h"
#include "tls_peer.h"

enum { BULK_BYTES = 1 << 20 };

static const uint8_t nonce[TLS_NONCE_BYTES] = {1, 2, 3};

struct pem {
	struct str key, certificate;
};

static struct pem make_server_pem(const char *name)
{
	struct pem p = {STR_INIT(PEER_PEM_MAX_BYTES), STR_INIT(PEER_PEM_MAX_BYTES)};
	struct span names = span_cstr(name);
	check_int(key_generate_server(&names, 1, &p.key, &p.certificate), 0);
	return p;
}

static struct pem make_client_pem(enum key_kind kind)
{
	struct pem p = {STR_INIT(PEER_PEM_MAX_BYTES), STR_INIT(PEER_PEM_MAX_BYTES)};
	check_int(key_generate(kind, SPAN("client"), &p.key, &p.certificate, NULL), 0);
	return p;
}

static void pem_clear(struct pem *p)
{
	str_clear_secret(&p->key);
	str_clear(&p->certificate);
}

static struct tls_identity identity_of(const struct pem *p)
{
	return (struct tls_identity){str_span(&p->certificate), str_span(&p->key)};
}

static struct tls_server *new_server(const struct pem *p, size_t count, bool request)
{
	struct str error cleanup(str_clear) = STR_INIT(1000);
	struct tls_identity identities[4];
	struct tls_server *server = NULL;
	for (size_t i = 0; i < count; i++)
		identities[i] = identity_of(&p[i]);
	check_int(tls_server_new(identities, count, request, nonce, &server, &error), 0);
	check_int(error.n, 0);
	return server;
}

static struct span sha256_of_certificate(const struct pem *p, uint8_t out[HASH_MAX_BYTES])
{
	BIO *bio = BIO_new_mem_buf(p->certificate.data, (int)p->certificate.n);
	X509 *x = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	unsigned char *der = NULL;
	int n = i2d_X509(x, &der);
	hash_digest(HASH_SHA256, span_of(der, (size_t)n), out);
	OPENSSL_free(der);
	X509_free(x);
	BIO_free(bio);
	return span_of(out, 32);
}

static void test_facts(void)
{
	struct str error cleanup(str_clear) = STR_INIT(1000);
	struct pem p cleanup(pem_clear) = make_server_pem("localhost");
	struct tls_server *server = new_server(&p, 1, true);
	struct tls_facts facts;
	uint8_t hash[HASH_MAX_BYTES];

	struct peer peer = {.name = "localhost"};
	struct tls *t = peer_accept(server, &peer, &error);
	tls_get_facts(t, &facts);
	check_int(facts.version, TLS1_3_VERSION);
	check_span(facts.server_name, SPAN("localhost"));
	check(span_starts_with(facts.cipher, SPAN("TLS_")));
	check_span(facts.exporter, span_of(peer.exporter, sizeof(peer.exporter)));
	check_span(facts.server_end_point, sha256_of_certificate(&p, hash));
	check(!span_is_set(facts.unique) && !span_is_set(facts.client_spki));
	check(!span_is_set(facts.transcript));
	tls_forget_facts(t);
	tls_get_facts(t, &facts);
	check(!span_is_set(facts.exporter) && facts.version == 0);
	peer_tls_free(t);

	peer = (struct peer){.key = peer_key("P-256"), .max_version = TLS1_2_VERSION};
	t = peer_accept(server, &peer, &error);
	tls_get_facts(t, &facts);
	check_int(facts.version, TLS1_2_VERSION);
	check(!span_is_set(facts.server_name) && !span_is_set(facts.exporter));
	check_span(facts.unique, span_of(peer.finished, peer.finished_bytes));
	check_int(facts.unique.n, 12);
	check_span(facts.server_end_point, sha256_of_certificate(&p, hash));
	check(span_is_set(facts.client_spki) && !span_is_set(facts.transcript));
	peer_tls_free(t);
	EVP_PKEY_free(peer.key);

	/*
	 * Without extended master secret somebody between could make tls-unique the same
	 * (RFC 7627 §1).
	 */
	peer = (struct peer){
	    .max_version = TLS1_2_VERSION, .options = SSL_OP_NO_EXTENDED_MASTER_SECRET};
	t = peer_accept(server, &peer, &error);
	check(t != NULL && peer.connected);
	tls_get_facts(t, &facts);
	check_int(facts.version, TLS1_2_VERSION);
	check(!span_is_set(facts.unique) && !span_is_set(facts.exporter));
	check_span(facts.server_end_point, sha256_of_certificate(&p, hash));
	peer_tls_free(t);

#if PEER_HAS_RAW_PUBLIC_KEYS
	/* RFC 7250: the key is the same with and without a certificate, whatever the version. */
	struct str spki cleanup(str_clear) = STR_INIT(1000);
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		peer = (struct peer){.key = peer_key("P-256"), .max_version = version};
		for (int raw = 0; raw <= 1; raw++) {
			peer.raw = raw;
			t = peer_accept(server, &peer, &error);
			check(t != NULL && peer.connected);
			tls_get_facts(t, &facts);
			if (!raw)
				str_append(&spki, facts.client_spki);
			check_span(facts.client_spki, str_span(&spki));
			check_int(span_is_set(facts.transcript), version == TLS1_3_VERSION);
			peer_tls_free(t);
		}
		str_reset(&spki);
		EVP_PKEY_free(peer.key);
	}
#endif
	/* Weak keys complete the handshake: they are unknown keys, no more. */
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		peer = (struct peer){.key = peer_key("RSA-1024"), .max_version = version};
		t = peer_accept(server, &peer, &error);
		check(t != NULL && peer.connected);
		tls_get_facts(t, &facts);
		check(span_is_set(facts.client_spki));
		peer_tls_free(t);
		EVP_PKEY_free(peer.key);
	}
	peer = (struct peer){.max_version = TLS1_1_VERSION};
	check(!peer_accept(server, &peer, &error) && !peer.connected);
	check_span(str_span(&error), SPAN("TLS handshake: unsupported protocol"));
	tls_server_free(server);

	/* Not asked: the client's certificate stays where it is. */
	server = new_server(&p, 1, false);
	peer = (struct peer){.key = peer_key("ED25519")};
	t = peer_accept(server, &peer, &error);
	tls_get_facts(t, &facts);
	check(peer.connected && !span_is_set(facts.client_spki) && !span_is_set(facts.transcript));
	peer_tls_free(t);
	EVP_PKEY_free(peer.key);
	tls_server_free(server);

	/* Ed25519 signs without a hash: tls-server-end-point is not defined. */
	struct pem edwards cleanup(pem_clear) = make_client_pem(KEY_ED25519);
	server = new_server(&edwards, 1, true);
	peer = (struct peer){0};
	t = peer_accept(server, &peer, &error);
	tls_get_facts(t, &facts);
	check(!span_is_set(facts.server_end_point) && span_is_set(facts.exporter));
	peer_tls_free(t);
	tls_server_free(server);
}

static void test_names(void)
{
	struct str error cleanup(str_clear) = STR_INIT(1000);
	struct pem p[3] = {make_server_pem("one.example"), make_server_pem("two.example"),
	    make_server_pem("two.example")};
	static const struct {
		const char *name;
		int want;
	} cases[] = {{"one.example", 0}, {"two.example", 1}, {"TWO.example", 1},
	    {"other.example", 0}, {NULL, 0}};
	struct tls_server *server = new_server(p, 3, true);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint8_t hash[HASH_MAX_BYTES];
		struct tls_facts facts;
		struct peer peer = {.name = cases[i].name};
		struct tls *t = peer_accept(server, &peer, &error);
		tls_get_facts(t, &facts);
		check_span(facts.server_end_point, sha256_of_certificate(&p[cases[i].want], hash));
		peer_tls_free(t);
	}
	tls_server_free(server);

	/* What cannot be served is said with a sentence. */
	struct tls_identity mixed = {str_span(&p[0].certificate), str_span(&p[1].key)};
	check_int(tls_server_new(&mixed, 1, true, nonce, &server, &error), -EINVAL);
	check(span_starts_with(
	    str_span(&error), SPAN("certificate and private key do not belong together")));
	mixed.key_pem = SPAN("junk");
	check_int(tls_server_new(&mixed, 1, true, nonce, &server, &error), -EINVAL);
	mixed.certificate_pem = SPAN_NONE;
	check_int(tls_server_new(&mixed, 1, true, nonce, &server, &error), -EINVAL);
	check_int(tls_server_new(NULL, 0, true, nonce, &server, &error), -EINVAL);
	for (size_t i = 0; i < ARRAY_SIZE(p); i++)
		pem_clear(&p[i]);
}

/* One file with everything in it, in any order; other kinds of keys; an encrypted key. */
static void test_identities(void)
{
	static const char *const kinds[] = {"RSA", "RSA-PSS", "P-384", "ED448"};
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct str error cleanup(str_clear) = STR_INIT(1000);
		struct tls_server *server = NULL;
		EVP_PKEY *key = peer_key(kinds[i]);
		X509 *x = peer_certificate(key);
		char *text;
		BIO *plain = BIO_new(BIO_s_mem()), *encrypted = BIO_new(BIO_s_mem());
		check(PEM_write_bio_X509(plain, x) &&
		      PEM_write_bio_PrivateKey(plain, key, NULL, NULL, 0, NULL, NULL));
		struct span all = {.n = (size_t)BIO_get_mem_data(plain, &text)};
		all.p = text;
		struct tls_identity identity = {all, all};
		check_int(tls_server_new(&identity, 1, true, nonce, &server, &error), 0);
		struct peer peer = {0};
		struct tls *t = peer_accept(server, &peer, &error);
		struct tls_facts facts = {0};
		if (check(t != NULL && peer.connected))
			tls_get_facts(t, &facts);
		check(span_is_set(facts.server_end_point) == (strcmp(kinds[i], "ED448") != 0));
		peer_tls_free(t);
		tls_server_free(server);

		if (EVP_get_cipherbyname("AES-128-CBC")) { /* else lean: no way to make one */
			check(PEM_write_bio_PrivateKey(
			    encrypted, key, EVP_aes_128_cbc(), NULL, 0, NULL, (void *)"secret"));
			identity.key_pem.n = (size_t)BIO_get_mem_data(encrypted, &text);
			identity.key_pem.p = text;
			check_int(
			    tls_server_new(&identity, 1, true, nonce, &server, &error), -EINVAL);
			check(
			    span_starts_with(str_span(&error), SPAN("private key cannot be read")));
		}
		BIO_free(plain);
		BIO_free(encrypted);
		X509_free(x);
		EVP_PKEY_free(key);
	}
}

/*
 * The client of tls.h in a thread: connects, says hello, sends bulk, half-closes, reads to the end.
 */
struct client {
	struct tls_client_options options;
	size_t bulk_bytes;
	struct channel below;
	int result;
	struct str error;
	struct tls_facts facts;
	struct tls *tls;
	size_t received;
	bool good_end;
	pthread_t thread;
};

static void *client_run(void *argument)
{
	struct client *c = argument;
	int64_t deadline_ms = monotonic_ms() + PEER_TIMEOUT_MS;
	c->result = tls_connect(&c->options, c->below, deadline_ms, &c->tls, &c->error);
	if (c->result == 0) {
		char buffer[4096] = "";
		ssize_t n;
		struct stream *s = stream_new(tls_channel(c->tls)); /* owns it */
		for (size_t i = 0; i < c->bulk_bytes; i += sizeof(buffer))
			stream_write(s, span_of(buffer, sizeof(buffer)));
		c->good_end = stream_shutdown(s) == 0;
		while ((n = stream_read(s, buffer, sizeof(buffer))) > 0)
			c->received += (size_t)n;
		c->good_end = c->good_end && n == 0;
		stream_free(s);
	}
	OPENSSL_thread_stop();
	return NULL;
}

/* Serves one client: reads to its half-close, then sends as much back. */
static int serve(struct tls_server *server, struct client *c)
{
	int pair[2];
	struct str error cleanup(str_clear) = STR_INIT(1000);
	struct tls *t;
	check_int(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	c->below = channel_fd(pair[1]);
	str_init(&c->error, 1000);
	check_int(pthread_create(&c->thread, NULL, client_run, c), 0);
	int64_t deadline_ms = monotonic_ms() + PEER_TIMEOUT_MS;
	int r = tls_accept(server, channel_fd(pair[0]), deadline_ms, &t, &error);
	if (r == 0) {
		char buffer[5000];
		size_t got = 0;
		ssize_t n;
		struct stream *s = stream_new(tls_channel(t));
		while ((n = stream_read(s, buffer, sizeof(buffer))) > 0)
			got += (size_t)n;
		if (c->result == 0)
			check(n == 0 && got == c->bulk_bytes);
		memset(buffer, 'x', sizeof(buffer));
		for (size_t left = got; left > 0; left -= MIN(left, sizeof(buffer)))
			stream_write(s, span_of(buffer, MIN(left, sizeof(buffer))));
		int end = stream_shutdown(s);
		check(end == 0 || got == 0); /* who refused our certificate is gone by now */
		stream_free(s);
	}
	pthread_join(c->thread, NULL);
	return r;
}

static void check_client(struct tls_server *server, struct tls_client_options options,
    size_t bulk_bytes, int want, const char *want_error)
{
	struct client c = {.options = options, .bulk_bytes = bulk_bytes};
	(void)serve(
	    server, &c); /* with TLS 1.3 the server may end well before the client refuses */
	check_int(c.result, want);
	check_span(str_span(&c.error), span_cstr(want_error));
	if (want == 0)
		check(c.good_end && c.received == bulk_bytes);
	str_clear(&c.error);
}

static void test_client(void)
{
	struct pem p cleanup(pem_clear) = make_server_pem("localhost");
	struct pem other cleanup(pem_clear) = make_server_pem("localhost");
	struct pem key cleanup(pem_clear) = make_client_pem(KEY_ED25519);
	struct str spki cleanup(str_clear) = STR_INIT(1000);
	struct tls_server *server = new_server(&p, 1, true);
	struct tls_client_options pkix = {.server_name = "localhost",
	    .verify = TLS_VERIFY_PKIX,
	    .ca_pem = str_span(&p.certificate)};

	check_client(server, pkix, BULK_BYTES, 0, "");
	pkix.client = identity_of(&key);
	check_client(server, pkix, 0, 0, "");
	pkix.server_name = "127.0.0.1";
	check_client(server, pkix, 0, 0, "");
	pkix.server_name = "::1";
	check_client(server, pkix, 0, 0, "");
	pkix.server_name = "127.0.0.2";
	check_client(server, pkix, 0, -EKEYREJECTED,
	    "TLS handshake: server certificate: IP address mismatch");
	pkix.server_name = "other.example";
	check_client(
	    server, pkix, 0, -EKEYREJECTED, "TLS handshake: server certificate: hostname mismatch");
	pkix.server_name = "localhost";
	pkix.ca_pem = str_span(&other.certificate);
	check_client(server, pkix, 0, -EKEYREJECTED,
	    "TLS handshake: server certificate: self-signed certificate");
	pkix.ca_pem = SPAN_NONE; /* the system's */
	check_client(server, pkix, 0, -EKEYREJECTED,
	    "TLS handshake: server certificate: self-signed certificate");

	struct tls_client_options pin = {.verify = TLS_VERIFY_PIN};
	uint8_t hash[HASH_MAX_BYTES];
	check_int(key_spki_from_input(str_span(&p.certificate), &spki), 0);
	hash_digest(HASH_SHA256, str_span(&spki), hash);
	memcpy(pin.pin, hash, sizeof(pin.pin));
	check_client(server, pin, 0, 0, "");
	pin.pin[31] ^= 1;
	check_client(server, pin, 0, -EKEYREJECTED,
	    "TLS handshake: server certificate: certificate not trusted");

	struct tls_client_options none = {.verify = TLS_VERIFY_NONE, .server_name = "any.example"};
	check_client(server, none, 100 * 4096, 0, "");
	tls_server_free(server);
}

/* What both sides can bind to is the same. */
static void *connect_run(void *argument)
{
	struct client *c = argument;
	c->result = tls_connect(
	    &c->options, c->below, monotonic_ms() + PEER_TIMEOUT_MS, &c->tls, &c->error);
	if (c->result == 0)
		tls_get_facts(c->tls, &c->facts);
	OPENSSL_thread_stop();
	return NULL;
}

/* Our client and our server, connected; both are the caller's. */
static struct tls *connect_both(struct tls_server *server, struct client *c)
{
	int pair[2];
	struct str error cleanup(str_clear) = STR_INIT(1000);
	struct tls *t = NULL;
	str_init(&c->error, 1000);
	check_int(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	c->below = channel_fd(pair[1]);
	check_int(pthread_create(&c->thread, NULL, connect_run, c), 0);
	check_int(
	    tls_accept(server, channel_fd(pair[0]), monotonic_ms() + PEER_TIMEOUT_MS, &t, &error),
	    0);
	pthread_join(c->thread, NULL);
	check_int(c->result, 0);
	str_clear(&c->error);
	return t;
}

static void test_bindings(void)
{
	struct pem p cleanup(pem_clear) = make_server_pem("localhost");
	struct pem key cleanup(pem_clear) = make_client_pem(KEY_P256);
	struct tls_server *server = new_server(&p, 1, true);
	struct client c = {.options = {.verify = TLS_VERIFY_NONE, .client = identity_of(&key)}};
	struct tls_facts facts;
	struct tls *t = connect_both(server, &c);
	tls_get_facts(t, &facts);
	check_int(c.facts.version, facts.version);
	check_span(c.facts.exporter, facts.exporter);
	check_span(c.facts.server_end_point, facts.server_end_point);
	check(span_is_set(facts.client_spki) && !span_is_set(c.facts.client_spki));

	/* The end without close_notify, and nothing there yet. */
	char byte;
	short wait = 0;
	struct channel up = tls_channel(t);
	check_int(up.ops->read(up.context, &byte, 1, &wait), -EAGAIN);
	check_int(wait, POLLIN);
	int raw = dup(tls_channel(c.tls).fd_in);
	(void)shutdown(raw, SHUT_RDWR);
	close(raw);
	check_int(up.ops->read(up.context, &byte, 1, &wait), 0);
	check(up.ops->write(up.context, "x", 1, &wait) < 0);
	channel_close(&up);
	peer_tls_free(c.tls);
	tls_server_free(server);
}

/* A server made of OpenSSL alone, which has nothing newer than TLS 1.2. */
struct old_server {
	const struct pem *pem;
	uint64_t options; /* SSL_OP_… */
	int fd;
	bool connected;
	unsigned char finished[64]; /* the client's */
	size_t finished_bytes;
};

static void *old_server_run(void *argument)
{
	struct old_server *o = argument;
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	BIO *certificate = BIO_new_mem_buf(o->pem->certificate.data, (int)o->pem->certificate.n);
	BIO *private = BIO_new_mem_buf(o->pem->key.data, (int)o->pem->key.n);
	X509 *x = PEM_read_bio_X509(certificate, NULL, NULL, NULL);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(private, NULL, NULL, NULL);
	SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
	SSL_CTX_set_options(context, o->options);
	if (SSL_CTX_use_cert_and_key(context, x, key, NULL, 1) != 1)
		abort();
	SSL *ssl = SSL_new(context);
	SSL_set_fd(ssl, o->fd);
	o->connected = SSL_accept(ssl) == 1;
	o->finished_bytes = SSL_get_peer_finished(ssl, o->finished, sizeof(o->finished));
	SSL_free(ssl);
	X509_free(x);
	EVP_PKEY_free(key);
	BIO_free(certificate);
	BIO_free(private);
	SSL_CTX_free(context);
	close(o->fd);
	ERR_clear_error();
	OPENSSL_thread_stop();
	return NULL;
}

/* tls-unique of our client: the first Finished as the server saw it, if it may be used at all. */
static void test_client_of_old_server(void)
{
	struct pem p cleanup(pem_clear) = make_server_pem("localhost");
	static const uint64_t cases[] = {0, SSL_OP_NO_EXTENDED_MASTER_SECRET};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int pair[2];
		uint8_t hash[HASH_MAX_BYTES];
		pthread_t thread;
		struct str error cleanup(str_clear) = STR_INIT(1000);
		struct tls_client_options options = {.verify = TLS_VERIFY_NONE};
		struct tls_facts facts = {0};
		struct tls *t = NULL;
		check_int(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
		struct old_server o = {.pem = &p, .options = cases[i], .fd = pair[0]};
		check_int(pthread_create(&thread, NULL, old_server_run, &o), 0);
		check_int(tls_connect(&options, channel_fd(pair[1]),
			      monotonic_ms() + PEER_TIMEOUT_MS, &t, &error),
		    0);
		pthread_join(thread, NULL);
		if (check(t != NULL && o.connected))
			tls_get_facts(t, &facts);
		check_int(facts.version, TLS1_2_VERSION);
		check_int(o.finished_bytes, 12);
		check_span(
		    facts.unique, cases[i] ? SPAN_NONE : span_of(o.finished, o.finished_bytes));
		check(span_is_set(facts.unique) == (cases[i] == 0));
		check(!span_is_set(facts.exporter));
		check_span(facts.server_end_point, sha256_of_certificate(&p, hash));
		peer_tls_free(t);
	}
}

/* hash: "" for keys that sign without one. RSA-PSS says it in parameters. */
static X509 *signed_certificate(EVP_PKEY *key, const char *hash, bool pss)
{
	X509 *x = peer_certificate(key);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	EVP_PKEY_CTX *parameters;
	if (EVP_DigestSignInit_ex(
		context, &parameters, hash[0] ? hash : NULL, NULL, NULL, key, NULL) != 1 ||
	    (pss && EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING) != 1) ||
	    X509_sign_ctx(x, context) <= 0)
		abort();
	EVP_MD_CTX_free(context);
	return x;
}

/* RFC 5929 §4.1: with which hash each certificate is hashed, on both sides. */
struct end_point {
	const char *kind, *hash;
	bool pss;
	const char *want; /* NULL: there is none */
};

static void check_end_point(const struct end_point *e)
{
	struct str error cleanup(str_clear) = STR_INIT(1000);
	unsigned char digest[EVP_MAX_MD_SIZE], *der = NULL;
	size_t bytes = 0;
	char *text, label[100];
	EVP_PKEY *key = peer_key(e->kind);
	X509 *x = signed_certificate(key, e->hash, e->pss);
	int n = i2d_X509(x, &der);
	if (e->want)
		check_int(EVP_Q_digest(NULL, e->want, NULL, der, (size_t)n, digest, &bytes), 1);
	BIO *pem = BIO_new(BIO_s_mem());
	check(PEM_write_bio_X509(pem, x) &&
	      PEM_write_bio_PrivateKey(pem, key, NULL, NULL, 0, NULL, NULL));
	struct span all = {.n = (size_t)BIO_get_mem_data(pem, &text)};
	all.p = text;
	struct tls_identity identity = {all, all};
	struct tls_server *server = NULL;
	check_int(tls_server_new(&identity, 1, true, nonce, &server, &error), 0);
	(void)snprintf(
	    label, sizeof(label), "%s, signed with %s%s", e->kind, e->pss ? "PSS, " : "", e->hash);

	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		struct peer peer = {.max_version = version};
		struct tls_facts facts = {0};
		struct tls *t = peer_accept(server, &peer, &error);
		if (check(t != NULL && peer.connected))
			tls_get_facts(t, &facts);
		check_int(facts.version, version);
		check_named(span_is_set(facts.server_end_point) == (e->want != NULL) &&
				span_equal(facts.server_end_point, span_of(digest, bytes)),
		    label);
		peer_tls_free(t);
	}
	struct client c = {.options = {.verify = TLS_VERIFY_NONE}};
	struct tls *t = connect_both(server, &c);
	check_named(span_is_set(c.facts.server_end_point) == (e->want != NULL) &&
			span_equal(c.facts.server_end_point, span_of(digest, bytes)),
	    label);
	peer_tls_free(t);
	peer_tls_free(c.tls);
	tls_server_free(server);
	BIO_free(pem);
	OPENSSL_free(der);
	X509_free(x);
	EVP_PKEY_free(key);
}

static void test_end_points(void)
{
	static const struct end_point cases[] = {
	    {"P-256", "SHA256", false, "SHA256"},
	    {"P-256", "SHA384", false, "SHA384"},
	    {"P-384", "SHA512", false, "SHA512"},
	    {"P-256", "SHA224", false, "SHA224"},
	    {"P-256", "SHA1", false, "SHA256"},
	    {"RSA", "SHA384", false, "SHA384"},
	    {"RSA", "SHA512", false, "SHA512"},
	    {"RSA", "SHA224", false, "SHA224"},
	    {"RSA", "SHA1", false, "SHA256"},
	    {"RSA", "MD5", false, "SHA256"},
	    {"RSA", "SHA256", true, "SHA256"},
	    {"RSA", "SHA384", true, "SHA384"},
	    {"RSA", "SHA1", true, "SHA256"},
	    {"RSA-PSS", "SHA384", true, "SHA384"},
	    {"ED25519", "", false, NULL},
	    {"ED448", "", false, NULL},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		check_end_point(&cases[i]);
}

static void test_hostile(void)
{
	struct pem p cleanup(pem_clear) = make_server_pem("localhost");
	struct tls_server *server = new_server(&p, 1, true);
	static const struct {
		const char *bytes;
		bool close;
		int want;
		const char *error;
	} cases[] = {
	    {"", false, -ETIMEDOUT, "TLS handshake: timed out"},
	    {"\x16\x03\x01", false, -ETIMEDOUT, "TLS handshake: timed out"},
	    {"", true, -ECONNRESET, "TLS handshake: connection closed by the peer"},
	    {"\x16\x03\x01", true, -ECONNRESET, "TLS handshake: connection closed by the peer"},
	    {"a1 CAPABILITY\r\n", false, -EPROTO, "TLS handshake: wrong version number"},
	    {"GET / HTTP/1.1\r\n", true, -EPROTO, "TLS handshake: http request"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int pair[2];
		struct str error cleanup(str_clear) = STR_INIT(1000);
		struct tls *t = NULL;
		check_int(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
		check(write(pair[1], cases[i].bytes, strlen(cases[i].bytes)) >= 0);
		if (cases[i].close)
			close_fd(&pair[1]);
		check_int(tls_accept(server, channel_fd(pair[0]), monotonic_ms() + 100, &t, &error),
		    cases[i].want);
		check_span(str_span(&error), span_cstr(cases[i].error));
		close_fd(&pair[1]);
	}
	tls_server_free(server);
}

#ifndef __SANITIZE_ADDRESS__ /* its runtime makes calls of its own */
/* Only what the gate may call; anything else ends the process. */
static bool enter_cage(void)
{
	static const char *const calls[] = {"read", "write", "readv", "writev", "close", "poll",
	    "ppoll", "brk", "mmap", "munmap", "mprotect", "madvise", "futex", "getrandom",
	    "clock_gettime", "getpid", "sendmsg", "recvmsg", "sendto", "recvfrom", "shutdown",
	    "exit_group", "rt_sigreturn"};
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	bool good = filter != NULL;
	for (size_t i = 0; good && i < ARRAY_SIZE(calls); i++)
		good = seccomp_rule_add(
			   filter, SCMP_ACT_ALLOW, seccomp_syscall_resolve_name(calls[i]), 0) == 0;
	good = good && seccomp_load(filter) == 0;
	seccomp_release(filter);
	return good;
}

static void caged(struct tls_server *server, struct channel below)
{
	struct tls *t;
	struct tls_facts facts;
	struct span spki;
	struct str error = STR_INIT(1000);
	short wait;
	if (!enter_cage())
		_exit(2);
	if (tls_accept(server, below, monotonic_ms() + PEER_TIMEOUT_MS, &t, &error) < 0)
		_exit(3);
	tls_get_facts(t, &facts);
	if (span_is_set(facts.transcript) &&
	    proof_verify(facts.transcript, nonce, &spki) != PROOF_GOOD)
		_exit(4);
	struct channel up = tls_channel(t);
	if (up.ops->write(up.context, "x", 1, &wait) != 1)
		_exit(5);
	uint8_t hash[HASH_MAX_BYTES];
	hash_hi(HASH_SHA256, SPAN("x"), SPAN("y"), 4096, hash);
	hash_hmac(HASH_SHA256, SPAN("x"), SPAN("y"), hash);
	random_bytes(hash, sizeof(hash));
	tls_forget_facts(t);
	channel_close(&up);
	tls_server_free(server);
	_exit(0);
}

static void test_cage(void)
{
	static const struct {
		const char *kind;
		int version;
	} cases[] = {{NULL, TLS1_3_VERSION}, {"ED25519", TLS1_3_VERSION}, {"P-256", TLS1_3_VERSION},
	    {"P-521", TLS1_3_VERSION}, {"RSA", TLS1_3_VERSION}, {"RSA-PSS", TLS1_3_VERSION},
	    {"ED448", TLS1_3_VERSION}, {"P-256", TLS1_2_VERSION}, {"RSA", TLS1_2_VERSION}};
	struct pem p cleanup(pem_clear) = make_server_pem("localhost");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int pair[2], status;
		check_int(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
		fflush(stdout);
		pid_t child = fork();
		if (child == 0) {
			close_fd(&pair[1]);
			caged(new_server(&p, 1, true), channel_fd(pair[0]));
		}
		close_fd(&pair[0]);
		struct peer peer = {.key = cases[i].kind ? peer_key(cases[i].kind) : NULL,
		    .max_version = cases[i].version,
		    .fd = pair[1]};
		(void)peer_run(&peer);
		EVP_PKEY_free(peer.key);
		check_int(waitpid(child, &status, 0), child);
		check_int(status, 0);
		check(peer.connected);
	}
}
#endif

int main(int argc, char **argv)
{
	alarm(110);
	(void)signal(SIGPIPE, SIG_IGN);
	bool lean = argc > 1 && strcmp(argv[1], "lean") == 0;
	check_int(lean ? crypto_init_lean() : crypto_init(), 0);
#ifndef __SANITIZE_ADDRESS__
	test_cage(); /* first: what it needs must not have been loaded by the other tests */
#endif
	test_facts();
	test_names();
	test_identities();
	test_client();
	test_bindings();
	test_client_of_old_server();
	test_end_points();
	test_hostile();
	return tap_end();
}
