#ifndef POSTERN_TLS_TLS_H
#define POSTERN_TLS_TLS_H
/*
 * TLS over a channel, server and client side, giving a channel again. No resumption, no
 * renegotiation, TLS ≥ 1.2. Certificates of clients are requested without CA names
 * and never judged here; a raw public key (RFC 7250) will do as well, with OpenSSL 3.2 or later.
 *
 * The server puts a nonce of the session into the TLS 1.3 CertificateRequest (private-use extension
 * TLS_NONCE_EXTENSION) and records the handshake up to the client's CertificateVerify, so that the
 * session can verify the client's proof itself (tls/proof.h).
 */
#include "io/stream.h"

enum { TLS_NONCE_BYTES = 32, TLS_NONCE_EXTENSION = 0xff9a };
/*
 * What a client sends as its certificates is never looked at but for the first one's key, and so
 * only its size is limited: OpenSSL refuses a larger message before it reads it. The transcript has
 * room for that and as much again for the other messages: one or two ClientHellos (2 KiB each,
 * mostly), the server's chain (a few KiB; what is configured may be any size), and two signatures
 * (OpenSSL reads up to 16 KiB of the client's). OpenSSL takes larger hellos than that: where the
 * sum does not fit, the handshake fails, too, since without a transcript there would be no proof,
 * and with it no key.
 */
enum {
	TLS_CLIENT_CERTIFICATES_MAX_BYTES = 64 * 1024,
	TLS_TRANSCRIPT_MAX_BYTES = 2 * TLS_CLIENT_CERTIFICATES_MAX_BYTES
};

struct tls_identity {
	struct span certificate_pem; /* chain, leaf first */
	struct span key_pem;
};
struct tls_server;
/*
 * Does of tls_server_new() what needs neither certificate nor key: before a fork, so that the
 * processes share the memory instead of each having its own.
 */
void tls_prepare(void);
/*
 * The identity whose certificate has the name that the client asks for serves it (several, if they
 * differ in the kind of key: the client's signature algorithms choose); the first one serves names
 * that no certificate has. -EINVAL: *ret_error says why. The nonce may be NULL if no client
 * certificate is requested.
 */
must_use int tls_server_new(const struct tls_identity *identities, size_t count,
    bool request_client_certificate, const uint8_t nonce[TLS_NONCE_BYTES], struct tls_server **ret,
    struct str *ret_error);
/* NULL is fine. Connections accepted with it live on, without the private keys. */
void tls_server_free(struct tls_server *t);

struct tls; /* one connection; owns the channel beneath */
/*
 * Handshakes, blocking until deadline_ms (monotonic). The channel is taken over, also on failure.
 * -ETIMEDOUT, -ECONNRESET, -EPROTO with a sentence in *ret_error.
 */
must_use int tls_accept(struct tls_server *server, struct channel below, int64_t deadline_ms,
    struct tls **ret, struct str *ret_error);
/*
 * The channel above: its close frees the tls; its shutdown sends close_notify and shuts the channel
 * beneath. The end of input without close_notify is an end like any other (clients just close).
 *
 * What OpenSSL has read is not seen by poll: read until -EAGAIN, or with room for a whole record
 * (TLS_RECORD_MAX_BYTES), before waiting. A write that said -EAGAIN must be repeated with the same
 * bytes at its front, at the same address or another.
 */
enum { TLS_RECORD_MAX_BYTES = 16384 };
struct channel tls_channel(struct tls *t);

/* What the handshake showed. Spans live until tls_forget_facts(), or as long as the tls. */
struct tls_facts {
	int version; /* 0x0303 or 0x0304 */
	struct span cipher, server_name;
	/* Server only: raw DER, of the leaf or instead of one (RFC 7250); unset: none presented. */
	struct span client_spki;
	/* Server only, TLS 1.3 with a client certificate: the handshake's messages, from
	 * ClientHello to the client's CertificateVerify, concatenated. */
	struct span transcript;
	struct span exporter; /* tls-exporter (RFC 9266), TLS 1.3 only */
	struct span unique;   /* tls-unique (RFC 5929 §3), TLS 1.2 with extended master secret */
	struct span server_end_point; /* tls-server-end-point (RFC 5929 §4); unset: not defined */
};
void tls_get_facts(const struct tls *t, struct tls_facts *ret);
/* Gives back the memory of the facts, which are unset from then on: for connections that idle. */
void tls_forget_facts(struct tls *t);

enum tls_verify {
	TLS_VERIFY_PKIX, /* CA file or system folder, and the name */
	TLS_VERIFY_NONE,
	TLS_VERIFY_PIN, /* SHA-256 of the server's SPKI */
};
/* Where the system has its CAs, by hash: the bundle beside them takes 30 ms to load. */
#define TLS_CA_FOLDER "/etc/ssl/certs"
struct tls_client_options {
	const char *server_name; /* DNS name (A-labels) or IP address; NULL: none (no PKIX then) */
	enum tls_verify verify;
	struct span ca_pem; /* unset: the system's CA folder */
	uint8_t pin[32];
	struct tls_identity client; /* key_pem unset: none */
};
/*
 * As tls_accept(); also -EKEYREJECTED when the server's certificate does not pass, and -EINVAL when
 * the options do not do (unreadable ca_pem or client key).
 */
must_use int tls_connect(const struct tls_client_options *options, struct channel below,
    int64_t deadline_ms, struct tls **ret, struct str *ret_error);
/* Would the options do, before there is anybody to connect to? 0 or -EINVAL. */
must_use int tls_client_check(const struct tls_client_options *options, struct str *ret_error);
#endif
