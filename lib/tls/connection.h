#ifndef POSTERN_TLS_CONNECTION_H
#define POSTERN_TLS_CONNECTION_H
/* What server.c and client.c share, for tls/ alone: one connection, and PEM. */
#include <openssl/ssl.h>

#include "base/arena.h"
#include "tls/tls.h"

/* RFC 7250: a key instead of a certificate. */
#define TLS_HAS_RAW_PUBLIC_KEYS (OPENSSL_VERSION_NUMBER >= 0x30200000L)
/*
 * OpenSSL 3.2 and later would unpack certificates (RFC 8879) where it was built with a library for
 * that: something hostile to unpack, and a message that the proof does not know. An older one
 * ignores the bits, and a program that was built with it may run with a newer one.
 */
#ifndef SSL_OP_NO_RX_CERTIFICATE_COMPRESSION
#define SSL_OP_NO_TX_CERTIFICATE_COMPRESSION SSL_OP_BIT(32)
#define SSL_OP_NO_RX_CERTIFICATE_COMPRESSION SSL_OP_BIT(33)
#endif
/* Of both sides: no resumption, no renegotiation, nothing compressed. */
#define TLS_OPTIONS                                                               \
	(SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |     \
	    SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_NO_TX_CERTIFICATE_COMPRESSION | \
	    SSL_OP_NO_RX_CERTIFICATE_COMPRESSION)

struct tls {
	SSL *ssl;
	BIO_METHOD *method; /* of the BIO that stands for the channel beneath */
	struct channel below;
	short wait;	   /* what the channel beneath last asked to wait for */
	int below_error;   /* its first error */
	bool below_ended;  /* it has no more input */
	bool closing_sent; /* close_notify */
	struct str transcript;
	size_t client_certificate_at; /* in the transcript: where that message begins */
	bool transcript_complete;
	struct arena memory; /* of the facts */
	struct tls_facts facts;
};

/* Takes both over. NULL when OpenSSL fails: then both are freed. */
struct tls *tls_new(SSL *ssl, struct channel below);
void tls_free(struct tls *t);
/* Records what goes by, up to the client's CertificateVerify. */
void tls_record(struct tls *t);
/* Handshakes and collects the facts; see tls_accept(). *t is not freed. */
must_use int tls_handshake(struct tls *t, int64_t deadline_ms, struct str *ret_error);

/* "text: what OpenSSL says" into *error; empties OpenSSL's queue. Always the code given. */
must_use int tls_error(int code, struct str *error, const char *text);

struct identity {
	X509 *leaf;
	STACK_OF(X509) * chain; /* without the leaf */
	EVP_PKEY *key;
};
/* -EINVAL with a sentence: unreadable, or key and leaf differ. */
must_use int identity_load(
    const struct tls_identity *pem, struct identity *ret, struct str *ret_error);
void identity_clear(struct identity *i);
/* All certificates of a PEM text; NULL if there are none, or one cannot be read. */
STACK_OF(X509) * certificates_load(struct span pem);
#endif
