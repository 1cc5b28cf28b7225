#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "admin/localserve.h"
#include "io/file.h"

enum {
	RETRY_MS = 60000,      /* of the queue, when nothing wakes it */
	RUNNER_PAUSE_MS = 200, /* at least, between two starts: no hot loop */
	DEMO_MAX_MS = 30000,
	GRACE_MS = 3000, /* from SIGTERM to SIGKILL */
	POLL_SLICE_MS = 50,
	CHILDREN_TEXT_BYTES = 65536,
};

static int open_watches(struct localserve *s);
static bool handle_signals(struct localserve *s);
static void reap(struct localserve *s);
static void accept_one(struct localserve *s, size_t listener);
static void start_runner(struct localserve *s);
static pid_t start_program(struct localserve *s, const char *program, const char *option, int fd);
static void prepare_child(struct localserve *s);
static bool drain_wake(struct localserve *s);
static void start_demo(struct localserve *s);
static int wait_ms(const struct localserve *s);
static void end_children(struct localserve *s);
static void signal_children(int signal_number);

int localserve_run(struct localserve *s)
{
	int status = open_watches(s);
	if (status != STATUS_OK)
		return status;
	if (s->demo)
		start_demo(s);
	bool go_on = true;
	while (go_on) {
		struct pollfd fds[LOCALSERVE_LISTENERS + 2];
		for (size_t i = 0; i < LOCALSERVE_LISTENERS; i++) {
			bool room = s->handler_count < LOCALSERVE_CHILDREN_MAX;
			fds[i] = (struct pollfd){room ? s->listeners[i] : -1, POLLIN, 0};
		}
		fds[LOCALSERVE_LISTENERS] = (struct pollfd){s->signal_fd, POLLIN, 0};
		fds[LOCALSERVE_LISTENERS + 1] = (struct pollfd){s->wake_watch_fd, POLLIN, 0};
		int n = poll(fds, ARRAY_SIZE(fds), wait_ms(s));
		if (n < 0 && errno != EINTR) {
			status = problem(STATUS_IO, "poll: %s", strerror(errno));
			break;
		}
		for (size_t i = 0; n > 0 && i < LOCALSERVE_LISTENERS; i++) {
			if (fds[i].revents)
				accept_one(s, i);
		}
		if (drain_wake(s))
			s->woken = true;
		go_on = handle_signals(s);
		if (!s->runner && monotonic_ms() >= (s->woken ? s->last_run_ms + RUNNER_PAUSE_MS
							      : s->next_run_ms))
			start_runner(s);
		if (s->demo && s->demo_client && monotonic_ms() > s->demo_deadline_ms) {
			s->demo_status =
			    problem(STATUS_PROBLEM, "the demo took longer than %d s; see %s/log",
				DEMO_MAX_MS / 1000, s->dir);
			go_on = false;
		}
	}
	end_children(s);
	return status == STATUS_OK && s->demo ? s->demo_status : status;
}

static int open_watches(struct localserve *s)
{
	sigset_t watched;
	sigemptyset(&watched);
	sigaddset(&watched, SIGINT);
	sigaddset(&watched, SIGTERM);
	sigaddset(&watched, SIGCHLD);
	/* Gate and session are two processes: the half that is left over comes to us. */
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		return problem(STATUS_IO, "cannot become subreaper: %s", strerror(errno));
	s->signal_fd = signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
	s->wake_watch_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	const char *wake = arena_format(&s->admin->arena, "%s/state/queue/wake", s->dir).p;
	if (s->signal_fd < 0 || s->wake_watch_fd < 0 ||
	    inotify_add_watch(s->wake_watch_fd, wake,
		IN_CREATE | IN_MOVED_TO | IN_ATTRIB | IN_MODIFY | IN_CLOSE_WRITE | IN_ONLYDIR) < 0)
		return problem(STATUS_IO, "%s cannot be watched: %s", wake, strerror(errno));
	return STATUS_OK;
}

/* False: it is time to end. */
static bool handle_signals(struct localserve *s)
{
	struct signalfd_siginfo info;
	bool go_on = true;
	while (read(s->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo != SIGCHLD)
			go_on = false;
	}
	reap(s);
	if (s->demo && !s->demo_client)
		return false;
	if (!go_on && s->demo)
		s->demo_status = problem(STATUS_PROBLEM, "the demo was interrupted");
	return go_on;
}

static void reap(struct localserve *s)
{
	int status;
	pid_t pid;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == s->runner) {
			s->runner = 0;
			s->next_run_ms = monotonic_ms() + RETRY_MS;
		} else if (pid == s->demo_client) {
			s->demo_client = 0;
			s->demo_status = WIFEXITED(status) ? WEXITSTATUS(status) : STATUS_IO;
		}
		for (size_t i = 0; i < LOCALSERVE_CHILDREN_MAX; i++) {
			if (s->handlers[i] == pid) {
				s->handlers[i] = 0;
				s->handler_count--;
			}
		}
	}
}

static void accept_one(struct localserve *s, size_t listener)
{
	static const char *const programs[LOCALSERVE_SERVICE_COUNT] = {
	    "imap-handler", "imap-handler", "submit-handler", "submit-handler"};
	enum localserve_service service = s->services[listener];
	bool implicit = service == LOCALSERVE_IMAPS || service == LOCALSERVE_SUBMISSIONS;
	int fd cleanup(close_fd) = accept4(s->listeners[listener], NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0)
		return; /* it went away, or there are no fds just now */
	pid_t pid = start_program(s, programs[service], implicit ? "--implicit-tls" : NULL, fd);
	for (size_t i = 0; pid > 0 && i < LOCALSERVE_CHILDREN_MAX; i++) {
		if (s->handlers[i] == 0) {
			s->handlers[i] = pid;
			s->handler_count++;
			break;
		}
	}
}

static void start_runner(struct localserve *s)
{
	s->woken = false;
	s->last_run_ms = monotonic_ms();
	s->next_run_ms = s->last_run_ms + RETRY_MS;
	pid_t pid = start_program(s, "queue-runner", NULL, -1);
	s->runner = pid > 0 ? pid : 0;
}

/* As inetd does: fd 0 is the connection. 1 is nothing, 2 is the log. */
static pid_t start_program(struct localserve *s, const char *program, const char *option, int fd)
{
	pid_t pid = fork();
	if (pid < 0)
		problem(STATUS_TEMPORARY, "%s cannot be started: %s", program, strerror(errno));
	if (pid != 0)
		return pid;
	prepare_child(s);
	const char *path = arena_format(&s->admin->arena, "%s/%s", s->programs, program).p;
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (dup2(fd >= 0 ? fd : null_fd, STDIN_FILENO) >= 0 && dup2(null_fd, STDOUT_FILENO) >= 0 &&
	    dup2(s->log_fd, STDERR_FILENO) >= 0)
		execl(path, program, "--instance", s->dir, "--log=stderr", option, (char *)NULL);
	problem(STATUS_IO, "%s: %s", path, strerror(errno));
	_exit(STATUS_IO);
}

static void prepare_child(struct localserve *s)
{
	(void)setpgid(0, 0); /* Ctrl-C is for us: we end them */
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, s->demo ? &none : &s->signals_before, NULL);
}

static bool drain_wake(struct localserve *s)
{
	char events[4096] __attribute__((aligned(8)));
	bool any = false;
	while (read(s->wake_watch_fd, events, sizeof(events)) > 0)
		any = true;
	return any;
}

static void start_demo(struct localserve *s)
{
	s->demo_deadline_ms = monotonic_ms() + DEMO_MAX_MS;
	s->demo_status = STATUS_PROBLEM;
	(void)fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		prepare_child(s);
		int status = localserve_demo(s);
		(void)fflush(stdout); /* what it could not print, it could not */
		_exit(status);
	}
	if (pid > 0)
		s->demo_client = pid;
	else
		s->demo_status = problem(STATUS_TEMPORARY, "fork: %s", strerror(errno));
}

static int wait_ms(const struct localserve *s)
{
	int64_t now = monotonic_ms(), until = now + RETRY_MS;
	if (!s->runner)
		until = s->woken ? s->last_run_ms + RUNNER_PAUSE_MS : s->next_run_ms;
	if (s->demo)
		until = MIN(until, s->demo_deadline_ms + 1);
	return (int)MAX(MIN(until - now, (int64_t)RETRY_MS), (int64_t)0);
}

/* Everything that was started, and what that started: orphans have become our children. */
static void end_children(struct localserve *s)
{
	int64_t kill_at = monotonic_ms() + GRACE_MS;
	signal_children(SIGTERM);
	for (;;) {
		pid_t pid = waitpid(-1, NULL, WNOHANG);
		if (pid < 0)
			break; /* ECHILD: none is left */
		if (pid > 0)
			continue;
		if (monotonic_ms() > kill_at)
			signal_children(SIGKILL);
		(void)poll(NULL, 0, POLL_SLICE_MS);
	}
	s->handler_count = 0;
}

static void signal_children(int signal_number)
{
	struct str list cleanup(str_clear) = STR_INIT(CHILDREN_TEXT_BYTES);
	char path[64];
	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)gettid());
	int fd cleanup(close_fd) = open(path, O_RDONLY | O_CLOEXEC);
	char buffer[4096];
	for (ssize_t n; fd >= 0 && (n = read(fd, buffer, sizeof(buffer))) > 0;)
		str_append(&list, span_of(buffer, (size_t)n));
	struct span rest = str_span(&list), word;
	uint64_t pid;
	while (span_next_word(&rest, " \n", &word)) {
		if (span_to_u64(word, INT32_MAX, &pid) < 0 || pid <= 1)
			continue;
		(void)kill(-(pid_t)pid, signal_number); /* its group, if it leads one */
		(void)kill((pid_t)pid, signal_number);
	}
}
