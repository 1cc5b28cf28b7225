#include "tap.h"

#include <unistd.h>

#include "imap/command.h"
#include "imap/reader.h"

static const struct imap_limits limits = {
    .line_bytes = 100, .literal_bytes = 20, .total_bytes = 200, .discard_bytes = 1000};

/* What is read from the input, one token per event, and what is said. */
static void play(struct span input, struct str *events, struct str *said)
{
	struct stream *s = stream_memory(input, said);
	struct imap_reader r;
	imap_reader_init(&r, s, &limits);
	for (;;) {
		enum imap_read got = imap_reader_next(&r);
		switch (got) {
		case IMAP_READ_COMMAND:
			str_format(events, "<%.*s>", SPAN_ARG(str_span(&r.text)));
			break;
		case IMAP_READ_APPEND:
			str_format(events, "append %zu:", (size_t)r.literal.bytes);
			if (r.literal.bytes > 500) {
				got = imap_reader_refuse(&r);
				str_append_cstr(events, "refused ");
				break;
			}
			imap_reader_accept(&r);
			char message[500];
			if (stream_read_all(s, message, (size_t)r.literal.bytes) != 0) {
				got = IMAP_READ_EOF;
				break;
			}
			got = imap_reader_rest(&r);
			str_format(events, "[%.*s]", SPAN_ARG(str_span(&r.line)));
			break;
		case IMAP_READ_LITERAL_TOO_BIG: str_append_cstr(events, "big "); break;
		default: break;
		}
		if (got == IMAP_READ_LINE_TOO_LONG)
			str_append_cstr(events, "long");
		if (got == IMAP_READ_LOST)
			str_append_cstr(events, "lost");
		if (got > IMAP_READ_LITERAL_TOO_BIG)
			break;
	}
	check_int(stream_error(s), 0);
	(void)!stream_flush(s);
	imap_reader_clear(&r);
	stream_free(s);
}

static void test_play(void)
{
	static const struct {
		const char *input, *events, *said;
	} cases[] = {
	    {"a NOOP\r\nb NOOP\nc", "<a NOOP><b NOOP>", ""},
	    {"\r\na NOOP\r\n", "<><a NOOP>", ""},
	    {"a LOGIN {3}\r\nabc {2+}\r\nde\r\nb NOOP\r\n",
		"<a LOGIN {3}\r\nabc {2+}\r\nde><b NOOP>", "+ Ready\r\n"},
	    {"a LOGIN {0}\r\n {0}\r\n\r\n", "<a LOGIN {0}\r\n {0}\r\n>", "+ Ready\r\n+ Ready\r\n"},
	    /* refused: the client keeps it */
	    {"a LOGIN {21}\r\nb NOOP\r\n", "big <b NOOP>", ""},
	    /* refused: read and dropped, with what follows */
	    {"a LOGIN {21+}\r\n123456789012345678901 {3+}\r\nabc {3}\r\nb NOOP\r\n", "big <b NOOP>",
		""},
	    {"a LOGIN {21+}\r\n123456789012345678901 x\r\nb NOOP\r\n", "big <b NOOP>", ""},
	    {"a LOGIN {1001+}\r\nxxxxx", "lost", ""},
	    {"a LOGIN {99999999999999999999999+}\r\nxxxxx", "lost", ""},
	    {"a LOGIN {99999999999999999999999}\r\nb NOOP\r\n", "big <b NOOP>", ""},
	    {"a APPEND x (\\Seen) {5}\r\nhello\r\nb NOOP\r\n", "append 5:[]<b NOOP>",
		"+ Ready\r\n"},
	    {"a APPEND {1}\r\nx {5}\r\nhello\r\nb NOOP\r\n", "append 5:[]<b NOOP>",
		"+ Ready\r\n+ Ready\r\n"},
	    {"a append x UTF8 (~{5+}\r\nhello)\r\nb NOOP\r\n", "append 5:[)]<b NOOP>", ""},
	    {"a APPEND x {501+}\r\nhello", "append 501:refused ", ""},
	    {"a APPEND x {501}\r\nb NOOP\r\n", "append 501:refused <b NOOP>", ""},
	    {"a X {1+}\r\n1{1+}\r\n2{1+}\r\n3{x}\r\n", "<a X {1+}\r\n1{1+}\r\n2{1+}\r\n3{x}>", ""},
	    {"a 78901234567890123456789012345678901234567890123456789012345678901234567890123456789"
	     "0123456789012345678\r\nb NOOP\r\n",
		"long", ""},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct str events cleanup(str_clear) = STR_INIT(10000);
		struct str said cleanup(str_clear) = STR_INIT(10000);
		struct span input = span_cstr(cases[i].input);
		play(input, &events, &said);
		check_span(str_span(&events), span_cstr(cases[i].events));
		check_span(str_span(&said), span_cstr(cases[i].said));
		for (size_t n = 0; n < input.n; n++) { /* cut anywhere: an end, never an error */
			str_reset(&events);
			str_reset(&said);
			play(span_sub(input, 0, n), &events, &said);
		}
	}
}

/* Endless empty literals come to an end. */
static void test_endless(void)
{
	struct str input cleanup(str_clear) = STR_INIT(1 << 20);
	struct str events cleanup(str_clear) = STR_INIT(10000);
	struct str said cleanup(str_clear) = STR_INIT(10000);
	str_append_cstr(&input, "a X {30+}\r\n012345678901234567890123456789");
	for (int i = 0; i < 10000; i++)
		str_append_cstr(&input, " {0+}\r\n");
	play(str_span(&input), &events, &said);
	check_span(str_span(&events), SPAN("lost"));
	str_reset(&events);
	play(span_from(str_span(&input), 41), &events, &said);
	check_span(str_span(&events), SPAN("long")); /* past total_bytes */
}

int main(void)
{
	test_play();
	test_endless();
	struct imap_literal literal;
	check(imap_literal_marker(SPAN("a ~{12+}"), &literal) && literal.bytes == 12 &&
	      literal.binary && !literal.synchronising);
	check(!imap_literal_marker(SPAN("12}"), &literal) &&
	      !imap_literal_marker(SPAN("{}"), &literal));
	check(!imap_literal_marker(SPAN("{-1}"), &literal) &&
	      !imap_literal_marker(SPAN("}"), &literal));
	return tap_end();
}
