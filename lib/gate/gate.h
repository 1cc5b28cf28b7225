#ifndef POSTERN_GATE_GATE_H
#define POSTERN_GATE_GATE_H
/*
 * The gate process: TLS and the conversation before authentication, then a relay. It opens nothing,
 * knows no account and no secret but the server's TLS key; every decision is the session's.
 *
 * Errors on the way to the client or the session need no code of their own here: streams keep them,
 * and every step ends in one of enum gate_end.
 */
#include "gate/message.h"

enum {
	GATE_HANDSHAKE_MS = 60000,
	GATE_READ_MS = 30000,		 /* each read before authentication */
	GATE_TOTAL_MS = 5 * 60 * 1000,	 /* all of it: also against one byte every 29 s */
	GATE_SESSION_MS = 2 * 60 * 1000, /* the session's answer, its delays included */
	GATE_MISTAKES_MAX = 20,		 /* bad commands before we hang up */
};

struct gate {
	enum protocol protocol;
	struct stream *client;	/* owns `channel` */
	struct channel channel; /* to the client: borrowed copy for the last words and the relay */
	struct stream *session; /* messages, later the plain conversation */
	struct tls_server *tls_server; /* NULL: no TLS on this listener */
	bool implicit_tls, allow_plaintext;
	struct span hostname;
	uint64_t message_size_max;
	/* of the session: the last MESSAGE_WELCOME; its text is in welcome_text */
	struct message_welcome welcome;
	struct str welcome_text;
	struct str body; /* of the message in hand */

	bool tls_active;
	bool esmtp;		    /* EHLO, not HELO */
	struct str helo, client_id; /* as far as the client said */
	int mistakes;
	struct str tls_error; /* for the log; empty: none */
};

enum gate_end {
	GATE_GO_ON,
	GATE_HANDOVER,	 /* the session takes over */
	GATE_CLOSE,	 /* all was said: close in order */
	GATE_LOST,	 /* the client is gone, or was too slow */
	GATE_NO_SESSION, /* the session is gone or talks nonsense */
	GATE_REFUSED	 /* by the session: *ret_refused has why */
};

/*
 * Everything from the accepted connection to its end. True when there was a handover. What is worth
 * a log line is in g->tls_error and *ret_end (the end of the conversation before authentication).
 */
bool gate_run(struct gate *g, enum gate_end *ret_end);
/* Starts with zeroed memory; gives back what gate_run() did not. */
void gate_clear(struct gate *g);

/* With what a connection ends after a refusal that closes it. */
struct span gate_farewell(const struct message_refused *r);

/* For the two protocols (imap.c, smtp.c of this folder): greeting to handover. */
enum gate_end gate_imap(struct gate *g);
enum gate_end gate_smtp(struct gate *g);
/*
 * Handshake, facts to the session and its answer: GATE_GO_ON (g->welcome is new), _HANDOVER,
 * _REFUSED, _LOST, _NO_SESSION. -EPROTO of the handshake is _LOST.
 */
enum gate_end gate_start_tls(struct gate *g, struct message_refused *ret_refused);
/* May a login be tried? Without TLS only where the listener allows it. */
static inline bool gate_may_log_in(const struct gate *g)
{
	return g->tls_active || g->allow_plaintext;
}
/*
 * One SASL conversation, carried between client and session: challenges in base64 behind the prefix
 * ("+ ", "334 "). GATE_HANDOVER, _REFUSED, _LOST, _NO_SESSION.
 */
enum gate_end gate_authenticate(struct gate *g, const struct message_auth *auth, const char *prefix,
    struct message_refused *ret_refused);
#endif
