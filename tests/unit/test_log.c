#include "sys/log.h"

#include <fcntl.h>
#include <unistd.h>

#include "tap.h"

static void check_quote(struct span in, size_t max, struct span want)
{
	struct str out cleanup(str_clear) = STR_INIT(1000);
	log_quote(in, max, &out);
	check_span(str_span(&out), want);
}

/* What one line looks like on stderr, after "program[pid]: ". */
static void check_line(const char *text, struct span want)
{
	int pipe_fds[2], saved = dup(STDERR_FILENO);
	char buffer[4096];
	struct span line, before, after;

	if (pipe(pipe_fds) < 0)
		abort();
	dup2(pipe_fds[1], STDERR_FILENO);
	log_line(LOG_LEVEL_INFO, "%s", text);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(pipe_fds[1]);
	ssize_t n = read(pipe_fds[0], buffer, sizeof(buffer));
	close(pipe_fds[0]);
	line = span_of(buffer, n > 0 ? (size_t)n : 0);
	check(span_starts_with(line, SPAN("test[")));
	size_t at = span_find(line, SPAN("]: "));
	before = span_sub(line, 0, at);
	after = span_from(line, at + 3);
	check(before.n < 20);
	check_span(after, want);
}

int main(void)
{
	char longer[3000];

	check_quote(SPAN("user@example.org"), 100, SPAN("user@example.org"));
	check_quote(SPAN("a\r\nb\0\t\x7f"), 100, SPAN("a\\x0d\\x0ab\\x00\\x09\\x7f"));
	check_quote(SPAN("\"\\"), 100, SPAN("\\x22\\x5c"));
	check_quote(SPAN("j\xc3\xb8 \xe2\x82\xac \xf0\x9f\x93\xac"), 100,
	    SPAN("j\xc3\xb8 \xe2\x82\xac \xf0\x9f\x93\xac"));
	check_quote(SPAN("\xc3"), 100, SPAN("\\xc3"));
	check_quote(SPAN("\xc0\xaf"), 100, SPAN("\\xc0\\xaf"));
	check_quote(SPAN("\xe0\x80\xaf"), 100, SPAN("\\xe0\\x80\\xaf"));
	check_quote(SPAN("\xed\xa0\x80"), 100, SPAN("\\xed\\xa0\\x80"));
	check_quote(SPAN("\xc2\x85"), 100, SPAN("\\xc2\\x85")); /* C1: next line */
	check_quote(SPAN("\xf4\x90\x80\x80"), 100, SPAN("\\xf4\\x90\\x80\\x80"));
	check_quote(SPAN("abcdef"), 3, SPAN("abc..."));
	check_quote(SPAN(""), 3, SPAN(""));

	log_line(LOG_LEVEL_ERROR, "silent before log_open");
	log_open("test", true);
	check_int(log_fd(), STDERR_FILENO);
	check_line("plain", SPAN("plain\n"));
	check_line("two\r\nlines\n<3>", SPAN("two  lines <3>\n"));
	log_set_context(SPAN("192.0.2.1 user@x"));
	check_line("plain", SPAN("192.0.2.1 user@x plain\n"));
	memset(longer, 'x', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	log_set_context(span_of(longer, 300));
	log_line(LOG_LEVEL_ERROR, "%s", ""); /* cut, not overrun: the sanitizers look on */
	log_set_context(SPAN_NONE);
	log_open("test", false); /* whether there is a /dev/log or not */
	log_line(LOG_LEVEL_INFO, "%s", longer);
	log_open("test", true);
	return tap_end();
}
