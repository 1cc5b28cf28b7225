#include "smtp/command.h"

#include "sasl/server.h"
#include "tap.h"

enum { ALL = SMTP_SERVER_EXTENSIONS | SMTP_DSN | SMTP_AUTH };

static void test_verbs(void)
{
	for (unsigned v = 0; v + 1 < SMTP_VERB_COUNT; v++)
		check_named(span_compare(smtp_verb_name(v), smtp_verb_name(v + 1)) < 0,
		    "verbs are sorted and unique");
}

/* enhanced NULL: parses; else the refusal that must come. */
static void test_table(void)
{
	static const struct {
		const char *line;
		unsigned code;
		const char *enhanced;
		const char *address, *local, *domain; /* checked where set */
	} cases[] = {
	    {.line = "NOOP"},
	    {.line = "noop anything goes"},
	    {.line = "QUIT  "},
	    {.line = "DATA"},
	    {.line = "DATA now", .code = 501, .enhanced = "5.5.4"},
	    {.line = "RSET x", .code = 501, .enhanced = "5.5.4"},
	    {.line = "", .code = 500, .enhanced = "5.5.1"},
	    {.line = "ETRN x", .code = 500, .enhanced = "5.5.1"},
	    {.line = "MAILFROM:<a@b>", .code = 500, .enhanced = "5.5.1"},
	    {.line = "EHLO", .code = 501, .enhanced = "5.5.4"},
	    {.line = "EHLO a b", .code = 501, .enhanced = "5.5.4"},
	    {.line = "EHLO [127.0.0.1]"},
	    {.line = "HELO under_score"},
	    {.line = "VRFY", .code = 501, .enhanced = "5.5.4"},
	    {.line = "NOOP \x01", .code = 500, .enhanced = "5.5.2"},
	    {.line = "MAIL FROM:<>", .address = ""},
	    {.line = "mail from:<a@b.example>", .address = "a@b.example"},
	    {.line = "MAIL FROM: <a@b.example>", .address = "a@b.example"},
	    {.line = "MAIL FROM:<@x.example,@[127.0.0.1]:a@b.example>", .address = "a@b.example"},
	    {.line = "MAIL FROM:<a@[192.0.2.1]>", .domain = "[192.0.2.1]"},
	    {.line = "MAIL FROM:<a@[IPv6:2001:db8::1]>", .domain = "[IPv6:2001:db8::1]"},
	    {.line = "MAIL FROM:<a@[IPv6:192.0.2.1]>", .code = 501, .enhanced = "5.1.7"},
	    {.line = "MAIL FROM:<a@[x-tag:z]>", .code = 501, .enhanced = "5.1.7"},
	    {.line = "MAIL FROM:<\"a b\"@c.example>",
		.address = "\"a b\"@c.example",
		.local = "a b"},
	    {.line = "MAIL FROM:<\"ab\"@c.example>", .address = "ab@c.example", .local = "ab"},
	    {.line = "MAIL FROM:<\"a\\\"b\\\\\"@c.example>",
		.address = "\"a\\\"b\\\\\"@c.example",
		.local = "a\"b\\"},
	    {.line = "MAIL FROM:<\"a>b\"@c.example>", .local = "a>b"},
	    {.line = "MAIL FROM:<\"\"@c.example>", .address = "\"\"@c.example"},
	    {.line = "MAIL FROM:<\"a@c.example>", .code = 501, .enhanced = "5.1.7"},
	    {.line = "MAIL FROM:<\"a\\", .code = 501, .enhanced = "5.1.7"},
	    {.line = "MAIL FROM:<a..b@c.example>", .code = 501, .enhanced = "5.1.7"},
	    {.line = "MAIL FROM:<.a@c.example>", .code = 501, .enhanced = "5.1.7"},
	    {.line = "MAIL FROM:<a.@c.example>", .code = 501, .enhanced = "5.1.7"},
	    {.line = "MAIL FROM:<a@-c.example>", .code = 501, .enhanced = "5.1.7"},
	    {.line = "MAIL FROM:<a@c..example>", .code = 501, .enhanced = "5.1.7"},
	    {.line = "MAIL FROM:<a@c.example.>", .code = 501, .enhanced = "5.1.7"},
	    {.line = "MAIL FROM:<a@>", .code = 501, .enhanced = "5.1.7"},
	    {.line = "MAIL FROM:<a>", .code = 501, .enhanced = "5.1.7"},
	    {.line = "MAIL FROM:<postmaster>", .code = 501, .enhanced = "5.1.7"},
	    {.line = "MAIL FROM:a@b.example", .code = 501, .enhanced = "5.1.7"},
	    {.line = "MAIL FROM:<a@b.example", .code = 501, .enhanced = "5.1.7"},
	    {.line = "MAIL FROM:<a@b.example>>", .code = 501, .enhanced = "5.5.2"},
	    {.line = "MAIL FROM:<a@b.example>SIZE=1", .code = 501, .enhanced = "5.5.2"},
	    {.line = "MAIL TO:<a@b.example>", .code = 501, .enhanced = "5.5.2"},
	    {.line = "MAIL", .code = 501, .enhanced = "5.5.2"},
	    {.line = "MAIL FROM:<1234567890123456789012345678901234567890123456789012345678901234"
		     "@b.example>"},
	    {.line = "MAIL FROM:<12345678901234567890123456789012345678901234567890123456789012345"
		     "@b.example>",
		.code = 501,
		.enhanced = "5.1.7"},
	    {.line = "MAIL FROM:<\xc3\xa4@b.example>", .code = 550, .enhanced = "5.6.7"},
	    {.line = "MAIL FROM:<\xc3\xa4@b.example> SMTPUTF8", .address = "\xc3\xa4@b.example"},
	    {.line = "MAIL FROM:<a@\xc3\xa4.example> SMTPUTF8", .domain = "\xc3\xa4.example"},
	    {.line = "MAIL FROM:<\xc3@b.example> SMTPUTF8", .code = 501, .enhanced = "5.1.7"},
	    {.line = "MAIL FROM:<a@b> SMTPUTF8=yes", .code = 501, .enhanced = "5.5.4"},
	    {.line = "MAIL FROM:<a@b> SIZE=5 SIZE=6", .code = 501, .enhanced = "5.5.4"},
	    {.line = "MAIL FROM:<a@b> SIZE=", .code = 501, .enhanced = "5.5.4"},
	    {.line = "MAIL FROM:<a@b> SIZE=99999999999999999999"},
	    {.line = "MAIL FROM:<a@b> SIZE=999999999999999999999",
		.code = 501,
		.enhanced = "5.5.4"},
	    {.line = "MAIL FROM:<a@b> BODY=8bitmime RET=FULL ENVID=x+2B AUTH=<>"},
	    {.line = "MAIL FROM:<a@b> BODY=BINARYMIME", .code = 501, .enhanced = "5.5.4"},
	    {.line = "MAIL FROM:<a@b> ENVID=+2b", .code = 501, .enhanced = "5.5.4"},
	    {.line = "MAIL FROM:<a@b> AUTH=a=b", .code = 501, .enhanced = "5.5.4"},
	    {.line = "MAIL FROM:<a@b> HOLDFOR=5", .code = 555, .enhanced = "5.5.4"},
	    {.line = "MAIL FROM:<a@b> NOTIFY=NEVER", .code = 555, .enhanced = "5.5.4"},
	    {.line = "RCPT TO:<>", .code = 501, .enhanced = "5.1.3"},
	    {.line = "RCPT TO:<Postmaster>", .address = "Postmaster", .domain = ""},
	    {.line = "RCPT TO:<a>", .code = 501, .enhanced = "5.1.3"},
	    {.line = "RCPT TO:<\xc3\xa4@b.example>", .code = 553, .enhanced = "5.6.7"},
	    {.line = "RCPT TO:<a@b> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a+40b"},
	    {.line = "RCPT TO:<a@b> NOTIFY=NEVER,DELAY", .code = 501, .enhanced = "5.5.4"},
	    {.line = "RCPT TO:<a@b> NOTIFY=DELAY,DELAY", .code = 501, .enhanced = "5.5.4"},
	    {.line = "RCPT TO:<a@b> NOTIFY=", .code = 501, .enhanced = "5.5.4"},
	    {.line = "RCPT TO:<a@b> NOTIFY", .code = 501, .enhanced = "5.5.4"},
	    {.line = "RCPT TO:<a@b> ORCPT=rfc822", .code = 501, .enhanced = "5.5.4"},
	    {.line = "RCPT TO:<a@b> ORCPT=rfc822;a\xff", .code = 501, .enhanced = "5.5.4"},
	    {.line = "RCPT TO:<a@b> SIZE=5", .code = 555, .enhanced = "5.5.4"},
	    {.line = "AUTH", .code = 501, .enhanced = "5.5.4"},
	    {.line = "AUTH PLAIN"},
	    {.line = "AUTH PLAIN ="},
	    {.line = "AUTH PLAIN a b", .code = 501, .enhanced = "5.5.4"},
	    {.line = "BDAT 10"},
	    {.line = "BDAT 10 last"},
	    {.line = "BDAT", .code = 501, .enhanced = "5.5.4"},
	    {.line = "BDAT -1", .code = 501, .enhanced = "5.5.4"},
	    {.line = "BDAT 5 first", .code = 501, .enhanced = "5.5.4"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct arena a cleanup(arena_clear) = {0};
		struct smtp_command c = {0};
		struct smtp_status s = {0};
		int error = smtp_command_parse(span_cstr(cases[i].line), ALL, false, &a, &c, &s);
		if (cases[i].code) {
			bool good = error == -EINVAL && s.code == cases[i].code &&
				    strcmp(s.enhanced, cases[i].enhanced) == 0;
			check_named(good, cases[i].line);
			if (!good)
				printf("# %d %u %s\n", error, s.code, s.enhanced ? s.enhanced : "");
			continue;
		}
		check_named(error == 0, cases[i].line);
		if (cases[i].address)
			check_span(c.path.address, span_cstr(cases[i].address));
		if (cases[i].local)
			check_span(c.path.local, span_cstr(cases[i].local));
		if (cases[i].domain)
			check_span(c.path.domain, span_cstr(cases[i].domain));
	}
}

static void test_fields(void)
{
	struct arena a cleanup(arena_clear) = {0};
	struct smtp_command c = {0};
	struct smtp_status s = {0};
	check_int(smtp_command_parse(SPAN("AUTH plain ="), ALL, false, &a, &c, &s), 0);
	check(span_is_set(c.initial_response) && c.initial_response.n == 0);
	check_int(smtp_command_parse(SPAN("AUTH plain AGE="), ALL, false, &a, &c, &s), 0);
	check_span(c.initial_response, SPAN("AGE="));
	check_span(c.argument, SPAN("plain"));
	check_int(smtp_command_parse(SPAN("AUTH plain"), ALL, false, &a, &c, &s), 0);
	check(!span_is_set(c.initial_response));
	check_int(smtp_command_parse(SPAN("BDAT 77 LAST"), ALL, false, &a, &c, &s), 0);
	check(c.last && c.size == 77);
	check_int(smtp_command_parse(SPAN("RCPT TO:<a@b> NOTIFY=FAILURE,DELAY ORCPT=rfc822;x"), ALL,
		      false, &a, &c, &s),
	    0);
	check_int(c.notify, SMTP_NOTIFY_FAILURE | SMTP_NOTIFY_DELAY);
	check_span(c.original, SPAN("rfc822;x"));
	/* What is not announced is unknown. */
	check_int(smtp_command_parse(SPAN("BDAT 77"), SMTP_SIZE, false, &a, &c, &s), -EINVAL);
	check_int(s.code, 500);
	check_int(smtp_command_parse(
		      SPAN("MAIL FROM:<a@b> RET=FULL"), SMTP_SERVER_EXTENSIONS, false, &a, &c, &s),
	    -EINVAL);
	check_int(s.code, 555);
	check_int(
	    smtp_command_parse(SPAN("RCPT TO:<\xc3\xa4@b.example>"), ALL, true, &a, &c, &s), 0);
	check(c.path.utf8);
}

/* Every line of the table above, cut at every byte, must end in a defined way (ASan watches). */
static void test_cut(void)
{
	static const char line[] = "RCPT TO:<@a.example:\"q\\\"x\"@[IPv6:2001:db8::1]> "
				   "NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a+40b";
	for (size_t n = 0; n < sizeof(line); n++) {
		struct arena a cleanup(arena_clear) = {0};
		struct smtp_command c = {0};
		struct smtp_status s = {0};
		char *copy = xmalloc(n + 1);
		memcpy(copy, line, n);
		int error = smtp_command_parse(span_of(copy, n), ALL, false, &a, &c, &s);
		check_named(error == 0 || s.code >= 500, "cut line");
		free(copy);
	}
}

static void test_xtext(void)
{
	struct str out cleanup(str_clear) = STR_INIT(100);
	xtext_encode(SPAN("a+b=c d"), &out);
	check_span(str_span(&out), SPAN("a+2Bb+3Dc+20d"));
	struct str back cleanup(str_clear) = STR_INIT(100);
	check_int(xtext_decode(str_span(&out), &back), 0);
	check_span(str_span(&back), SPAN("a+b=c d"));
	check_int(xtext_decode(SPAN("+2"), &back), -EINVAL);
}

static void test_replies(void)
{
	struct str out cleanup(str_clear) = STR_INIT(10000);
	struct stream *s = stream_memory(SPAN(""), &out);
	smtp_reply(s, 250, "2.0.0", SPAN("one\r\ntwo\x80"));
	smtp_reply_format(s, 354, NULL, "%s", "go");
	check_int(stream_flush(s), 0);
	check_span(str_span(&out), SPAN("250-2.0.0 one?\r\n250 2.0.0 two?\r\n354 go\r\n"));
	str_reset(&out);
	smtp_reply(s, 525, "5.7.13", SPAN("Ge\xc3\xa4ndert \xe2\x82\xac\x7f"));
	check_int(stream_flush(s), 0);
	check_span(str_span(&out), SPAN("525 5.7.13 Ge?ndert ??\r\n"));
	str_reset(&out);
	char big[2000];
	memset(big, 'x', sizeof(big));
	smtp_reply(s, 550, "5.0.0", span_of(big, sizeof(big)));
	check_int(stream_flush(s), 0);
	check_int(out.n, SMTP_REPLY_LINE_MAX_BYTES + 2);
	stream_free(s);
}

/* AUTH only where there is a mechanism: an empty list confuses clients. */
static void test_ehlo(void)
{
	struct str out cleanup(str_clear) = STR_INIT(10000);
	struct stream *s = stream_memory(SPAN(""), &out);
	struct smtp_announcement a = {
	    SPAN("mail.example"), SMTP_SERVER_EXTENSIONS | SMTP_STARTTLS, 1000, 0};
	smtp_write_ehlo_reply(s, &a);
	check_int(stream_flush(s), 0);
	check_span(str_span(&out),
	    SPAN("250-mail.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n"
		 "250-ENHANCEDSTATUSCODES\r\n250-CHUNKING\r\n250-STARTTLS\r\n250 SIZE 1000\r\n"));
	str_reset(&out);
	a.extensions = 0;
	a.mechanisms = 1u << SASL_PLAIN | 1u << SASL_EXTERNAL;
	smtp_write_ehlo_reply(s, &a);
	smtp_write_challenge(s, SPAN(""));
	smtp_write_challenge(s, SPAN("abc"));
	check_int(stream_flush(s), 0);
	check_span(str_span(&out),
	    SPAN("250-mail.example\r\n250 AUTH EXTERNAL PLAIN\r\n334 \r\n334 YWJj\r\n"));
	stream_free(s);
}

int main(void)
{
	test_ehlo();
	test_verbs();
	test_table();
	test_fields();
	test_cut();
	test_xtext();
	test_replies();
	return tap_end();
}
