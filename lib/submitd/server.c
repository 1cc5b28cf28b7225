#include "submitd/server.h"

#include <poll.h>
#include <unistd.h>

#include "submitd/policy.h"
#include "sys/log.h"
#include "sys/stop.h"

/* May the command come now? Checked before anything is done (RFC 5321 §4.1.4). */
enum need {
	NEED_HELLO = 1,		 /* EHLO or HELO was said */
	NEED_NO_TRANSACTION = 2, /* not between MAIL and its end */
	NEED_SENDER = 4,	 /* MAIL was taken */
	NEED_RECIPIENT = 8,	 /* and a RCPT */
	NEED_EHLO = 16,		 /* the client speaks ESMTP */
	NEED_NO_CHUNK = 32,	 /* BDAT has not begun */
};

static void begin(struct server *v);
static void one_command(struct server *v, struct str *line, struct arena *scratch);
static bool may_come_now(struct server *v, unsigned needs);
static int look(void *context);
static bool credential_is_good(struct server *v);
static void hello(struct server *v, const struct smtp_command *c, struct arena *scratch);
static void mail(struct server *v, const struct smtp_command *c, struct arena *scratch);
static void rcpt(struct server *v, const struct smtp_command *c, struct arena *scratch);
static void rset(struct server *v, const struct smtp_command *c, struct arena *scratch);
static void noop(struct server *v, const struct smtp_command *c, struct arena *scratch);
static void quit(struct server *v, const struct smtp_command *c, struct arena *scratch);
static void help(struct server *v, const struct smtp_command *c, struct arena *scratch);
static void vrfy(struct server *v, const struct smtp_command *c, struct arena *scratch);
static void expn(struct server *v, const struct smtp_command *c, struct arena *scratch);
static void starttls(struct server *v, const struct smtp_command *c, struct arena *scratch);

static const struct {
	unsigned needs;
	void (*proceed)(struct server *v, const struct smtp_command *c, struct arena *scratch);
} commands[SMTP_VERB_COUNT] = {
    [SMTP_VERB_AUTH] = {NEED_EHLO | NEED_NO_TRANSACTION, server_auth},
    [SMTP_VERB_BDAT] = {0, server_bdat}, /* its chunk must be read in any case */
    [SMTP_VERB_DATA] = {NEED_HELLO | NEED_SENDER | NEED_RECIPIENT | NEED_NO_CHUNK, server_data},
    [SMTP_VERB_EHLO] = {0, hello},
    [SMTP_VERB_EXPN] = {0, expn},
    [SMTP_VERB_HELO] = {0, hello},
    [SMTP_VERB_HELP] = {0, help},
    [SMTP_VERB_MAIL] = {NEED_HELLO | NEED_NO_TRANSACTION, mail},
    [SMTP_VERB_NOOP] = {0, noop},
    [SMTP_VERB_QUIT] = {0, quit},
    [SMTP_VERB_RCPT] = {NEED_HELLO | NEED_SENDER | NEED_NO_CHUNK, rcpt},
    [SMTP_VERB_RSET] = {0, rset},
    [SMTP_VERB_STARTTLS] = {0, starttls},
    [SMTP_VERB_VRFY] = {0, vrfy},
};

int submitd_serve(struct session *s)
{
	struct server v = {.session = s, .peer = s->peer};
	struct str line cleanup(str_clear) = STR_INIT(SMTP_COMMAND_MAX_BYTES + 1); /* and its CR */
	str_init(&v.helo, SMTP_DOMAIN_MAX_BYTES);
	stream_set_timeout(s->peer, SUBMITD_COMMAND_TIMEOUT_MS, SUBMITD_COMMAND_TIMEOUT_MS);
	stream_set_watch(s->peer, (struct stream_watch){s->changes_fd, look, NULL, &v});
	stop_catch(); /* looked at between commands only: what a client was told 250 for is kept */
	begin(&v);
	while (!v.over) {
		struct arena scratch cleanup(arena_clear) = {0};
		one_command(&v, &line, &scratch);
	}
	transaction_free(v.transaction);
	str_clear(&v.helo);
	return stream_flush(s->peer) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* What the client hears first depends on what the gate has said already. */
static void begin(struct server *v)
{
	const struct session *s = v->session;
	switch (s->start) {
	case SESSION_GREET: smtp_write_greeting(v->peer, s->global.hostname); break;
	case SESSION_AFTER_SASL:
		v->sasl_done = true;
		v->esmtp = s->facts.esmtp;
		str_append(&v->helo, s->facts.helo);
		smtp_reply(v->peer, 235, "2.7.0", SPAN("Authentication succeeded"));
		break;
	case SESSION_AFTER_STARTTLS: /* RFC 3207 §4.2: what was said before is forgotten */ break;
	}
}

static void one_command(struct server *v, struct str *line, struct arena *scratch)
{
	struct smtp_command c = {0};
	struct smtp_status refusal;
	unsigned extensions = SMTP_SERVER_EXTENSIONS | SMTP_AUTH;
	switch (server_read_line(v, SMTP_COMMAND_MAX_BYTES, line)) {
	case LINE_OK: break;
	case LINE_BARE_LF: server_mistake(v, 500, "5.5.2", "A line ends in CR LF"); return;
	case LINE_TOO_LONG:
		server_mistake(v, 500,
		    span_starts_with_nocase(str_span(line), SPAN("AUTH ")) ? "5.5.6" : "5.5.2",
		    "The line is too long");
		return;
	case LINE_EOF:
	case LINE_PARTIAL:
	case LINE_ERROR:
		/* of reading: the line before had no end */
		if (stream_error(v->peer) == -EMSGSIZE && !v->over)
			server_shut(v, "4.7.0", "The line has no end");
		v->over = true;
		return;
	}
	bool utf8 = v->transaction && v->transaction->smtputf8;
	if (smtp_command_parse(str_span(line), extensions, utf8, scratch, &c, &refusal) < 0) {
		server_mistake(v, refusal.code, refusal.enhanced, refusal.text);
		/* How long its chunk is nobody knows; it must not be read as commands. */
		if (span_starts_with_nocase(str_span(line), SPAN("BDAT")) && !v->over)
			server_shut(v, "4.7.0", "BDAT without a size");
	} else if (may_come_now(v, commands[c.verb].needs)) {
		commands[c.verb].proceed(v, &c, scratch);
	}
}

static bool may_come_now(struct server *v, unsigned needs)
{
	const char *wrong = NULL;
	if (needs & (NEED_HELLO | NEED_EHLO) && v->helo.n == 0)
		wrong = "Say EHLO first";
	else if (needs & NEED_EHLO && !v->esmtp)
		wrong = "Say EHLO first, not HELO";
	else if (needs & NEED_NO_TRANSACTION && v->transaction)
		wrong = "Not within a mail transaction";
	else if (needs & NEED_SENDER && !v->transaction)
		wrong = "Say MAIL first";
	else if (needs & NEED_NO_CHUNK && v->transaction->intake)
		wrong = "Not after BDAT";
	if (wrong) {
		server_mistake(v, 503, "5.5.1", wrong);
		return false;
	}
	if (needs & NEED_RECIPIENT && v->transaction->recipient_count == 0) {
		server_mistake(v, 554, "5.5.1", "No valid recipients");
		return false;
	}
	return true;
}

bool server_wait(struct server *v, int timeout_ms)
{
	int64_t until_ms = monotonic_ms() + timeout_ms;
	bool input = false;
	for (;;) {
		int look_ms = look(v);
		if (look_ms < 0)
			return false;
		if (input || stream_buffered(v->peer).n)
			return true; /* pipelined: the answers leave together */
		int64_t wait_ms = until_ms - monotonic_ms();
		if (wait_ms <= 0) {
			server_shut(v, "4.4.2", "You were silent for too long");
			return false;
		}
		wait_ms = MIN(wait_ms, (int64_t)look_ms);
		int ready = stream_wait(v->peer, v->session->changes_fd, (int)wait_ms);
		if (ready < 0 && ready != -EINTR) {
			v->over = true;
			return false;
		}
		input = ready > 0 && ready & STREAM_READY_INPUT;
	}
}

enum line_result server_read_line(struct server *v, size_t max, struct str *line)
{
	if (!server_wait(v, SUBMITD_COMMAND_TIMEOUT_MS))
		return LINE_ERROR;
	stream_set_deadline(v->peer, monotonic_ms() + SUBMITD_LINE_TIMEOUT_MS);
	enum line_result got = stream_read_line(v->peer, max, line);
	stream_set_deadline(v->peer, INT64_MAX);
	return look(v) < 0 ? LINE_ERROR : got;
}

/*
 * Before each wait for input, in the middle of a line or chunk, too (stream_set_watch()): when to
 * look again at the latest. -ECANCELED: the client was told that it is over.
 */
static int look(void *context)
{
	struct server *v = context;
	const struct session *s = v->session;
	if (v->over)
		return -ECANCELED;
	if (!credential_is_good(v))
		server_shut(v, "4.7.0", "This login is no longer valid");
	else if (stop_requested() && !v->in_message)
		server_shut(v, "4.3.2", "The server is going down");
	if (v->over)
		return -ECANCELED;
	int64_t look_ms = s->changes_fd < 0 ? SUBMITD_CREDENTIAL_CHECK_MS : INT32_MAX;
	if (s->login.expires_s)
		look_ms = MIN(look_ms, MAX(s->login.expires_s * 1000 - wall_ms(), 0) + 1);
	return (int)look_ms;
}

/* Looked after when something of the account was touched, and by the clock. */
static bool credential_is_good(struct server *v)
{
	struct session *s = v->session;
	int64_t now_ms = monotonic_ms();
	bool has_changed;
	if (s->login.expires_s && wall_ms() / 1000 >= s->login.expires_s)
		return false;
	if (s->changes_fd >= 0) {
		struct pollfd p = {.fd = s->changes_fd, .events = POLLIN};
		char events[4096];
		has_changed = poll(&p, 1, 0) > 0;
		if (has_changed)
			(void)!read(
			    s->changes_fd, events, sizeof(events)); /* which they are is all one */
	} else {
		/* A disabled account can do nothing, and is to hear why: 525. */
		has_changed =
		    !s->account.disabled && now_ms - v->checked_ms >= SUBMITD_CREDENTIAL_CHECK_MS;
	}
	if (!has_changed)
		return true;
	v->checked_ms = now_ms;
	return session_still_valid(s) == LOGIN_OK;
}

void server_reset(struct server *v)
{
	transaction_free(v->transaction);
	v->transaction = NULL;
}

void server_mistake(struct server *v, unsigned code, const char *enhanced, const char *text)
{
	smtp_reply(v->peer, code, enhanced, span_cstr(text));
	if (++v->errors >= SUBMITD_ERRORS_MAX)
		server_shut(v, "4.7.0", "Too many errors");
}

void server_shut(struct server *v, const char *enhanced, const char *text)
{
	server_reset(v);
	smtp_reply_format(
	    v->peer, 421, enhanced, "%.*s %s", SPAN_ARG(v->session->global.hostname), text);
	v->over = true;
}

bool server_is_disabled(struct server *v)
{
	const struct config_account *a = &v->session->account;
	if (a->disabled)
		smtp_reply(v->peer, 525, "5.7.13",
		    a->disabled_text.n ? a->disabled_text : SPAN("This account is disabled"));
	return a->disabled;
}

static void hello(struct server *v, const struct smtp_command *c, struct arena *scratch)
{
	struct session *s = v->session;
	(void)scratch;
	server_reset(v);
	str_reset(&v->helo);
	str_append(&v->helo, c->argument);
	v->esmtp = c->verb == SMTP_VERB_EHLO;
	session_name_client(s, c->argument);
	if (!v->esmtp) {
		smtp_reply(v->peer, 250, NULL, s->global.hostname);
		return;
	}
	struct smtp_announcement a = {
	    .hostname = s->global.hostname,
	    .extensions = SMTP_SERVER_EXTENSIONS,
	    .message_size_max = s->global.message_size_max,
	    .mechanisms = v->sasl_done ? 0 : s->mechanisms,
	};
	smtp_write_ehlo_reply(v->peer, &a);
}

static void mail(struct server *v, const struct smtp_command *c, struct arena *scratch)
{
	struct session *s = v->session;
	struct smtp_status refusal;
	if (server_is_disabled(v))
		return;
	if (c->has_size && c->size > s->global.message_size_max) {
		smtp_reply(v->peer, 552, "5.3.4", SPAN("The message is too large"));
		return;
	}
	if (policy_sender(s, &c->path, scratch, &refusal) < 0) {
		smtp_reply_status(v->peer, &refusal);
		return;
	}
	v->transaction = transaction_new(c);
	smtp_reply(v->peer, 250, "2.1.0", SPAN("Sender accepted"));
}

static void rcpt(struct server *v, const struct smtp_command *c, struct arena *scratch)
{
	struct session *s = v->session;
	struct smtp_status refusal;
	struct span address;
	if (v->transaction->recipient_count >=
	    MIN(s->global.recipients_max, (uint32_t)ENVELOPE_RECIPIENTS_MAX)) {
		smtp_reply(v->peer, 452, "4.5.3", SPAN("Too many recipients"));
		return;
	}
	if (policy_recipient(s, &c->path, scratch, &address, &refusal) < 0) {
		smtp_reply_status(v->peer, &refusal);
		return;
	}
	transaction_add(v->transaction, c, address);
	smtp_reply(v->peer, 250, "2.1.5", SPAN("Recipient accepted"));
}

static void rset(struct server *v, const struct smtp_command *c, struct arena *scratch)
{
	(void)c, (void)scratch;
	server_reset(v);
	smtp_reply(v->peer, 250, "2.0.0", SPAN("Done"));
}

static void noop(struct server *v, const struct smtp_command *c, struct arena *scratch)
{
	(void)c, (void)scratch;
	smtp_reply(v->peer, 250, "2.0.0", SPAN("Done"));
}

static void quit(struct server *v, const struct smtp_command *c, struct arena *scratch)
{
	(void)c, (void)scratch;
	server_reset(v);
	smtp_reply(v->peer, 221, "2.0.0", SPAN("Bye"));
	v->over = true;
}

static void help(struct server *v, const struct smtp_command *c, struct arena *scratch)
{
	struct str words cleanup(str_clear) = STR_INIT(200);
	(void)c, (void)scratch;
	str_append_cstr(&words, "Commands:");
	for (unsigned i = 0; i < SMTP_VERB_COUNT; i++)
		if (commands[i].proceed)
			str_format(&words, " %.*s", SPAN_ARG(smtp_verb_name((enum smtp_verb)i)));
	smtp_reply(v->peer, 214, "2.0.0", str_span(&words));
}

/* RFC 5321 §3.5.3, §7.3: neither confirmed nor denied. */
static void vrfy(struct server *v, const struct smtp_command *c, struct arena *scratch)
{
	(void)c, (void)scratch;
	smtp_reply(
	    v->peer, 252, "2.5.2", SPAN("Cannot verify, but will take mail and try to deliver"));
}

static void expn(struct server *v, const struct smtp_command *c, struct arena *scratch)
{
	(void)c, (void)scratch;
	smtp_reply(v->peer, 502, "5.5.1", SPAN("There are no lists to expand"));
}

/* The gate does it, before authentication; here it comes too late. */
static void starttls(struct server *v, const struct smtp_command *c, struct arena *scratch)
{
	(void)c, (void)scratch;
	server_mistake(v, 503, "5.5.1",
	    v->session->facts.tls ? "TLS is active already" : "STARTTLS comes before AUTH");
}
