/* AUTH over a connection that a TLS key has logged in already (RFC 4954), once. */
#include "base/encode.h"
#include "sasl/server.h"
#include "submitd/server.h"

enum exchange {
	EXCHANGE_GO_ON,
	EXCHANGE_DONE,
	EXCHANGE_CANCELLED,
	EXCHANGE_TOO_LONG,
	EXCHANGE_LOST
};

static enum exchange converse(struct server *v, struct sasl_server *sasl,
    const struct smtp_command *c, enum sasl_outcome *ret);
static enum exchange read_response(struct server *v, struct str *line);
static void answer(struct server *v, enum login_result result, enum sasl_outcome outcome);

void server_auth(struct server *v, const struct smtp_command *c, struct arena *scratch)
{
	struct session *s = v->session;
	enum sasl_mechanism m = sasl_by_name(c->argument);
	enum sasl_outcome outcome = SASL_MALFORMED;
	(void)scratch;
	if (v->sasl_done) {
		server_mistake(v, 503, "5.5.1", "Already authenticated");
		return;
	}
	if (server_is_disabled(v))
		return;
	struct sasl_server *sasl = NULL;
	if (m != SASL_MECHANISM_COUNT && s->mechanisms & 1u << m)
		sasl = session_sasl(s, m);
	if (!sasl) {
		server_mistake(v, 504, "5.5.4", "This mechanism is not offered");
		return;
	}
	enum exchange e = converse(v, sasl, c, &outcome);
	/* A cut-off exchange is recorded too: as malformed, which is what it was. */
	enum login_result result = session_sasl_end(s, sasl, outcome);
	sasl_server_free(sasl);
	if (e != EXCHANGE_LOST && outcome == SASL_MALFORMED && result != LOGIN_ABORTED) {
		e = EXCHANGE_DONE; /* it had failed before */
		outcome = SASL_BAD_CREDENTIALS;
	}
	switch (e) {
	case EXCHANGE_GO_ON: /* never comes out of converse() */
	case EXCHANGE_DONE:
		if (result != LOGIN_LIMITED ||
		    outcome != SASL_UNAVAILABLE) /* else not to be told */
			answer(v, result, outcome);
		break;
	case EXCHANGE_CANCELLED: server_mistake(v, 501, "5.7.0", "Authentication cancelled"); break;
	case EXCHANGE_TOO_LONG: server_mistake(v, 500, "5.5.6", "The line is too long"); break;
	case EXCHANGE_LOST: v->over = true; break;
	}
	if (result == LOGIN_LIMITED && !v->over)
		server_shut(v, "4.7.0", "Too many failed logins");
}

/* Challenges and responses; *ret is malformed before and touched by EXCHANGE_DONE only. */
static enum exchange converse(struct server *v, struct sasl_server *sasl,
    const struct smtp_command *c, enum sasl_outcome *ret)
{
	struct str line cleanup(str_clear_secret) = STR_INIT(SMTP_AUTH_LINE_MAX_BYTES);
	struct str response cleanup(str_clear_secret) = STR_INIT(SASL_MESSAGE_MAX_BYTES);
	struct str challenge cleanup(str_clear) = STR_INIT(SASL_MESSAGE_MAX_BYTES);
	struct span text = c->initial_response;
	for (;;) {
		str_reset(&response);
		int error = base64_decode(text, &response);
		if (error == -EMSGSIZE)
			return EXCHANGE_TOO_LONG;
		if (error < 0) {
			*ret = SASL_MALFORMED;
			return EXCHANGE_DONE;
		}
		enum sasl_outcome outcome = sasl_server_step(
		    sasl, span_is_set(text) ? str_span(&response) : SPAN_NONE, &challenge);
		if (outcome != SASL_CONTINUE) {
			*ret = outcome;
			return EXCHANGE_DONE;
		}
		smtp_write_challenge(v->peer, str_span(&challenge));
		enum exchange e = read_response(v, &line);
		if (e != EXCHANGE_GO_ON)
			return e;
		text = str_span(&line);
	}
}

static enum exchange read_response(struct server *v, struct str *line)
{
	enum line_result got = server_read_line(v, SMTP_AUTH_LINE_MAX_BYTES, line);
	if (got == LINE_TOO_LONG)
		return EXCHANGE_TOO_LONG;
	if (got == LINE_BARE_LF) /* *ret of converse() is SASL_MALFORMED so far */
		return EXCHANGE_DONE;
	if (got != LINE_OK)
		return EXCHANGE_LOST;
	return span_equal(str_span(line), SPAN("*")) ? EXCHANGE_CANCELLED : EXCHANGE_GO_ON;
}

static void answer(struct server *v, enum login_result result, enum sasl_outcome outcome)
{
	const struct config_account *a = &v->session->account;
	switch (result) {
	case LOGIN_OK:
		v->sasl_done = true;
		session_forget_attempts(v->session);
		smtp_reply(v->peer, 235, "2.7.0", SPAN("Authentication succeeded"));
		break;
	case LOGIN_DISABLED:
		smtp_reply(v->peer, 525, "5.7.13",
		    a->disabled_text.n ? a->disabled_text : SPAN("This account is disabled"));
		break;
	case LOGIN_UNAVAILABLE:
		smtp_reply(v->peer, 454, "4.7.0", SPAN("Authentication is not possible now"));
		break;
	default:
		if (outcome == SASL_MALFORMED)
			server_mistake(v, 501, "5.5.2", "Malformed authentication");
		else if (outcome == SASL_UNAVAILABLE)
			smtp_reply(
			    v->peer, 454, "4.7.0", SPAN("Authentication is not possible now"));
		else
			server_mistake(v, 535, "5.7.8", "Authentication failed");
		break;
	}
}
