#ifndef POSTERN_SMTP_CLIENT_H
#define POSTERN_SMTP_CLIENT_H
/*
 * The client's side of SMTP over a stream (RFC 5321, 2920, 1870, 6152, 6531, 3461, 4954, 3207). The
 * caller connects, does TLS, and brings the message; here is the conversation alone.
 *
 *	c = smtp_client_new(stream, &options);
 *	smtp_client_greet(c, &outcome)           greeting and EHLO (HELO where EHLO is refused)
 *	smtp_client_starttls(c, &outcome)        0: take the channel out of the stream
 *	                                         (stream_swap() fails if bytes wait behind the
 *	                                         reply), tls_connect(), put tls_channel() in, …
 *	smtp_client_hello(c, &outcome)           … EHLO again: nothing learnt before TLS is kept
 *	smtp_client_auth(c, &sasl_options, &outcome)
 *	smtp_client_send(c, &message, outcomes)  as often as wanted
 *	smtp_client_quit(c)
 *
 * Replies are bounded in line length, lines and kept text, and must be well-formed: anything else
 * ends the session (-EPROTO). After a failure of the session nothing more is sent; every further
 * call answers the same outcome.
 */
#include "io/stream.h"
#include "sasl/client.h"
#include "smtp/reply.h"

/* Whose fault: spec-wise only answers to MAIL, RCPT and the data decide about a message. */
enum smtp_result {
	SMTP_RESULT_OK,
	SMTP_RESULT_TRANSIENT, /* 4xx to MAIL, RCPT, DATA or its end: try this message again */
	SMTP_RESULT_PERMANENT, /* 5xx to those, or the server cannot take such a message at all */
	SMTP_RESULT_SESSION, /* connection, greeting, EHLO, STARTTLS, AUTH, 421, timeout, nonsense:
				* says nothing about the message */
};

enum {
	SMTP_ANSWER_TEXT_MAX_BYTES = 1024, /* kept of a reply, all its lines together */
	SMTP_ANSWER_LINE_MAX_BYTES = 2048, /* of one line; RFC 5321 §4.5.3.1.5 has 512 */
	SMTP_ANSWER_LINES_MAX = 128,
	SMTP_ENHANCED_MAX_BYTES = 12, /* "5.123.123" */
};
struct smtp_outcome {
	enum smtp_result result;
	unsigned code; /* of the reply; 0: there was none, text says what happened */
	char enhanced[SMTP_ENHANCED_MAX_BYTES]; /* "5.1.1"; "" : none given */
	/*
	 * Printable ASCII and valid UTF-8, lines joined by LF; cut at its maximum, NUL-terminated.
	 */
	char text[SMTP_ANSWER_TEXT_MAX_BYTES + 1];
};

struct smtp_client_options {
	struct span ehlo_name; /* our name; ASCII */
	int timeout_ms;	       /* of every wait; 0: those of RFC 5321 §4.5.3.2. For tests. */
};
struct smtp_client;
/* Borrows the stream, which must outlive it. Changes the stream's timeouts as it goes. */
struct smtp_client *smtp_client_new(
    struct stream *stream, const struct smtp_client_options *options);
void smtp_client_free(struct smtp_client *c); /* NULL is fine; says nothing to the server */

/* Each: 0, or -EIO and *ret_outcome says what happened (SMTP_RESULT_SESSION always). */
must_use int smtp_client_greet(struct smtp_client *c, struct smtp_outcome *ret_outcome);
must_use int smtp_client_hello(struct smtp_client *c, struct smtp_outcome *ret_outcome);
/* Never opportunistic: without STARTTLS in the offer it fails. */
must_use int smtp_client_starttls(struct smtp_client *c, struct smtp_outcome *ret_outcome);
/*
 * Chooses by sasl_choose() from what was offered (options->offered is overwritten) and
 * authenticates. PLAIN and LOGIN need options->tls, whatever options->allowed says.
 */
must_use int smtp_client_auth(struct smtp_client *c, const struct sasl_client_options *options,
    struct smtp_outcome *ret_outcome);

/* What the last EHLO offered: set of enum smtp_extension, mechanisms. */
unsigned smtp_client_extensions(const struct smtp_client *c);
unsigned smtp_client_mechanisms(const struct smtp_client *c);

struct smtp_recipient {
	struct span address; /* local@domain */
	unsigned notify; /* set of enum smtp_notify (smtp/command.h); used where DSN is offered */
	struct span original; /* ORCPT, encoded; unset or empty: none */
};
struct smtp_message {
	struct span sender; /* "" for <> */
	const struct smtp_recipient *recipients;
	size_t recipient_count;
	uint64_t bytes; /* for SIZE */
	bool eight_bit; /* needs 8BITMIME: without it in the offer 5.6.3 for all */
	bool smtputf8;	/* needs SMTPUTF8: without it in the offer 5.6.7 for all */
	bool return_full, return_headers; /* RET= */
	struct span envid;		  /* encoded; unset or empty: none */
	/* Canonical CRLF text, piece by piece: > 0 bytes, 0 at the end, negative errno. */
	ssize_t (*read)(void *context, void *buffer, size_t n);
	void *context;
};
/*
 * One transaction, pipelined where offered. outcomes has an entry per recipient, all of which are
 * set. A bare CR or LF in the message, or a failing read, drops the connection before the end of
 * data and is SMTP_RESULT_PERMANENT (5.6.0), respectively SMTP_RESULT_TRANSIENT (4.3.0), with
 * code 0. Answers 0: the session can go on (the outcomes may be bad); -EIO: it is over.
 */
must_use int smtp_client_send(
    struct smtp_client *c, const struct smtp_message *m, struct smtp_outcome *outcomes);
/* RSET; a session that does not answer 250 is over: -EIO. Not needed between messages. */
must_use int smtp_client_reset(struct smtp_client *c);
/* QUIT and a short wait for its answer; failures do not matter. */
void smtp_client_quit(struct smtp_client *c);
#endif
