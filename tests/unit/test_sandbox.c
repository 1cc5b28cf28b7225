/* The cages, each entered by a child of its own. */
#include "sys/sandbox.h"

#include <dirent.h>
#include <fcntl.h>
#include <iconv.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"

static char root[] = "/tmp/postern-sandbox-XXXXXX";
static int own_fd, other_fd, gconv_fd;

/* Runs fn in a child; its wait status. What the child checks, it tells by its exit status. */
static int in_child(int (*fn)(void))
{
	int status;
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0)
		_exit(fn());
	(void)waitpid(pid, &status, 0);
	return status;
}

#define expect(condition)                                                                 \
	do {                                                                              \
		if (!(condition)) {                                                       \
			dprintf(2, "# %s:%d: %s (%m)\n", __FILE__, __LINE__, #condition); \
			return 1;                                                         \
		}                                                                         \
	} while (0)

static int enter_gate(void)
{
	struct str missing = STR_INIT(100);
	int rc = sandbox_gate(&missing);
	str_clear(&missing);
	return rc;
}

static int enter_session(void)
{
	struct sandbox_rule rules[] = {{own_fd, SANDBOX_READ | SANDBOX_WRITE | SANDBOX_CREATE |
						    SANDBOX_REMOVE | SANDBOX_FOLDERS},
	    {other_fd, SANDBOX_READ}, {gconv_fd, SANDBOX_READ}, {-1, SANDBOX_READ}};
	struct str missing = STR_INIT(100);
	int rc = sandbox_session(rules, ARRAY_SIZE(rules), &missing);
	str_clear(&missing);
	return rc;
}

static int enter_account(void)
{
	struct sandbox_rule rules[] = {{own_fd, SANDBOX_READ | SANDBOX_WRITE | SANDBOX_CREATE |
						    SANDBOX_REMOVE | SANDBOX_FOLDERS},
	    {gconv_fd, SANDBOX_READ}};
	struct str missing = STR_INIT(100);
	int rc = enter_session();
	if (rc == 0)
		rc = sandbox_account(rules, ARRAY_SIZE(rules), &missing);
	str_clear(&missing);
	return rc;
}

static int gate_has_no_files(void)
{
	expect(enter_gate() == 0);
	expect(open("/etc/passwd", O_RDONLY) < 0);
	expect(openat(own_fd, "file", O_RDONLY) < 0);
	expect(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
	       MAP_FAILED);
	void *memory = malloc(1 << 20);
	expect(memory);
	free(memory);
	expect(getpid() > 0 && monotonic_ms() > 0);
	return 0;
}

static int gate_dies_of_socket(void)
{
	expect(enter_gate() == 0);
	(void)socket(AF_INET, SOCK_STREAM, 0);
	return 2;
}

static int gate_dies_of_an_address(void)
{
	int pair[2];
	struct sockaddr address = {.sa_family = AF_UNIX};
	expect(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0);
	expect(enter_gate() == 0);
	expect(send(pair[0], "x", 1, MSG_NOSIGNAL) == 1);
	(void)sendto(pair[0], "x", 1, 0, &address, sizeof(address));
	return 2;
}

static int session_dies_of_kill(void)
{
	expect(enter_session() == 0);
	expect(kill(getpid(), 0) == 0);
	(void)kill(getppid(), 0);
	return 2;
}

static int session_dies_of_chmod(void)
{
	expect(enter_session() == 0);
	return fchmodat(other_fd, "file", 0666, 0) == 0 ? 3 : 2;
}

static int account_dies_of_a_watch(void)
{
	expect(enter_account() == 0);
	(void)syscall(254 /* inotify_add_watch, x86-64 */, 0, "/etc/passwd", 2);
	return 2;
}

static int session_reads_and_writes(void)
{
	struct stat status;
	char name[64];

	expect(enter_session() == 0);
	int fd = openat(other_fd, "file", O_RDONLY);
	expect(fd >= 0);
	expect(fstat(fd, &status) == 0 && status.st_size == 4); /* through the emulation */
	expect(fstat(-1, &status) < 0 && errno == EBADF);
	expect(openat(other_fd, "file", O_WRONLY) < 0 && errno == EACCES);
	expect(openat(other_fd, "file", O_RDONLY | O_TRUNC) < 0 && errno == EACCES);
	expect(openat(other_fd, "new", O_WRONLY | O_CREAT, 0600) < 0 && errno == EACCES);
	expect(fstatat(other_fd, "file", &status, 0) < 0 && errno == ENOSYS);
	expect(open("/etc/passwd", O_RDONLY) < 0 && errno == EACCES);
	expect(open("/etc/passwd", O_PATH) < 0 && errno == EACCES);

	/* as io/file.c commits: a draft, linked through /proc, then renamed, then removed */
	fd = openat(own_fd, ".", O_TMPFILE | O_WRONLY, 0600);
	expect(fd >= 0 && write(fd, "x", 1) == 1 && fsync(fd) == 0 && fsync(own_fd) == 0);
	(void)snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	expect(linkat(AT_FDCWD, name, own_fd, "linked", AT_SYMLINK_FOLLOW) == 0);
	expect(mkdirat(own_fd, "below", 0700) == 0);
	expect(renameat(own_fd, "linked", own_fd, "below/renamed") == 0);
	expect(unlinkat(own_fd, "below/renamed", 0) == 0);
	expect(unlinkat(own_fd, "below", AT_REMOVEDIR) == 0);
	expect(linkat(other_fd, "file", own_fd, "stolen", 0) < 0);
	expect(renameat(other_fd, "file", own_fd, "stolen") < 0);
	return 0;
}

static int account_is_narrower(void)
{
	expect(enter_account() == 0);
	expect(openat(own_fd, "file", O_RDWR) >= 0);
	expect(openat(other_fd, "file", O_RDONLY) < 0 && errno == EACCES);
	expect(openat(own_fd, "../other/file", O_RDONLY) < 0 && errno == EACCES);
	int folder = openat(own_fd, ".", O_RDONLY | O_DIRECTORY);
	DIR *listing = fdopendir(folder);
	expect(listing && readdir(listing));
	(void)closedir(listing);
	return 0;
}

static int account_converts_charsets(void)
{
	static const char *const names[] = {"KOI8-R", "ISO-2022-JP", "GB18030"};
	expect(enter_account() == 0);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		iconv_t convert = iconv_open("UTF-8", names[i]);
		expect(convert != (iconv_t)-1);
		(void)iconv_close(convert);
	}
	return 0;
}

#ifdef FAULT_POINTS
/* Every call of the probe is refused, whatever the Landlock ABI. */
static const char *probe_abi;
static int (*probe_enter)(void);
static int probe_fd;

static int run_probe(void)
{
	char targets[600];
	(void)snprintf(targets, sizeof(targets),
	    "file=%s/other/file folder=%s/other queue=%s limits=%s/other/file unix=/dev/log tcp=1 "
	    "udp=1 pid=%d",
	    root, root, root, root, (int)getppid());
	setenv("POSTERN_PROBE", targets, 1);
	if (probe_abi)
		setenv("POSTERN_LANDLOCK_ABI", probe_abi, 1);
	expect(probe_enter() == 0);
	sandbox_probe("test", probe_fd);
	return 0;
}

static void check_probe(const char *abi, int (*enter)(void), const char *label)
{
	int pipe_fds[2];
	char text[8192];
	size_t used = 0;
	ssize_t n;
	bool refused = true;

	probe_abi = abi;
	probe_enter = enter;
	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return;
	probe_fd = pipe_fds[1];
	/* far below what a pipe holds, so that the child never waits for us */
	check_named(in_child(run_probe) == 0, label);
	close(pipe_fds[1]);
	while ((n = read(pipe_fds[0], text + used, sizeof(text) - used)) > 0)
		used += (size_t)n;
	close(pipe_fds[0]);
	struct span rest = span_of(text, used), line;
	size_t lines = 0;
	for (; rest.n; lines++) {
		(void)span_cut(rest, '\n', &line, &rest);
		if (span_ends_with(line, SPAN(" OK")) && !span_ends_with(line, SPAN(" end OK"))) {
			refused = false;
			printf("# %s: %.*s\n", label, SPAN_ARG(line));
		}
	}
	check_named(lines >= 40, "all calls were tried");
	check_named(refused, "all calls were refused");
}
#endif

static void make_files(void)
{
	int root_fd;
	if (!mkdtemp(root))
		abort();
	root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (mkdirat(root_fd, "own", 0700) < 0 || mkdirat(root_fd, "other", 0700) < 0)
		abort();
	own_fd = openat(root_fd, "own", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	gconv_fd = open("/usr/lib/x86_64-linux-gnu/gconv", O_PATH | O_CLOEXEC);
	other_fd = openat(root_fd, "other", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	static const char *const names[] = {"own/file", "other/file", "other/changes"};
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		int fd = openat(root_fd, names[i], O_CREAT | O_WRONLY, 0600);
		if (fd < 0 || write(fd, "text", 4) != 4)
			abort();
		close(fd);
	}
	close(root_fd);
}

static void remove_files(void)
{
	(void)unlinkat(own_fd, "file", 0);
	(void)unlinkat(other_fd, "file", 0);
	(void)unlinkat(other_fd, "changes", 0);
	(void)unlinkat(own_fd, "../own", AT_REMOVEDIR);
	(void)unlinkat(own_fd, "../other", AT_REMOVEDIR);
	check(rmdir(root) == 0); /* fails when a probe left something */
}

static int measure(void)
{
	struct timespec t[4];
	(void)clock_gettime(CLOCK_MONOTONIC, &t[0]);
	expect(enter_session() == 0);
	(void)clock_gettime(CLOCK_MONOTONIC, &t[1]);
	printf("# session cage: %ld us\n", (t[1].tv_nsec - t[0].tv_nsec) / 1000);
	fflush(stdout);
	return 0;
}

static bool killed_by_filter(int status)
{
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
}

int main(void)
{
	make_files();
	check_int(in_child(gate_has_no_files), 0);
	check(killed_by_filter(in_child(gate_dies_of_socket)));
	check(killed_by_filter(in_child(gate_dies_of_an_address)));
	check(killed_by_filter(in_child(session_dies_of_kill)));
	check(killed_by_filter(in_child(session_dies_of_chmod)));
	check(killed_by_filter(in_child(account_dies_of_a_watch)));
	check_int(in_child(session_reads_and_writes), 0);
	check_int(in_child(account_is_narrower), 0);
	check_int(in_child(account_converts_charsets), 0);
	check_int(in_child(measure), 0);
#ifdef FAULT_POINTS
	check_probe("2", enter_gate, "gate, ABI 2");
	check_probe(NULL, enter_gate, "gate");
	check_probe("2", enter_account, "session, ABI 2");
	check_probe(NULL, enter_account, "session");
#endif
	remove_files();
	return tap_end();
}
