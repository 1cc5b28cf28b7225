#include "tls/connection.h"

#include <openssl/err.h>
#include <openssl/x509.h>

#include "crypto/crypto.h"

enum { EXPORTER_BYTES = 32 };

static BIO_METHOD *method_new(void);
static int bio_read(BIO *bio, char *buffer, int n);
static int bio_write(BIO *bio, const char *buffer, int n);
static long bio_control(BIO *bio, int command, long number, void *pointer);
static void record_message(
    int sent, int version, int content_type, const void *bytes, size_t n, SSL *ssl, void *context);
static int wait_below(struct tls *t, int64_t deadline_ms);
static int handshake_error(struct tls *t, struct str *error);
static void collect_facts(struct tls *t);
static void collect_exporter(struct tls *t);
static void collect_unique(struct tls *t);
static void collect_end_point(struct tls *t);
static void collect_client_key(struct tls *t);
static bool is_raw_public_key(const struct tls *t);
static struct span raw_public_key(const struct tls *t);
static ssize_t channel_result(struct tls *t, int openssl_result, short *wait);

struct tls *tls_new(SSL *ssl, struct channel below)
{
	struct tls *t = xcalloc(1, sizeof(*t));
	*t = (struct tls){.ssl = ssl, .below = below, .method = method_new()};
	str_init(&t->transcript, TLS_TRANSCRIPT_MAX_BYTES);
	BIO *bio = ssl && t->method ? BIO_new(t->method) : NULL;
	if (!bio) {
		tls_free(t);
		return NULL;
	}
	BIO_set_data(bio, t);
	BIO_set_init(bio, 1);
	SSL_set_bio(ssl, bio, bio);
	/* Buffers of 16 KiB only while there is something in them; writes as far as they get. */
	SSL_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
			      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	return t;
}

void tls_free(struct tls *t)
{
	if (!t)
		return;
	SSL_free(t->ssl);
	BIO_meth_free(t->method);
	channel_close(&t->below);
	tls_forget_facts(t);
	free(t);
}

void tls_record(struct tls *t)
{
	SSL_set_msg_callback(t->ssl, record_message);
	SSL_set_msg_callback_arg(t->ssl, t);
}

int tls_handshake(struct tls *t, int64_t deadline_ms, struct str *ret_error)
{
	for (;;) {
		ERR_clear_error();
		int r = SSL_do_handshake(t->ssl);
		if (r == 1)
			break;
		int kind = SSL_get_error(t->ssl, r);
		if (kind != SSL_ERROR_WANT_READ && kind != SSL_ERROR_WANT_WRITE)
			return handshake_error(t, ret_error);
		r = wait_below(t, deadline_ms);
		if (r < 0) {
			str_append_cstr(ret_error, "TLS handshake: timed out");
			return r;
		}
	}
	SSL_set_msg_callback(t->ssl, NULL);
	if (t->transcript.failed) {
		str_format(ret_error, "TLS handshake: its messages are larger than %d bytes",
		    TLS_TRANSCRIPT_MAX_BYTES);
		return -EPROTO;
	}
	collect_facts(t);
	ERR_clear_error();
	return 0;
}

static int wait_below(struct tls *t, int64_t deadline_ms)
{
	struct pollfd p = {
	    .fd = t->wait == POLLOUT ? t->below.fd_out : t->below.fd_in, .events = t->wait};
	if (p.fd < 0)
		return -ETIMEDOUT; /* memory: nothing will ever come */
	for (;;) {
		int64_t left_ms = deadline_ms - monotonic_ms();
		if (left_ms <= 0)
			return -ETIMEDOUT;
		int r = poll(&p, 1, (int)MIN(left_ms, INT32_MAX));
		if (r > 0)
			return 0;
		if (r < 0 && errno != EINTR)
			return -errno;
	}
}

static int handshake_error(struct tls *t, struct str *error)
{
	long verified = SSL_get_verify_result(t->ssl);
	if (!SSL_is_server(t->ssl) && SSL_get_verify_mode(t->ssl) != SSL_VERIFY_NONE &&
	    verified != X509_V_OK) {
		str_format(error, "TLS handshake: server certificate: %s",
		    X509_verify_cert_error_string(verified));
		return -EKEYREJECTED;
	}
	if (t->below_error) {
		str_format(error, "TLS handshake: %s", strerrordesc_np(-t->below_error));
		return t->below_error == -EPIPE ? -ECONNRESET : t->below_error;
	}
	if (t->below_ended) {
		str_append_cstr(error, "TLS handshake: connection closed by the peer");
		return -ECONNRESET;
	}
	bool too_large = ERR_GET_REASON(ERR_peek_error()) == SSL_R_EXCESSIVE_MESSAGE_SIZE;
	int r = tls_error(-EPROTO, error, "TLS handshake");
	if (too_large && SSL_is_server(t->ssl))
		str_format(error, " (a client's certificates may have %d bytes in all)",
		    TLS_CLIENT_CERTIFICATES_MAX_BYTES);
	return r;
}

int tls_error(int code, struct str *error, const char *text)
{
	unsigned long number = ERR_peek_error();
	SSL_load_error_strings(); /* late: only who fails pays for them */
	const char *reason = number ? ERR_reason_error_string(number) : NULL;
	if (number && !reason) /* crypto_init_lean(); `openssl errstr` has the text */
		str_format(error, "%s: error:%08lX", text, number);
	else
		str_format(error, "%s: %s", text, reason ? reason : "failed");
	ERR_clear_error();
	return code;
}

/*
 * One message per call, with its header of four bytes (RFC 8446 §4). Nothing here depends on the
 * contents, but for the end: the client's CertificateVerify is the last that the proof needs.
 */
static void record_message(
    int sent, int version, int content_type, const void *bytes, size_t n, SSL *ssl, void *context)
{
	struct tls *t = context;
	(void)version;
	(void)ssl;
	if (content_type != SSL3_RT_HANDSHAKE || n == 0 || t->transcript_complete)
		return;
	uint8_t type = *(const uint8_t *)bytes;
	if (!sent && type == SSL3_MT_CERTIFICATE)
		t->client_certificate_at = t->transcript.n;
	str_append(&t->transcript, span_of(bytes, n));
	t->transcript_complete = !sent && type == SSL3_MT_CERTIFICATE_VERIFY;
}

static void collect_facts(struct tls *t)
{
	struct tls_facts *facts = &t->facts;
	facts->version = SSL_version(t->ssl);
	facts->cipher = arena_span(&t->memory, span_cstr(SSL_get_cipher_name(t->ssl)));
	facts->server_name = arena_span(
	    &t->memory, span_cstr(SSL_get_servername(t->ssl, TLSEXT_NAMETYPE_host_name)));
	collect_exporter(t);
	collect_unique(t);
	collect_end_point(t);

	if (SSL_is_server(t->ssl))
		collect_client_key(t);
	if (span_is_set(facts->client_spki) && facts->version == TLS1_3_VERSION &&
	    t->transcript_complete)
		facts->transcript = str_span(&t->transcript);
	else
		str_clear(&t->transcript);
}

static void collect_client_key(struct tls *t)
{
	unsigned char *der = NULL;
	struct span spki;
	X509 *client = SSL_get0_peer_certificate(t->ssl);
	if (is_raw_public_key(t)) {
		t->facts.client_spki = arena_span(&t->memory, raw_public_key(t));
	} else if (client) {
		/*
		 * OpenSSL keeps what it read of the part that is signed, and gives it back as it
		 * was.
		 */
		int n = i2d_X509(client, &der);
		if (n > 0 && certificate_spki(span_of(der, (size_t)n), &spki) == 0)
			t->facts.client_spki = arena_span(&t->memory, spki);
		OPENSSL_free(der);
	}
}

static bool is_raw_public_key(const struct tls *t)
{
#if TLS_HAS_RAW_PUBLIC_KEYS
	return SSL_get0_peer_rpk(t->ssl) != NULL;
#else
	(void)t;
	return false;
#endif
}

/*
 * As it stands in the client's Certificate message, which OpenSSL has found well-formed: the key's
 * length is in three bytes before it, and what comes before those is the message's header, and in
 * TLS 1.3 an empty context and the list's length (RFC 7250 §3, RFC 8446 §4.4.2). Unset: not
 * recorded.
 */
static struct span raw_public_key(const struct tls *t)
{
	enum { LENGTH_BYTES = 3, HEADER_BYTES = 4, HEADER_TLS13_BYTES = HEADER_BYTES + 1 + 3 };
	size_t header = t->facts.version == TLS1_3_VERSION ? HEADER_TLS13_BYTES : HEADER_BYTES;
	struct span rest = span_from(str_span(&t->transcript), t->client_certificate_at + header);
	if (rest.n < LENGTH_BYTES)
		return SPAN_NONE;
	const uint8_t *p = (const uint8_t *)rest.p;
	size_t n = (size_t)p[0] << 16 | (size_t)p[1] << 8 | p[2];
	struct span key = span_sub(rest, LENGTH_BYTES, n);
	return key.n == n ? key : SPAN_NONE;
}

static void collect_exporter(struct tls *t)
{
	static const char label[] = "EXPORTER-Channel-Binding"; /* RFC 9266 §2 */
	uint8_t out[EXPORTER_BYTES];
	if (t->facts.version == TLS1_3_VERSION &&
	    SSL_export_keying_material(
		t->ssl, out, sizeof(out), label, sizeof(label) - 1, (const uint8_t *)"", 0, 1) == 1)
		t->facts.exporter = arena_span(&t->memory, span_of(out, sizeof(out)));
}

/* The first Finished of the handshake: without resumption the client's (RFC 5929 §3.1). */
static void collect_unique(struct tls *t)
{
	uint8_t out[EVP_MAX_MD_SIZE];
	if (t->facts.version != TLS1_2_VERSION || SSL_get_extms_support(t->ssl) != 1)
		return;
	size_t n = SSL_is_server(t->ssl) ? SSL_get_peer_finished(t->ssl, out, sizeof(out))
					 : SSL_get_finished(t->ssl, out, sizeof(out));
	if (n > 0 && n <= sizeof(out))
		t->facts.unique = arena_span(&t->memory, span_of(out, n));
}

/*
 * RFC 5929 §4.1: the hash of the certificate's signature algorithm (RSA-PSS: of its parameters),
 * but SHA-256 for MD5 and SHA-1; undefined where it uses none, as Ed25519.
 */
static void collect_end_point(struct tls *t)
{
	uint8_t out[EVP_MAX_MD_SIZE];
	unsigned n;
	int digest;
	X509 *certificate =
	    SSL_is_server(t->ssl) ? SSL_get_certificate(t->ssl) : SSL_get0_peer_certificate(t->ssl);
	if (!certificate || !X509_get_signature_info(certificate, &digest, NULL, NULL, NULL) ||
	    digest == NID_undef)
		return;
	if (digest == NID_md5 || digest == NID_sha1)
		digest = NID_sha256;
	const EVP_MD *method = EVP_get_digestbynid(digest);
	if (method && X509_digest(certificate, method, out, &n) == 1)
		t->facts.server_end_point = arena_span(&t->memory, span_of(out, n));
}

void tls_get_facts(const struct tls *t, struct tls_facts *ret)
{
	*ret = t->facts;
}

void tls_forget_facts(struct tls *t)
{
	t->facts = (struct tls_facts){0};
	str_clear(&t->transcript);
	arena_clear(&t->memory);
}

static ssize_t tls_channel_read(void *context, void *buffer, size_t n, short *wait)
{
	struct tls *t = context;
	ERR_clear_error();
	return channel_result(t, SSL_read(t->ssl, buffer, (int)MIN(n, (size_t)INT32_MAX)), wait);
}

static ssize_t tls_channel_write(void *context, const void *buffer, size_t n, short *wait)
{
	struct tls *t = context;
	if (n == 0)
		return 0;
	if (t->closing_sent)
		return -EPIPE;
	ERR_clear_error();
	ssize_t r =
	    channel_result(t, SSL_write(t->ssl, buffer, (int)MIN(n, (size_t)INT32_MAX)), wait);
	return r == 0 ? -EPIPE : r; /* the peer ended the connection */
}

static int tls_channel_shutdown(void *context, short *wait)
{
	struct tls *t = context;
	if (!t->closing_sent) {
		ERR_clear_error();
		int r = SSL_shutdown(t->ssl); /* 0: sent, and the peer's is not here yet */
		if (r < 0) {
			ssize_t result = channel_result(t, r, wait);
			return result == 0 ? -EPIPE : (int)result;
		}
		t->closing_sent = true;
	}
	return t->below.ops->shutdown(t->below.context, wait);
}

static void tls_channel_close(void *context)
{
	tls_free(context);
}

struct channel tls_channel(struct tls *t)
{
	static const struct channel_ops ops = {
	    tls_channel_read, tls_channel_write, tls_channel_shutdown, tls_channel_close};
	return (struct channel){&ops, t, t->below.fd_in, t->below.fd_out};
}

static ssize_t channel_result(struct tls *t, int openssl_result, short *wait)
{
	if (openssl_result > 0)
		return openssl_result;
	switch (SSL_get_error(t->ssl, openssl_result)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE: *wait = t->wait; return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN: return 0;
	default: break;
	}
	ERR_clear_error();
	if (t->below_error)
		return t->below_error;
	return t->below_ended ? 0 : -EPROTO;
}

/* The BIO of OpenSSL that stands for the channel beneath. */
static BIO_METHOD *method_new(void)
{
	BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "channel");
	if (method && BIO_meth_set_read(method, bio_read) &&
	    BIO_meth_set_write(method, bio_write) && BIO_meth_set_ctrl(method, bio_control))
		return method;
	BIO_meth_free(method);
	return NULL;
}

static int bio_result(BIO *bio, ssize_t n, int retry)
{
	struct tls *t = BIO_get_data(bio);
	if (n == -EAGAIN)
		BIO_set_flags(bio, retry | BIO_FLAGS_SHOULD_RETRY);
	else if (n < 0 && !t->below_error)
		t->below_error = (int)n;
	return n < 0 ? -1 : (int)n;
}

static int bio_read(BIO *bio, char *buffer, int n)
{
	struct tls *t = BIO_get_data(bio);
	BIO_clear_retry_flags(bio);
	ssize_t got = t->below.ops->read(t->below.context, buffer, (size_t)n, &t->wait);
	if (got == 0)
		t->below_ended = true;
	return bio_result(bio, got, BIO_FLAGS_READ);
}

static int bio_write(BIO *bio, const char *buffer, int n)
{
	struct tls *t = BIO_get_data(bio);
	BIO_clear_retry_flags(bio);
	return bio_result(bio, t->below.ops->write(t->below.context, buffer, (size_t)n, &t->wait),
	    BIO_FLAGS_WRITE);
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
	const struct tls *t = BIO_get_data(bio);
	(void)number;
	(void)pointer;
	if (command == BIO_CTRL_EOF)
		return t->below_ended;
	return command == BIO_CTRL_FLUSH; /* nothing is held back here; the rest is not known */
}
