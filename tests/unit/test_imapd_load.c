/*
 * Large messages in flat memory, pipelining, clients that stop half-way, how fast IDLE tells, and
 * what a session notices while its client is slow to read.
 */
#include <poll.h>

#include "imapd_server.h"

enum {
	BIG_BYTES = 100 << 20,
	GROWTH_MAX_KIB = 4096, /* of the session's memory, whatever the message */
	PIPELINED = 20000,
	IDLE_MAX_MS = 100,
	REPLY_MAX_MS = 60000,
	MANY_DOUBLINGS = 15, /* messages in Archive, as a power of two: more than buffers hold */
	LARGE_DOUBLINGS = 5, /* messages of LARGE_BYTES in Drafts, likewise */
	LARGE_BYTES = 1 << 20,
};

struct client {
	struct test_server server;
	struct stream *stream;
	struct str line;
};

static struct client client_start(const struct test_folder *f, const struct test_options *o)
{
	struct client c = {.server = test_server_start(f, o), .line = STR_INIT(1 << 20)};
	c.stream = stream_new(channel_fd(dup(c.server.fd)));
	stream_set_timeout(c.stream, REPLY_MAX_MS, REPLY_MAX_MS);
	return c;
}

static int client_end(struct client *c)
{
	stream_free(c->stream);
	str_clear(&c->line);
	return test_server_end(&c->server);
}

static struct span next_line(struct client *c)
{
	if (stream_read_line(c->stream, (1 << 20) - 1, &c->line) != LINE_OK)
		return SPAN_NONE;
	return str_span(&c->line);
}

/* Reads up to the line that begins so; that line, or unset at the end of input. */
static struct span read_until(struct client *c, const char *beginning)
{
	for (;;) {
		struct span line = next_line(c);
		if (!span_is_set(line) || span_starts_with(line, span_cstr(beginning)))
			return line;
	}
}

static bool says(struct client *c, const char *command, const char *beginning)
{
	stream_write_cstr(c->stream, command);
	return stream_flush(c->stream) == 0 && span_is_set(read_until(c, beginning));
}

static long memory_kib(pid_t pid)
{
	struct str path cleanup(str_clear) = STR_INIT(100);
	char line[200];
	uint64_t kib = 0;
	str_format(&path, "/proc/%d/status", (int)pid);
	FILE *f = fopen(path.data, "re");
	while (f && fgets(line, sizeof(line), f)) {
		struct span rest = span_cstr(line), word;
		if (!span_starts_with(rest, SPAN("VmHWM:")))
			continue;
		rest = span_from(rest, 6);
		if (span_next_word(&rest, " \t\n", &word) && span_to_u64(word, UINT32_MAX, &kib))
			kib = 0;
	}
	if (f)
		fclose(f);
	return (long)kib;
}

static void check_growth(pid_t pid, long before_kib, const char *what)
{
	long grown = memory_kib(pid) - before_kib;
#ifdef __SANITIZE_ADDRESS__
	printf("# %s: memory is not measured under a sanitizer\n", what);
	(void)grown;
#else
	printf("# %s: grew by %ld KiB\n", what, grown);
	check_named(grown < GROWTH_MAX_KIB, what);
#endif
}

/* 100 MiB in by a client that reads nothing meanwhile, and out again. */
static void test_big(const struct test_folder *f)
{
	struct client c = client_start(f, &(struct test_options){0});
	check(span_is_set(read_until(&c, "* PREAUTH")));
	long before_kib = memory_kib(c.server.pid);
	struct str row cleanup(str_clear) = STR_INIT(1 << 16);
	while (row.n < 65536 - 64)
		str_append(&row, SPAN("0123456789abcdef0123456789abcdef0123456789abcdef\r\n"));
	size_t rows = BIG_BYTES / row.n;
	stream_format(c.stream, "a1 APPEND INBOX {%zu+}\r\n\r\n\r\n", rows * row.n + 4);
	for (size_t i = 0; i < rows; i++)
		stream_write(c.stream, str_span(&row));
	stream_write_cstr(c.stream, "\r\na2 NOOP\r\n");
	check_int(stream_flush(c.stream), 0);
	check(span_is_set(read_until(&c, "a1 OK [APPENDUID ")));
	check(span_is_set(read_until(&c, "a2 OK")));
	check_growth(c.server.pid, before_kib, "APPEND of 100 MiB");

	check(says(&c, "a3 SELECT INBOX\r\n", "a3 OK"));
	stream_write_cstr(c.stream, "a4 FETCH 1 BODY.PEEK[]\r\n");
	struct span head = next_line(&c);
	struct str wanted cleanup(str_clear) = STR_INIT(100);
	str_format(&wanted, "* 1 FETCH (BODY[] {%zu}", rows * row.n + 4);
	check_span(head, str_span(&wanted));
	char *bytes = xmalloc(row.n);
	bool same = stream_read_all(c.stream, bytes, 4) == 0 && memcmp(bytes, "\r\n\r\n", 4) == 0;
	for (size_t i = 0; i < rows && same; i++)
		same = stream_read_all(c.stream, bytes, row.n) == 0 &&
		       memcmp(bytes, row.data, row.n) == 0;
	free(bytes);
	check(same);
	check_span(next_line(&c), SPAN(")"));
	check(span_is_set(read_until(&c, "a4 OK")));
	check(says(&c, "a5 SEARCH BODY nowhere\r\n", "a5 OK"));
	check_growth(c.server.pid, before_kib, "FETCH and SEARCH of 100 MiB");
	check_int(client_end(&c), 0);
}

/* A writer that is ahead of its reader: nobody waits for the other for ever. */
static void test_pipelined(const struct test_folder *f)
{
	struct client c = client_start(f, &(struct test_options){0});
	fflush(stdout);
	pid_t writer = fork();
	if (writer == 0) {
		for (int i = 0; i < PIPELINED; i++)
			stream_format(c.stream, "p%d NOOP\r\n", i);
		_exit(stream_flush(c.stream) == 0 ? 0 : 1);
	}
	bool in_order = span_is_set(read_until(&c, "* PREAUTH"));
	for (int i = 0; i < PIPELINED && in_order; i++) {
		struct str wanted cleanup(str_clear) = STR_INIT(100);
		str_format(&wanted, "p%d OK NOOP done", i);
		in_order = span_equal(next_line(&c), str_span(&wanted));
	}
	check(in_order);
	int status = -1;
	waitpid(writer, &status, 0);
	check_int(status, 0);
	check_int(client_end(&c), 0);
}

static void test_line_ends(const struct test_folder *f)
{
	struct client c = client_start(f, &(struct test_options){0});
	stream_write_cstr(c.stream, "a1 APPEND Drafts {11+}\r\nX: 1\n\nb\r\nc\n\r\n"
				    "a2 APPEND Drafts {8}\r\n");
	check(span_is_set(read_until(&c, "a1 OK")));
	check(span_is_set(read_until(&c, "+ ")));
	stream_write(c.stream, SPAN("X: 1\r\n\r\0"));
	check(says(&c, "\r\n", "a2 NO "));
	check(says(&c, "a3 SELECT Drafts\r\n", "a3 OK"));
	stream_write_cstr(c.stream, "a4 FETCH 1 (RFC822.SIZE BODY[])\r\n");
	check_span(next_line(&c), SPAN("* 1 FETCH (FLAGS (\\Seen) RFC822.SIZE 14 BODY[] {14}"));
	char bytes[14] = {0};
	check_int(stream_read_all(c.stream, bytes, sizeof(bytes)), 0);
	check_span(span_of(bytes, sizeof(bytes)), SPAN("X: 1\r\n\r\nb\r\nc\r\n"));
	check(span_is_set(read_until(&c, "a4 OK")));
	check_int(client_end(&c), 0);
}

/* A client that goes in the middle of a literal leaves nothing behind. */
static void test_cut(const struct test_folder *f)
{
	struct client c = client_start(f, &(struct test_options){0});
	stream_write_cstr(c.stream, "a1 APPEND Junk {1000}\r\n");
	check(span_is_set(read_until(&c, "+ ")));
	stream_write_cstr(c.stream, "Subject: half\r\n");
	check_int(stream_flush(c.stream), 0);
	shutdown(c.server.fd, SHUT_WR);
	check(!span_is_set(next_line(&c)));
	check_int(client_end(&c), 0);
	c = client_start(f, &(struct test_options){0});
	check(says(&c, "a1 STATUS Junk (MESSAGES)\r\n", "* STATUS Junk (MESSAGES 0)"));
	check_int(client_end(&c), 0);
}

/* What cannot be understood any more ends the connection; what can is answered and gone over. */
static void test_long(const struct test_folder *f)
{
	struct client c = client_start(f, &(struct test_options){.message_size_max = 1000});
	struct str word cleanup(str_clear) = STR_INIT(1 << 20);
	while (word.n < 70000)
		str_append_cstr(&word, "0123456789");
	stream_write_cstr(c.stream, "a1 SELECT ");
	stream_write(c.stream, str_span(&word));
	stream_write_cstr(c.stream, "\r\n");
	check(stream_flush(c.stream) == 0 && span_is_set(read_until(&c, "* BYE The line")));
	check(!span_is_set(next_line(&c)));
	check_int(client_end(&c), 0);

	c = client_start(f, &(struct test_options){.message_size_max = 1000});
	check(says(&c, "a1 APPEND INBOX {9999999999999+}\r\n", "* BYE The"));
	check_int(client_end(&c), 0);

	c = client_start(f, &(struct test_options){0});
	str_reset(&word);
	for (int i = 0; i < 200; i++)
		str_append_cstr(&word, "(");
	stream_format(c.stream, "a1 SELECT INBOX\r\na2 SEARCH %s\r\n", word.data);
	check(says(&c, "", "a2 BAD"));
	str_reset(&word);
	for (int i = 0; i < 30000; i++)
		str_append_cstr(&word, "1,");
	stream_write_cstr(c.stream, "a3 FETCH ");
	stream_write(c.stream, str_span(&word));
	check(says(&c, "1 FLAGS\r\n", "a3 BAD"));
	check(says(&c, "a4 FETCH 1:4294967295 FLAGS\r\na5 FETCH 0 FLAGS\r\n", "a5 BAD"));
	check(says(&c, "a6 NOOP\r\n", "a6 OK"));
	check_int(client_end(&c), 0);
}

static void test_idle(const struct test_folder *f)
{
	struct client watcher = client_start(f, &(struct test_options){0});
	struct client writer = client_start(f, &(struct test_options){0});
	check(says(&watcher, "w1 SELECT Trash\r\nw2 IDLE\r\n", "+ idling"));
	int64_t slowest_ms = 0;
	for (int i = 1; i <= 10; i++) {
		check(says(&writer, "a1 APPEND Trash {15+}\r\nSubject: 1\r\n\r\nx\r\n", "a1 OK"));
		int64_t start_ms = monotonic_ms();
		struct str wanted cleanup(str_clear) = STR_INIT(100);
		str_format(&wanted, "* %d EXISTS", i);
		check_span(next_line(&watcher), str_span(&wanted));
		slowest_ms = MAX(slowest_ms, monotonic_ms() - start_ms);
	}
	printf("# another session's message was told within %d ms\n", (int)slowest_ms);
	check(slowest_ms < IDLE_MAX_MS);
	check_int(client_end(&watcher), 0);
	check_int(client_end(&writer), 0);
}

static void test_expiry(const struct test_folder *f)
{
	struct test_options o = {.expires_s = wall_ms() / 1000 + 2};
	struct client c = client_start(f, &o);
	check(says(&c, "a1 IDLE\r\n", "+ idling"));
	check_span(next_line(&c), SPAN("* BYE The credential of this session has expired"));
	check_int(client_end(&c), 0);
}

/* 2^doublings messages of so many bytes at least. */
static void make_messages(
    const struct test_folder *f, const char *mailbox, size_t bytes, int doublings)
{
	struct client c = client_start(f, &(struct test_options){0});
	struct str text cleanup(str_clear) = STR_INIT(2 * LARGE_BYTES);
	str_append_cstr(&text, "Subject: x\r\n\r\n");
	while (text.n < bytes)
		str_append_cstr(&text, "0123456789abcdef0123456789abcdef0123456789abcdef\r\n");
	stream_format(c.stream, "a1 APPEND %s {%zu+}\r\n", mailbox, text.n);
	stream_write(c.stream, str_span(&text));
	stream_format(c.stream, "\r\na2 SELECT %s\r\n", mailbox);
	check(says(&c, "", "a2 OK"));
	for (int i = 0; i < doublings; i++) {
		stream_format(c.stream, "a3 COPY 1:* %s\r\n", mailbox);
		check(says(&c, "", "a3 OK"));
	}
	check_int(client_end(&c), 0);
}

/* What comes while an update waits for the client is told after it. */
static void test_slow_idle(const struct test_folder *f)
{
	struct client watcher = client_start(f, &(struct test_options){0});
	struct client writer = client_start(f, &(struct test_options){0});
	check(says(&watcher, "w1 SELECT Archive\r\nw2 IDLE\r\n", "+ idling"));
	check(
	    says(&writer, "a1 SELECT Archive\r\na2 STORE 1:* +FLAGS.SILENT (\\Seen)\r\n", "a2 OK"));
	(void)usleep(500000); /* until the buffers are full */
	check(says(&writer, "a3 APPEND Archive {15+}\r\nSubject: 1\r\n\r\nx\r\n", "a3 OK"));
	(void)usleep(500000); /* until that is noticed */
	struct str wanted cleanup(str_clear) = STR_INIT(100);
	str_format(&wanted, "* %d EXISTS", (1 << MANY_DOUBLINGS) + 1);
	check(span_is_set(read_until(&watcher, wanted.data)));
	check_int(client_end(&watcher), 0);
	check_int(client_end(&writer), 0);
}

static void set_revoked(const struct test_folder *f, bool revoked)
{
	if (!revoked)
		check_int(unlinkat(f->account_fd, "revoked", 0), 0);
	else
		close(openat(f->account_fd, "revoked", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	int fd = openat(f->account_fd, "changes", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	check_int(futimens(fd, NULL), 0);
	close(fd);
}

/* In clock ticks, user and system time. */
static long cpu_ticks(pid_t pid)
{
	struct str path cleanup(str_clear) = STR_INIT(100);
	char line[1000] = "";
	str_format(&path, "/proc/%d/stat", (int)pid);
	FILE *f = fopen(path.data, "re");
	check(f && fgets(line, sizeof(line), f));
	if (f)
		fclose(f);
	struct span rest = span_cstr(line), word;
	uint64_t user = 0, kernel = 0;
	for (int i = 0; i < 14; i++)
		check(span_next_word(&rest, " ", &word));
	check_int(span_to_u64(word, UINT32_MAX, &user), 0);
	check(span_next_word(&rest, " ", &word));
	check_int(span_to_u64(word, UINT32_MAX, &kernel), 0);
	return (long)(user + kernel);
}

/* How many messages still come, before BYE with that text or before the end (NULL). */
static int messages_until(struct client *c, const char *bye)
{
	int count = 0;
	for (;;) {
		struct span line = next_line(c);
		if (span_starts_with(line, SPAN("* BYE ")) || !span_is_set(line)) {
			check(bye ? span_equal(line, span_cstr(bye)) : !span_is_set(line));
			return count;
		}
		count += span_starts_with(line, SPAN("* ")) ? 1 : 0;
	}
}

/* A FETCH ends after the message that waits for the client when the credential does. */
static void test_end_in_answer(const struct test_folder *f, bool expires, bool no_inotify)
{
	int64_t expires_s = expires ? wall_ms() / 1000 + 2 : 0;
	struct test_options o = {.expires_s = expires_s, .no_inotify = no_inotify};
	struct client c = client_start(f, &o);
	check(says(&c, "a1 SELECT Drafts\r\na2 FETCH 1:* BODY.PEEK[]\r\n", "* 1 FETCH"));
	if (!expires)
		set_revoked(f, true);
	(void)usleep((useconds_t)MAX(expires_s * 1000 - wall_ms(), 0) * 1000 + 300000);
	long before = cpu_ticks(c.server.pid);
	(void)usleep(1000000);
	check(cpu_ticks(c.server.pid) - before < sysconf(_SC_CLK_TCK) / 4); /* it waits */
	check(
	    messages_until(&c, expires ? "* BYE The credential of this session has expired"
				       : "* BYE The credential of this session was withdrawn") < 3);
	check_int(client_end(&c), 0);
	if (!expires)
		set_revoked(f, false);
}

/* So does one whose client is faster than the session. */
static void test_end_in_fast_answer(const struct test_folder *f, bool no_inotify)
{
	struct client c = client_start(f, &(struct test_options){.no_inotify = no_inotify});
	check(says(&c, "a1 SELECT Archive\r\na2 FETCH 1:* BODY.PEEK[]\r\n", "* 1 FETCH"));
	set_revoked(f, true);
	check(messages_until(&c, "* BYE The credential of this session was withdrawn") <
	      (1 << MANY_DOUBLINGS) - 1);
	check_int(client_end(&c), 0);
	set_revoked(f, false);
}

int main(void)
{
	struct test_folder f;
	signal(SIGPIPE, SIG_IGN);
	test_folder_make(&f);
	test_line_ends(&f);
	test_cut(&f);
	test_long(&f);
	test_idle(&f);
	test_pipelined(&f);
	test_expiry(&f);
	make_messages(&f, "Archive", 0, MANY_DOUBLINGS);
	make_messages(&f, "Drafts", LARGE_BYTES, LARGE_DOUBLINGS);
	test_slow_idle(&f);
	for (int i = 0; i < 4; i++)
		test_end_in_answer(&f, i & 1, i & 2);
	for (int i = 0; i < 2; i++)
		test_end_in_fast_answer(&f, i);
	test_big(&f);
	test_folder_remove(&f);
	return tap_end();
}
