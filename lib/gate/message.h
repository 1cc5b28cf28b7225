#ifndef POSTERN_GATE_MESSAGE_H
#define POSTERN_GATE_MESSAGE_H
/*
 * What gate and session say to each other over their socketpair until the handover: all of it is on
 * this page. A message is a u32 length, a u8 type and the body (base/codec.h); both ends check
 * type, sender and length against the table in message.c before they read a body, and the body to
 * its last byte. Neither trusts the other.
 *
 *	gate                              session
 *	FACTS ─────────────────────────▶  may this key log in? what may be offered?
 *	      ◀───────────────────────── WELCOME (greet, with what), or HANDOVER, or REFUSED
 *	AUTH ──────────────────────────▶
 *	      ◀───────────────────────── CHALLENGE          } any number of times
 *	RESPONSE or ABORT ─────────────▶                    }
 *	      ◀───────────────────────── REFUSED, or HANDOVER
 *	GOODBYE ───────────────────────▶  the client is gone or has to go
 *
 * FACTS comes once, or twice: in plain text where the listener allows that, and again with TLS.
 * After HANDOVER the socketpair is the plain conversation in both directions.
 */
#include "gate/handler.h"
#include "tls/tls.h"

enum message_type {
	MESSAGE_FACTS = 1,
	MESSAGE_AUTH,
	MESSAGE_RESPONSE,
	MESSAGE_ABORT,
	MESSAGE_GOODBYE,
	MESSAGE_WELCOME,
	MESSAGE_CHALLENGE,
	MESSAGE_REFUSED,
	MESSAGE_HANDOVER,
	MESSAGE_TYPE_COUNT
};
enum message_sender { SENDER_GATE, SENDER_SESSION };
enum {
	/*
	 * FACTS: the transcript, the client's key (once more, as it is in there), and small things
	 */
	MESSAGE_MAX_BYTES = TLS_TRANSCRIPT_MAX_BYTES + TLS_CLIENT_CERTIFICATES_MAX_BYTES + 8192,
	MESSAGE_RESPONSE_MAX_BYTES = SASL_MESSAGE_MAX_BYTES + 16,
	/* of what a client calls itself: cut by the gate, refused by the session */
	MESSAGE_NAME_MAX_BYTES = 1024,
	MESSAGE_TEXT_MAX_BYTES = 1024,
};

/* MESSAGE_FACTS. All spans borrow. */
struct message_facts {
	bool tls, implicit_tls;
	bool client_certificate; /* one was presented */
	int tls_version;	 /* 0x0303, 0x0304 */
	struct span cipher, server_name;
	struct span client_spki; /* what the gate says; believed for TLS 1.2 only */
	struct span transcript;	 /* TLS 1.3: what the session verifies */
	struct sasl_binding binding;
};
/* MESSAGE_AUTH: AUTHENTICATE, LOGIN (as PLAIN), AUTH. */
struct message_auth {
	enum sasl_mechanism mechanism;
	struct span initial; /* decoded; unset: none */
	struct span tag;     /* IMAP */
	struct span helo;    /* SMTP */
	bool esmtp;
	struct span client_id; /* IMAP ID's arguments */
};
/* MESSAGE_ABORT and what the session then says in REFUSED. */
enum message_abort { ABORT_BY_CLIENT, ABORT_MALFORMED, ABORT_TOO_LONG };

/* MESSAGE_WELCOME: what the gate may tell the client before a login. */
struct message_welcome {
	unsigned mechanisms; /* set; 0: none may be offered */
	bool disabled;	     /* the proven key's account is: SMTP says 525 instead of 530 */
	struct span text;    /* for the answer to MAIL; may be empty */
};
/* MESSAGE_REFUSED: why, as the gate words it in its protocol. */
enum refusal {
	REFUSAL_CREDENTIALS, /* NO [AUTHENTICATIONFAILED], 535 5.7.8 */
	REFUSAL_KEY,	     /* NO [ALERT], 535 5.7.8: with a text for people */
	REFUSAL_DISABLED,    /* NO [ALERT], 525 5.7.13: with a text */
	REFUSAL_EXPIRED,     /* NO [EXPIRED], 535 5.7.8 */
	REFUSAL_SCOPE,	     /* NO [AUTHORIZATIONFAILED], 535 5.7.8 */
	REFUSAL_MALFORMED,   /* BAD, 501 5.5.2 */
	REFUSAL_TOO_LONG,    /* BAD, 500 5.5.6 */
	REFUSAL_ABORTED,     /* BAD, 501 5.7.0 */
	REFUSAL_NOT_OFFERED, /* NO, 504 5.5.4 */
	REFUSAL_UNAVAILABLE, /* NO [UNAVAILABLE], 454 4.7.0 */
	REFUSAL_LIMITED,     /* * BYE, 421 4.7.0 */
	REFUSAL_COUNT
};
struct message_refused {
	enum refusal refusal;
	bool close; /* that was one too many: BYE, 421 */
	struct span text;
};

/* Building and reading bodies. -EBADMSG: not as this page says. */
void message_put_facts(struct str *body, const struct message_facts *f);
must_use int message_get_facts(struct span body, struct message_facts *ret);
void message_put_auth(struct str *body, const struct message_auth *a);
must_use int message_get_auth(struct span body, struct message_auth *ret);
void message_put_welcome(struct str *body, const struct message_welcome *w);
must_use int message_get_welcome(struct span body, struct message_welcome *ret);
void message_put_refused(struct str *body, const struct message_refused *r);
must_use int message_get_refused(struct span body, struct message_refused *ret);

/* Sends and flushes; an error sticks to the stream. */
must_use int message_send(struct stream *s, enum message_type type, struct span body);
/*
 * The next message of `from`, its body in *body (reset first). -EPIPE: the other end is gone;
 * -EBADMSG: not a message it may send.
 */
must_use int message_receive(
    struct stream *s, enum message_sender from, enum message_type *ret, struct str *body);
#endif
