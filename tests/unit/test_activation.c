/*
 * Adopting a connection, each time in a child whose fds 0 to 2 are set up as a super-server does.
 */
#include "sys/activation.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"

enum style { INETD, XINETD, LISTEN_FDS, PIPE, UNIX_SOCKET, LISTENER, NOTHING };

/* A connected pair over loopback, the server's end in *ret_server; IPv4-mapped if six. */
static void connect_pair(bool six, int *ret_client, int *ret_server, int *ret_listener)
{
	struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_addr = in6addr_any};
	struct sockaddr_in four = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int listener = socket(six ? AF_INET6 : AF_INET, SOCK_STREAM, 0), off = 0;
	struct sockaddr_storage bound;
	socklen_t n = sizeof(bound);

	if (six)
		(void)setsockopt(listener, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if (bind(listener, six ? (void *)&any : (void *)&four, six ? sizeof(any) : sizeof(four)) <
		0 ||
	    listen(listener, 1) < 0 || getsockname(listener, (void *)&bound, &n) < 0)
		abort();
	four.sin_port =
	    ((struct sockaddr_in *)(void *)&bound)->sin_port; /* the same place in both */
	*ret_client = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(*ret_client, (void *)&four, sizeof(four)) < 0)
		abort();
	*ret_server = accept(listener, NULL, NULL);
	*ret_listener = listener;
}

static void set_fds(enum style style, int fd, int fd_out)
{
	char pid[16];
	int null = open("/dev/null", O_RDWR);

	fcntl(fd, F_DUPFD, 10);
	int in = style == LISTEN_FDS ? null : fd, out = style == PIPE ? fd_out : in;
	int high_in = fcntl(in, F_DUPFD, 20), high_out = fcntl(out, F_DUPFD, 20),
	    high_fd = fcntl(fd, F_DUPFD, 20);
	dup2(high_in, 0);
	dup2(high_out, 1);
	if (style == XINETD)
		dup2(high_in, 2);
	if (style == LISTEN_FDS) {
		dup2(high_fd, 3);
		(void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
		setenv("LISTEN_PID", pid, 1);
		setenv("LISTEN_FDS", "1", 1);
	}
}

static bool is_null(int fd)
{
	struct stat a, b;
	return fstat(fd, &a) == 0 && stat("/dev/null", &b) == 0 && a.st_rdev == b.st_rdev &&
	       S_ISCHR(a.st_mode);
}

/* 0 when all is as it should be, else the number of what is not. */
static int adopt(enum style style)
{
	struct activation a = {0};
	struct str text cleanup(str_clear) = STR_INIT(100);
	int rc = activation_adopt(&a);

	if (style == LISTENER || style == NOTHING)
		return rc == -ENOTCONN ? 0 : 1;
	if (rc < 0)
		return 2;
	if (a.fd_in < 3 || a.fd_out < 3 || (style != PIPE && a.fd_in != a.fd_out))
		return 3;
	if (!is_null(0) || !is_null(1) || is_null(2) == a.stderr_is_log)
		return 4;
	if (a.stderr_is_log != (style != XINETD))
		return 5;
	if (!(fcntl(a.fd_in, F_GETFD) & FD_CLOEXEC) || getenv("LISTEN_FDS"))
		return 6;
	address_format(&a.peer, &text);
	if (a.kind == ACTIVATION_SOCKET && !span_equal(str_span(&text), SPAN("127.0.0.1")))
		return 7;
	if (a.kind != (style == PIPE		 ? ACTIVATION_PIPE
			  : style == UNIX_SOCKET ? ACTIVATION_UNIX
						 : ACTIVATION_SOCKET))
		return 8;
	if (a.kind == ACTIVATION_UNIX && a.peer_uid != getuid())
		return 9;
	return write(a.fd_out, "hello", 5) == 5 ? 0 : 10;
}

static void check_style(enum style style, bool six, const char *label)
{
	int client = -1, server = -1, listener = -1, out[2] = {-1, -1}, status;
	char buffer[8];

	if (style == UNIX_SOCKET || style == PIPE) {
		int pair[2];
		int rc = style == PIPE ? pipe(pair) : socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
		if (rc < 0 || pipe(out) < 0)
			abort();
		server = pair[0];
		client = style == PIPE ? out[0] : pair[1];
	} else {
		connect_pair(six, &client, &server, &listener);
	}
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);
		set_fds(style,
		    style == LISTENER  ? listener
		    : style == NOTHING ? null
				       : server,
		    out[1]);
		_exit(adopt(style));
	}
	(void)waitpid(pid, &status, 0);
	check_named(WIFEXITED(status) && WEXITSTATUS(status) == 0, label);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		printf("# %s: status %x\n", label, (unsigned)status);
	if (style != LISTENER && style != NOTHING)
		check_int(read(client, buffer, sizeof(buffer)), 5);
	for (int fd = 3; fd < 40; fd++)
		(void)close(fd);
}

int main(void)
{
	check_style(INETD, false, "inetd: fd 0");
	check_style(XINETD, false, "xinetd: fds 0, 1 and 2");
	check_style(INETD, true, "an IPv4 client of a dual-stack listener");
	check_style(LISTEN_FDS, false, "LISTEN_FDS: fd 3");
	check_style(PIPE, false, "two pipes");
	check_style(UNIX_SOCKET, false, "Unix socket");
	check_style(LISTENER, false, "a listening socket is no connection");
	check_style(NOTHING, false, "neither is /dev/null");

	struct str text cleanup(str_clear) = STR_INIT(100);
	struct sockaddr_in6 six = {.sin6_family = AF_INET6};
	struct sockaddr_storage address = {0};
	if (inet_pton(AF_INET6, "2001:db8::1", &six.sin6_addr) != 1)
		abort();
	memcpy(&address, &six, sizeof(six));
	address_format(&address, &text);
	check_span(str_span(&text), SPAN("2001:db8::1"));
	return tap_end();
}
