#include "gate/gate.h"

#include "base/encode.h"
#include "smtp/command.h"

/* Message submission before authentication (RFC 6409 §4.3, RFC 5321, RFC 3207, RFC 4954). */

static enum gate_end run_command(struct gate *g, struct span line);
static void too_long(struct gate *g, struct span line);
static bool needs_login(struct span line);
static void log_in_first(struct gate *g);
static enum gate_end chunk(struct gate *g, uint64_t bytes);
static void ehlo(struct gate *g, const struct smtp_command *c, bool esmtp);
static enum gate_end starttls(struct gate *g);
static enum gate_end authenticate(struct gate *g, const struct smtp_command *c);
static void refused(struct gate *g, const struct message_refused *r, bool is_asked);
static void mistake(struct gate *g, unsigned code, const char *enhanced, const char *text);

enum gate_end gate_smtp(struct gate *g)
{
	struct str line cleanup(str_clear_secret) = STR_INIT(SMTP_AUTH_LINE_MAX_BYTES + 2);
	enum gate_end end = GATE_GO_ON;

	smtp_write_greeting(g->client, g->hostname);
	while (end == GATE_GO_ON) {
		switch (stream_read_line(g->client, SMTP_AUTH_LINE_MAX_BYTES, &line)) {
		case LINE_OK: end = run_command(g, str_span(&line)); break;
		case LINE_BARE_LF: mistake(g, 500, "5.5.2", "Lines end in CRLF"); break;
		case LINE_TOO_LONG: too_long(g, str_span(&line)); break;
		case LINE_EOF:
		case LINE_PARTIAL:
		case LINE_ERROR: end = GATE_LOST; break;
		}
		if (end == GATE_GO_ON && g->mistakes >= GATE_MISTAKES_MAX) {
			smtp_reply(g->client, 421, "4.7.0", SPAN("Too many bad commands"));
			end = GATE_CLOSE;
		}
	}
	return end;
}

static enum gate_end run_command(struct gate *g, struct span line)
{
	struct arena arena cleanup(arena_clear_secret) = {0}; /* LOGIN, AUTH */
	struct smtp_command c;
	struct smtp_status status;

	if (needs_login(line)) {
		log_in_first(g);
		return GATE_GO_ON;
	}
	if (line.n > SMTP_COMMAND_MAX_BYTES && !span_starts_with_nocase(line, SPAN("AUTH "))) {
		too_long(g, line);
		return GATE_GO_ON;
	}
	/* STARTTLS and AUTH are known even where they are not offered: their answers say why. */
	unsigned extensions = SMTP_SERVER_EXTENSIONS | SMTP_STARTTLS | SMTP_AUTH;
	if (smtp_command_parse(line, extensions, false, &arena, &c, &status) < 0) {
		g->mistakes++;
		smtp_reply_status(g->client, &status);
		return GATE_GO_ON;
	}
	switch (c.verb) {
	case SMTP_VERB_EHLO: ehlo(g, &c, true); return GATE_GO_ON;
	case SMTP_VERB_HELO: ehlo(g, &c, false); return GATE_GO_ON;
	case SMTP_VERB_NOOP: smtp_reply(g->client, 250, "2.0.0", SPAN("OK")); return GATE_GO_ON;
	case SMTP_VERB_RSET: smtp_reply(g->client, 250, "2.0.0", SPAN("OK")); return GATE_GO_ON;
	case SMTP_VERB_HELP:
		smtp_reply(g->client, 214, "2.0.0", SPAN("Log in, then send mail: RFC 6409"));
		return GATE_GO_ON;
	case SMTP_VERB_QUIT: smtp_reply(g->client, 221, "2.0.0", SPAN("Bye")); return GATE_CLOSE;
	case SMTP_VERB_STARTTLS: return starttls(g);
	case SMTP_VERB_AUTH: return authenticate(g, &c);
	case SMTP_VERB_BDAT: return chunk(g, c.size);
	default: mistake(g, 503, "5.5.1", "Not now"); return GATE_GO_ON;
	}
}

static void log_in_first(struct gate *g)
{
	g->mistakes++;
	if (g->welcome.disabled)
		smtp_reply(g->client, 525, "5.7.13",
		    g->welcome.text.n ? g->welcome.text : SPAN("This account is disabled"));
	else
		smtp_reply(g->client, 530, "5.7.0",
		    g->welcome.text.n ? g->welcome.text : SPAN("Log in first"));
}

/*
 * RFC 3030 §2: the chunk follows its command without waiting for an answer. It is read and thrown
 * away, since what somebody wrote in a message must not be taken for commands. One larger than any
 * message ends the connection: nobody who was refused needs to be listened to for that long.
 */
static enum gate_end chunk(struct gate *g, uint64_t bytes)
{
	char piece[STREAM_BUFFER_BYTES];

	if (bytes > g->message_size_max) {
		smtp_reply(g->client, 421, "4.7.0", SPAN("Log in first"));
		return GATE_CLOSE;
	}
	while (bytes) {
		ssize_t n = stream_read(g->client, piece, (size_t)MIN(bytes, sizeof(piece)));
		if (n <= 0)
			return GATE_LOST;
		bytes -= (uint64_t)n;
	}
	log_in_first(g);
	return GATE_GO_ON;
}

/* RFC 4954 §6 has a code of its own for AUTH. */
static void too_long(struct gate *g, struct span line)
{
	bool is_auth = span_starts_with_nocase(line, SPAN("AUTH "));
	mistake(g, 500, is_auth ? "5.5.6" : "5.5.2", "Line too long");
}

/* These are answered alike, whatever their arguments; they are never parsed here. */
static bool needs_login(struct span line)
{
	static const enum smtp_verb verbs[] = {
	    SMTP_VERB_MAIL, SMTP_VERB_RCPT, SMTP_VERB_DATA, SMTP_VERB_VRFY, SMTP_VERB_EXPN};
	struct span word, rest;

	(void)span_cut(line, ' ', &word, &rest);
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		if (span_equal_nocase(span_trim(word), smtp_verb_name(verbs[i])))
			return true;
	}
	return false;
}

static void ehlo(struct gate *g, const struct smtp_command *c, bool esmtp)
{
	struct smtp_announcement announcement = {.hostname = g->hostname,
	    .extensions = SMTP_SERVER_EXTENSIONS,
	    .message_size_max = g->message_size_max,
	    .mechanisms = gate_may_log_in(g) ? g->welcome.mechanisms : 0};

	str_reset(&g->helo);
	str_append(&g->helo, span_sub(c->argument, 0, MESSAGE_NAME_MAX_BYTES));
	g->esmtp = esmtp;
	if (!esmtp) {
		smtp_reply(g->client, 250, NULL, g->hostname);
		return;
	}
	if (!g->tls_active && g->tls_server)
		announcement.extensions |= SMTP_STARTTLS;
	smtp_write_ehlo_reply(g->client, &announcement);
}

/* RFC 3207 §4 */
static enum gate_end starttls(struct gate *g)
{
	struct message_refused r = {0};

	if (g->tls_active) {
		mistake(g, 503, "5.5.1", "TLS is active already");
		return GATE_GO_ON;
	}
	if (!g->tls_server) {
		mistake(g, 502, "5.5.1", "No TLS here");
		return GATE_GO_ON;
	}
	smtp_reply(g->client, 220, "2.0.0", SPAN("Begin TLS"));
	enum gate_end end = gate_start_tls(g, &r);
	if (end != GATE_REFUSED)
		return end;
	refused(g, &r, false);
	return GATE_CLOSE;
}

/* RFC 4954 §4 */
static enum gate_end authenticate(struct gate *g, const struct smtp_command *c)
{
	struct str initial cleanup(str_clear_secret) = STR_INIT(SASL_MESSAGE_MAX_BYTES);
	struct message_refused r = {0};
	struct message_auth auth = {
	    .mechanism = sasl_by_name(c->argument), .helo = str_span(&g->helo), .esmtp = g->esmtp};

	if (!gate_may_log_in(g)) {
		mistake(g, 538, "5.7.11", "Use TLS");
		return GATE_GO_ON;
	}
	if (g->helo.n == 0) {
		mistake(g, 503, "5.5.1", "EHLO first");
		return GATE_GO_ON;
	}
	if (auth.mechanism == SASL_MECHANISM_COUNT ||
	    !(g->welcome.mechanisms & 1U << auth.mechanism)) {
		mistake(g, 504, "5.5.4", "No such mechanism here");
		return GATE_GO_ON;
	}
	if (span_is_set(c->initial_response)) {
		int rc = base64_decode(c->initial_response, &initial);
		if (rc == -EMSGSIZE)
			mistake(g, 500, "5.5.6", "Response too long");
		else if (rc < 0)
			mistake(g, 501, "5.5.2", "That is not base64");
		if (rc < 0)
			return GATE_GO_ON;
		auth.initial = str_span(&initial);
	}
	enum gate_end end = gate_authenticate(g, &auth, "334 ", &r);
	if (end != GATE_REFUSED)
		return end;
	refused(g, &r, true);
	return r.close || r.refusal == REFUSAL_LIMITED ? GATE_CLOSE : GATE_GO_ON;
}

/* Unasked, after STARTTLS, only the last word is said. */
static void refused(struct gate *g, const struct message_refused *r, bool is_asked)
{
	static const struct smtp_status words[REFUSAL_COUNT] = {
	    [REFUSAL_CREDENTIALS] = {535, "5.7.8", "Wrong name or password"},
	    [REFUSAL_KEY] = {535, "5.7.8", "This TLS key is not registered"},
	    [REFUSAL_DISABLED] = {525, "5.7.13", "This account is disabled"},
	    [REFUSAL_EXPIRED] = {535, "5.7.8", "This credential has expired"},
	    [REFUSAL_SCOPE] = {535, "5.7.8", "This credential is not for submission"},
	    [REFUSAL_MALFORMED] = {501, "5.5.2", "That is no valid response"},
	    [REFUSAL_TOO_LONG] = {500, "5.5.6", "Response too long"},
	    [REFUSAL_ABORTED] = {501, "5.7.0", "Aborted"},
	    [REFUSAL_NOT_OFFERED] = {504, "5.5.4", "No such mechanism here"},
	    [REFUSAL_UNAVAILABLE] = {454, "4.7.0", "Internal error, try again later"},
	    [REFUSAL_LIMITED] = {421, "4.7.0", "Too many failed logins, try again later"},
	};
	const struct smtp_status *w = &words[r->refusal];

	if (is_asked || r->refusal == REFUSAL_LIMITED)
		smtp_reply(
		    g->client, w->code, w->enhanced, r->text.n ? r->text : span_cstr(w->text));
	if (r->refusal != REFUSAL_LIMITED && (r->close || !is_asked))
		smtp_reply(g->client, 421, "4.7.0", gate_farewell(r));
}

static void mistake(struct gate *g, unsigned code, const char *enhanced, const char *text)
{
	g->mistakes++;
	smtp_reply(g->client, code, enhanced, span_cstr(text));
}
