#include "sys/acceptor.h"

#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LISTEN_FDS_START = 3 /* sd_listen_fds(3) */ };

struct source {
	uint8_t bytes[16]; /* the address, with the last 64 bits of IPv6 as zeros */
};
struct child {
	pid_t pid;
	struct source source;
};
struct state {
	const struct acceptor *options;
	struct pollfd listeners[ACCEPTOR_LISTENERS_MAX];
	nfds_t listener_count;
	struct child *children; /* ACCEPTOR_CONNECTIONS_MAX */
	size_t child_count;
	char path[PATH_MAX]; /* of the binary */
	struct stat binary;  /* as it was at the start */
	sigset_t unblocked;
};

static volatile sig_atomic_t stop_requested;

static int setup(struct state *s);
static void reap(struct state *s);
static void execute_anew_if_changed(const struct state *s);
static bool accept_one(struct state *s, int listener);

int acceptor_run(const struct acceptor *a, enum acceptor_outcome *ret)
{
	struct state s = {.options = a};
	struct timespec idle = {ACCEPTOR_IDLE_MS / 1000, 0};
	int error = setup(&s);
	while (!error) {
		reap(&s);
		int ready = ppoll(
		    s.listeners, s.listener_count, s.child_count ? NULL : &idle, &s.unblocked);
		if (stop_requested || ready == 0)
			break;
		if (ready < 0)
			continue; /* a child ended */
		execute_anew_if_changed(&s);
		reap(&s);
		for (nfds_t i = 0; i < s.listener_count; i++) {
			if (!s.listeners[i].revents || !accept_one(&s, s.listeners[i].fd))
				continue;
			free(s.children);
			*ret = ACCEPTOR_CONNECTION;
			return 0;
		}
	}
	free(s.children);
	*ret = ACCEPTOR_END;
	return error;
}

/*
 * -- begin --------------------------------------------------------------------------------------
 */

static void on_signal(int number)
{
	if (number == SIGTERM)
		stop_requested = 1;
}

/* Blocked but for the wait, so that none is missed between the look and the wait. */
static void catch_signals(struct state *s)
{
	struct sigaction action = {.sa_handler = on_signal};
	sigset_t blocked;
	(void)sigemptyset(&blocked); /* none of these can fail for valid signals */
	(void)sigaddset(&blocked, SIGTERM);
	(void)sigaddset(&blocked, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &blocked, &s->unblocked);
	(void)sigdelset(&s->unblocked, SIGTERM);
	(void)sigdelset(&s->unblocked, SIGCHLD);
	(void)sigaction(SIGTERM, &action, NULL);
	(void)sigaction(SIGCHLD, &action, NULL);
}

static int find_listeners(struct state *s)
{
	const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
	uint64_t pid_number, n;
	if (!pid || !count || span_to_u64(span_cstr(pid), INT32_MAX, &pid_number) ||
	    pid_number != (uint64_t)getpid() ||
	    span_to_u64(span_cstr(count), ACCEPTOR_LISTENERS_MAX, &n))
		return -ENOTCONN;
	for (int fd = LISTEN_FDS_START; fd < LISTEN_FDS_START + (int)n; fd++) {
		int listening = 0, flags = fcntl(fd, F_GETFL);
		socklen_t length = sizeof(listening);
		if (flags < 0 ||
		    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) < 0 ||
		    !listening || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
			return -ENOTCONN;
		s->listeners[s->listener_count++] = (struct pollfd){.fd = fd, .events = POLLIN};
	}
	return s->listener_count ? 0 : -ENOTCONN;
}

static int setup(struct state *s)
{
	int error = find_listeners(s);
	if (error)
		return error;
	ssize_t n = readlink("/proc/self/exe", s->path, sizeof(s->path) - 1);
	if (n < 0 || stat("/proc/self/exe", &s->binary) < 0)
		return -errno;
	s->path[n] = '\0';
	catch_signals(s);
	s->children = xcalloc(ACCEPTOR_CONNECTIONS_MAX, sizeof(*s->children));
	return s->options->prepare();
}

/*
 * -- the loop -----------------------------------------------------------------------------------
 */

static void reap(struct state *s)
{
	pid_t pid;
	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0) {
		/* unknown ones are of the image before execv(): not counted */
		for (size_t i = 0; i < s->child_count; i++) {
			if (s->children[i].pid == pid) {
				s->children[i] = s->children[--s->child_count];
				break;
			}
		}
	}
}

/* An upgrade: the new program takes the sockets over; connections that wait are served by it. */
static void execute_anew_if_changed(const struct state *s)
{
	struct stat now;
	if (stat(s->path, &now) < 0 ||
	    (now.st_ino == s->binary.st_ino && now.st_dev == s->binary.st_dev &&
		now.st_mtime == s->binary.st_mtime))
		return; /* while it is being replaced, the old one goes on */
	(void)sigprocmask(SIG_SETMASK, &s->unblocked, NULL); /* cannot fail */
	(void)execv(s->path, s->options->argv);
	s->options->log(LOG_LEVEL_ERROR, "cannot execute %s: %s", s->path, strerror(errno));
}

static struct source source_of(const struct sockaddr_storage *peer)
{
	struct source key = {0};
	if (peer->ss_family == AF_INET) {
		memcpy(key.bytes, &((const struct sockaddr_in *)peer)->sin_addr, 4);
	} else if (peer->ss_family == AF_INET6) {
		const struct in6_addr *six = &((const struct sockaddr_in6 *)peer)->sin6_addr;
		if (IN6_IS_ADDR_V4MAPPED(six))
			memcpy(key.bytes, &six->s6_addr[12], 4);
		else
			memcpy(key.bytes, six->s6_addr, 8);
	}
	return key;
}

static bool is_over_limit(const struct state *s, const struct source *source)
{
	size_t same = 0;
	for (size_t i = 0; i < s->child_count; i++)
		same += memcmp(&s->children[i].source, source, sizeof(*source)) == 0;
	return s->child_count >= ACCEPTOR_CONNECTIONS_MAX || same >= ACCEPTOR_PER_SOURCE_MAX;
}

/* The connection becomes fd 0, as if inetd had started this process for it. */
static void become_handler(struct state *s, int connection)
{
	for (nfds_t i = 0; i < s->listener_count; i++)
		(void)close(s->listeners[i].fd); /* the acceptor has them */
	if (dup2(connection, STDIN_FILENO) < 0)
		_exit(1);
	(void)close(connection);      /* fd 0 is it now */
	(void)unsetenv("LISTEN_PID"); /* cannot fail for these names */
	(void)unsetenv("LISTEN_FDS");
	(void)unsetenv("LISTEN_FDNAMES");
	(void)signal(SIGTERM, SIG_DFL); /* cannot fail for valid signals */
	(void)signal(SIGCHLD, SIG_DFL);
	(void)sigprocmask(SIG_SETMASK, &s->unblocked, NULL);
}

/* True in the child. */
static bool accept_one(struct state *s, int listener)
{
	struct sockaddr_storage peer = {0};
	socklen_t length = sizeof(peer);
	int connection = accept4(listener, (struct sockaddr *)&peer, &length, SOCK_CLOEXEC);
	if (connection < 0) {
		if (errno == EMFILE || errno == ENFILE)
			(void)poll(NULL, 0, 100); /* else this would turn round without end */
		return false;
	}
	struct source source = source_of(&peer);
	pid_t pid = -1;
	if (is_over_limit(s, &source)) {
		s->options->log(LOG_LEVEL_WARNING, "too many connections: one was closed unserved");
	} else {
		pid = fork();
		if (pid < 0)
			s->options->log(LOG_LEVEL_ERROR, "fork: %s", strerror(errno));
	}
	if (pid == 0) {
		become_handler(s, connection);
		return true;
	}
	(void)close(connection); /* the child's, or refused */
	if (pid > 0)
		s->children[s->child_count++] = (struct child){pid, source};
	return false;
}
