/* The commands about the session itself (RFC 3501 §6.1, §6.2; RFC 2971, 5161, 2342, 2177). */
#include "base/encode.h"
#include "imapd/connection.h"
#include "sys/log.h"

static struct answer logged_in_already(struct imapd *c);
static struct answer authenticate(struct imapd *c, enum sasl_mechanism m, struct span initial);
static struct answer conclude(struct imapd *c, struct span tag, struct sasl_server *sasl,
    enum sasl_outcome outcome, bool aborted);
static enum sasl_outcome converse(
    struct imapd *c, struct sasl_server *sasl, struct span initial, bool *ret_aborted);
static bool read_response(struct imapd *c, struct str *line);
static void put_challenge(struct imapd *c, struct span challenge);

/* Each of these is there in full; nothing else is named here (RFC 3501 §6.1.1). */
static const char capabilities[] = "IMAP4rev1 ENABLE IDLE LITERAL+ SASL-IR ID NAMESPACE CHILDREN "
				   "UNSELECT UIDPLUS MOVE SPECIAL-USE CREATE-SPECIAL-USE";

struct span imapd_capabilities(struct imapd *c)
{
	if (!c->tolerant)
		return SPAN(capabilities);
	struct str s cleanup(str_clear) = STR_INIT(4096);
	str_append_cstr(&s, capabilities);
	for (enum sasl_mechanism m = 0; m < SASL_MECHANISM_COUNT; m++) {
		if (!(c->session->mechanisms & 1u << m))
			continue;
		str_append_cstr(&s, " AUTH=");
		str_append(&s, sasl_name(m));
	}
	return arena_span(&c->scratch, str_span(&s));
}

struct answer imapd_capability(struct imapd *c)
{
	str_append_cstr(&c->out, "* CAPABILITY ");
	str_append(&c->out, imapd_capabilities(c));
	str_append_cstr(&c->out, "\r\n");
	imapd_put_out(c);
	return answer_ok("CAPABILITY done");
}

struct answer imapd_noop(struct imapd *c)
{
	(void)c;
	return answer_ok("NOOP done");
}

struct answer imapd_logout(struct imapd *c)
{
	stream_write_cstr(c->peer, "* BYE See you\r\n");
	stream_write(c->peer, c->command->tag);
	stream_write_cstr(c->peer, " OK LOGOUT done\r\n");
	c->ended = true;
	return (struct answer){.kind = ANSWER_NONE};
}

struct answer imapd_id(struct imapd *c)
{
	struct span text = str_span(&c->reader.text);
	size_t begin = span_index(text, '(');
	if (begin != SIZE_MAX && c->command->id.count)
		session_name_client(c->session, span_from(text, begin));
	stream_write_cstr(c->peer, "* ID (\"name\" \"Postern\")\r\n");
	return answer_ok("ID done");
}

struct answer imapd_starttls(struct imapd *c)
{
	(void)c;
	return answer_bad("STARTTLS comes before the login");
}

/* None of ours is switched on by ENABLE yet; RFC 5161 §3.1 ignores unknown names. */
struct answer imapd_enable(struct imapd *c)
{
	stream_write_cstr(c->peer, "* ENABLED\r\n");
	return answer_ok("ENABLE done");
}

struct answer imapd_namespace(struct imapd *c)
{
	stream_write_cstr(c->peer, "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n");
	return answer_ok("NAMESPACE done");
}

struct answer imapd_authenticate(struct imapd *c)
{
	const struct imap_command *command = c->command;
	if (!c->tolerant)
		return logged_in_already(c);
	struct str initial cleanup(str_clear_secret) = STR_INIT(IMAPD_SASL_LINE_BYTES_MAX);
	bool has_initial = span_is_set(command->authenticate.initial);
	enum sasl_mechanism m = sasl_by_name(command->authenticate.mechanism);
	if (has_initial && base64_decode(command->authenticate.initial, &initial))
		return imapd_malformed_authentication(c, command->tag, m);
	return authenticate(c, m, has_initial ? str_span(&initial) : SPAN_NONE);
}

/*
 * A mail program that does not know PREAUTH needs a key of another mode: its administrator is told.
 */
static struct answer logged_in_already(struct imapd *c)
{
	const struct session_login *login = &c->session->login;
	if (span_equal(login->mechanism, SPAN("TLS-KEY")))
		log_line(LOG_LEVEL_NOTICE,
		    "a client logs in though PREAUTH did: register its key %.*s with %s",
		    SPAN_ARG(login->fingerprint),
		    login->preauth == PREAUTH_TOLERANT ? "--preauth=no"
						       : "--preauth=tolerant, or --preauth=no");
	return answer_no(NULL, "You are logged in already");
}

/* LOGIN is PLAIN in other words (RFC 4616 §2). */
struct answer imapd_login(struct imapd *c)
{
	const struct imap_command *command = c->command;
	if (!c->tolerant)
		return logged_in_already(c);
	struct str plain cleanup(str_clear_secret) = STR_INIT(IMAPD_SASL_LINE_BYTES_MAX);
	str_append_char(&plain, '\0');
	str_append(&plain, command->login.user);
	str_append_char(&plain, '\0');
	str_append(&plain, command->login.password);
	if (plain.failed)
		return imapd_malformed_authentication(c, command->tag, SASL_PLAIN);
	return authenticate(c, SASL_PLAIN, str_span(&plain));
}

/*
 * Tolerant preauth: the key has logged the client in, which authenticates all the same. The same
 * account passes; whatever fails ends the connection, so that nothing can be guessed here.
 */
static struct answer authenticate(struct imapd *c, enum sasl_mechanism m, struct span initial)
{
	struct sasl_server *sasl = m < SASL_MECHANISM_COUNT ? session_sasl(c->session, m) : NULL;
	if (!sasl)
		return answer_no(NULL, "This mechanism is not offered");
	bool aborted = false;
	enum sasl_outcome outcome = converse(c, sasl, initial, &aborted);
	return conclude(c, c->command->tag, sasl, outcome, aborted);
}

struct answer imapd_malformed_authentication(
    struct imapd *c, struct span tag, enum sasl_mechanism m)
{
	struct sasl_server *sasl = m < SASL_MECHANISM_COUNT ? session_sasl(c->session, m) : NULL;
	return conclude(c, tag, sasl, SASL_MALFORMED, false);
}

/*
 * Owns sasl. NULL: malformed, and nobody knows which mechanism it was to be; the log says nothing.
 */
static struct answer conclude(struct imapd *c, struct span tag, struct sasl_server *sasl,
    enum sasl_outcome outcome, bool aborted)
{
	enum login_result result =
	    sasl ? session_sasl_end(c->session, sasl, outcome) : LOGIN_ABORTED;
	sasl_server_free(sasl);
	if (result == LOGIN_OK) {
		struct answer answer = answer_ok("Logged in");
		c->tolerant = false;
		imapd_note_expiry(c);
		answer.code =
		    arena_format(&c->scratch, "CAPABILITY %.*s", SPAN_ARG(imapd_capabilities(c)));
		return answer;
	}
	bool had_failed = result != LOGIN_ABORTED; /* before the client broke off */
	const char *line = aborted && !had_failed ? "BAD Authentication was broken off"
			   : outcome == SASL_MALFORMED && !had_failed
			       ? "BAD Malformed authentication"
			   : outcome == SASL_UNAVAILABLE || result == LOGIN_UNAVAILABLE
			       ? "NO [UNAVAILABLE] Authentication is not possible now"
			       : "NO [AUTHENTICATIONFAILED] Authentication failed";
	if (!c->ended) {
		stream_write(c->peer, tag.n ? tag : SPAN("*"));
		stream_format(c->peer, " %s\r\n", line);
	}
	imapd_bye(c, "Authentication failed");
	return (struct answer){.kind = ANSWER_NONE};
}

/* Challenges and responses (RFC 3501 §6.2.2) until there is an outcome. */
static enum sasl_outcome converse(
    struct imapd *c, struct sasl_server *sasl, struct span initial, bool *ret_aborted)
{
	struct str challenge cleanup(str_clear_secret) = STR_INIT(IMAPD_SASL_LINE_BYTES_MAX);
	struct str line cleanup(str_clear_secret) = STR_INIT(IMAPD_SASL_LINE_BYTES_MAX);
	struct str response cleanup(str_clear_secret) = STR_INIT(IMAPD_SASL_LINE_BYTES_MAX);
	enum sasl_outcome outcome = sasl_server_step(sasl, initial, &challenge);
	while (outcome == SASL_CONTINUE) {
		put_challenge(c, str_span(&challenge));
		if (!read_response(c, &line) || span_equal(str_span(&line), SPAN("*"))) {
			*ret_aborted = true;
			return outcome;
		}
		str_reset(&response);
		if (base64_decode(str_span(&line), &response))
			return SASL_MALFORMED;
		outcome = sasl_server_step(sasl, str_span(&response), &challenge);
	}
	return outcome;
}

static bool read_response(struct imapd *c, struct str *line)
{
	enum line_result read = imapd_read_line(c, IMAPD_SASL_LINE_BYTES_MAX - 1, line);
	return read == LINE_OK || read == LINE_BARE_LF;
}

static void put_challenge(struct imapd *c, struct span challenge)
{
	str_append_cstr(&c->out, "+ ");
	base64_encode(challenge, &c->out);
	str_append_cstr(&c->out, "\r\n");
	imapd_put_out(c);
}

/* RFC 2177. That the connection goes away in the middle is how many clients end it. */
struct answer imapd_idle(struct imapd *c)
{
	stream_write_cstr(c->peer, "+ idling\r\n");
	enum wake wake;
	do {
		int error = imapd_tell_updates(c, true);
		if (error == -ENOENT)
			return answer_error(error); /* the dispatcher finds the same and says BYE */
		wake = imapd_wait(c, true);
	} while (wake == WAKE_CHANGES);
	if (wake == WAKE_END)
		return (struct answer){.kind = ANSWER_NONE};

	struct str line cleanup(str_clear) = STR_INIT(IMAPD_IDLE_LINE_BYTES_MAX + 1);
	switch (imapd_read_line(c, IMAPD_IDLE_LINE_BYTES_MAX, &line)) {
	case LINE_OK:
	case LINE_BARE_LF:
		if (span_equal_nocase(span_trim(str_span(&line)), SPAN("DONE")))
			return answer_ok("IDLE done");
		return answer_bad("DONE was expected");
	case LINE_TOO_LONG: return answer_bad("DONE was expected");
	case LINE_EOF:
	case LINE_PARTIAL:
	case LINE_ERROR: break;
	}
	c->ended = true;
	return (struct answer){.kind = ANSWER_NONE};
}
