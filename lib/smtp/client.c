#include "smtp/client.h"

#include "smtp/client_state.h"
#include "smtp/command.h"

static int answer(struct smtp_client *c, enum smtp_wait wait, const char *what,
    void (*each_line)(void *context, struct span line), struct smtp_outcome *ret);
static const char *reason(int error);
static void take_keyword(void *context, struct span line);
static void take_mechanisms(struct smtp_client *c, struct span words);

struct smtp_client *smtp_client_new(
    struct stream *stream, const struct smtp_client_options *options)
{
	struct smtp_client *c = xcalloc(1, sizeof(*c));
	c->stream = stream;
	c->timeout_ms = options->timeout_ms;
	str_init(&c->ehlo_name, SMTP_DOMAIN_MAX_BYTES);
	str_append(&c->ehlo_name, options->ehlo_name);
	return c;
}

void smtp_client_free(struct smtp_client *c)
{
	if (!c)
		return;
	str_clear(&c->ehlo_name);
	free(c);
}

unsigned smtp_client_extensions(const struct smtp_client *c)
{
	return c->extensions;
}

unsigned smtp_client_mechanisms(const struct smtp_client *c)
{
	return c->mechanisms;
}

int smtp_client_greet(struct smtp_client *c, struct smtp_outcome *ret_outcome)
{
	struct smtp_outcome o;
	if (smtp_client_answer(c, SMTP_WAIT_GREETING, "greeting", &o) < 0 || o.code != 220)
		return smtp_client_refused(c, &o, ret_outcome);
	return smtp_client_hello(c, ret_outcome);
}

int smtp_client_hello(struct smtp_client *c, struct smtp_outcome *ret_outcome)
{
	struct smtp_outcome o;
	c->extensions = c->mechanisms = 0;
	c->other_plus = false;
	c->size_max = 0;
	if (!c->dead)
		stream_format(c->stream, "EHLO %s\r\n", c->ehlo_name.data);
	int error = answer(c, SMTP_WAIT_COMMAND, "EHLO", take_keyword, &o);
	if (error == 0 &&
	    o.result == SMTP_RESULT_PERMANENT) { /* RFC 5321 §3.2: a server that knows HELO only */
		c->extensions = c->mechanisms = 0;
		c->other_plus = false;
		stream_format(c->stream, "HELO %s\r\n", c->ehlo_name.data);
		error = smtp_client_answer(c, SMTP_WAIT_COMMAND, "HELO", &o);
	}
	if (error < 0 || o.code != 250)
		return smtp_client_refused(c, &o, ret_outcome);
	return 0;
}

int smtp_client_starttls(struct smtp_client *c, struct smtp_outcome *ret_outcome)
{
	struct smtp_outcome o;
	if (!c->dead && !(c->extensions & SMTP_STARTTLS)) {
		smtp_outcome_set(&o, SMTP_RESULT_SESSION, NULL, "STARTTLS is not offered");
		return smtp_client_refused(c, &o, ret_outcome);
	}
	if (!c->dead)
		stream_write_cstr(c->stream, "STARTTLS\r\n");
	if (smtp_client_answer(c, SMTP_WAIT_COMMAND, "STARTTLS", &o) < 0 || o.code != 220)
		return smtp_client_refused(c, &o, ret_outcome);
	/* What came in the clear behind the reply must never count as said under TLS. */
	if (stream_buffered(c->stream).n) {
		smtp_outcome_set(
		    &o, SMTP_RESULT_SESSION, NULL, "Data behind the answer to STARTTLS");
		return smtp_client_refused(c, &o, ret_outcome);
	}
	c->extensions = c->mechanisms = 0;
	c->other_plus = false;
	return 0;
}

int smtp_client_reset(struct smtp_client *c)
{
	struct smtp_outcome o;
	if (!c->dead)
		stream_write_cstr(c->stream, "RSET\r\n");
	if (smtp_client_answer(c, SMTP_WAIT_COMMAND, "RSET", &o) < 0)
		return -EIO;
	return o.code == 250 ? 0 : smtp_client_die(c, &o);
}

void smtp_client_quit(struct smtp_client *c)
{
	struct smtp_outcome o;
	if (c->dead)
		return;
	stream_write_cstr(c->stream, "QUIT\r\n");
	smtp_client_answer(c, SMTP_WAIT_QUIT, "QUIT", &o);
	smtp_outcome_set(&o, SMTP_RESULT_SESSION, NULL, "The session has ended");
	(void)smtp_client_die(c, &o);
}

int smtp_client_die(struct smtp_client *c, const struct smtp_outcome *why)
{
	if (!c->dead) {
		c->dead = true;
		c->death = *why;
		c->death.result = SMTP_RESULT_SESSION;
	}
	return -EIO;
}

int smtp_client_refused(
    struct smtp_client *c, const struct smtp_outcome *answer, struct smtp_outcome *ret_outcome)
{
	(void)smtp_client_die(c, answer);
	*ret_outcome = c->death;
	return -EIO;
}

void smtp_client_set_wait(struct smtp_client *c, enum smtp_wait wait)
{
	int ms = c->timeout_ms ? c->timeout_ms : (int)wait;
	stream_set_timeout(c->stream, ms, ms);
}

int smtp_client_answer(
    struct smtp_client *c, enum smtp_wait wait, const char *what, struct smtp_outcome *ret)
{
	return answer(c, wait, what, NULL, ret);
}

int smtp_client_answer_2xx(
    struct smtp_client *c, enum smtp_wait wait, const char *what, struct smtp_outcome *ret)
{
	int error = answer(c, wait, what, NULL, ret);
	if (error < 0 || ret->code < 300 || ret->code >= 400)
		return error;
	smtp_outcome_set(ret, SMTP_RESULT_SESSION, NULL, "%s: answer %u", what, ret->code);
	return smtp_client_die(c, ret);
}

static int answer(struct smtp_client *c, enum smtp_wait wait, const char *what,
    void (*each_line)(void *context, struct span line), struct smtp_outcome *ret)
{
	struct smtp_outcome o;
	if (c->dead) {
		*ret = c->death;
		return -EIO;
	}
	smtp_client_set_wait(c, wait);
	int error = smtp_answer_read(c->stream, &o, each_line, c);
	if (error < 0)
		smtp_outcome_set(&o, SMTP_RESULT_SESSION, NULL, "%s: %s", what, reason(error));
	*ret = o;
	return o.result == SMTP_RESULT_SESSION ? smtp_client_die(c, &o) : 0;
}

static const char *reason(int error)
{
	switch (error) {
	case -EPROTO: return "the answer is no SMTP";
	case -EPIPE: return "the server closed the connection";
	case -ETIMEDOUT: return "no answer in time";
	default: return strerrordesc_np(-error);
	}
}

/* RFC 5321 §4.1.1.1: ehlo-line */
static void take_keyword(void *context, struct span line)
{
	static const struct {
		const char *word;
		unsigned bit;
	} known[] = {
	    {"PIPELINING", SMTP_PIPELINING},
	    {"8BITMIME", SMTP_8BITMIME},
	    {"SMTPUTF8", SMTP_SMTPUTF8},
	    {"ENHANCEDSTATUSCODES", SMTP_ENHANCEDSTATUSCODES},
	    {"DSN", SMTP_DSN},
	    {"CHUNKING", SMTP_CHUNKING},
	    {"STARTTLS", SMTP_STARTTLS},
	    {"SIZE", SMTP_SIZE},
	    {"AUTH", SMTP_AUTH},
	};
	struct smtp_client *c = context;
	struct span word;
	if (!span_next_word(&line, " ", &word))
		return;
	/* "AUTH=PLAIN LOGIN" of old servers is not understood: they say "AUTH PLAIN LOGIN" too. */
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (span_equal_nocase(word, span_cstr(known[i].word)))
			c->extensions |= known[i].bit;
	if (span_equal_nocase(word, SPAN("AUTH")))
		take_mechanisms(c, line);
	if (span_equal_nocase(word, SPAN("SIZE")) && span_next_word(&line, " ", &word) &&
	    span_to_u64(word, UINT64_MAX, &c->size_max) < 0)
		c->size_max = 0;
}

static void take_mechanisms(struct smtp_client *c, struct span words)
{
	struct span word;
	while (span_next_word(&words, " ", &word)) {
		enum sasl_mechanism m = sasl_by_name(word);
		struct span suffix = span_from(word, word.n - MIN(word.n, (size_t)5));
		if (m != SASL_MECHANISM_COUNT)
			c->mechanisms |= 1u << m;
		else if (span_equal_nocase(suffix, SPAN("-PLUS")))
			c->other_plus = true;
	}
}
