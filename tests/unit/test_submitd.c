#include "submitd/submitd.h"

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "crypto/crypto.h"
#include "smtp/reply.h"
#include "submitd/server.h"
#include "submitd_session.h"
#include "tap.h"

#define FROM "From: Anna <anna@example.org>\r\n"
#define BEGIN "EHLO c\r\nMAIL FROM:<anna@example.org>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n"
#define CHUNKS "EHLO c\r\nMAIL FROM:<anna@example.org>\r\nRCPT TO:<b@example.net>\r\n"

/* Runs a whole conversation at once; *out gets all replies. */
static void converse(struct session *s, struct span input, struct str *out)
{
	str_reset(out);
	s->peer = stream_memory(input, out);
	check_int(submitd_serve(s), 0);
	stream_free(s->peer);
}

/* The last line of each reply, codes and enhanced codes only: "220,250 2.1.0,…" */
static void codes_of(struct span replies, struct str *out)
{
	struct span line;
	while (span_cut(replies, '\n', &line, &replies)) {
		if (line.n < 4 || line.p[3] != ' ')
			continue;
		if (out->n)
			str_append_char(out, ',');
		str_append(out, span_sub(line, 0, 3));
		if (line.n > 9 && line.p[5] == '.' && line.p[4] == line.p[0]) {
			size_t end = span_index(span_from(line, 4), ' ');
			str_append(out, span_sub(line, 3, end + 1));
		}
	}
}

static void test_conversations(void)
{
	static const struct {
		const char *what, *input, *codes;
		unsigned queued;
	} cases[] = {
	    {"nothing", "", "220", 0},
	    {"quit", "QUIT\r\nNOOP\r\n", "220,221 2.0.0", 0},
	    {"a message", BEGIN FROM "\r\nhello\r\n.\r\nQUIT\r\n",
		"220,250,250 2.1.0,250 2.1.5,354,250 2.0.0,221 2.0.0", 1},
	    {"cut before its end", BEGIN FROM "\r\nhello\r\n.\r", "220,250,250 2.1.0,250 2.1.5,354",
		0},
	    {"no hello", "MAIL FROM:<anna@example.org>\r\n", "220,503 5.5.1", 0},
	    {"no mail", "EHLO c\r\nRCPT TO:<b@example.net>\r\nDATA\r\n",
		"220,250,503 5.5.1,503 5.5.1", 0},
	    {"no recipient", "EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<nobody@example.org>\r\nDATA\r\n",
		"220,250,250 2.1.0,550 5.1.1,554 5.5.1", 0},
	    {"mail twice", "EHLO c\r\nMAIL FROM:<>\r\nMAIL FROM:<>\r\n",
		"220,250,250 2.1.0,503 5.5.1", 0},
	    {"foreign senders",
		"EHLO c\r\nMAIL FROM:<boss@example.org>\r\nMAIL FROM:<x@example.net>\r\n"
		"MAIL FROM:<nobody@example.org>\r\nMAIL FROM:<Anna+x@EXAMPLE.org>\r\n",
		"220,250,550 5.7.1,550 5.7.1,550 5.7.1,250 2.1.0", 0},
	    {"recipients",
		"EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<boss@example.org>\r\nRCPT "
		"TO:<x@split.example>\r\n"
		"RCPT TO:<x@[192.0.2.1]>\r\nRCPT TO:<postmaster>\r\nRCPT TO:<a@b@c>\r\n",
		"220,250,250 2.1.0,250 2.1.5,250 2.1.5,250 2.1.5,550 5.1.1,501 5.1.3", 0},
	    {"too many recipients",
		"EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<1@x>\r\nRCPT TO:<2@x>\r\nRCPT TO:<3@x>\r\n"
		"RCPT TO:<4@x>\r\nRCPT TO:<5@x>\r\nRCPT TO:<6@x>\r\n",
		"220,250,250 2.1.0,250 2.1.5,250 2.1.5,250 2.1.5,250 2.1.5,250 2.1.5,452 4.5.3", 0},
	    {"size", "EHLO c\r\nMAIL FROM:<> SIZE=300001\r\nMAIL FROM:<> SIZE=300000\r\n",
		"220,250,552 5.3.4,250 2.1.0", 0},
	    {"parameters",
		"EHLO c\r\nMAIL FROM:<> FOO=1\r\nMAIL FROM:<> RET=FULL\r\nMAIL FROM:<> "
		"BODY=8BITMIME AUTH=<>\r\nRCPT TO:<x@y> NOTIFY=NEVER\r\n",
		"220,250,555 5.5.4,555 5.5.4,250 2.1.0,555 5.5.4", 0},
	    {"BDAT",
		CHUNKS "BDAT 26\r\nFrom: anna@example.org\r\n\r\nBDAT 7\r\nQUIT\r\n.BDAT 3 "
		       "LAST\r\n\r\nxNOOP\r\n",
		"220,250,250 2.1.0,250 2.1.5,250 2.0.0,250 2.0.0,250 2.0.0,250 2.0.0", 1},
	    {"BDAT at once", CHUNKS "BDAT 24 LAST\r\nFrom: anna@example.org\r\nBDAT 0 LAST\r\n",
		"220,250,250 2.1.0,250 2.1.5,250 2.0.0,503 5.5.1", 1},
	    {"BDAT with a bare LF",
		CHUNKS "BDAT 27 LAST\r\nFrom: anna@example.org\r\n\r\n\nNOOP\r\n",
		"220,250,250 2.1.0,250 2.1.5,550 5.5.2,250 2.0.0", 0},
	    {"BDAT cut within CR LF is none",
		CHUNKS "BDAT 23\r\nFrom: anna@example.org\rBDAT 3 LAST\r\n\n\r\n",
		"220,250,250 2.1.0,250 2.1.5,250 2.0.0,250 2.0.0", 1},
	    {"BDAT refused on the way",
		CHUNKS "BDAT 3\r\na\nbBDAT 4\r\nRSETBDAT 4 LAST\r\nQUITNOOP\r\n",
		"220,250,250 2.1.0,250 2.1.5,550 5.5.2,503 5.5.1,503 5.5.1,250 2.0.0", 0},
	    {"BDAT and others",
		CHUNKS
		"BDAT 3\r\nFroDATA\r\nRCPT TO:<c@d>\r\nMAIL FROM:<>\r\nRSET\r\nBDAT 4 LAST\r\nQUIT",
		"220,250,250 2.1.0,250 2.1.5,250 2.0.0,503 5.5.1,503 5.5.1,503 5.5.1,250 2.0.0,503 "
		"5.5.1",
		0},
	    {"BDAT without recipients", "EHLO c\r\nMAIL FROM:<>\r\nBDAT 4 LAST\r\nQUITNOOP\r\n",
		"220,250,250 2.1.0,554 5.5.1,250 2.0.0", 0},
	    {"BDAT without a size", "EHLO c\r\nBDAT x\r\nNOOP\r\n", "220,250,501 5.5.4,421 4.7.0",
		0},
	    {"BDAT cut short", CHUNKS "BDAT 24 LAST\r\nFrom: anna", "220,250,250 2.1.0,250 2.1.5",
		0},
	    {"other commands",
		"VRFY x\r\nEXPN x\r\nHELP\r\nNOOP\r\nRSET\r\nSTARTTLS\r\nFOO\r\nETRN x\r\nRSET "
		"x\r\n",
		"220,252 2.5.2,502 5.5.1,214 2.0.0,250 2.0.0,250 2.0.0,503 5.5.1,500 5.5.1,500 "
		"5.5.1,501 "
		"5.5.4",
		0},
	    {"bare LF in a command", "EHLO c\nNOOP\r\n", "220,500 5.5.2,250 2.0.0", 0},
	    {"rset forgets", "EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<x@y>\r\nRSET\r\nDATA\r\n",
		"220,250,250 2.1.0,250 2.1.5,250 2.0.0,503 5.5.1", 0},
	    {"ehlo forgets",
		"EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<x@y>\r\nHELO d\r\nRCPT TO:<x@y>\r\n",
		"220,250,250 2.1.0,250 2.1.5,250,503 5.5.1", 0},
	    {"end of data forgets", BEGIN FROM "\r\n.\r\nRCPT TO:<x@y>\r\nDATA\r\n",
		"220,250,250 2.1.0,250 2.1.5,354,250 2.0.0,503 5.5.1,503 5.5.1", 1},
	    {"a refused message forgets",
		BEGIN "\r\n.\r\nDATA\r\nMAIL FROM:<>\r\nRCPT TO:<x@y>\r\nDATA\r\n" FROM "\r\n.\r\n",
		"220,250,250 2.1.0,250 2.1.5,354,550 5.7.1,503 5.5.1,250 2.1.0,250 2.1.5,354,250 "
		"2.0.0",
		1},
	    {"bare LF", BEGIN FROM "\r\na\nb\r\n.\r\nNOOP\r\n",
		"220,250,250 2.1.0,250 2.1.5,354,550 5.5.2,250 2.0.0", 0},
	    {"bare CR", BEGIN FROM "\r\na\rb\r\n.\r\nNOOP\r\n",
		"220,250,250 2.1.0,250 2.1.5,354,550 5.5.2,250 2.0.0", 0},
	    {"smuggled", BEGIN FROM "\r\na\r\n.\nMAIL FROM:<>\r\n\n.\r\nRSET\r\n.\r\nNOOP\r\n",
		"220,250,250 2.1.0,250 2.1.5,354,550 5.5.2,250 2.0.0", 0},
	    {"foreign From", BEGIN "From: boss@example.org\r\n\r\n.\r\n",
		"220,250,250 2.1.0,250 2.1.5,354,550 5.7.1", 0},
	    {"one foreign From",
		BEGIN "From: anna@example.org, boss@example.org\r\n"
		      "Sender: anna@example.org\r\n\r\n.\r\n",
		"220,250,250 2.1.0,250 2.1.5,354,550 5.7.1", 0},
	    {"two From", BEGIN FROM FROM "\r\n.\r\n", "220,250,250 2.1.0,250 2.1.5,354,550 5.7.1",
		0},
	    {"two From, one obsolete", BEGIN FROM "From : boss@example.org\r\n\r\n.\r\n",
		"220,250,250 2.1.0,250 2.1.5,354,550 5.7.1", 0},
	    {"foreign Sender", BEGIN FROM "Sender: boss@example.org\r\n\r\n.\r\n",
		"220,250,250 2.1.0,250 2.1.5,354,550 5.7.1", 0},
	    {"broken From", BEGIN "From: anna@example.org <boss@example.org>\r\n\r\n.\r\n",
		"220,250,250 2.1.0,250 2.1.5,354,550 5.7.1", 0},
	    {"empty group", BEGIN "From: nobody:;\r\n\r\n.\r\n",
		"220,250,250 2.1.0,250 2.1.5,354,550 5.7.1", 0},
	    {"no field", BEGIN FROM "hello\r\n\r\n.\r\n",
		"220,250,250 2.1.0,250 2.1.5,354,550 5.6.0", 0},
	    {"empty message", BEGIN ".\r\n", "220,250,250 2.1.0,250 2.1.5,354,550 5.7.1", 0},
	    {"several own From",
		BEGIN "From: \"A\" <anna+x@example.org>,\r\n a.b@example.org\r\n.\r\n",
		"220,250,250 2.1.0,250 2.1.5,354,250 2.0.0", 1},
	    {"AUTH over a key", "EHLO c\r\nAUTH EXTERNAL =\r\nAUTH EXTERNAL =\r\n",
		"220,250,235 2.7.0,503 5.5.1", 0},
	    {"AUTH in rounds", "EHLO c\r\nAUTH EXTERNAL\r\n\r\n", "220,250,334,235 2.7.0", 0},
	    {"AUTH cancelled", "EHLO c\r\nAUTH EXTERNAL\r\n*\r\nAUTH EXTERNAL =\r\n",
		"220,250,334,501 5.7.0,235 2.7.0", 0},
	    {"AUTH as another", "EHLO c\r\nAUTH EXTERNAL Ym9zc0BleGFtcGxlLm9yZw==\r\n",
		"220,250,535 5.7.8", 0},
	    {"AUTH broken", "EHLO c\r\nAUTH EXTERNAL !\r\nAUTH PLAIN =\r\nAUTH FOO\r\n",
		"220,250,501 5.5.2,504 5.5.4,504 5.5.4", 0},
	    {"AUTH out of place",
		"AUTH EXTERNAL =\r\nHELO c\r\nAUTH EXTERNAL =\r\nEHLO c\r\nMAIL "
		"FROM:<>\r\nAUTH EXTERNAL =\r\n",
		"220,503 5.5.1,250,503 5.5.1,250,250 2.1.0,503 5.5.1", 0},
	    {"too many errors",
		"A\r\nB\r\nC\r\nD\r\nE\r\nF\r\nG\r\nH\r\nI\r\nJ\r\nK\r\nL\r\nM\r\nN\r\nO\r\n"
		"P\r\nQ\r\nR\r\nS\r\nT\r\nNOOP\r\n",
		"220,500 5.5.1,500 5.5.1,500 5.5.1,500 5.5.1,500 5.5.1,500 5.5.1,500 5.5.1,500 "
		"5.5.1,500 "
		"5.5.1,500 5.5.1,500 5.5.1,500 5.5.1,500 5.5.1,500 5.5.1,500 5.5.1,500 5.5.1,500 "
		"5.5.1,500 "
		"5.5.1,500 5.5.1,500 5.5.1,421 4.7.0",
		0},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct arena a cleanup(arena_clear) = {0};
		struct str out cleanup(str_clear) = STR_INIT(1 << 20);
		struct str codes cleanup(str_clear) = STR_INIT(1 << 16);
		struct queued queued[FIXTURE_QUEUED_MAX];
		struct session s = fixture_session(NULL);
		converse(&s, span_cstr(cases[i].input), &out);
		codes_of(str_span(&out), &codes);
		if (!check_named(
			span_equal(str_span(&codes), span_cstr(cases[i].codes)), cases[i].what))
			printf("#   wanted %s\n#   got    %s\n", cases[i].codes, codes.data);
		check_int(fixture_take(&a, queued), cases[i].queued);
	}
}

/* The message as it is queued, byte for byte but for id and times. */
static void test_message(void)
{
	struct arena a cleanup(arena_clear) = {0};
	struct str out cleanup(str_clear) = STR_INIT(1 << 16);
	struct queued q[FIXTURE_QUEUED_MAX];
	struct session s = fixture_session(NULL);
	converse(&s,
	    SPAN("EHLO [10.1.2.3]\r\nMAIL FROM:<anna@example.org>\r\nRCPT TO:<b@example.net>\r\n"
		 "RCPT TO:<b@example.net>\r\nRCPT TO:<\"c d\"@example.net>\r\nDATA\r\n"
		 "Return-Path: <x@y>\r\n" FROM "Bcc: secret@example.com,\r\n  more@example.com\r\n"
		 "Subject: x\r\nbcc: z\r\n\r\nBcc: stays\r\n..dot\r\n\xc3\xa4\r\n.\r\n"),
	    &out);
	check_int(fixture_take(&a, q), 1);
	struct span received, rest = q[0].text;
	check(span_starts_with(
	    rest, SPAN("Received: from mail.example.org by mail.example.org\r\n\twith "
		       "ESMTPSA id ")));
	check(span_find(rest, SPAN("10.1.2.3")) == SIZE_MAX &&
	      span_find(rest, SPAN("192.0.2")) == SIZE_MAX);
	size_t date = span_find(rest, SPAN("Date: ")), id = span_find(rest, SPAN("Message-ID: <"));
	check(date != SIZE_MAX && id != SIZE_MAX && date < id);
	received = span_from(rest, id);
	rest = span_from(received, span_index(received, '\n') + 1);
	check_span(rest, SPAN(FROM "Subject: x\r\n\r\nBcc: stays\r\n.dot\r\n\xc3\xa4\r\n"));
	check_int(q[0].envelope.recipient_count, 2);
	check_span(q[0].envelope.recipients[1].address, SPAN("\"c d\"@example.net"));
	check_span(q[0].envelope.sender, SPAN("anna@example.org"));
	check_span(q[0].envelope.account, SPAN("anna"));
	check_span(q[0].envelope.client, SPAN("submission TLS-KEY abc"));
	check_int(q[0].envelope.body, QUEUE_BODY_8BITMIME); /* though nobody said so */
	check(!q[0].envelope.smtputf8);
	check_int(faccessat(fixture.wake_fd, "anna", F_OK, 0), 0);

	s = fixture_session(NULL);
	s.facts.tls = false;
	converse(&s,
	    SPAN("EHLO c\r\nMAIL FROM:<\xc3\xa4nna@example.org> SMTPUTF8\r\nRCPT "
		 "TO:<\xc3\xb6@example.net>\r\n"
		 "DATA\r\nMessage-Id: <a@b>\r\nDATE: Mon, 23 Nov 2026 10:00:00 +0000\r\n"
		 "From: \xc3\xa4nna@example.org\r\n\r\n.\r\n"),
	    &out);
	check_int(fixture_take(&a, q), 1);
	check(span_find(q[0].text, SPAN("with UTF8SMTPA id")) != SIZE_MAX);
	check(q[0].envelope.smtputf8);
	check(span_find(q[0].text, SPAN("Message-ID:")) == SIZE_MAX);
	check(span_find(q[0].text, SPAN("Date:")) == SIZE_MAX);

	s = fixture_session(NULL);
	converse(
	    &s, SPAN("HELO c\r\nMAIL FROM:<>\r\nRCPT TO:<b@c>\r\nDATA\r\n" FROM "\r\n.\r\n"), &out);
	check_int(fixture_take(&a, q), 1);
	check(span_find(q[0].text, SPAN("with SMTP id")) != SIZE_MAX);
	check_int(q[0].envelope.body, QUEUE_BODY_7BIT);
	check_int(q[0].envelope.sender.n, 0);
}

static void test_starts(void)
{
	struct str out cleanup(str_clear) = STR_INIT(1 << 16);
	struct session s = fixture_session(NULL);
	s.start = SESSION_AFTER_SASL;
	s.facts.helo = SPAN("client");
	s.facts.esmtp = true;
	converse(&s, SPAN("MAIL FROM:<>\r\nRSET\r\nAUTH EXTERNAL =\r\nEHLO x\r\n"), &out);
	check(span_starts_with(str_span(&out), SPAN("235 2.7.0 ")));
	check(span_find(str_span(&out), SPAN("\r\n250 2.1.0 ")) != SIZE_MAX);
	check(span_find(str_span(&out), SPAN("\r\n503 5.5.1 ")) != SIZE_MAX);
	check(span_find(str_span(&out), SPAN("AUTH")) == SIZE_MAX); /* nothing more to offer */
	s = fixture_session(NULL);
	s.start = SESSION_AFTER_STARTTLS;
	s.facts.helo = SPAN("client");
	converse(&s, SPAN("MAIL FROM:<>\r\nEHLO x\r\nMAIL FROM:<>\r\n"), &out);
	check(span_starts_with(str_span(&out), SPAN("503 5.5.1 ")));
	check(span_find(str_span(&out), SPAN("\r\n250 2.1.0 ")) != SIZE_MAX);
	check(span_find(str_span(&out), SPAN("250-AUTH EXTERNAL\r\n")) != SIZE_MAX ||
	      span_find(str_span(&out), SPAN("250 AUTH EXTERNAL\r\n")) != SIZE_MAX);
	s = fixture_session(NULL);
	s.account.disabled = true;
	s.account.disabled_text = SPAN("Gone fishing");
	converse(&s, SPAN("EHLO x\r\nMAIL FROM:<>\r\nAUTH EXTERNAL =\r\n"), &out);
	check(span_find(str_span(&out),
		  SPAN("525 5.7.13 Gone fishing\r\n525 5.7.13 Gone fishing\r\n")) != SIZE_MAX);
	s = fixture_session(NULL);
	s.account.local_only = true;
	converse(&s,
	    SPAN("EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nRCPT TO:<boss@example.org>\r\n"),
	    &out);
	check(span_find(str_span(&out), SPAN("550 5.7.1 ")) != SIZE_MAX);
	check(span_ends_with(str_span(&out), SPAN("250 2.1.5 Recipient accepted\r\n")));
}

/* A login that ends while the session lives. */
static void test_revoked(void)
{
	struct str out cleanup(str_clear) = STR_INIT(1 << 16);
	int fds[2];
	struct session s = fixture_session(NULL);
	check(pipe2(fds, O_CLOEXEC | O_NONBLOCK) == 0);
	s.changes_fd = fds[0];
	fixture.valid = LOGIN_BAD_CREDENTIALS;
	converse(&s, SPAN("NOOP\r\n"), &out); /* nothing was touched yet */
	check(span_find(str_span(&out), SPAN("250 2.0.0")) != SIZE_MAX);
	check(write(fds[1], "x", 1) == 1);
	converse(&s, SPAN("EHLO x\r\nMAIL FROM:<>\r\n"), &out);
	check(span_find(str_span(&out), SPAN("421 4.7.0 mail.example.org ")) != SIZE_MAX);
	check(span_find(str_span(&out), SPAN("2.1.0")) == SIZE_MAX);
	s = fixture_session(NULL);
	s.login.expires_s = wall_ms() / 1000 - 1;
	converse(&s, SPAN("EHLO x\r\n"), &out);
	check(span_find(str_span(&out), SPAN("421 4.7.0 ")) != SIZE_MAX);
	(void)close(fds[0]);
	(void)close(fds[1]);
}

/* Sizes of message and header: read to the end, refused, and the connection goes on. */
static void test_large(void)
{
	struct arena a cleanup(arena_clear) = {0};
	struct str in cleanup(str_clear) = STR_INIT(1 << 20);
	struct str out cleanup(str_clear) = STR_INIT(1 << 16);
	struct queued q[FIXTURE_QUEUED_MAX];
	struct session s = fixture_session(NULL);
	str_append_cstr(&in, BEGIN FROM "\r\n");
	while (in.n < 310000)
		str_append_cstr(&in, "0123456789012345678901234567890123456789\r\n");
	str_append_cstr(&in, ".\r\nNOOP\r\n");
	converse(&s, str_span(&in), &out);
	check(span_find(str_span(&out), SPAN("552 5.3.4 ")) != SIZE_MAX);
	check(span_ends_with(str_span(&out), SPAN("250 2.0.0 Done\r\n")));
	check_int(fixture_take(&a, q), 0);
	str_reset(&in);
	s = fixture_session(NULL);
	str_append_cstr(&in, BEGIN FROM);
	while (in.n < 270000)
		str_append_cstr(&in, "X-Field: 0123456789012345678901234567890123456789\r\n");
	str_append_cstr(&in, "\r\n.\r\nNOOP\r\n");
	converse(&s, str_span(&in), &out);
	check(span_find(str_span(&out), SPAN("552 5.3.4 The header")) != SIZE_MAX);
	check(span_ends_with(str_span(&out), SPAN("250 2.0.0 Done\r\n")));
	check_int(fixture_take(&a, q), 0);
	str_reset(&in);
	s = fixture_session(NULL);
	str_append_cstr(&in, "EHLO ");
	while (in.n < 10000)
		str_append_char(&in, 'x');
	str_append_cstr(&in, "\r\nNOOP\r\n");
	converse(&s, str_span(&in), &out);
	check(span_find(str_span(&out), SPAN("500 5.5.2 ")) != SIZE_MAX);
	check(span_ends_with(str_span(&out), SPAN("250 2.0.0 Done\r\n")));
}

/* Over a real socket, byte by byte, from a client that half-closes at the end. */
static void test_socket(void)
{
	static const char input[] = BEGIN FROM "\r\nhello\r\n..x\r\n.\r\nQUIT\r\n";
	struct arena a cleanup(arena_clear) = {0};
	struct queued q[FIXTURE_QUEUED_MAX];
	int fds[2];
	check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
	(void)fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		char replies[4096];
		(void)close(fds[0]);
		(void)alarm(20);
		for (size_t i = 0; i + 1 < sizeof(input); i++)
			if (write(fds[1], input + i, 1) != 1)
				_exit(1);
		(void)shutdown(fds[1], SHUT_WR);
		while (read(fds[1], replies, sizeof(replies)) > 0)
			;
		_exit(0);
	}
	(void)close(fds[1]);
	struct stream *peer = stream_new(channel_fd(fds[0]));
	struct session s = fixture_session(peer);
	check_int(submitd_serve(&s), 0);
	stream_free(peer);
	int status = 1;
	check(waitpid(pid, &status, 0) == pid && status == 0);
	check_int(fixture_take(&a, q), 1);
	check(span_ends_with(q[0].text, SPAN("\r\n\r\nhello\r\n.x\r\n")));
}

/* A folder that cannot be written: 451, and the session goes on. */
static void test_no_folder(void)
{
	struct str out cleanup(str_clear) = STR_INIT(1 << 16);
	struct session s = fixture_session(NULL);
	s.incoming_fd = -1;
	converse(&s, SPAN(BEGIN FROM "\r\n.\r\nNOOP\r\n"), &out);
	check(span_find(str_span(&out), SPAN("451 4.3.0 ")) != SIZE_MAX);
	check(span_ends_with(str_span(&out), SPAN("250 2.0.0 Done\r\n")));
}

#ifdef FAULT_POINTS
/* A full disk, early and at the commit: 452, nothing kept, and the session goes on. */
static void test_full_disk(void)
{
	struct arena a cleanup(arena_clear) = {0};
	struct str in cleanup(str_clear) = STR_INIT(1 << 20);
	struct str out cleanup(str_clear) = STR_INIT(1 << 16);
	struct queued q[FIXTURE_QUEUED_MAX];
	check(setenv("FAULT", "queue-disk-full", 1) == 0);
	for (size_t size = 100; size < 200000; size += 190000) {
		struct session s = fixture_session(NULL);
		str_reset(&in);
		str_append_cstr(&in, BEGIN FROM "\r\n");
		while (in.n < size)
			str_append_cstr(&in, "0123456789012345678901234567890123456789\r\n");
		str_append_cstr(&in, ".\r\nNOOP\r\n");
		converse(&s, str_span(&in), &out);
		check(span_find(str_span(&out), SPAN("\r\n452 4.3.1 ")) != SIZE_MAX);
		check(span_ends_with(str_span(&out), SPAN("250 2.0.0 Done\r\n")));
		check_int(fixture_take(&a, q), 0);
	}
	check(unsetenv("FAULT") == 0);
}
#endif

int main(void)
{
	(void)signal(SIGPIPE, SIG_IGN);
	if (crypto_init() < 0)
		return 1;
	fixture_begin();
	test_conversations();
	test_message();
	test_starts();
	test_revoked();
	test_large();
	test_socket();
	test_no_folder();
#ifdef FAULT_POINTS
	test_full_disk();
#endif
	fixture_end();
	return tap_end();
}
