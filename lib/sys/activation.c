#include "sys/activation.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LISTEN_FDS_START = 3 }; /* sd_listen_fds(3) */

static int adopt_socket(int fd, struct activation *a);
static int read_addresses(int fd, struct activation *a);
static void unmap_ipv4(struct sockaddr_storage *address);
static bool listen_fd_is_ours(void);
static bool is_pipe(int fd);
static bool is_same_file(int a, int b);
static int move_up(int fd, int *ret);
static int silence_standard_fds(bool stderr_too);

int activation_adopt(struct activation *ret)
{
	struct activation a = {.fd_in = -1, .fd_out = -1};
	struct stat status;
	int from_in = STDIN_FILENO, from_out = STDIN_FILENO, rc;

	if (fstat(STDIN_FILENO, &status) == 0 && S_ISSOCK(status.st_mode)) {
		rc = adopt_socket(STDIN_FILENO, &a);
	} else if (listen_fd_is_ours()) {
		from_in = from_out = LISTEN_FDS_START;
		rc = adopt_socket(LISTEN_FDS_START, &a);
	} else if (is_pipe(STDIN_FILENO) && is_pipe(STDOUT_FILENO)) {
		from_out = STDOUT_FILENO;
		a.kind = ACTIVATION_PIPE;
		rc = 0;
	} else {
		rc = -ENOTCONN;
	}
	if (rc < 0)
		return rc;

	/* Under xinetd fd 2 is the connection too: a log line there would be sent to the client. */
	a.stderr_is_log = fcntl(STDERR_FILENO, F_GETFD) >= 0 &&
			  !is_same_file(STDERR_FILENO, from_in) &&
			  !is_same_file(STDERR_FILENO, from_out);
	rc = move_up(from_in, &a.fd_in);
	if (rc < 0)
		return rc;
	if (from_out == from_in)
		a.fd_out = a.fd_in;
	else if ((rc = move_up(from_out, &a.fd_out)) < 0)
		goto fail;
	rc = silence_standard_fds(!a.stderr_is_log);
	if (rc < 0)
		goto fail;
	(void)unsetenv("LISTEN_PID"); /* cannot fail for these names */
	(void)unsetenv("LISTEN_FDS");
	(void)unsetenv("LISTEN_FDNAMES");
	*ret = a;
	return 0;
fail:
	if (a.fd_out != a.fd_in)
		close_fd(&a.fd_out);
	close_fd(&a.fd_in);
	return rc;
}

/* A connected stream socket: its kind and its addresses. */
static int adopt_socket(int fd, struct activation *a)
{
	int type = 0, listening = 0, domain = 0, one = 1;
	socklen_t n = sizeof(int);

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) < 0 || type != SOCK_STREAM)
		return -ENOTCONN;
	n = sizeof(int);
	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &n) < 0 || listening)
		return -ENOTCONN;
	n = sizeof(int);
	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &n) < 0)
		return -ENOTCONN;
	if (domain == AF_UNIX) {
		struct ucred credentials;
		n = sizeof(credentials);
		if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &n) < 0)
			return -ENOTCONN;
		a->kind = ACTIVATION_UNIX;
		a->peer_uid = credentials.uid;
		return 0;
	}
	if (domain != AF_INET && domain != AF_INET6)
		return -ENOTCONN;
	a->kind = ACTIVATION_SOCKET;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)); /* only speed is lost */
	return read_addresses(fd, a);
}

static int read_addresses(int fd, struct activation *a)
{
	socklen_t n = sizeof(a->peer);
	if (getpeername(fd, (struct sockaddr *)&a->peer, &n) < 0)
		return -ENOTCONN;
	n = sizeof(a->local);
	if (getsockname(fd, (struct sockaddr *)&a->local, &n) < 0)
		return -ENOTCONN;
	unmap_ipv4(&a->peer);
	unmap_ipv4(&a->local);
	return 0;
}

/*
 * ::ffff:192.0.2.1 (RFC 4291 §2.5.5.2), as a dual-stack listener shows IPv4 clients, becomes
 * 192.0.2.1: else all of IPv4 would be one /64 for the limits.
 */
static void unmap_ipv4(struct sockaddr_storage *address)
{
	struct sockaddr_in6 six;
	struct sockaddr_in four = {.sin_family = AF_INET};

	if (address->ss_family != AF_INET6)
		return;
	memcpy(&six, address, sizeof(six));
	if (!IN6_IS_ADDR_V4MAPPED(&six.sin6_addr))
		return;
	four.sin_port = six.sin6_port;
	memcpy(&four.sin_addr, &six.sin6_addr.s6_addr[12], 4);
	memset(address, 0, sizeof(*address));
	memcpy(address, &four, sizeof(four));
}

static bool listen_fd_is_ours(void)
{
	const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
	uint64_t pid_number, count_number;

	return pid && count && span_to_u64(span_cstr(pid), INT32_MAX, &pid_number) == 0 &&
	       span_to_u64(span_cstr(count), INT32_MAX, &count_number) == 0 &&
	       pid_number == (uint64_t)getpid() && count_number >= 1;
}

static bool is_pipe(int fd)
{
	struct stat status;
	return fstat(fd, &status) == 0 && S_ISFIFO(status.st_mode);
}

static bool is_same_file(int a, int b)
{
	struct stat first, second;
	return fstat(a, &first) == 0 && fstat(b, &second) == 0 && first.st_dev == second.st_dev &&
	       first.st_ino == second.st_ino;
}

static int move_up(int fd, int *ret)
{
	int moved = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (moved < 0)
		return -errno;
	if (fd > STDERR_FILENO)
		(void)close(fd);
	*ret = moved;
	return 0;
}

static int silence_standard_fds(bool stderr_too)
{
	int last = stderr_too ? STDERR_FILENO : STDOUT_FILENO, rc = 0;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		return -errno;
	for (int fd = STDIN_FILENO; fd <= last; fd++) {
		if (fd != null && dup2(null, fd) < 0)
			rc = -errno;
	}
	if (null > STDERR_FILENO || (null == STDERR_FILENO && !stderr_too))
		(void)close(null);
	return rc;
}

void address_format(const struct sockaddr_storage *address, struct str *out)
{
	char text[INET6_ADDRSTRLEN] = "unix";

	if (address->ss_family == AF_INET) {
		struct sockaddr_in four;
		memcpy(&four, address, sizeof(four));
		(void)inet_ntop(
		    AF_INET, &four.sin_addr, text, sizeof(text)); /* text is large enough */
	} else if (address->ss_family == AF_INET6) {
		struct sockaddr_in6 six;
		memcpy(&six, address, sizeof(six));
		(void)inet_ntop(AF_INET6, &six.sin6_addr, text, sizeof(text));
	}
	str_append_cstr(out, text);
}
