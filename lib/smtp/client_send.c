#include "smtp/address.h"
#include "smtp/client.h"
#include "smtp/client_state.h"
#include "smtp/command.h"
#include "smtp/data.h"

/*
 * A transaction goes out in windows: MAIL and the first recipients, more recipients, the last ones
 * with DATA; after each its answers are read. So many commands and their answers fit into any two
 * socket buffers that neither side can wait for the other for ever (RFC 2920 §3.1).
 */
enum { WINDOW_RECIPIENTS = 50, READ_BYTES = 16384 };

struct sending {
	struct smtp_client *client;
	const struct smtp_message *message;
	struct smtp_outcome *outcomes;
	bool accepted; /* at least one recipient */
};

static bool can_be_sent(
    struct smtp_client *c, const struct smtp_message *m, struct smtp_outcome *ret);
static void write_mail(const struct sending *s);
static void write_rcpt(const struct sending *s, size_t i);
static int send_recipients(struct sending *s, bool *ret_data_sent);
static int read_window(
    struct sending *s, size_t from, size_t to, bool with_mail, bool *ret_mail_ok);
static int send_data(struct sending *s, bool data_sent);
static int send_text(struct sending *s);
static void set_all(struct sending *s, const struct smtp_outcome *o);
static void set_accepted(struct sending *s, const struct smtp_outcome *o);
static void set_open(struct sending *s, size_t from);

int smtp_client_send(
    struct smtp_client *c, const struct smtp_message *m, struct smtp_outcome *outcomes)
{
	struct sending s = {.client = c, .message = m, .outcomes = outcomes};
	struct smtp_outcome o;
	bool data_sent = false;
	if (c->dead) {
		set_all(&s, &c->death);
		return -EIO;
	}
	if (!can_be_sent(c, m, &o)) {
		set_all(&s, &o);
		return 0;
	}
	int error = send_recipients(&s, &data_sent);
	if (error < 0)
		return error;
	if (!data_sent && !s.accepted)
		return smtp_client_reset(c);
	return send_data(&s, data_sent);
}

/* What the server does not offer, and what no server may be sent. */
static bool can_be_sent(
    struct smtp_client *c, const struct smtp_message *m, struct smtp_outcome *ret)
{
	bool good = m->sender.n == 0 || smtp_address_is_valid(m->sender);
	for (size_t i = 0; i < m->recipient_count; i++)
		good = good && smtp_address_is_valid(m->recipients[i].address) &&
		       span_is_ascii(m->recipients[i].original);
	if (!good || m->recipient_count == 0)
		smtp_outcome_set(ret, SMTP_RESULT_PERMANENT, "5.1.3", "An address is malformed");
	else if (m->smtputf8 && !(c->extensions & SMTP_SMTPUTF8))
		smtp_outcome_set(ret, SMTP_RESULT_PERMANENT, "5.6.7",
		    "The server does not take internationalised mail (SMTPUTF8)");
	else if (m->eight_bit && !(c->extensions & SMTP_8BITMIME))
		smtp_outcome_set(ret, SMTP_RESULT_PERMANENT, "5.6.3",
		    "The server does not take 8-bit mail (8BITMIME)");
	else if (c->size_max && m->bytes > c->size_max)
		smtp_outcome_set(ret, SMTP_RESULT_PERMANENT, "5.3.4",
		    "The server takes at most %llu bytes", (unsigned long long)c->size_max);
	else
		return true;
	return false;
}

/* RFC 5321 §4.1.1.2 */
static void write_mail(const struct sending *s)
{
	const struct smtp_message *m = s->message;
	unsigned offered = s->client->extensions;
	struct stream *out = s->client->stream;
	stream_format(out, "MAIL FROM:<%.*s>", SPAN_ARG(m->sender));
	if (offered & SMTP_SIZE)
		stream_format(out, " SIZE=%llu", (unsigned long long)m->bytes);
	if (offered & SMTP_8BITMIME)
		stream_write_cstr(out, m->eight_bit ? " BODY=8BITMIME" : " BODY=7BIT");
	if (m->smtputf8)
		stream_write_cstr(out, " SMTPUTF8");
	if (offered & SMTP_DSN) {
		if (m->return_full || m->return_headers)
			stream_write_cstr(out, m->return_full ? " RET=FULL" : " RET=HDRS");
		if (m->envid.n && xtext_is_valid(m->envid))
			stream_format(out, " ENVID=%.*s", SPAN_ARG(m->envid));
	}
	stream_write_cstr(out, "\r\n");
}

static void write_rcpt(const struct sending *s, size_t i)
{
	static const struct {
		unsigned bit;
		const char *word;
	} words[] = {{SMTP_NOTIFY_NEVER, "NEVER"}, {SMTP_NOTIFY_SUCCESS, "SUCCESS"},
	    {SMTP_NOTIFY_FAILURE, "FAILURE"}, {SMTP_NOTIFY_DELAY, "DELAY"}};
	const struct smtp_recipient *r = &s->message->recipients[i];
	struct stream *out = s->client->stream;
	stream_format(out, "RCPT TO:<%.*s>", SPAN_ARG(r->address));
	if (s->client->extensions & SMTP_DSN) {
		const char *before = " NOTIFY=";
		for (size_t w = 0; w < ARRAY_SIZE(words); w++) {
			if (!(r->notify & words[w].bit))
				continue;
			stream_format(out, "%s%s", before, words[w].word);
			before = ",";
		}
		struct span type, address;
		if (span_cut(r->original, ';', &type, &address) && xtext_is_valid(address) &&
		    xtext_is_valid(type))
			stream_format(out, " ORCPT=%.*s", SPAN_ARG(r->original));
	}
	stream_write_cstr(out, "\r\n");
}

/* MAIL and all RCPTs, and DATA where it may go with them. Sets outcomes of who was refused. */
static int send_recipients(struct sending *s, bool *ret_data_sent)
{
	size_t count = s->message->recipient_count;
	bool pipelining = s->client->extensions & SMTP_PIPELINING;
	bool mail_ok = false;
	write_mail(s);
	if (!pipelining) {
		int error = read_window(s, 0, 0, true, &mail_ok);
		if (error < 0 || !mail_ok)
			return error;
	}
	for (size_t from = 0, to; from < count; from = to) {
		to = pipelining ? MIN(from + WINDOW_RECIPIENTS, count) : from + 1;
		for (size_t i = from; i < to; i++)
			write_rcpt(s, i);
		if (pipelining && to == count) {
			stream_write_cstr(s->client->stream, "DATA\r\n");
			*ret_data_sent = true;
		}
		int error = read_window(s, from, to, pipelining && from == 0, &mail_ok);
		if (error < 0 || (!mail_ok && !*ret_data_sent))
			return error;
	}
	return 0;
}

/* Answers to MAIL (if it was part of the window) and to the RCPTs from … to. */
static int read_window(struct sending *s, size_t from, size_t to, bool with_mail, bool *ret_mail_ok)
{
	struct smtp_outcome mail = {0}, *o = s->outcomes;
	if (with_mail) {
		if (smtp_client_answer_2xx(s->client, SMTP_WAIT_COMMAND, "MAIL", &mail) < 0) {
			set_open(s, 0);
			return -EIO;
		}
		*ret_mail_ok = mail.result == SMTP_RESULT_OK;
		if (!*ret_mail_ok)
			set_all(s, &mail);
	}
	for (size_t i = from; i < to; i++) {
		struct smtp_outcome answer;
		if (smtp_client_answer_2xx(s->client, SMTP_WAIT_COMMAND, "RCPT", &answer) < 0) {
			set_open(s, i);
			return -EIO;
		}
		if (!*ret_mail_ok)
			continue; /* MAIL was refused: that is what counts */
		o[i] = answer;
		s->accepted = s->accepted || answer.result == SMTP_RESULT_OK;
	}
	return 0;
}

static int send_data(struct sending *s, bool data_sent)
{
	struct smtp_client *c = s->client;
	struct smtp_outcome o;
	if (!data_sent)
		stream_write_cstr(c->stream, "DATA\r\n");
	if (smtp_client_answer(c, SMTP_WAIT_DATA_START, "DATA", &o) < 0) {
		set_accepted(s, &c->death);
		return -EIO;
	}
	if (o.code != 354) {
		if (o.result == SMTP_RESULT_OK) { /* 2xx: whatever it thinks, it is not SMTP */
			smtp_outcome_set(&o, SMTP_RESULT_SESSION, NULL, "DATA: answer %u", o.code);
			set_accepted(s, &o);
			return smtp_client_die(c, &o);
		}
		set_accepted(s, &o);
		return smtp_client_reset(c);
	}
	/* RFC 2920 §3.1: 354 although nobody was accepted is ended with an empty message. */
	int error = s->accepted ? send_text(s) : 0;
	if (error < 0)
		return error;
	if (!s->accepted)
		stream_write_cstr(c->stream, ".\r\n");
	if (smtp_client_answer_2xx(c, SMTP_WAIT_DATA_END, "end of data", &o) < 0) {
		set_accepted(s, &c->death);
		return -EIO;
	}
	set_accepted(s, &o);
	return 0;
}

static void write_piece(void *context, struct span bytes)
{
	stream_write(context, bytes);
}

/* The message with its end. On failure the connection must be dropped: a dot would accept it. */
static int send_text(struct sending *s)
{
	struct smtp_client *c = s->client;
	struct smtp_stuffer stuffer = {0};
	struct smtp_outcome o;
	char piece[READ_BYTES];
	ssize_t n;
	int error = 0;
	smtp_client_set_wait(c, SMTP_WAIT_DATA_BLOCK);
	while ((n = s->message->read(s->message->context, piece, sizeof(piece))) > 0) {
		error = smtp_stuff(&stuffer, span_of(piece, (size_t)n), write_piece, c->stream);
		if (error < 0)
			break;
		if (stream_error(c->stream) < 0)
			return 0; /* the answer's place tells what happened, or has the 4xx/5xx */
	}
	if (n == 0 && error == 0)
		error = smtp_stuff_end(&stuffer, write_piece, c->stream);
	if (n == 0 && error == 0)
		return 0;
	if (n < 0)
		smtp_outcome_set(&o, SMTP_RESULT_TRANSIENT, "4.3.0", "The message cannot be read");
	else
		smtp_outcome_set(
		    &o, SMTP_RESULT_PERMANENT, "5.6.0", "The message has a bare CR or LF");
	set_accepted(s, &o);
	stream_fail(c->stream, -ECANCELED);
	return smtp_client_die(c, &o);
}

static void set_all(struct sending *s, const struct smtp_outcome *o)
{
	for (size_t i = 0; i < s->message->recipient_count; i++)
		s->outcomes[i] = *o;
}

/* Those that were accepted share the fate of the data. */
static void set_accepted(struct sending *s, const struct smtp_outcome *o)
{
	for (size_t i = 0; i < s->message->recipient_count; i++)
		if (s->outcomes[i].result == SMTP_RESULT_OK)
			s->outcomes[i] = *o;
}

/* The session ended at recipient `from`: it, all behind it, and all accepted ones are undecided. */
static void set_open(struct sending *s, size_t from)
{
	for (size_t i = from; i < s->message->recipient_count; i++)
		s->outcomes[i] = s->client->death;
	for (size_t i = 0; i < from; i++)
		if (s->outcomes[i].result == SMTP_RESULT_OK)
			s->outcomes[i] = s->client->death;
}
