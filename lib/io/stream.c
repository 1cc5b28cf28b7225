#include "io/stream.h"

#include <assert.h>
#include <stdarg.h>

#include "io/file.h"
#include "sys/stop.h"

struct stream {
	struct channel channel;
	char *in, *out; /* STREAM_BUFFER_BYTES each, or NULL while empty */
	size_t in_start, in_end, out_n;
	int read_timeout_ms, write_timeout_ms;
	int64_t deadline_ms;
	int error, read_error; /* the latter is of reading only */
	bool end_of_input, stoppable;
	struct stream_watch watch;
};

enum direction { READING, WRITING };

static void free_buffers(struct stream *s);

static int wait_ready(struct stream *s, short events, enum direction d, int64_t started_ms);
static ssize_t read_channel(struct stream *s, void *buffer, size_t n);
static int write_channel(struct stream *s, struct span bytes);
static ssize_t fill(struct stream *s);

struct stream *stream_new(struct channel channel)
{
	struct stream *s = xcalloc(1, sizeof(*s));
	s->channel = channel;
	s->read_timeout_ms = s->write_timeout_ms = STREAM_TIMEOUT_MS;
	s->deadline_ms = INT64_MAX;
	return s;
}

void stream_free(struct stream *s)
{
	if (!s)
		return;
	channel_close(&s->channel);
	free_buffers(s);
	free(s);
}

/* A password may have been in them. */
static void free_buffers(struct stream *s)
{
	if (s->in)
		explicit_bzero(s->in, STREAM_BUFFER_BYTES);
	if (s->out)
		explicit_bzero(s->out, STREAM_BUFFER_BYTES);
	free(s->in);
	free(s->out);
	s->in = s->out = NULL;
}

void stream_set_timeout(struct stream *s, int read_ms, int write_ms)
{
	s->read_timeout_ms = read_ms;
	s->write_timeout_ms = write_ms;
}

void stream_set_stoppable(struct stream *s)
{
	s->stoppable = true;
}

void stream_set_deadline(struct stream *s, int64_t deadline_ms)
{
	s->deadline_ms = deadline_ms;
}

void stream_set_watch(struct stream *s, struct stream_watch watch)
{
	s->watch = watch;
}

int stream_error(const struct stream *s)
{
	return s->error ? s->error : s->read_error;
}

void stream_fail(struct stream *s, int error)
{
	assert(error < 0);
	if (!s->error)
		s->error = error;
}

/* How long a poll may last, in ms (-1: for ever), or -ETIMEDOUT. */
static int64_t time_left(const struct stream *s, int timeout_ms, int64_t started_ms)
{
	int64_t end = s->deadline_ms;
	if (timeout_ms >= 0)
		end = MIN(end, started_ms + timeout_ms);
	if (end == INT64_MAX)
		return -1;
	int64_t left = end - monotonic_ms();
	return left > 0 ? MIN(left, (int64_t)INT32_MAX) : -ETIMEDOUT;
}

static int wait_ready(struct stream *s, short events, enum direction d, int64_t started_ms)
{
	int timeout_ms = d == READING ? s->read_timeout_ms : s->write_timeout_ms;
	int (*look)(void *) = d == READING ? s->watch.look : s->watch.look_writing;
	/* before each of the many writes of a long answer it would cost a call for nothing */
	bool look_now = d == READING || s->watch.fd < 0;
	for (;;) {
		int64_t left = time_left(s, timeout_ms, started_ms);
		if (left < -1)
			return (int)left;
		if (s->stoppable && stop_requested())
			return -ECANCELED;
		if (look && look_now) {
			int look_ms = look(s->watch.context);
			if (look_ms < 0)
				return d == READING ? s->read_error = look_ms : look_ms;
			left = left < 0 ? look_ms : MIN(left, (int64_t)look_ms);
		}
		look_now = true;
		struct pollfd p[] = {
		    {.fd = events & POLLIN ? s->channel.fd_in : s->channel.fd_out,
			.events = events},
		    {.fd = look ? s->watch.fd : -1, .events = POLLIN},
		};
		int n = s->stoppable || look ? stop_poll(p, ARRAY_SIZE(p), (int)left)
					     : poll(p, ARRAY_SIZE(p), (int)left);
		if (n > 0 && !p[1].revents)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
	}
}

static ssize_t read_channel(struct stream *s, void *buffer, size_t n)
{
	if (stream_error(s))
		return stream_error(s);
	if (s->end_of_input)
		return 0;
	int64_t started_ms = 0;
	for (;;) {
		short wait = 0;
		ssize_t got = s->channel.ops->read(s->channel.context, buffer, n, &wait);
		if (got == 0)
			s->end_of_input = true;
		if (got >= 0)
			return got;
		int error = (int)got;
		if (error == -EAGAIN) {
			int flushed = stream_flush(s); /* it must block: flush first */
			if (flushed)
				return flushed;
			if (!started_ms)
				started_ms = monotonic_ms();
			error = wait_ready(s, wait, READING, started_ms);
			if (error == 0)
				continue;
		}
		if (!s->read_error)
			stream_fail(s, error);
		return error;
	}
}

static int write_channel(struct stream *s, struct span bytes)
{
	int64_t started_ms = 0;
	while (bytes.n) {
		short wait = 0;
		ssize_t n = s->channel.ops->write(s->channel.context, bytes.p, bytes.n, &wait);
		if (n > 0) {
			bytes = span_from(bytes, (size_t)n);
			started_ms = 0;
			continue;
		}
		int error = n == 0 ? -EPIPE : (int)n;
		if (error == -EAGAIN) {
			if (!started_ms)
				started_ms = monotonic_ms();
			error = wait_ready(s, wait, WRITING, started_ms);
			if (error == 0)
				continue;
		}
		stream_fail(s, error);
		return error;
	}
	return 0;
}

/* Reads once into the empty input buffer. */
static ssize_t fill(struct stream *s)
{
	assert(s->in_start == s->in_end);
	if (!s->in)
		s->in = xmalloc(STREAM_BUFFER_BYTES);
	s->in_start = s->in_end = 0;
	ssize_t n = read_channel(s, s->in, STREAM_BUFFER_BYTES);
	if (n > 0)
		s->in_end = (size_t)n;
	return n;
}

struct span stream_buffered(const struct stream *s)
{
	return span_of(s->in ? s->in + s->in_start : NULL, s->in_end - s->in_start);
}

void stream_skip(struct stream *s, size_t n)
{
	assert(n <= s->in_end - s->in_start);
	s->in_start += n;
}

void stream_unread(struct stream *s, struct span bytes)
{
	if (bytes.n == 0)
		return;
	size_t have = s->in_end - s->in_start;
	assert(have + bytes.n <= STREAM_BUFFER_BYTES);
	if (!s->in)
		s->in = xmalloc(STREAM_BUFFER_BYTES);
	memmove(s->in + bytes.n, s->in + s->in_start, have);
	memcpy(s->in, bytes.p, bytes.n);
	s->in_start = 0;
	s->in_end = have + bytes.n;
}

ssize_t stream_read(struct stream *s, void *buffer, size_t n)
{
	struct span have = stream_buffered(s);
	if (n == 0)
		return 0;
	if (have.n == 0) {
		if (n >= STREAM_BUFFER_BYTES)
			return read_channel(s, buffer, n);
		ssize_t got = fill(s);
		if (got <= 0)
			return got;
		have = stream_buffered(s);
	}
	n = MIN(n, have.n);
	memcpy(buffer, have.p, n);
	stream_skip(s, n);
	return (ssize_t)n;
}

int stream_read_all(struct stream *s, void *buffer, size_t n)
{
	char *p = buffer;
	while (n) {
		ssize_t got = stream_read(s, p, n);
		if (got <= 0)
			return got < 0 ? (int)got : -EPIPE;
		p += got;
		n -= (size_t)got;
	}
	return 0;
}

int stream_wait(struct stream *s, int other_fd, int timeout_ms)
{
	int error = stream_flush(s);
	if (error)
		return error;
	if (stream_buffered(s).n || s->end_of_input || s->read_error)
		return STREAM_READY_INPUT;
	/* TLS may hold decrypted bytes that poll() cannot see: ask the channel first */
	if (!s->in)
		s->in = xmalloc(STREAM_BUFFER_BYTES);
	s->in_start = s->in_end = 0;
	short wait = POLLIN;
	ssize_t n = s->channel.ops->read(s->channel.context, s->in, STREAM_BUFFER_BYTES, &wait);
	if (n >= 0) {
		s->in_end = (size_t)n;
		s->end_of_input = n == 0;
		return STREAM_READY_INPUT;
	}
	free_buffers(s);
	if (n != -EAGAIN) {
		stream_fail(s, (int)n);
		return (int)n;
	}
	int64_t left = time_left(s, timeout_ms, monotonic_ms());
	if (left < -1)
		return timeout_ms == 0 ? STREAM_READY_TIMEOUT : (int)left;
	struct pollfd p[2] = {
	    {.fd = wait & POLLIN ? s->channel.fd_in : s->channel.fd_out, .events = wait},
	    {.fd = other_fd, .events = POLLIN},
	};
	int ready = stop_poll(p, 2, (int)left);
	if (ready < 0)
		return -errno;
	if (ready == 0)
		return STREAM_READY_TIMEOUT;
	return (p[0].revents ? STREAM_READY_INPUT : 0) | (p[1].revents ? STREAM_READY_OTHER : 0);
}

/* Looks for LF in what is buffered; appends it or throws it away. True at the end of the line. */
static bool take_line_piece(struct stream *s, size_t max, struct str *line, bool *too_long)
{
	struct span have = stream_buffered(s);
	size_t end = span_index(have, '\n');
	struct span piece = span_sub(have, 0, end == SIZE_MAX ? have.n : end);
	/* one byte more than max is held: it may be the CR of the line's end */
	size_t room = max + 1 - line->n;
	*too_long = *too_long || piece.n > room;
	str_append(line, span_sub(piece, 0, room));
	stream_skip(s, end == SIZE_MAX ? have.n : end + 1);
	return end != SIZE_MAX;
}

static enum line_result cut_line(struct str *line, size_t max)
{
	str_truncate(line, MIN(line->n, max));
	return LINE_TOO_LONG;
}

enum line_result stream_read_line(struct stream *s, size_t max, struct str *line)
{
	str_reset(line);
	bool too_long = false;
	size_t seen = 0;
	for (;;) {
		if (stream_buffered(s).n == 0) {
			ssize_t n = fill(s);
			if (n < 0)
				return LINE_ERROR;
			if (n == 0 && seen == 0)
				return LINE_EOF;
			if (n == 0)
				return too_long || line->n > max ? cut_line(line, max)
								 : LINE_PARTIAL;
		}
		seen += stream_buffered(s).n;
		if (take_line_piece(s, max, line, &too_long))
			break;
		if (seen > max + STREAM_DISCARD_MAX_BYTES) {
			s->read_error = -EMSGSIZE;
			return cut_line(line, max);
		}
	}
	bool cr = !too_long && line->n && line->data[line->n - 1] == '\r';
	if (cr)
		str_truncate(line, line->n - 1);
	if (too_long || line->failed || line->n > max)
		return cut_line(line, max);
	return cr ? LINE_OK : LINE_BARE_LF;
}

void stream_write(struct stream *s, struct span bytes)
{
	while (bytes.n && !s->error) {
		if (s->out_n == 0 && bytes.n >= STREAM_BUFFER_BYTES) {
			(void)write_channel(s, bytes); /* the error sticks */
			return;
		}
		if (!s->out)
			s->out = xmalloc(STREAM_BUFFER_BYTES);
		size_t n = MIN(bytes.n, STREAM_BUFFER_BYTES - s->out_n);
		memcpy(s->out + s->out_n, bytes.p, n);
		s->out_n += n;
		bytes = span_from(bytes, n);
		if (s->out_n == STREAM_BUFFER_BYTES)
			ignore_result(stream_flush(s)); /* the error sticks */
	}
}

void stream_write_cstr(struct stream *s, const char *text)
{
	stream_write(s, span_cstr(text));
}

void stream_format(struct stream *s, const char *format, ...)
{
	struct str text cleanup(str_clear) = STR_INIT(STREAM_BUFFER_BYTES);
	va_list args;
	va_start(args, format);
	str_vformat(&text, format, args);
	va_end(args);
	if (text.failed)
		stream_fail(s, -EMSGSIZE);
	stream_write(s, str_span(&text));
}

int stream_flush(struct stream *s)
{
	if (s->error)
		return s->error;
	size_t n = s->out_n;
	s->out_n = 0;
	return n ? write_channel(s, span_of(s->out, n)) : 0;
}

void stream_write_file(struct stream *s, int fd, uint64_t offset, uint64_t n)
{
	while (n && !s->error) {
		if (s->out_n == STREAM_BUFFER_BYTES && stream_flush(s))
			return;
		if (!s->out)
			s->out = xmalloc(STREAM_BUFFER_BYTES);
		size_t piece = (size_t)MIN(n, (uint64_t)(STREAM_BUFFER_BYTES - s->out_n));
		int error = fd_pread_all(fd, s->out + s->out_n, piece, offset);
		if (error) {
			stream_fail(s, error);
			return;
		}
		s->out_n += piece;
		offset += piece;
		n -= piece;
	}
	if (s->out_n == STREAM_BUFFER_BYTES)
		ignore_result(stream_flush(s)); /* the error sticks */
}

int stream_shutdown(struct stream *s)
{
	int error = stream_flush(s);
	int64_t started_ms = monotonic_ms();
	while (!error) {
		short wait = 0;
		error = s->channel.ops->shutdown(s->channel.context, &wait);
		if (error != -EAGAIN)
			break;
		error = wait_ready(s, wait, WRITING, started_ms);
	}
	return error;
}

int stream_swap(struct stream *s, struct channel channel, struct channel *ret_old)
{
	if (stream_buffered(s).n)
		return -EPROTO;
	int error = stream_flush(s);
	if (error)
		return error;
	*ret_old = s->channel;
	s->channel = channel;
	return 0;
}

/* -- memory ---------------------------------------------------------------------------------- */

struct memory {
	struct span in;
	struct str *out;
};

static ssize_t memory_read(void *context, void *buffer, size_t n, short *wait)
{
	struct memory *m = context;
	(void)wait; /* never has to wait */
	n = MIN(n, m->in.n);
	if (n)
		memcpy(buffer, m->in.p, n);
	m->in = span_from(m->in, n);
	return (ssize_t)n;
}

static ssize_t memory_write(void *context, const void *buffer, size_t n, short *wait)
{
	struct memory *m = context;
	(void)wait; /* never has to wait */
	if (m->out) {
		str_append(m->out, span_of(buffer, n));
		if (m->out->failed)
			return -EMSGSIZE;
	}
	return (ssize_t)n;
}

static int memory_shutdown(void *context, short *wait)
{
	(void)context; /* nobody is there to be told */
	(void)wait;
	return 0;
}

struct stream *stream_memory(struct span in, struct str *out)
{
	static const struct channel_ops ops = {memory_read, memory_write, memory_shutdown, free};
	struct memory *m = xmalloc(sizeof(*m));
	*m = (struct memory){in, out};
	return stream_new((struct channel){&ops, m, -1, -1});
}
