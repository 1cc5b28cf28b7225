#include "admin/localserve.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/file.h"

enum {
	PORT_BASE_DEFAULT = 1000,
	PORT_HIGHEST = 993,
	FOLDERS_OPEN = 16,
	FOLDER_MODE = 0700,
	FILE_MODE = 0600
};

static int read_options(struct localserve *s, uint16_t *port_base);
static int make_dir(struct localserve *s, const char *dir);
static int check_is_ours(struct localserve *s);
static int lock(struct localserve *s);
static int find_programs(struct localserve *s);
static int serve(struct localserve *s, uint16_t port_base);
static void print_how_to(const struct localserve *s);
static void clear(struct localserve *s);
static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw);

int verb_localserve(struct admin *admin)
{
	struct localserve s = {.admin = admin,
	    .dir_fd = -1,
	    .lock_fd = -1,
	    .log_fd = -1,
	    .signal_fd = -1,
	    .wake_watch_fd = -1};
	for (size_t i = 0; i < LOCALSERVE_LISTENERS; i++)
		s.listeners[i] = -1;
	uint16_t port_base = 0;
	/*
	 * Before anything is made: what comes during the set-up waits until it can be cleaned up.
	 */
	sigset_t blocked;
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGINT);
	sigaddset(&blocked, SIGTERM);
	sigaddset(&blocked, SIGCHLD);
	sigprocmask(SIG_BLOCK, &blocked, &s.signals_before);
	int status = read_options(&s, &port_base);
	if (status == STATUS_OK)
		status = find_programs(&s);
	if (status == STATUS_OK)
		status = serve(&s, port_base);
	clear(&s);
	return status;
}

static int read_options(struct localserve *s, uint16_t *port_base)
{
	const char *dir = option_value(s->admin, "--dir");
	const char *base = option_value(s->admin, "--port-base");
	s->demo = option_flag(s->admin, "--demo");
	uint64_t number = s->demo ? 0 : PORT_BASE_DEFAULT;
	int status = operands_check(s->admin, 0, 0);
	if (status != STATUS_OK)
		return status;
	if (dir && !*dir)
		return problem(STATUS_USAGE, "--dir needs the name of a folder");
	if (s->admin->instance)
		return problem(STATUS_USAGE, "localserve takes --dir DIR, not --instance");
	if (base &&
	    (span_to_u64(span_cstr(base), UINT16_MAX - PORT_HIGHEST, &number) < 0 || number == 0))
		return problem(STATUS_USAGE, "--port-base is a number from 1 to %d",
		    UINT16_MAX - PORT_HIGHEST);
	*port_base = (uint16_t)number;
	return make_dir(s, dir);
}

static int make_dir(struct localserve *s, const char *dir)
{
	char template[] = "/tmp/postern-localserve-XXXXXX";
	s->throwaway = dir == NULL;
	if (s->throwaway) {
		dir = mkdtemp(template);
		if (!dir)
			return problem(STATUS_CANNOT_CREATE, "%s cannot be made: %s", template,
			    strerror(errno));
	} else if (mkdir(dir, FOLDER_MODE) < 0 && errno != EEXIST) {
		return problem(STATUS_CANNOT_CREATE, "%s cannot be made: %s", dir, strerror(errno));
	}
	s->dir = realpath(dir, NULL);
	if (!s->dir)
		return problem(STATUS_NO_INPUT, "%s cannot be found: %s", dir, strerror(errno));
	int rc = folder_open(AT_FDCWD, s->dir, &s->dir_fd);
	if (rc < 0)
		return problem(status_of(rc), "%s cannot be opened: %s", s->dir, strerror(-rc));
	int status = check_is_ours(s);
	if (status == STATUS_OK)
		status = lock(s);
	if (status != STATUS_OK)
		return status;
	/* The verbs' own functions work on this instance from here on. */
	s->admin->instance = s->dir;
	paths_clear(&s->admin->paths);
	paths_init(&s->admin->paths, s->dir);
	return STATUS_OK;
}

/*
 * A folder with an instance, with the beginning of one, or with nothing: not somebody's documents.
 */
static int check_is_ours(struct localserve *s)
{
	static const char *const first[] = {
	    ".", "..", "lock", "log", "ready", "server.key.pem", "server.pem"};
	if (faccessat(s->dir_fd, "postern.conf", F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return STATUS_OK;
	DIR *d = opendir(s->dir);
	if (!d)
		return problem(STATUS_NO_INPUT, "%s cannot be read: %s", s->dir, strerror(errno));
	int status = STATUS_OK;
	for (struct dirent *e; status == STATUS_OK && (e = readdir(d));) {
		size_t i = 0;
		while (i < ARRAY_SIZE(first) && strcmp(first[i], e->d_name) != 0)
			i++;
		if (i == ARRAY_SIZE(first))
			status = problem(STATUS_CANNOT_CREATE,
			    "%s holds other files, and no instance of Postern; give --dir a new or "
			    "empty folder",
			    s->dir);
	}
	(void)closedir(d); /* was only read */
	return status;
}

/* Held until this process ends, however it does; no child keeps it behind an exec. */
static int lock(struct localserve *s)
{
	s->lock_fd =
	    openat(s->dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
	if (s->lock_fd < 0)
		return problem(
		    STATUS_CANNOT_CREATE, "%s/lock cannot be opened: %s", s->dir, strerror(errno));
	if (flock(s->lock_fd, LOCK_EX | LOCK_NB) == 0)
		return STATUS_OK;
	if (errno == EWOULDBLOCK)
		return problem(STATUS_TEMPORARY,
		    "%s is already served by another localserve; end that one, or give another "
		    "--dir",
		    s->dir);
	return problem(STATUS_IO, "%s/lock cannot be locked: %s", s->dir, strerror(errno));
}

/*
 * $POSTERN_LIBEXEC, or from where this program lies: its folder (build tree), or
 * ../libexec/postern.
 */
static int find_programs(struct localserve *s)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self));
	const char *given = getenv("POSTERN_LIBEXEC");
	struct arena *a = &s->admin->arena;
	if (given) {
		s->programs = arena_cstr(a, span_cstr(given));
	} else {
		struct span path = span_of(self, n > 0 ? (size_t)n : 0);
		struct span folder = span_sub(path, 0, span_last_index(path, '/'));
		struct span prefix = span_sub(folder, 0, span_last_index(folder, '/'));
		s->programs = arena_cstr(a, folder);
		if (access(arena_format(a, "%s/imap-handler", s->programs).p, X_OK) < 0)
			s->programs = arena_cstr(
			    a, arena_format(a, "%.*s/libexec/postern", SPAN_ARG(prefix)));
	}
	static const char *const needed[] = {"imap-handler", "submit-handler", "queue-runner"};
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
		const char *path = arena_format(a, "%s/%s", s->programs, needed[i]).p;
		if (access(path, X_OK) < 0)
			return problem(STATUS_CONFIGURATION,
			    "%s: %s; build or install the programs", path, strerror(errno));
	}
	return STATUS_OK;
}

static int serve(struct localserve *s, uint16_t port_base)
{
	(void)unlinkat(s->dir_fd, "ready", 0); /* of an earlier, killed run */
	s->log_fd = openat(
	    s->dir_fd, "log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
	if (s->log_fd < 0)
		return problem(
		    STATUS_CANNOT_CREATE, "%s/log cannot be opened: %s", s->dir, strerror(errno));
	int status = localserve_setup(s);
	if (status == STATUS_OK)
		status = localserve_listen(s, port_base);
	if (status != STATUS_OK)
		return status;
	int rc = file_remove_stale(s->dir_fd, 0); /* only we write here */
	if (rc == 0)
		rc = file_replace(s->dir_fd, "ready", SPAN(""), FILE_MODE);
	if (rc < 0)
		return problem(
		    status_of(rc), "%s/ready cannot be written: %s", s->dir, strerror(-rc));
	if (!s->demo)
		print_how_to(s);
	return localserve_run(s);
}

static void print_how_to(const struct localserve *s)
{
	printf("Postern serves on localhost; Ctrl-C ends it%s.\n\n",
	    s->throwaway ? " and removes everything" : "");
	printf("  IMAP         port %u (SSL/TLS), or %u (STARTTLS)\n", s->ports[LOCALSERVE_IMAPS],
	    s->ports[LOCALSERVE_IMAP]);
	printf("  Submission   port %u (SSL/TLS), or %u (STARTTLS)\n",
	    s->ports[LOCALSERVE_SUBMISSIONS], s->ports[LOCALSERVE_SUBMISSION]);
	printf(
	    "  User names   user@localhost, second@localhost; passwords in %s/passwords\n", s->dir);
	printf("  Certificate  trust %s/server.pem\n", s->dir);
	printf("  Client key   %s/clients/user.pem (or user.p12, passphrase beside it):\n"
	       "               logs user@localhost in without a password\n",
	    s->dir);
	printf("  Log          %s/log\n\n", s->dir);
	printf(
	    "For example:\n"
	    "  curl --cacert %s/server.pem --cert %s/clients/user.pem imaps://localhost:%u/INBOX\n",
	    s->dir, s->dir, s->ports[LOCALSERVE_IMAPS]);
	(void)fflush(stdout); /* checked at the end of the program */
}

static void clear(struct localserve *s)
{
	if (s->log_fd >= 0)			       /* past the lock: it is ours */
		(void)unlinkat(s->dir_fd, "ready", 0); /* may not be there */
	for (size_t i = 0; i < LOCALSERVE_LISTENERS; i++)
		close_fd(&s->listeners[i]);
	close_fd(&s->dir_fd);
	close_fd(&s->lock_fd);
	close_fd(&s->log_fd);
	close_fd(&s->signal_fd);
	close_fd(&s->wake_watch_fd);
	if (s->throwaway && s->dir &&
	    nftw(s->dir, remove_one, FOLDERS_OPEN, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) != 0)
		problem(STATUS_IO, "%s cannot be removed: %s", s->dir, strerror(errno));
	s->admin->instance = NULL;
	free(s->dir);
	sigprocmask(SIG_SETMASK, &s->signals_before, NULL);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}
