/*
 * A handler whose protocol after the login is made for tests of gate, session and relay: commands
 * of one line. usage: fake_handler imap|submission OPTIONS, as the real ones.
 *
 *	greeting: "SERVE start=greet account=a address=a@x mechanism=TLS-KEY key=… tag=…"
 *	ECHO text    "text"
 *	SPEW n       n bytes
 *	SINK n       reads n bytes, then "sunk n"
 *	VALID        session_still_valid()
 *	FILE path    opens it for reading: "opened" or the errno
 *	HANG         reads and writes nothing any more
 *	QUIT
 */
#include "gate/handler.h"

#include <fcntl.h>
#include <poll.h>
#include <sysexits.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 4096, PIECE_BYTES = 65536 };

static void greet(struct session *s)
{
	static const char *const starts[] = {"greet", "after-sasl", "after-starttls"};
	struct session_login *l = &s->login;
	stream_format(s->peer,
	    "SERVE start=%s account=%.*s address=%.*s mechanism=%.*s key=%.*s tag=%.*s helo=%.*s "
	    "changes=%d\r\n",
	    starts[s->start], SPAN_ARG(l->account), SPAN_ARG(l->address), SPAN_ARG(l->mechanism),
	    SPAN_ARG(l->fingerprint), SPAN_ARG(s->tag), SPAN_ARG(s->facts.helo),
	    s->changes_fd >= 0);
}

static void spew(struct stream *peer, uint64_t n)
{
	static const char piece[PIECE_BYTES];
	for (; n; n -= MIN(n, sizeof(piece)))
		stream_write(peer, span_of(piece, MIN(n, sizeof(piece))));
}

static void sink(struct stream *peer, uint64_t n)
{
	char piece[4096];
	uint64_t seen = 0;
	while (seen < n) {
		ssize_t got = stream_read(peer, piece, MIN(n - seen, sizeof(piece)));
		if (got <= 0)
			break;
		seen += (uint64_t)got;
	}
	stream_format(peer, "sunk %llu\r\n", (unsigned long long)seen);
}

/* False: the end. */
static bool run(struct session *s, struct span line)
{
	struct span verb, rest;
	uint64_t n = 0;

	(void)span_cut(line, ' ', &verb, &rest);
	(void)!span_to_u64(rest, UINT32_MAX, &n);
	if (span_equal(verb, SPAN("ECHO"))) {
		stream_format(s->peer, "%.*s\r\n", SPAN_ARG(rest));
	} else if (span_equal(verb, SPAN("SPEW"))) {
		spew(s->peer, n);
	} else if (span_equal(verb, SPAN("SINK"))) {
		sink(s->peer, n);
	} else if (span_equal(verb, SPAN("VALID"))) {
		stream_format(s->peer, "%s\r\n", login_result_name(session_still_valid(s)));
	} else if (span_equal(verb, SPAN("FILE"))) {
		int fd = open(arena_cstr(s->arena, rest), O_RDONLY | O_CLOEXEC);
		stream_format(s->peer, "%s\r\n", fd >= 0 ? "opened" : strerrorname_np(errno));
		close_fd(&fd);
	} else if (span_equal(verb, SPAN("HANG"))) {
		for (;;)
			(void)poll(NULL, 0, -1);
	} else {
		stream_write_cstr(
		    s->peer, span_equal(verb, SPAN("QUIT")) ? "bye\r\n" : "what?\r\n");
		return !span_equal(verb, SPAN("QUIT"));
	}
	return true;
}

static int serve(struct session *s)
{
	struct str line cleanup(str_clear) = STR_INIT(LINE_MAX_BYTES + 2);

	greet(s);
	while (stream_read_line(s->peer, LINE_MAX_BYTES, &line) == LINE_OK) {
		if (!run(s, str_span(&line)))
			break;
	}
	(void)!stream_flush(s->peer);
	return EX_OK;
}

int main(int argc, char **argv)
{
	struct handler handler = {.program = "fake-handler", .serve = serve, .log = log_line};

	if (argc < 2)
		return EX_USAGE;
	handler.protocol = strcmp(argv[1], "imap") == 0 ? PROTOCOL_IMAP : PROTOCOL_SUBMISSION;
	argv[1] = argv[0];
	return handler_main(argc - 1, argv + 1, &handler);
}
