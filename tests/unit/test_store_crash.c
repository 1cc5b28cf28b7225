/* Several processes on one store, and processes that are killed at any moment. */
#include "store_common.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { WORKERS = 4, ROUNDS = 25, KILLS = 40 };

/* A small generator of our own: the same run again for the same seed. */
static uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525 + 1013904223;
	return *state >> 16;
}

struct told {
	uint32_t count; /* messages, as the client counts them */
	uint64_t last_modseq;
	bool good;
};

static void told_expunged(void *context, uint32_t sequence, uint32_t uid)
{
	struct told *told = context;
	(void)uid;
	told->good = told->good && sequence >= 1 && sequence <= told->count;
	told->count--;
}

static void told_exists(void *context, uint32_t count)
{
	struct told *told = context;
	told->good = told->good && count > told->count;
	told->count = count;
}

static void told_changed(void *context, uint32_t sequence, const struct message_info *m)
{
	struct told *told = context;
	told->good =
	    told->good && sequence >= 1 && sequence <= told->count && m->modseq > told->last_modseq;
}

/* What a client does: at random, and it follows what it is told. -errno, or -EPROTO. */
static int one_step(struct store *s, struct view *v, struct told *told, uint32_t *seed)
{
	struct arena a cleanup(arena_clear) = {0};
	uint32_t uid = view_uid(v, 1 + next_random(seed) % (view_count(v) + 1));
	struct uid_range range = {uid, uid + next_random(seed) % 10};
	struct uid_set uids = {&range, uid ? 1 : 0}, from, to;
	struct flags_change change = {.mode = next_random(seed) % 2 ? FLAGS_ADD : FLAGS_REMOVE,
	    .flags = 1u << next_random(seed) % 5,
	    .unchanged_since = UINT64_MAX};
	uint32_t validity;
	int error = 0;
	switch (next_random(seed) % 8) {
	case 0:
	case 1:
	case 2: error = append_text(s, "INBOX", 0, TEXT, NULL); break;
	case 3: error = view_expunge(v, NULL); break;
	case 4: error = view_copy(v, uids, SPAN("Archive"), true, &a, &validity, &from, &to); break;
	case 5: error = view_copy(v, uids, SPAN("INBOX"), false, &a, &validity, &from, &to); break;
	default: error = view_store_flags(v, uids, &change, next_random(seed) % 2, &a, NULL); break;
	}
	struct view_changes changes = {told_expunged, told_exists, told_changed, NULL, told};
	told->last_modseq = view_info(v)->highest_modseq;
	if (error == 0)
		error = view_sync(v, next_random(seed) % 3 > 0, &changes);
	return error == 0 && !(told->good && told->count == view_count(v)) ? -EPROTO : error;
}

static no_return void work(uint32_t seed, int rounds)
{
	struct store *s = store_opened();
	struct view *v = NULL;
	if (!s || view_open(s, SPAN("INBOX"), false, &v) < 0)
		_exit(1);
	struct told told = {.count = view_count(v), .good = true};
	for (int i = 0; i < rounds; i++) {
		int error = one_step(s, v, &told, &seed);
		if (error < 0) {
			printf("# step %d: %s\n", i, strerror(-error));
			(void)fflush(stdout);
			_exit(2);
		}
	}
	view_close(v);
	store_close(s);
	_exit(0);
}

static void test_processes(void)
{
	pid_t children[WORKERS];
	(void)fflush(stdout);
	for (uint32_t i = 0; i < WORKERS; i++)
		if ((children[i] = fork()) == 0)
			work(i * 7919, ROUNDS);
	for (size_t i = 0; i < WORKERS; i++) {
		int status = -1;
		check(waitpid(children[i], &status, 0) == children[i]);
		check_int(status, 0);
	}
	struct store *s = store_opened();
	check_store(s);
	store_close(s);
}

/*
 * Appends, and writes each uid to a pipe once it is acknowledged; then is killed. Every uid that
 * came through the pipe must be there, and the next uid must be a new one.
 */
static no_return void append_and_tell(int pipe_fd)
{
	struct store *s = store_opened();
	uint32_t uid;
	while (s && append_text(s, "Junk", FLAG_SEEN, TEXT, &uid) == 0)
		if (write(pipe_fd, &uid, sizeof(uid)) != sizeof(uid))
			break;
	_exit(1);
}

static uint32_t drain(int fd)
{
	uint32_t uid, last = 0;
	while (read(fd, &uid, sizeof(uid)) == sizeof(uid))
		last = uid;
	return last;
}

static void test_kill(void)
{
	uint64_t unreferenced = 0;
	uint32_t last_uid = 0;
	for (int round = 0; round < KILLS; round++) {
		int ends[2];
		check_int(pipe2(ends, O_CLOEXEC), 0);
		(void)fflush(stdout);
		pid_t child = fork();
		if (child == 0) {
			if (round % 2)
				append_and_tell(ends[1]);
			work((uint32_t)round, 1000000);
		}
		close(ends[1]);
		struct timespec pause = {0, 2000000 + round * 777777};
		(void)nanosleep(&pause, NULL);
		check_int(kill(child, SIGKILL), 0);
		check(waitpid(child, NULL, 0) == child);
		uint32_t told = drain(ends[0]);
		close(ends[0]);
		struct store *s = store_opened();
		struct view *v = NULL;
		struct message_info m;
		if (!check(s))
			return;
		check_int(store_problems(s, &unreferenced), 0);
		check_int(view_open(s, SPAN("Junk"), true, &v), 0);
		check(told == 0 || view_message(v, told, &m) == 0);
		check(view_info(v)->uid_next > MAX(told, last_uid));
		last_uid = view_info(v)->uid_next - 1;
		view_close(v);
		store_close(s);
	}
	printf(
	    "# %d kills left %llu unreferenced files\n", KILLS, (unsigned long long)unreferenced);
}

/* A leftover file is in nobody's way, though its serial would have been the next. */
static void test_leftover(void)
{
	struct store *s = store_opened();
	uint32_t uid;
	struct view *v = NULL;
	struct message_info m;
	check_int(append_text(s, "Sent", 0, TEXT, &uid), 0);
	check_int(view_open(s, SPAN("Sent"), true, &v), 0);
	check_int(view_message(v, uid, &m), 0);
	view_close(v);
	char name[40];
	(void)snprintf(name, sizeof(name), "msg/%02x/%llx", (unsigned)(m.id & 0xff),
	    (unsigned long long)(m.id >> 8) + 1);
	int fd = openat(store_dirfd, name, O_WRONLY | O_CREAT | O_EXCL, 0600);
	check(fd >= 0);
	close_fd(&fd);
	check_int(append_text(s, "Sent", 0, TEXT, &uid), 0);
	check_int(append_text(s, "Sent", 0, TEXT, &uid), 0);
	check_int(store_problems(s, NULL), 0);
	store_close(s);
}

/* Disk full: an error, and afterwards everything is as before. */
static void test_file_limit(void)
{
	(void)fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		struct store *s = store_opened();
		uint64_t unreferenced_before, unreferenced;
		int bad = store_problems(s, &unreferenced_before);
		struct stat st;
		bad += fstatat(store_dirfd, "index.tdb", &st, 0);
		(void)signal(SIGXFSZ, SIG_IGN);
		struct rlimit limit = {(rlim_t)st.st_size, (rlim_t)st.st_size};
		bad += setrlimit(RLIMIT_FSIZE, &limit);
		int error = 0;
		for (int i = 0; i < 20000 && error == 0; i++)
			error = append_text(s, "Trash", 0, TEXT, NULL);
		if (error != -EFBIG)
			printf("# %s\n", strerror(-error));
		bad += error != -EFBIG;
		bad += store_problems(s, &unreferenced);
		store_close(s);
		(void)fflush(stdout);
		_exit(bad != 0);
	}
	int status = -1;
	check(waitpid(child, &status, 0) == child);
	check_int(status, 0);
	struct store *s = store_opened();
	check_int(store_problems(s, NULL), 0);
	store_close(s);
}

int main(void)
{
	store_folder_make();
	struct store *s = store_opened();
	store_close(s);
	test_processes();
	test_leftover();
	test_kill();
	test_file_limit();
	store_folder_remove();
	return tap_end();
}
