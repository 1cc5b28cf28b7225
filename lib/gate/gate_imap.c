#include "gate/gate.h"

#include "base/encode.h"
#include "imap/command.h"
#include "imap/reader.h"

/* IMAP in the not authenticated state (RFC 9051 §3.1, §6.1 and §6.2; RFC 3501; RFC 2971). */

static enum gate_end run_command(struct gate *g, struct span text);
static enum gate_end too_long(struct gate *g, struct span tag);
static bool is_ours(struct span text);
static void put_capabilities(struct gate *g);
static void capability(struct gate *g, const struct imap_command *c);
static void id(struct gate *g, struct span text, const struct imap_command *c);
static enum gate_end starttls(struct gate *g, const struct imap_command *c);
static enum gate_end authenticate(struct gate *g, const struct imap_command *c);
static enum gate_end login(struct gate *g, const struct imap_command *c);
static enum gate_end log_in(struct gate *g, const struct imap_command *c,
    enum sasl_mechanism mechanism, struct span initial);
static void refused(struct gate *g, struct span tag, const struct message_refused *r);
static void answer(struct gate *g, struct span tag, const char *text);

enum gate_end gate_imap(struct gate *g)
{
	struct imap_reader reader;
	struct imap_limits limits = IMAP_LIMITS_BEFORE_LOGIN;
	enum gate_end end = GATE_GO_ON;

	stream_write_cstr(g->client, "* OK [");
	put_capabilities(g);
	stream_format(g->client, "] %.*s Postern ready\r\n", SPAN_ARG(g->hostname));
	imap_reader_init(&reader, g->client, &limits);
	while (end == GATE_GO_ON) {
		enum imap_read read = imap_reader_next(&reader);
		struct span text = str_span(&reader.text);
		switch (read) {
		case IMAP_READ_COMMAND: end = run_command(g, text); break;
		case IMAP_READ_APPEND:
			g->mistakes++;
			answer(g, imap_command_tag(text), "BAD Log in first");
			read = imap_reader_refuse(&reader);
			if (read == IMAP_READ_EOF || read == IMAP_READ_ERROR)
				end = GATE_LOST;
			else if (read != IMAP_READ_COMMAND)
				end = too_long(g, SPAN_NONE);
			break;
		case IMAP_READ_LITERAL_TOO_BIG:
			g->mistakes++;
			answer(g, imap_command_tag(text), "BAD [TOOBIG] Literal too large");
			break;
		case IMAP_READ_LINE_TOO_LONG:
		case IMAP_READ_LOST: end = too_long(g, imap_command_tag(text)); break;
		case IMAP_READ_EOF:
		case IMAP_READ_ERROR: end = GATE_LOST; break;
		}
		if (end == GATE_GO_ON && g->mistakes >= GATE_MISTAKES_MAX) {
			stream_write_cstr(g->client, "* BYE Too many bad commands\r\n");
			end = GATE_CLOSE;
		}
	}
	imap_reader_clear(&reader);
	return end;
}

/* What follows cannot be understood. The tag: of a command that was not answered yet, or unset. */
static enum gate_end too_long(struct gate *g, struct span tag)
{
	if (span_is_set(tag))
		answer(g, tag, "BAD Line or literal too long");
	stream_write_cstr(g->client, "* BYE Line or literal too long\r\n");
	return GATE_CLOSE;
}

static enum gate_end run_command(struct gate *g, struct span text)
{
	struct arena arena cleanup(arena_clear_secret) = {0}; /* LOGIN, AUTH */
	struct imap_command c;
	const char *error = "";

	/*
	 * Only what can be answered here is parsed: the gate has no use for the rest of the
	 * grammar.
	 */
	if (!is_ours(text)) {
		g->mistakes++;
		answer(g, imap_command_tag(text), "BAD Log in first");
		return GATE_GO_ON;
	}
	if (imap_command_parse(text, IMAP_TEXT_ASCII, &arena, &c, &error) < 0) {
		g->mistakes++;
		struct str line cleanup(str_clear) = STR_INIT(MESSAGE_TEXT_MAX_BYTES);
		str_format(&line, "BAD %s", error);
		answer(g, imap_command_tag(text), line.data);
		return GATE_GO_ON;
	}
	switch (c.kind) {
	case IMAP_CAPABILITY: capability(g, &c); return GATE_GO_ON;
	case IMAP_NOOP: answer(g, c.tag, "OK NOOP done"); return GATE_GO_ON;
	case IMAP_ID: id(g, text, &c); return GATE_GO_ON;
	case IMAP_LOGOUT:
		stream_write_cstr(g->client, "* BYE See you\r\n");
		answer(g, c.tag, "OK LOGOUT done");
		return GATE_CLOSE;
	case IMAP_STARTTLS: return starttls(g, &c);
	case IMAP_AUTHENTICATE: return authenticate(g, &c);
	case IMAP_LOGIN: return login(g, &c);
	default: answer(g, c.tag, "BAD Log in first"); return GATE_GO_ON;
	}
}

static bool is_ours(struct span text)
{
	static const struct span names[] = {{"CAPABILITY", 10}, {"NOOP", 4}, {"ID", 2},
	    {"LOGOUT", 6}, {"STARTTLS", 8}, {"AUTHENTICATE", 12}, {"LOGIN", 5}};
	struct span tag, rest, name;

	(void)span_cut(text, ' ', &tag, &rest);
	(void)span_cut(rest, ' ', &name, &rest);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (span_equal_nocase(span_trim(name), names[i]))
			return true;
	}
	return false;
}

static bool may_use(const struct gate *g, enum sasl_mechanism m)
{
	return gate_may_log_in(g) && (g->welcome.mechanisms & 1U << m);
}

static void put_capabilities(struct gate *g)
{
	stream_write_cstr(g->client, "CAPABILITY IMAP4rev1 LITERAL+ SASL-IR ID");
	if (!g->tls_active && g->tls_server)
		stream_write_cstr(g->client, " STARTTLS");
	if (!may_use(g, SASL_PLAIN)) /* LOGIN is PLAIN in other words */
		stream_write_cstr(g->client, " LOGINDISABLED");
	for (enum sasl_mechanism m = 0; m < SASL_MECHANISM_COUNT; m++) {
		if (may_use(g, m))
			stream_format(g->client, " AUTH=%.*s", SPAN_ARG(sasl_name(m)));
	}
}

static void capability(struct gate *g, const struct imap_command *c)
{
	stream_write_cstr(g->client, "* ");
	put_capabilities(g);
	stream_write_cstr(g->client, "\r\n");
	answer(g, c->tag, "OK CAPABILITY done");
}

/* RFC 2971 §3.1. What the client says is kept as it stands, for the log and the history. */
static void id(struct gate *g, struct span text, const struct imap_command *c)
{
	size_t begin = span_index(text, '(');

	str_reset(&g->client_id);
	if (begin != SIZE_MAX && c->id.count)
		str_append(&g->client_id, span_sub(text, begin, MESSAGE_NAME_MAX_BYTES));
	stream_write_cstr(g->client, "* ID (\"name\" \"Postern\")\r\n");
	answer(g, c->tag, "OK ID done");
}

/* RFC 9051 §6.2.1 */
static enum gate_end starttls(struct gate *g, const struct imap_command *c)
{
	struct message_refused r = {0};

	if (g->tls_active) {
		g->mistakes++;
		answer(g, c->tag, "BAD TLS is active already");
		return GATE_GO_ON;
	}
	if (!g->tls_server) {
		answer(g, c->tag, "BAD No TLS here");
		return GATE_GO_ON;
	}
	answer(g, c->tag, "OK Begin TLS");
	enum gate_end end = gate_start_tls(g, &r);
	if (end != GATE_REFUSED)
		return end;
	refused(g, SPAN_NONE, &r);
	return GATE_CLOSE;
}

/* RFC 9051 §6.2.2, RFC 4959 */
static enum gate_end authenticate(struct gate *g, const struct imap_command *c)
{
	struct str initial cleanup(str_clear_secret) = STR_INIT(SASL_MESSAGE_MAX_BYTES);
	enum sasl_mechanism m = sasl_by_name(c->authenticate.mechanism);
	struct span base64 = c->authenticate.initial;

	if (!gate_may_log_in(g)) {
		answer(g, c->tag, "NO [PRIVACYREQUIRED] Use TLS");
		return GATE_GO_ON;
	}
	if (m == SASL_MECHANISM_COUNT || !may_use(g, m)) {
		answer(g, c->tag, "NO No such mechanism here");
		return GATE_GO_ON;
	}
	if (!span_is_set(base64))
		return log_in(g, c, m, SPAN_NONE);
	if (base64_decode(base64, &initial) < 0) {
		g->mistakes++;
		answer(g, c->tag, "BAD Not base64, or too long");
		return GATE_GO_ON;
	}
	return log_in(g, c, m, str_span(&initial));
}

/* RFC 9051 §6.2.3: the same as PLAIN (RFC 4616 §2) with an initial response. */
static enum gate_end login(struct gate *g, const struct imap_command *c)
{
	struct str plain cleanup(str_clear_secret) = STR_INIT(MESSAGE_RESPONSE_MAX_BYTES);

	if (!gate_may_log_in(g)) {
		answer(g, c->tag, "NO [PRIVACYREQUIRED] Use TLS");
		return GATE_GO_ON;
	}
	if (!may_use(g, SASL_PLAIN)) {
		answer(g, c->tag, "NO LOGIN is not offered here");
		return GATE_GO_ON;
	}
	str_append_char(&plain, '\0');
	str_append(&plain, c->login.user);
	str_append_char(&plain, '\0');
	str_append(&plain, c->login.password);
	bool has_nul = span_index(c->login.user, '\0') != SIZE_MAX ||
		       span_index(c->login.password, '\0') != SIZE_MAX;
	if (has_nul || str_error(&plain) < 0) {
		g->mistakes++;
		answer(g, c->tag, "BAD Name or password has a NUL or is too long");
		return GATE_GO_ON;
	}
	return log_in(g, c, SASL_PLAIN, str_span(&plain));
}

static enum gate_end log_in(struct gate *g, const struct imap_command *c,
    enum sasl_mechanism mechanism, struct span initial)
{
	struct message_refused r = {0};
	struct message_auth auth = {.mechanism = mechanism,
	    .initial = initial,
	    .tag = c->tag,
	    .client_id = str_span(&g->client_id)};

	enum gate_end end = gate_authenticate(g, &auth, "+ ", &r);
	if (end != GATE_REFUSED)
		return end;
	refused(g, c->tag, &r);
	return r.close || r.refusal == REFUSAL_LIMITED ? GATE_CLOSE : GATE_GO_ON;
}

static void refused(struct gate *g, struct span tag, const struct message_refused *r)
{
	/* RFC 5530 §3 for the codes; [ALERT] is the only text that Thunderbird shows */
	static const struct {
		const char *status, *text;
	} words[REFUSAL_COUNT] = {
	    [REFUSAL_CREDENTIALS] = {"NO [AUTHENTICATIONFAILED] ", "Wrong name or password"},
	    [REFUSAL_KEY] = {"NO [ALERT] ", "This TLS key is not registered"},
	    [REFUSAL_DISABLED] = {"NO [ALERT] ", "This account is disabled"},
	    [REFUSAL_EXPIRED] = {"NO [EXPIRED] ", "This credential has expired"},
	    [REFUSAL_SCOPE] = {"NO [AUTHORIZATIONFAILED] ", "This credential is not for IMAP"},
	    [REFUSAL_MALFORMED] = {"BAD ", "That is no valid response"},
	    [REFUSAL_TOO_LONG] = {"BAD ", "Response too long"},
	    [REFUSAL_ABORTED] = {"BAD ", "Aborted"},
	    [REFUSAL_NOT_OFFERED] = {"NO ", "No such mechanism here"},
	    [REFUSAL_UNAVAILABLE] = {"NO [UNAVAILABLE] ", "Internal error, try again later"},
	    [REFUSAL_LIMITED] = {"", "Too many failed logins, try again later"},
	};
	struct str line cleanup(str_clear) = STR_INIT(2 * MESSAGE_TEXT_MAX_BYTES);
	struct span text = r->text.n ? r->text : span_cstr(words[r->refusal].text);

	if (r->refusal != REFUSAL_LIMITED && span_is_set(tag)) {
		str_append_cstr(&line, words[r->refusal].status);
		imap_put_text(&line, text, IMAP_TEXT_ASCII);
		answer(g, tag, line.data);
	}
	if (r->refusal == REFUSAL_LIMITED || r->close || !span_is_set(tag)) {
		str_reset(&line);
		imap_put_text(
		    &line, r->close && span_is_set(tag) ? gate_farewell(r) : text, IMAP_TEXT_ASCII);
		stream_format(g->client, "* BYE %s\r\n", line.data);
	}
}

/* "tag text", or "* text" where there is no tag */
static void answer(struct gate *g, struct span tag, const char *text)
{
	struct span shown = span_is_set(tag) && tag.n ? tag : SPAN("*");
	stream_format(g->client, "%.*s %s\r\n", SPAN_ARG(shown), text);
}
