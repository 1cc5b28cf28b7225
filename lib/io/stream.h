#ifndef POSTERN_IO_STREAM_H
#define POSTERN_IO_STREAM_H
/*
 * Streams: buffered, blocking reads and writes with a deadline, over a channel.
 *
 * A channel is the non-blocking thing beneath: a pair of fds, a TLS connection (tls/tls.h) or
 * memory. The relay of gate/ works on channels, everybody else on streams.
 *
 * Errors stick: after the first one writes are no-ops and reads answer it again; code asks once, at
 * flush. A read that must block flushes first (pipelining for free). Bodies stream through; nothing
 * here grows with the input.
 */
#include <poll.h>

#include "base/str.h"

struct channel_ops {
	/*
	 * > 0 bytes; 0 end of input; -EAGAIN with *wait = POLLIN or POLLOUT; else negative errno.
	 */
	ssize_t (*read)(void *context, void *buffer, size_t n, short *wait);
	ssize_t (*write)(void *context, const void *buffer, size_t n, short *wait);
	/* Tells the peer that no more comes (TLS close_notify, shutdown(SHUT_WR)); as write. */
	int (*shutdown)(void *context, short *wait);
	void (*close)(void *context);
};
struct channel {
	const struct channel_ops *ops;
	void *context;
	int fd_in, fd_out; /* what to poll; -1 for memory */
};
/* Makes both fds non-blocking and owns them; they may be the same. */
struct channel channel_fds(int fd_in, int fd_out);
static inline struct channel channel_fd(int fd)
{
	return channel_fds(fd, fd);
}
void channel_close(struct channel *c);

enum {
	STREAM_BUFFER_BYTES =
	    16384,		   /* each direction; allocated when used, freed in stream_wait() */
	STREAM_TIMEOUT_MS = 30000, /* the default of each blocking read and write */
	/* a line that is too long is thrown away up to here; more is not read at all: -EMSGSIZE */
	STREAM_DISCARD_MAX_BYTES = 1 << 20,
};

struct stream; /* owns its channel */
struct stream *stream_new(struct channel channel);
/* Reads what is given (borrowed), appends what is written to *out (may be NULL: discards). */
struct stream *stream_memory(struct span in, struct str *out);
void stream_free(struct stream *s); /* closes the channel without flushing; NULL is fine */

/* Limit of one blocking read or write, in ms; -1: none. -ETIMEDOUT when it passes. */
void stream_set_timeout(struct stream *s, int read_ms, int write_ms);
/* In addition an absolute end of everything, in monotonic_ms(); INT64_MAX: none (the default). */
void stream_set_deadline(struct stream *s, int64_t deadline_ms);
/* SIGTERM, when it is caught (sys/stop.h), ends every wait with -ECANCELED, and so the stream. */
void stream_set_stoppable(struct stream *s);
/*
 * What every read that must wait looks after meanwhile: look() is called before each wait, and
 * again when `fd` (-1: none) is readable, which it has to empty, when a signal came, and when the
 * time that it answered has passed (ms; INT32_MAX: whenever). Its negative errno ends reading. It
 * may write. look_writing() (NULL: none) is the same for writes that must wait, but only from the
 * second time on if there is an `fd`; it may not write, and its negative errno is the stream's.
 */
struct stream_watch {
	int fd;
	int (*look)(void *context);
	int (*look_writing)(void *context);
	void *context;
};
void stream_set_watch(struct stream *s, struct stream_watch watch);
/*
 * The sticky error (negative errno; -EPIPE after end of input is not one), or 0. -EMSGSIZE after an
 * endless line and the error of a watch are of reading only: what is written still goes out.
 */
int stream_error(const struct stream *s);
/* Makes the error stick (first one wins). */
void stream_fail(struct stream *s, int error);

/* Reads 1..n bytes; 0 at the end of input; negative errno. */
must_use ssize_t stream_read(struct stream *s, void *buffer, size_t n);
/* Reads exactly n bytes; -EPIPE when the input ends before. */
must_use int stream_read_all(struct stream *s, void *buffer, size_t n);
/* Unread bytes that are in the buffer already; peeking never blocks. */
struct span stream_buffered(const struct stream *s);
void stream_skip(struct stream *s, size_t n); /* at most what is buffered */
/* Puts bytes in front of the unread input (≤ STREAM_BUFFER_BYTES in all; asserted). */
void stream_unread(struct stream *s, struct span bytes);
/*
 * Waits until input is there, other_fd (-1: none) is readable, or timeout_ms pass (-1: none).
 * Flushes first. Answers a set of STREAM_READY_*, or negative errno; -EINTR (a signal came; SIGTERM
 * too where sys/stop.h holds it back) and
 * other_fd do not make the stream fail. Gives the buffers back while it waits.
 */
enum { STREAM_READY_INPUT = 1, STREAM_READY_OTHER = 2, STREAM_READY_TIMEOUT = 4 };
must_use int stream_wait(struct stream *s, int other_fd, int timeout_ms);

enum line_result {
	LINE_OK,      /* ended in CRLF */
	LINE_BARE_LF, /* ended in LF alone */
	/* More than max bytes: its beginning is in *line, the rest was read and thrown away.
	 * Without an end within STREAM_DISCARD_MAX_BYTES nothing more can be read. */
	LINE_TOO_LONG,
	LINE_EOF,     /* end of input before any byte of a line */
	LINE_PARTIAL, /* end of input inside a line: what there was is in *line */
	LINE_ERROR,   /* stream_error() says what */
};
/*
 * One line without its end, at most max bytes, into *line (reset first). A lone CR is an ordinary
 * byte here; policy is the caller's.
 */
enum line_result stream_read_line(struct stream *s, size_t max, struct str *line);

void stream_write(struct stream *s, struct span bytes);
void stream_write_cstr(struct stream *s, const char *text);
void stream_format(struct stream *s, const char *format, ...) printf_like(2, 3);
/* Everything written is with the kernel (or the TLS connection), or the sticky error. */
must_use int stream_flush(struct stream *s);
/* Copies exactly n bytes of the file from offset on; a shorter file is -EIO and sticks. */
void stream_write_file(struct stream *s, int fd, uint64_t offset, uint64_t n);
/* Flushes, tells the peer that no more comes. */
must_use int stream_shutdown(struct stream *s);

/*
 * STARTTLS and COMPRESS: flushes and swaps the channel, returning the old one in *ret_old, owned by
 * the caller. -EPROTO, and nothing swapped, when unread input is buffered (command injection).
 */
must_use int stream_swap(struct stream *s, struct channel channel, struct channel *ret_old);
#endif
