#include "sys/sandbox.h"

#ifdef FAULT_POINTS
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fault.h"

/* What POSTERN_PROBE names. */
struct targets {
	char *file, *folder, *mail, *queue, *incoming, *limits, *unix_path;
	uint16_t tcp_port, udp_port;
	pid_t pid;
};
enum { PATH_MAX_BYTES = 256 };

static void read_targets(struct targets *t);
static char *join(const char *folder, const char *name, char out[PATH_MAX_BYTES]);
static void probe_files(const char *where, int fd, const struct targets *t);
static void probe_metadata(const char *where, int fd, const char *path);
static void probe_network(const char *where, int fd, const struct targets *t);
static void probe_processes(const char *where, int fd, const struct targets *t);
static void report(const char *where, int fd, const char *call, long result);

void sandbox_probe(const char *where, int fd)
{
	struct targets t = {0};

	read_targets(&t);
	probe_files(where, fd, &t);
	probe_metadata(where, fd, t.folder);
	probe_metadata(where, fd, t.mail);
	probe_network(where, fd, &t);
	probe_processes(where, fd, &t);
	free(t.file);
	free(t.folder);
	free(t.mail);
	free(t.queue);
	free(t.incoming);
	free(t.limits);
	free(t.unix_path);
}

static void read_targets(struct targets *t)
{
	const char *text = secure_getenv("POSTERN_PROBE");
	struct span rest = span_cstr(text ? text : ""), word, name, value;

	while (span_next_word(&rest, " ", &word)) {
		uint64_t number = 0;
		(void)span_cut(word, '=', &name, &value);
		char **path = span_equal(name, SPAN("file"))	   ? &t->file
			      : span_equal(name, SPAN("folder"))   ? &t->folder
			      : span_equal(name, SPAN("mail"))	   ? &t->mail
			      : span_equal(name, SPAN("queue"))	   ? &t->queue
			      : span_equal(name, SPAN("incoming")) ? &t->incoming
			      : span_equal(name, SPAN("limits"))   ? &t->limits
			      : span_equal(name, SPAN("unix"))	   ? &t->unix_path
								   : NULL;
		if (path) {
			free(*path);
			*path = xcalloc(value.n + 1, 1);
			memcpy(*path, value.p, value.n);
		} else if (span_to_u64(value, INT32_MAX, &number) < 0) {
			continue; /* a test's own mistake shows as a missing line */
		} else if (span_equal(name, SPAN("tcp"))) {
			t->tcp_port = (uint16_t)number;
		} else if (span_equal(name, SPAN("udp"))) {
			t->udp_port = (uint16_t)number;
		} else if (span_equal(name, SPAN("pid"))) {
			t->pid = (pid_t)number;
		}
	}
}

static char *join(const char *folder, const char *name, char out[PATH_MAX_BYTES])
{
	(void)snprintf(out, PATH_MAX_BYTES, "%s/%s", folder ? folder : "/nowhere", name);
	return out;
}

static long try_open(const char *path, int flags)
{
	int fd = open(path ? path : "/nowhere", flags | O_CLOEXEC, 0600);
	long result = fd < 0 ? -errno : 0;
	close_fd(&fd);
	return result;
}

static void probe_files(const char *where, int fd, const struct targets *t)
{
	char path[PATH_MAX_BYTES];

	report(where, fd, "open-passwd", try_open("/etc/passwd", O_RDONLY));
	report(where, fd, "open-file", try_open(t->file, O_RDONLY));
	report(where, fd, "open-file-path-only", try_open(t->file, O_PATH));
	report(where, fd, "truncate-by-open", try_open(t->file, O_RDONLY | O_TRUNC));
	report(where, fd, "truncate", truncate(t->file ? t->file : "/nowhere", 0));
	report(where, fd, "create-tmp", try_open("/tmp/postern-probe", O_CREAT | O_WRONLY));
	report(
	    where, fd, "open-account-file", try_open(join(t->folder, "changes", path), O_RDONLY));
	report(
	    where, fd, "write-account-file", try_open(join(t->folder, "changes", path), O_WRONLY));
	report(where, fd, "list-account", try_open(t->folder, O_RDONLY | O_DIRECTORY));
	report(where, fd, "create-in-account",
	    try_open(join(t->folder, "probe", path), O_CREAT | O_WRONLY));
	report(where, fd, "unlink-in-account",
	    unlinkat(AT_FDCWD, join(t->folder, "changes", path), 0) < 0 ? -errno : 0);
	report(where, fd, "list-mail", try_open(t->mail, O_RDONLY | O_DIRECTORY));
	report(where, fd, "create-in-mail",
	    try_open(join(t->mail, "probe", path), O_CREAT | O_WRONLY));
	report(where, fd, "open-mail-file", try_open(join(t->mail, "index.tdb", path), O_RDWR));
	report(where, fd, "list-queue", try_open(t->queue, O_RDONLY | O_DIRECTORY));
	report(where, fd, "open-queue-file", try_open(join(t->queue, "queue.tdb", path), O_RDONLY));
	report(where, fd, "list-incoming", try_open(t->incoming, O_RDONLY | O_DIRECTORY));
	report(where, fd, "create-in-incoming",
	    try_open(join(t->incoming, "probe", path), O_CREAT | O_WRONLY));

	/* A write lock on limits.tdb would hold up every login. */
	int limits = open(t->limits ? t->limits : "/nowhere", O_RDWR | O_CLOEXEC);
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	report(
	    where, fd, "lock-limits", limits < 0 || fcntl(limits, F_SETLK, &lock) < 0 ? -errno : 0);
	close_fd(&limits);
}

static void probe_metadata(const char *where, int fd, const char *folder)
{
	char path[PATH_MAX_BYTES];
	struct stat status;
	const char *file = join(folder, "changes", path);

	report(where, fd, "stat", stat(file, &status));
	report(where, fd, "statx", statx(AT_FDCWD, file, 0, STATX_ALL, &(struct statx){0}));
	report(where, fd, "access", access(file, F_OK));
	report(where, fd, "chmod", chmod(file, 0666));
	report(where, fd, "chown", chown(file, getuid(), (gid_t)-1));
	report(where, fd, "utimes", utimensat(AT_FDCWD, file, NULL, 0));
	report(where, fd, "setxattr", syscall(SYS_setxattr, file, "user.probe", "x", 1UL, 0));
	report(where, fd, "inotify-add-watch", inotify_add_watch(-1, file, IN_MODIFY));
}

static void probe_network(const char *where, int fd, const struct targets *t)
{
	struct sockaddr_in address = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_un local = {.sun_family = AF_UNIX};
	const char *path = t->unix_path ? t->unix_path : "/nowhere";

	address.sin_port = htons(t->tcp_port);
	report(where, fd, "socket-tcp", socket(AF_INET, SOCK_STREAM, 0));
	report(where, fd, "connect-tcp",
	    connect(fd, (const struct sockaddr *)&address, sizeof(address)));
	address.sin_port = htons(t->udp_port);
	report(where, fd, "socket-udp", socket(AF_INET, SOCK_DGRAM, 0));
	report(where, fd, "sendto-udp",
	    sendto(fd, "x", 1, MSG_NOSIGNAL, (const struct sockaddr *)&address, sizeof(address)));
	memcpy(local.sun_path, path, MIN(strlen(path), sizeof(local.sun_path) - 1));
	report(where, fd, "socket-unix", socket(AF_UNIX, SOCK_STREAM, 0));
	report(
	    where, fd, "connect-unix", connect(fd, (const struct sockaddr *)&local, sizeof(local)));
	report(where, fd, "bind", bind(fd, (const struct sockaddr *)&local, sizeof(local)));
	report(where, fd, "listen", listen(fd, 1));
	report(where, fd, "accept", accept(fd, NULL, NULL));
	report(where, fd, "sendmsg", syscall(SYS_sendmsg, fd, NULL, 0));
	report(where, fd, "setsockopt",
	    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &(int){1}, sizeof(int)));
}

static void probe_processes(const char *where, int fd, const struct targets *t)
{
	pid_t pid = t->pid ? t->pid : 1;
	char program[] = "/bin/true", *arguments[] = {program, NULL};

	report(where, fd, "signal-0", kill(pid, 0));
	report(where, fd, "signal-term", kill(pid, SIGTERM));
	report(where, fd, "sigqueue", sigqueue(pid, SIGTERM, (union sigval){0}));
	report(where, fd, "setown", fcntl(fd, F_SETOWN, pid));
	report(where, fd, "ptrace", ptrace(PTRACE_ATTACH, pid, NULL, NULL));
	report(where, fd, "process-vm-readv", process_vm_readv(pid, NULL, 0, NULL, 0, 0));
	report(where, fd, "pidfd-open", syscall(SYS_pidfd_open, pid, 0));
	report(where, fd, "prlimit", syscall(SYS_prlimit64, pid, 7, NULL, NULL));
	report(where, fd, "execve", execve(program, arguments, NULL));
	long child = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	if (child == 0) /* the cage has a hole, and this is the proof */
		_exit(0);
	report(where, fd, "fork", child);
	report(where, fd, "mount", syscall(SYS_mount, "none", "/tmp", "tmpfs", 0UL, NULL));
	report(where, fd, "bpf", syscall(SYS_bpf, 0, NULL, 0));
	report(where, fd, "io-uring", syscall(SYS_io_uring_setup, 1, NULL));
	report(where, fd, "end", 0);
}

/* "gate open-passwd ENOSYS"; -1: errno says why, less: the negative errno itself */
static void report(const char *where, int fd, const char *call, long result)
{
	struct str line cleanup(str_clear) = STR_INIT(200);
	const char *name = result >= 0	 ? "OK"
			   : result < -1 ? strerrorname_np((int)-result)
					 : strerrorname_np(errno);

	str_format(&line, "probe %s %s %s\n", where, call, name ? name : "?");
	(void)!write(fd, line.data, line.n);
}
#else
typedef int sandbox_probe_is_compiled_out;
#endif
