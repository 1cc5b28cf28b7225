#include "gate/gate.h"

#include <assert.h>
#include <malloc.h>

#include "base/encode.h"
#include "gate/relay.h"
#include "imap/write.h"
#include "smtp/command.h"
#include "sys/stop.h"

static enum gate_end start_in_plaintext(struct gate *g, struct message_refused *ret_refused);
static enum gate_end ask_welcome(struct gate *g, struct message_refused *ret_refused);
static enum gate_end receive_answer(
    struct gate *g, enum message_type *ret, struct message_refused *ret_refused);
static enum gate_end send_response(struct gate *g, const char *prefix);
static enum gate_end converse(struct gate *g);
static void say_last_words(struct gate *g, enum gate_end end);
static void hand_over(struct gate *g);

bool gate_run(struct gate *g, enum gate_end *ret_end)
{
	enum gate_end end = converse(g);

	*ret_end = end;
	if (end == GATE_HANDOVER) {
		hand_over(g);
		return true;
	}
	if (end == GATE_LOST && stream_error(g->client) == -EMSGSIZE) { /* of reading only */
		stream_write_cstr(g->client, g->protocol == PROTOCOL_IMAP
						 ? "* BYE Line too long\r\n"
						 : "421 4.7.0 Line too long\r\n");
		end = GATE_CLOSE;
	}
	say_last_words(g, end);
	if (end != GATE_NO_SESSION)
		(void)!message_send(
		    g->session, MESSAGE_GOODBYE, SPAN_NONE); /* or it sees our end */
	if (end != GATE_LOST && stream_shutdown(g->client) == 0)
		relay_linger(&g->channel);
	return false;
}

void gate_clear(struct gate *g)
{
	stream_free(g->client);
	stream_free(g->session);
	tls_server_free(g->tls_server);
	str_clear(&g->welcome_text);
	str_clear_secret(&g->body);
	str_clear(&g->helo);
	str_clear(&g->client_id);
	str_clear(&g->tls_error);
	*g = (struct gate){0};
}

static enum gate_end converse(struct gate *g)
{
	struct message_refused refused = {0};
	enum gate_end end = GATE_GO_ON;

	stop_catch();
	stream_set_stoppable(g->client);
	stream_set_stoppable(g->session);
	stream_set_timeout(g->session, GATE_SESSION_MS, GATE_SESSION_MS);
	stream_set_timeout(g->client, GATE_READ_MS, GATE_READ_MS);
	if (g->implicit_tls)
		end = gate_start_tls(g, &refused);
	else if (g->allow_plaintext)
		end = start_in_plaintext(g, &refused);
	stream_set_deadline(g->client, monotonic_ms() + GATE_TOTAL_MS);
	if (end == GATE_REFUSED) { /* in the place of the greeting */
		struct span text = refused.text.n ? refused.text : SPAN("Try again later");
		struct str line cleanup(str_clear) = STR_INIT(2 * MESSAGE_TEXT_MAX_BYTES);
		bool is_limited = refused.refusal == REFUSAL_LIMITED;
		imap_put_text(&line, text, IMAP_TEXT_ASCII);
		if (g->protocol == PROTOCOL_IMAP)
			stream_format(g->client, "* BYE %s\r\n", line.data);
		else
			smtp_reply(g->client, 421, is_limited ? "4.7.0" : "4.3.0", text);
		return GATE_CLOSE;
	}
	if (end != GATE_GO_ON)
		return end;
	return g->protocol == PROTOCOL_IMAP ? gate_imap(g) : gate_smtp(g);
}

enum gate_end gate_start_tls(struct gate *g, struct message_refused *ret_refused)
{
	struct channel none = {.fd_in = -1, .fd_out = -1}, below;
	struct tls *tls;

	/* Whatever is buffered here was sent in the clear: a command injection, not a handshake. */
	if (stream_buffered(g->client).n || stream_swap(g->client, none, &below) < 0)
		return GATE_LOST;
	stop_release(); /* in the middle of a handshake nobody could read a last word */
	int rc = tls_accept(
	    g->tls_server, below, monotonic_ms() + GATE_HANDSHAKE_MS, &tls, &g->tls_error);
	stop_catch();
	if (rc < 0) {
		stream_fail(g->client, rc);
		g->channel = none;
		return GATE_LOST;
	}
	g->channel = tls_channel(tls);
	rc = stream_swap(g->client, g->channel, &none);
	assert(rc == 0); /* nothing can be buffered between the two */
	g->tls_active = true;
	g->esmtp = false;
	str_reset(&g->helo); /* RFC 3207 §4.2: forget what was said in the clear */
	str_reset(&g->client_id);

	struct tls_facts facts;
	tls_get_facts(tls, &facts);
	struct message_facts f = {
	    .tls = true,
	    .implicit_tls = g->implicit_tls,
	    .client_certificate = span_is_set(facts.client_spki),
	    .tls_version = facts.version,
	    .cipher = span_sub(facts.cipher, 0, MESSAGE_NAME_MAX_BYTES),
	    .server_name = span_sub(facts.server_name, 0, MESSAGE_NAME_MAX_BYTES),
	    .client_spki = facts.client_spki,
	    .transcript = facts.transcript,
	    .binding = {.tls = true,
		.exporter = facts.exporter,
		.unique = facts.unique,
		.server_end_point = facts.server_end_point},
	};
	str_reset(&g->body);
	message_put_facts(&g->body, &f);
	tls_forget_facts(tls);
	tls_server_free(g->tls_server); /* the key has done its work */
	g->tls_server = NULL;
	return ask_welcome(g, ret_refused);
}

/* Where the listener allows a login without TLS, the session is asked before there is any. */
static enum gate_end start_in_plaintext(struct gate *g, struct message_refused *ret_refused)
{
	struct message_facts facts = {0};

	str_reset(&g->body);
	message_put_facts(&g->body, &facts);
	return ask_welcome(g, ret_refused);
}

/* Sends g->body as MESSAGE_FACTS. */
static enum gate_end ask_welcome(struct gate *g, struct message_refused *ret_refused)
{
	enum message_type type;

	if (str_error(&g->body) < 0 ||
	    message_send(g->session, MESSAGE_FACTS, str_span(&g->body)) < 0)
		return GATE_NO_SESSION;
	enum gate_end end = receive_answer(g, &type, ret_refused);
	if (end != GATE_GO_ON)
		return end;
	if (type != MESSAGE_WELCOME || message_get_welcome(str_span(&g->body), &g->welcome) < 0)
		return GATE_NO_SESSION;
	str_reset(&g->welcome_text);
	str_append(&g->welcome_text, g->welcome.text);
	g->welcome.text = str_span(&g->welcome_text);
	return GATE_GO_ON;
}

/* GATE_GO_ON with another type; ret_refused->text borrows g->body. */
static enum gate_end receive_answer(
    struct gate *g, enum message_type *ret, struct message_refused *ret_refused)
{
	if (message_receive(g->session, SENDER_SESSION, ret, &g->body) < 0)
		return GATE_NO_SESSION;
	if (*ret == MESSAGE_HANDOVER)
		return GATE_HANDOVER;
	if (*ret != MESSAGE_REFUSED)
		return GATE_GO_ON;
	return message_get_refused(str_span(&g->body), ret_refused) < 0 ? GATE_NO_SESSION
									: GATE_REFUSED;
}

enum gate_end gate_authenticate(struct gate *g, const struct message_auth *auth, const char *prefix,
    struct message_refused *ret_refused)
{
	enum message_type type;

	str_reset(&g->body);
	message_put_auth(&g->body, auth);
	if (str_error(&g->body) < 0 ||
	    message_send(g->session, MESSAGE_AUTH, str_span(&g->body)) < 0)
		return GATE_NO_SESSION;
	for (;;) {
		enum gate_end end = receive_answer(g, &type, ret_refused);
		if (end != GATE_GO_ON)
			return end;
		if (type != MESSAGE_CHALLENGE)
			return GATE_NO_SESSION;
		end = send_response(g, prefix);
		if (end != GATE_GO_ON)
			return end;
	}
}

struct span gate_farewell(const struct message_refused *r)
{
	if (r->refusal == REFUSAL_UNAVAILABLE)
		return SPAN("Internal error, try again later");
	return r->text.n ? r->text : SPAN("Too many failed logins");
}

/* The challenge in g->body to the client, its response to the session. */
static enum gate_end send_response(struct gate *g, const char *prefix)
{
	struct str text cleanup(str_clear_secret) = STR_INIT(SMTP_AUTH_LINE_MAX_BYTES + 2);
	struct str response cleanup(str_clear_secret) = STR_INIT(SASL_MESSAGE_MAX_BYTES);
	enum message_abort why = ABORT_MALFORMED;

	base64_encode(str_span(&g->body), &text);
	stream_write_cstr(g->client, prefix);
	stream_write(g->client, str_span(&text));
	stream_write(g->client, SPAN("\r\n"));
	enum line_result line = stream_read_line(g->client, SMTP_AUTH_LINE_MAX_BYTES, &text);
	if (line == LINE_EOF || line == LINE_PARTIAL || line == LINE_ERROR)
		return GATE_LOST;
	/* IMAP's line reader takes a bare LF everywhere; SMTP's nowhere. */
	bool line_is_good =
	    line == LINE_OK || (line == LINE_BARE_LF && g->protocol == PROTOCOL_IMAP);
	if (line == LINE_TOO_LONG) {
		why = ABORT_TOO_LONG;
	} else if (line_is_good && span_equal(str_span(&text), SPAN("*"))) {
		why = ABORT_BY_CLIENT;
	} else if (line_is_good) {
		int rc = base64_decode(str_span(&text), &response);
		if (rc == 0)
			return message_send(g->session, MESSAGE_RESPONSE, str_span(&response)) < 0
				   ? GATE_NO_SESSION
				   : GATE_GO_ON;
		if (rc == -EMSGSIZE)
			why = ABORT_TOO_LONG;
	}
	char byte = (char)why;
	return message_send(g->session, MESSAGE_ABORT, span_of(&byte, 1)) < 0 ? GATE_NO_SESSION
									      : GATE_GO_ON;
}

/*
 * Before hanging up at SIGTERM, on a client that was too slow, or without a session. The stream may
 * have failed already, so the words go past it, if they can go at once.
 */
static void say_last_words(struct gate *g, enum gate_end end)
{
	bool is_imap = g->protocol == PROTOCOL_IMAP;
	struct span words;
	short wait;

	if (stop_requested() && (end == GATE_LOST || end == GATE_NO_SESSION))
		words = is_imap ? SPAN("* BYE The server is going down, try again\r\n")
				: SPAN("421 4.3.2 The server is going down, try again\r\n");
	else if (end == GATE_NO_SESSION)
		words = is_imap ? SPAN("* BYE [UNAVAILABLE] Internal error, try again later\r\n")
				: SPAN("421 4.3.0 Internal error, try again later\r\n");
	else if (end == GATE_LOST && stream_error(g->client) == -ETIMEDOUT)
		words = is_imap ? SPAN("* BYE Waited too long\r\n")
				: SPAN("421 4.4.2 Waited too long\r\n");
	else
		return;
	/* In the middle of a handshake there is nobody who could read it. */
	if (!g->channel.ops || (g->implicit_tls && !g->tls_active))
		return;
	if (g->channel.ops->write(g->channel.context, words.p, words.n, &wait) > 0)
		(void)!g->channel.ops->shutdown(g->channel.context, &wait);
}

static void hand_over(struct gate *g)
{
	struct str from_client cleanup(str_clear) = STR_INIT(STREAM_BUFFER_BYTES);
	struct str from_session cleanup(str_clear) = STR_INIT(STREAM_BUFFER_BYTES);
	struct channel none = {.fd_in = -1, .fd_out = -1}, client, session;
	struct span pipelined = stream_buffered(g->client), early = stream_buffered(g->session);

	/*
	 * What the client sent behind the authenticating command, and what the session said
	 * already.
	 */
	str_append(&from_client, pipelined);
	str_append(&from_session, early);
	stream_skip(g->client, pipelined.n);
	stream_skip(g->session, early.n);
	if (stream_swap(g->client, none, &client) < 0 ||
	    stream_swap(g->session, none, &session) < 0)
		return; /* the client is gone; the session sees that when gate_clear() closes */
	/* What the login needed is given back: from here on the connection may idle for days. */
	gate_clear(g);
	(void)malloc_trim(0);
	relay_run(client, str_span(&from_client), session, str_span(&from_session));
}
