#include <assert.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/stream.h"

struct fds {
	int in, out;
};

static ssize_t result(ssize_t n, short event, short *wait)
{
	if (n >= 0)
		return n;
	if (errno == EAGAIN || errno == EINTR) {
		*wait = event;
		return -EAGAIN;
	}
	return -errno;
}

static ssize_t fds_read(void *context, void *buffer, size_t n, short *wait)
{
	struct fds *f = context;
	return result(read(f->in, buffer, n), POLLIN, wait);
}

static ssize_t fds_write(void *context, const void *buffer, size_t n, short *wait)
{
	struct fds *f = context;
	return result(write(f->out, buffer, n), POLLOUT, wait);
}

static int fds_shutdown(void *context, short *wait)
{
	struct fds *f = context;
	(void)wait; /* never has to wait */
	if (shutdown(f->out, SHUT_WR) == 0)
		return 0;
	if (errno != ENOTSOCK)
		return -errno;
	if (f->out != f->in)
		close_fd(&f->out); /* a pipe says the end by being closed */
	return 0;
}

static void fds_close(void *context)
{
	struct fds *f = context;
	if (f->out != f->in)
		close_fd(&f->out);
	close_fd(&f->in);
	free(f);
}

static const struct channel_ops fds_ops = {fds_read, fds_write, fds_shutdown, fds_close};

static void make_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);
	int error = flags < 0 ? -1 : fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	assert(error == 0); /* cannot fail for an open fd */
}

struct channel channel_fds(int fd_in, int fd_out)
{
	struct fds *f = xmalloc(sizeof(*f));
	*f = (struct fds){fd_in, fd_out};
	make_nonblocking(fd_in);
	if (fd_out != fd_in)
		make_nonblocking(fd_out);
	return (struct channel){&fds_ops, f, fd_in, fd_out};
}

void channel_close(struct channel *c)
{
	if (c->ops)
		c->ops->close(c->context);
	*c = (struct channel){.fd_in = -1, .fd_out = -1};
}
