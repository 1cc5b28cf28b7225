#ifndef POSTERN_TLS_TLS_H
#define POSTERN_TLS_TLS_H
/*
 * TLS over a channel, server and client side, giving a channel again. No resumption, no
 * renegotiation, TLS ≥ 1.2 (spec 1 §1.13). Certificates of clients are requested without CA names
 * and never judged here.
 *
 * The server puts a nonce of the session into the TLS 1.3 CertificateRequest (private-use extension
 * TLS_NONCE_EXTENSION) and records the handshake up to the client's CertificateVerify, so that the
 * session can verify the client's proof itself (tls/proof.h).
 */
#include "io/stream.h"

enum { TLS_NONCE_BYTES = 32, TLS_NONCE_EXTENSION = 0xff9a, TLS_TRANSCRIPT_MAX_BYTES = 65536 };

struct tls_identity {
	struct span certificate_pem; /* chain, leaf first */
	struct span key_pem;
};
struct tls_server;
/* The first identity serves names that no certificate has. -EINVAL: *ret_error says why. */
must_use int tls_server_new(const struct tls_identity *identities, size_t count,
    bool request_client_certificate, const uint8_t nonce[TLS_NONCE_BYTES], struct tls_server **ret,
    struct str *ret_error);
void tls_server_free(struct tls_server *t);

struct tls; /* one connection; owns the channel beneath */
/*
 * Handshakes, blocking until deadline_ms (monotonic). The channel is taken over, also on failure.
 * -ETIMEDOUT, -ECONNRESET, -EPROTO with a sentence in *ret_error.
 */
must_use int tls_accept(struct tls_server *server, struct channel below, int64_t deadline_ms,
    struct tls **ret, struct str *ret_error);
/* The channel above: its close frees the tls; its shutdown sends close_notify. */
struct channel tls_channel(struct tls *t);

/* What the handshake showed. Spans live as long as the tls. */
struct tls_facts {
	int version; /* 0x0303 or 0x0304 */
	struct span cipher, server_name;
	struct span client_spki;       /* raw DER of the leaf; unset: none presented */
	struct span transcript;	       /* TLS 1.3 with a client certificate: handshake messages, from
					* ClientHello to the client's CertificateVerify, concatenated */
	struct span exporter;	       /* tls-exporter (RFC 9266), TLS 1.3 only */
	struct span unique;	       /* tls-unique (RFC 5929 §3), TLS 1.2 with extended master secret */
	struct span server_end_point;  /* tls-server-end-point (RFC 5929 §4); unset: not defined */
};
void tls_get_facts(struct tls *t, struct tls_facts *ret);

enum tls_verify {
	TLS_VERIFY_PKIX, /* CA file or system folder, and the name */
	TLS_VERIFY_NONE,
	TLS_VERIFY_PIN, /* SHA-256 of the server's SPKI */
};
struct tls_client_options {
	const char *server_name;
	enum tls_verify verify;
	struct span ca_pem; /* unset: the system's CA folder */
	uint8_t pin[32];
	struct tls_identity client; /* key_pem unset: none */
};
must_use int tls_connect(const struct tls_client_options *options, struct channel below,
    int64_t deadline_ms, struct tls **ret, struct str *ret_error);
#endif
