/*
 * Random conversations against a reference: a few lines that say what each command must be answered
 * after any other, and what must then be in the queue. State that survives where it must not shows
 * as a wrong code, or as a recipient or sender of another message.
 */
#include <signal.h>

#include "crypto/crypto.h"
#include "submitd/server.h"
#include "submitd_session.h"
#include "tap.h"

enum { CONVERSATIONS = 150, COMMANDS = 40, RECIPIENTS_MAX = 5 };

enum step {
	EHLO,
	HELO,
	MAIL_OWN,
	MAIL_NULL,
	MAIL_FOREIGN,
	MAIL_BAD,
	RCPT_1,
	RCPT_2,
	RCPT_UNKNOWN,
	RCPT_BAD,
	RSET,
	NOOP,
	VRFY,
	UNKNOWN,
	AUTH,
	DATA_GOOD,
	DATA_BARE,
	DATA_FOREIGN,
	BDAT_PART,
	BDAT_GOOD,
	STEPS
};
static const char *const texts[STEPS] = {
    [EHLO] = "EHLO c\r\n",
    [HELO] = "HELO c\r\n",
    [MAIL_OWN] = "MAIL FROM:<anna@example.org>\r\n",
    [MAIL_NULL] = "MAIL FROM:<>\r\n",
    [MAIL_FOREIGN] = "MAIL FROM:<boss@example.org>\r\n",
    [MAIL_BAD] = "MAIL FROM:<a@b> X=1\r\n",
    [RCPT_1] = "RCPT TO:<one@example.net>\r\n",
    [RCPT_2] = "RCPT TO:<two@example.net>\r\n",
    [RCPT_UNKNOWN] = "RCPT TO:<nobody@example.org>\r\n",
    [RCPT_BAD] = "RCPT TO:<nobody>\r\n",
    [RSET] = "RSET\r\n",
    [NOOP] = "NOOP\r\n",
    [VRFY] = "VRFY x\r\n",
    [UNKNOWN] = "XYZZY\r\n",
    [AUTH] = "AUTH EXTERNAL =\r\n",
    [DATA_GOOD] = "DATA\r\n",
    [DATA_BARE] = "DATA\r\n",
    [DATA_FOREIGN] = "DATA\r\n",
    [BDAT_PART] = "BDAT 14\r\nX-QUIT: QUIT\r\n",
    [BDAT_GOOD] = "BDAT 32 LAST\r\nFrom: anna@example.org\r\n\r\nRSET\r\n",
};
static const char good_text[] = "From: anna@example.org\r\n\r\nDATA\r\n..\r\n.\r\n";
static const char bare_text[] = "From: anna@example.org\r\n\r\n\n.\r\nRSET\r\n.\r\n";
static const char foreign_text[] = "From: boss@example.org\r\n\r\nRSET\r\n.\r\n";

struct model {
	bool hello, esmtp, transaction, chunks, authenticated, null_sender;
	bool recipients[2];
	unsigned errors;
};
struct expected {
	bool null_sender, recipients[2];
};

static unsigned mistake(struct model *m, unsigned code)
{
	m->errors++;
	return code;
}

static void forget(struct model *m)
{
	m->transaction = m->chunks = m->null_sender = m->recipients[0] = m->recipients[1] = false;
}

/* The code of the answer. */
static unsigned model_mail(struct model *m, enum step s)
{
	if (s == MAIL_BAD)
		return mistake(m, 555);
	if (!m->hello || m->transaction)
		return mistake(m, 503);
	if (s == MAIL_FOREIGN)
		return 550;
	m->transaction = true;
	m->null_sender = s == MAIL_NULL;
	return 250;
}

static unsigned model_step(struct model *m, enum step s)
{
	switch (s) {
	case EHLO:
	case HELO:
		forget(m);
		m->hello = true;
		m->esmtp = s == EHLO;
		return 250;
	case MAIL_OWN:
	case MAIL_NULL:
	case MAIL_FOREIGN:
	case MAIL_BAD: return model_mail(m, s);
	case RCPT_BAD: return mistake(m, 501);
	case RCPT_1:
	case RCPT_2:
	case RCPT_UNKNOWN:
		if (!m->hello || !m->transaction || m->chunks)
			return mistake(m, 503);
		if (s == RCPT_UNKNOWN)
			return 550;
		m->recipients[s == RCPT_2] = true;
		return 250;
	case RSET: forget(m); return 250;
	case NOOP: return 250;
	case VRFY: return 252;
	case UNKNOWN: return mistake(m, 500);
	case AUTH:
		if (!m->esmtp || m->transaction || m->authenticated)
			return mistake(m, 503);
		m->authenticated = true;
		return 235;
	case BDAT_PART:
	case BDAT_GOOD:
		if (!m->transaction)
			return mistake(m, 503);
		if (!m->recipients[0] && !m->recipients[1])
			return mistake(m, 554);
		m->chunks = true;
		return 250;
	default: /* DATA, up to its text */
		if (!m->hello || !m->transaction || m->chunks)
			return mistake(m, 503);
		return m->recipients[0] || m->recipients[1] ? 354 : mistake(m, 554);
	}
}

static void expect(struct str *codes, unsigned code)
{
	str_format(codes, "%u ", code);
}

/* The final lines' codes of all replies, "220 250 …". */
static void codes_of(struct span replies, struct str *out)
{
	struct span line;
	while (span_cut(replies, '\n', &line, &replies))
		if (line.n > 3 && line.p[3] == ' ')
			str_format(out, "%.3s ", line.p);
}

static bool envelope_is(const struct envelope *e, const struct expected *want)
{
	size_t n = 0;
	bool good = want->null_sender == (e->sender.n == 0);
	for (size_t i = 0; i < 2; i++)
		n += want->recipients[i];
	good = good && e->recipient_count == n;
	for (size_t i = 0; i < e->recipient_count; i++) {
		bool second = span_equal(e->recipients[i].address, SPAN("two@example.net"));
		good = good && want->recipients[second];
	}
	return good;
}

static bool one_conversation(void)
{
	struct arena a cleanup(arena_clear) = {0};
	struct str in cleanup(str_clear) = STR_INIT(1 << 20);
	struct str out cleanup(str_clear) = STR_INIT(1 << 20);
	struct str wanted cleanup(str_clear) = STR_INIT(1 << 16);
	struct str got cleanup(str_clear) = STR_INIT(1 << 16);
	struct expected messages[COMMANDS];
	struct queued queued[FIXTURE_QUEUED_MAX];
	struct model m = {0};
	size_t count = 0;
	expect(&wanted, 220);
	for (int i = 0; i < COMMANDS && m.errors < SUBMITD_ERRORS_MAX; i++) {
		/* Half of the steps are what a well-behaved client would say next. */
		static const enum step likely[] = {EHLO, MAIL_OWN, RCPT_1, RCPT_2, DATA_GOOD};
		bool proper = random() % 2;
		enum step s = proper ? likely[!m.hello	       ? 0
					      : !m.transaction ? 1
							       : 2 + random() % 3]
				     : (enum step)(random() % STEPS);
		unsigned code = model_step(&m, s);
		str_append_cstr(&in, texts[s]);
		expect(&wanted, code);
		if (s == BDAT_GOOD && code == 250) {
			messages[count++] =
			    (struct expected){m.null_sender, {m.recipients[0], m.recipients[1]}};
			forget(&m);
		}
		if (code != 354)
			continue;
		str_append_cstr(&in, s == DATA_GOOD   ? good_text
				     : s == DATA_BARE ? bare_text
						      : foreign_text);
		expect(&wanted, s == DATA_GOOD ? 250 : 550);
		if (s == DATA_GOOD)
			messages[count++] =
			    (struct expected){m.null_sender, {m.recipients[0], m.recipients[1]}};
		forget(&m);
	}
	if (m.errors == SUBMITD_ERRORS_MAX)
		expect(&wanted, 421);
	struct session s = fixture_session(stream_memory(str_span(&in), &out));
	bool good = submitd_serve(&s) == 0;
	stream_free(s.peer);
	codes_of(str_span(&out), &got);
	good = good && span_equal(str_span(&got), str_span(&wanted)) &&
	       fixture_take(&a, queued) == count;
	/*
	 * Ids of one millisecond are in no order: each message must have been expected somewhere.
	 */
	for (size_t i = 0; good && i < count; i++) {
		bool found = false;
		for (size_t n = 0; n < count; n++)
			found = found || envelope_is(&queued[i].envelope, &messages[n]);
		good = found;
	}
	if (!good)
		printf("# said\n%s\n# wanted %s\n# got    %s\n", in.data, wanted.data, got.data);
	return good;
}

int main(void)
{
	(void)signal(SIGPIPE, SIG_IGN);
	if (crypto_init() < 0)
		return 1;
	fixture_begin();
	srandom(20261123);
	unsigned bad = 0;
	for (int i = 0; i < CONVERSATIONS && bad == 0; i++)
		bad += !one_conversation();
	check_named(bad == 0, "random conversations are answered as the reference says");
	fixture_end();
	return tap_end();
}
