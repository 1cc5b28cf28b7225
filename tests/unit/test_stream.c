#include "tap.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/stream.h"

static void socket_pair(int fds[2])
{
	int error = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds);
	check_int(error, 0);
}

static void test_lines(void)
{
	static const struct {
		struct span input;
		size_t max;
		enum line_result results[4];
		const char *lines[4];
	} cases[] = {
	    {SPAN("a\r\nb\nc"), 10, {LINE_OK, LINE_BARE_LF, LINE_PARTIAL, LINE_EOF},
		{"a", "b", "c", ""}},
	    {SPAN("\r\n\n\r"), 10, {LINE_OK, LINE_BARE_LF, LINE_PARTIAL, LINE_EOF},
		{"", "", "\r", ""}},
	    {SPAN("12345\r\n123456\r\nx\r\n"), 5, {LINE_OK, LINE_TOO_LONG, LINE_OK, LINE_EOF},
		{"12345", "12345", "x", ""}},
	    {SPAN("123456"), 5, {LINE_TOO_LONG, LINE_EOF, LINE_EOF, LINE_EOF},
		{"12345", "", "", ""}},
	    {SPAN("a\rb\r\r\n"), 9, {LINE_OK, LINE_EOF, LINE_EOF, LINE_EOF},
		{"a\rb\r", "", "", ""}},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct stream *s = stream_memory(cases[i].input, NULL);
		struct str line cleanup(str_clear) = STR_INIT(100);
		for (size_t k = 0; k < 4; k++) {
			check_int(stream_read_line(s, cases[i].max, &line), cases[i].results[k]);
			if (cases[i].lines[k])
				check_span(str_span(&line), span_cstr(cases[i].lines[k]));
		}
		stream_free(s);
	}
}

/* An endless line ends the reading, not the memory; what is to be said about it still goes out. */
static void test_endless_line(void)
{
	size_t n = 3 << 20;
	char *flood = memset(xmalloc(n), 'x', n);
	struct str out cleanup(str_clear) = STR_INIT(100);
	struct stream *s = stream_memory(span_of(flood, n), &out);
	struct str line cleanup(str_clear) = STR_INIT(1001);
	flood[0] = 'a';
	check_int(stream_read_line(s, 1000, &line), LINE_TOO_LONG);
	check_int(line.n, 1000);
	check(span_starts_with(str_span(&line), SPAN("axx")));
	check_int(stream_error(s), -EMSGSIZE);
	check_int(stream_read_line(s, 1000, &line), LINE_ERROR);
	check_int(line.n, 0);
	stream_write_cstr(s, "too long");
	check_int(stream_shutdown(s), 0);
	check_span(str_span(&out), SPAN("too long"));
	stream_free(s);
	free(flood);
}

static void test_write_and_flush(void)
{
	struct str out cleanup(str_clear) = STR_INIT(100000);
	struct stream *s = stream_memory(SPAN("in"), &out);
	stream_write_cstr(s, "hello ");
	stream_format(s, "%d", 42);
	check_int(out.n, 0); /* buffered */
	char c;
	check_int(stream_read(s, &c, 1), 1);
	check_int(out.n, 0); /* memory never blocks, so nothing was flushed */
	check_int(stream_flush(s), 0);
	check_span(str_span(&out), SPAN("hello 42"));
	char big[50000];
	memset(big, 'b', sizeof(big));
	stream_write(s, span_of(big, sizeof(big)));
	check_int(stream_flush(s), 0);
	check_int(out.n, 8 + sizeof(big));
	stream_write(s, span_of(big, sizeof(big))); /* past the maximum: sticks */
	check_int(stream_flush(s), -EMSGSIZE);
	check_int(stream_flush(s), -EMSGSIZE);
	stream_free(s);
}

/* A read that must block sends first what was written: pipelining for free. */
static void test_flush_before_read(void)
{
	int fds[2];
	socket_pair(fds);
	struct stream *s = stream_new(channel_fd(fds[0]));
	stream_write_cstr(s, "greeting");
	stream_set_timeout(s, 20, 20);
	char b[20];
	check_int(stream_read(s, b, sizeof(b)), -ETIMEDOUT);
	check_int(read(fds[1], b, sizeof(b)), 8);
	check_int(stream_error(s), -ETIMEDOUT);
	stream_free(s);
	close(fds[1]);
}

static void test_peer_does_not_read(void)
{
	int fds[2];
	socket_pair(fds);
	struct stream *s = stream_new(channel_fd(fds[0]));
	stream_set_timeout(s, 30, 30);
	char big[16384] = {0};
	for (int i = 0; i < 1000 && !stream_error(s); i++)
		stream_write(s, span_of(big, sizeof(big)));
	check_int(stream_error(s), -ETIMEDOUT);
	stream_free(s);
	close(fds[1]);
}

static void test_deadline(void)
{
	int fds[2];
	socket_pair(fds);
	struct stream *s = stream_new(channel_fd(fds[0]));
	stream_set_deadline(s, monotonic_ms() + 20);
	char b;
	check_int(stream_read(s, &b, 1), -ETIMEDOUT);
	stream_free(s);
	close(fds[1]);
}

static void test_half_close(void)
{
	int fds[2];
	socket_pair(fds);
	struct stream *s = stream_new(channel_fd(fds[0]));
	check_int(write(fds[1], "last", 4), 4);
	check_int(shutdown(fds[1], SHUT_WR), 0);
	char b[10];
	check_int(stream_read(s, b, sizeof(b)), 4);
	check_int(stream_read(s, b, sizeof(b)), 0);
	check_int(stream_read(s, b, sizeof(b)), 0);
	stream_write_cstr(s, "answer");
	check_int(stream_shutdown(s), 0);
	check_int(read(fds[1], b, sizeof(b)), 6);
	check_int(read(fds[1], b, sizeof(b)), 0);
	stream_free(s);
	close(fds[1]);
}

static void test_wait(void)
{
	int fds[2], other[2];
	socket_pair(fds);
	socket_pair(other);
	struct stream *s = stream_new(channel_fd(fds[0]));
	check_int(stream_wait(s, other[0], 10), STREAM_READY_TIMEOUT);
	check_int(write(other[1], "x", 1), 1);
	check_int(stream_wait(s, other[0], 1000), STREAM_READY_OTHER);
	check_int(write(fds[1], "y", 1), 1);
	check_int(stream_wait(s, -1, 1000), STREAM_READY_INPUT);
	char b;
	check_int(stream_read(s, &b, 1), 1);
	close(fds[1]);
	check_int(stream_wait(s, -1, 1000), STREAM_READY_INPUT);
	check_int(stream_read(s, &b, 1), 0);
	stream_free(s);
	close(other[0]);
	close(other[1]);
}

struct watcher {
	struct stream *stream;
	int fd, every_ms; /* how it looks: at an event, or so often */
	int looks;
};

/* Enough was seen when something came, or at the third look by the clock. */
static int look(void *context)
{
	struct watcher *w = context;
	char b;
	bool came = recv(w->fd, &b, 1, MSG_DONTWAIT) == 1;
	if (!came && ++w->looks < 3)
		return w->every_ms;
	stream_write_cstr(w->stream, "bye");
	return -ECANCELED;
}

/* A read in the middle of a line hears of what else happens; only reading ends then. */
static void test_watch(void)
{
	for (int by_clock = 0; by_clock < 2; by_clock++) {
		int fds[2], other[2];
		char b[4];
		socket_pair(fds);
		socket_pair(other);
		struct stream *s = stream_new(channel_fd(fds[0]));
		struct watcher w = {s, other[0], by_clock ? 10 : INT32_MAX, 0};
		struct str line cleanup(str_clear) = STR_INIT(100);
		stream_set_watch(s, (struct stream_watch){other[0], look, NULL, &w});
		check_int(write(fds[1], "one\r\ntw", 7), 7);
		check_int(stream_read_line(s, 50, &line), LINE_OK);
		check_int(w.looks, 0); /* it had not to wait */
		fflush(stdout);
		pid_t pid = fork();
		if (pid == 0) {
			(void)usleep(50000);
			_exit(by_clock || write(other[1], "x", 1) == 1 ? 0 : 1);
		}
		int64_t start_ms = monotonic_ms();
		check_int(stream_read_line(s, 50, &line), LINE_ERROR);
		check(monotonic_ms() - start_ms < 5000);
		check_int(w.looks, by_clock ? 3 : 1);
		check_int(stream_error(s), -ECANCELED);
		check_int(stream_flush(s), 0);
		check_int(read(fds[1], b, sizeof(b)), 3);
		int status = -1;
		check(waitpid(pid, &status, 0) == pid && status == 0);
		stream_free(s);
		close(fds[1]);
		close(other[0]);
		close(other[1]);
	}
}

static int look_writing(void *context)
{
	struct watcher *w = context;
	char b;
	bool came = recv(w->fd, &b, 1, MSG_DONTWAIT) == 1;
	return came || ++w->looks == 3 ? -ECANCELED : w->every_ms;
}

/*
 * A write that the peer does not read hears of it, too; without an event it asks nobody, unless
 * there is nothing that could tell of one.
 */
static void test_watch_of_writes(void)
{
	static const struct {
		bool with_event, with_fd;
		int looks, error;
	} cases[] = {{false, true, 0, -ETIMEDOUT}, {true, true, 0, -ECANCELED},
	    {false, false, 3, -ECANCELED}};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int fds[2], other[2];
		static const char bytes[1 << 20];
		socket_pair(fds);
		socket_pair(other);
		struct stream *s = stream_new(channel_fd(fds[0]));
		struct watcher w = {s, other[0], cases[i].with_fd ? INT32_MAX : 10, 0};
		stream_set_timeout(s, -1, cases[i].error == -ETIMEDOUT ? 20 : 5000);
		stream_set_watch(s, (struct stream_watch){
					cases[i].with_fd ? other[0] : -1, look, look_writing, &w});
		if (cases[i].with_event)
			check_int(write(other[1], "x", 1), 1);
		stream_write(s, span_of(bytes, sizeof(bytes)));
		check_int(stream_flush(s), cases[i].error);
		check_int(w.looks, cases[i].looks);
		stream_free(s);
		close(fds[1]);
		close(other[0]);
		close(other[1]);
	}
}

static void test_swap_refuses_buffered_input(void)
{
	struct stream *s = stream_memory(SPAN("STARTTLS\r\nINJECTED\r\n"), NULL);
	struct str line cleanup(str_clear) = STR_INIT(100);
	check_int(stream_read_line(s, 100, &line), LINE_OK);
	struct channel old;
	int fds[2];
	socket_pair(fds);
	struct channel fresh = channel_fd(fds[0]);
	check_int(stream_swap(s, fresh, &old), -EPROTO);
	check_int(stream_read_line(s, 100, &line), LINE_OK);
	check_int(stream_swap(s, fresh, &old), 0);
	channel_close(&old);
	stream_free(s);
	close(fds[1]);
}

static void test_unread(void)
{
	struct stream *s = stream_memory(SPAN("world"), NULL);
	char b[20];
	check_int(stream_read(s, b, 1), 1);
	stream_unread(s, SPAN("hello w"));
	check_int(stream_read_all(s, b, 11), 0);
	check_span(span_of(b, 11), SPAN("hello world"));
	check_int(stream_read_all(s, b, 1), -EPIPE);
	stream_free(s);
}

int main(void)
{
	(void)signal(SIGPIPE, SIG_IGN);
	test_lines();
	test_endless_line();
	test_write_and_flush();
	test_flush_before_read();
	test_peer_does_not_read();
	test_deadline();
	test_half_close();
	test_wait();
	test_watch();
	test_watch_of_writes();
	test_swap_refuses_buffered_input();
	test_unread();
	return tap_end();
}
