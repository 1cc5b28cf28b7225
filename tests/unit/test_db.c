#include "tap.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "db/db.h"

static int folder = -1;

static struct db *opened(const char *name, enum db_kind kind, enum db_access access)
{
	struct db *db = NULL;
	int error = db_open(folder, name, kind, access, 100, &db);
	if (error < 0)
		printf("# db_open: %d\n", error);
	return db;
}

static bool holds(struct db *db, const char *key, const char *value)
{
	struct str got cleanup(str_clear) = STR_INIT(1000);
	return db_get(db, span_cstr(key), &got) == 0 &&
	       span_equal(str_span(&got), span_cstr(value));
}

static void test_durable(void)
{
	struct db *db = NULL;
	check_int(db_open(folder, "a.tdb", DB_DURABLE, DB_READ_WRITE, 0, &db), -ENOENT);
	check(!db);
	db = opened("a.tdb", DB_DURABLE, DB_CREATE);
	if (!check(db))
		return;
	struct str got cleanup(str_clear) = STR_INIT(4);
	check_int(db_get(db, SPAN("x"), &got), -ENOENT);
	uint32_t before = db_sequence(db);
	check_int(db_begin(db), 0);
	check_int(db_put(db, SPAN("x"), SPAN("one")), 0);
	check_int(db_put(db, SPAN("empty"), SPAN("")), 0);
	check(holds(db, "x", "one"));
	check_int(db_commit(db), 0);
	check(db_sequence(db) != before);
	check(holds(db, "x", "one"));
	check(holds(db, "empty", ""));
	check(db_has(db, SPAN("x")) && !db_has(db, SPAN("y")));

	before = db_sequence(db);
	check_int(db_begin(db), 0);
	check_int(db_put(db, SPAN("x"), SPAN("two")), 0);
	check_int(db_delete(db, SPAN("empty")), 0);
	check_int(db_delete(db, SPAN("never")), -ENOENT);
	db_cancel(db);
	check(holds(db, "x", "one"));
	check(holds(db, "empty", ""));
	check_int(db_sequence(db), before);

	check_int(db_begin(db), 0);
	check_int(db_commit(db), 0); /* empty: must leave no lock, tested by the next opener */
	check_int(db_begin(db), 0);
	check_int(db_put(db, SPAN("x"), SPAN("too long")), 0);
	check_int(db_commit(db), 0);
	check_int(db_get(db, SPAN("x"), &got), -EMSGSIZE);
	check_int(db_read_begin(db), 0);
	check_int(db_read_begin(db), 0);
	check(holds(db, "x", "too long"));
	db_read_end(db);
	db_read_end(db);
	check_int(db_check(db), 0);
	db_close(db);
	db_close(NULL);
}

static int count_records(struct span key, struct span value, void *context)
{
	(void)key;
	(void)value;
	return ++*(int *)context >= 50 ? -ECANCELED : 0;
}

static void test_each(void)
{
	struct db *db = opened("e.tdb", DB_DURABLE, DB_CREATE);
	int count = 0;
	check_int(db_each(db, count_records, &count), 0);
	check_int(count, 0);
	check_int(db_begin(db), 0);
	for (uint32_t i = 0; i < 49; i++)
		check_int(db_put(db, span_of(&i, sizeof(i)), SPAN("v")), 0);
	check_int(db_each(db, count_records, &count), 0);
	check_int(count, 49);
	check_int(db_put(db, SPAN("one more"), SPAN("v")), 0);
	check_int(db_commit(db), 0);
	count = 0;
	check_int(db_each(db, count_records, &count), -ECANCELED);
	db_close(db);
}

static void write_garbage(const char *name, const char *text)
{
	int fd = openat(folder, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	check(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static void test_damage(void)
{
	struct db *db = NULL;
	write_garbage("bad.tdb", "this is no database, and long enough to look like one");
	check_int(db_open(folder, "bad.tdb", DB_DURABLE, DB_CREATE, 0, &db), -EUCLEAN);
	write_garbage("bad.tdb", "");
	check_int(db_open(folder, "bad.tdb", DB_DURABLE, DB_CREATE, 0, &db), -EUCLEAN);
	write_garbage("bad.tdb", "TDB file\n");
	check_int(db_open(folder, "bad.tdb", DB_CACHE, DB_READ_WRITE, 0, &db), -EUCLEAN);
	db = opened("bad.tdb", DB_CACHE, DB_CREATE);
	check(db);
	check_int(db_put(db, SPAN("k"), SPAN("v")), 0); /* no transaction for a cache */
	check(holds(db, "k", "v"));
	db_close(db);
	db = opened("bad.tdb", DB_CACHE, DB_READ_ONLY);
	check(holds(db, "k", "v"));
	check_int(db_put(db, SPAN("k"), SPAN("w")), -EROFS);
	db_close(db);
	check_int(symlinkat("bad.tdb", folder, "link.tdb"), 0);
	check_int(db_open(folder, "link.tdb", DB_DURABLE, DB_READ_WRITE, 0, &db), -EUCLEAN);
	check_int(mkdirat(folder, "folder.tdb", 0700), 0);
	check(db_open(folder, "folder.tdb", DB_DURABLE, DB_READ_WRITE, 0, &db) < 0);
}

/* Broken chains are errors, whatever they point to. */
static void test_broken_records(void)
{
	struct db *db = opened("e.tdb", DB_DURABLE, DB_READ_WRITE);
	check_int(db_check(db), 0);
	db_close(db);
	int fd = openat(folder, "e.tdb", O_WRONLY);
	struct stat st;
	check(fd >= 0 && fstat(fd, &st) == 0);
	static const char garbage[64] = "\xff\xff\xff\x7f\x03\x00\x00\x00 these were records";
	bool written = true;
	for (off_t at = 2048; at + (off_t)sizeof(garbage) < st.st_size; at += sizeof(garbage))
		written = written && pwrite(fd, garbage, sizeof(garbage), at) == sizeof(garbage);
	check(written);
	close_fd(&fd);
	int count = 0;
	if (db_open(folder, "e.tdb", DB_DURABLE, DB_READ_WRITE, 0, &db) == 0) {
		check(db_check(db) < 0);
		check(db_each(db, count_records, &count) < 0);
		db_close(db);
	}
}

/* Adds 1 to a number `times` times, each in a transaction; the exit status says whether it did. */
static no_return void add_up(int times)
{
	struct db *db = opened("count.tdb", DB_DURABLE, DB_CREATE);
	for (int i = 0; db && i < times; i++) {
		struct str got cleanup(str_clear) = STR_INIT(4);
		uint32_t number = 0;
		if (db_begin(db) < 0)
			_exit(1);
		if (db_get(db, SPAN("n"), &got) == 0)
			memcpy(&number, got.data, sizeof(number));
		number++;
		if (db_put(db, SPAN("n"), span_of(&number, sizeof(number))) < 0 ||
		    db_put(db, SPAN("m"), span_of(&number, sizeof(number))) < 0 ||
		    db_commit(db) < 0)
			_exit(2);
	}
	db_close(db);
	_exit(db ? 0 : 3);
}

static uint32_t number_of(struct db *db, struct span key)
{
	struct str got cleanup(str_clear) = STR_INIT(4);
	uint32_t number = 0;
	if (db_get(db, key, &got) == 0 && got.n == sizeof(number))
		memcpy(&number, got.data, sizeof(number));
	return number;
}

static void test_processes(void)
{
	pid_t children[4];
	(void)fflush(stdout);
	for (size_t i = 0; i < ARRAY_SIZE(children); i++)
		if ((children[i] = fork()) == 0)
			add_up(50);
	for (size_t i = 0; i < ARRAY_SIZE(children); i++) {
		int status = -1;
		check(waitpid(children[i], &status, 0) == children[i]);
		check_int(status, 0);
	}
	struct db *db = opened("count.tdb", DB_DURABLE, DB_READ_ONLY);
	check_int(number_of(db, SPAN("n")), 200);
	db_close(db);
}

/* kill -9 in the middle of commits: the next opener finds both numbers equal. */
static void test_kill(void)
{
	(void)fflush(stdout);
	for (int round = 0; round < 15; round++) {
		pid_t child = fork();
		if (child == 0)
			add_up(100000);
		struct timespec pause = {0, 3000000 + round * 1234567};
		(void)nanosleep(&pause, NULL);
		check_int(kill(child, SIGKILL), 0);
		check(waitpid(child, NULL, 0) == child);
		struct db *db = opened("count.tdb", DB_DURABLE, DB_READ_WRITE);
		if (!check(db))
			return;
		check_int(number_of(db, SPAN("n")), number_of(db, SPAN("m")));
		check_int(db_check(db), 0);
		db_close(db);
	}
}

/* A reader sees one moment: a commit of somebody else waits for it. */
static void test_snapshot(void)
{
	int go[2];
	check_int(pipe(go), 0);
	(void)fflush(stdout);
	pid_t child = fork(); /* before opening: one struct db per process */
	if (child == 0) {
		char byte;
		_exit(read(go[0], &byte, 1) == 1 ? (add_up(1), 0) : 4);
	}
	struct db *db = opened("count.tdb", DB_DURABLE, DB_READ_WRITE);
	check_int(db_read_begin(db), 0);
	uint32_t before = number_of(db, SPAN("n"));
	check_int(write(go[1], "", 1), 1);
	struct timespec pause = {0, 100000000};
	(void)nanosleep(&pause, NULL);
	check_int(number_of(db, SPAN("n")), before);
	check_int(waitpid(child, NULL, WNOHANG), 0);
	db_read_end(db);
	check(waitpid(child, NULL, 0) == child);
	check_int(number_of(db, SPAN("n")), before + 1);
	db_close(db);
	close(go[0]);
	close(go[1]);
}

/* A lock that somebody keeps is waited for no longer than DB_LOCK_MS, also for all records. */
static void test_held(void)
{
	int ready[2];
	char byte;
	db_close(opened("held.tdb", DB_CACHE, DB_CREATE));
	check_int(pipe(ready), 0);
	(void)fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		struct db *db = opened("held.tdb", DB_CACHE, DB_READ_WRITE);
		if (db_put(db, SPAN("k"), SPAN("v")) == 0 && db_lock(db, SPAN("k")) == 0 &&
		    write(ready[1], "", 1) == 1)
			(void)pause();
		_exit(1);
	}
	close(ready[1]);
	check_int(read(ready[0], &byte, 1), 1);
	struct db *db = opened("held.tdb", DB_CACHE, DB_READ_WRITE);
	int count = 0;
	(void)alarm(6 * DB_LOCK_MS / 1000); /* or it would hang */
	check_int(db_each(db, count_records, &count), -EBUSY);
	check_int(db_lock(db, SPAN("k")), -EBUSY);
	(void)kill(child, SIGKILL);
	check(waitpid(child, NULL, 0) == child);
	check_int(db_each(db, count_records, &count), 0);
	check_int(count, 1);
	(void)alarm(0);
	db_close(db);
	close(ready[0]);
}

int main(void)
{
	char path[] = "/tmp/postern-db-XXXXXX";
	if (!mkdtemp(path))
		return 1;
	folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	test_durable();
	test_each();
	test_damage();
	test_broken_records();
	test_processes();
	test_kill();
	test_snapshot();
	test_held();
	static const char *const files[] = {
	    "a.tdb", "e.tdb", "bad.tdb", "link.tdb", "count.tdb", "folder.tdb", "held.tdb"};
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (unlinkat(folder, files[i], 0) < 0)
			(void)unlinkat(folder, files[i], AT_REMOVEDIR);
	check_int(rmdir(path), 0); /* nothing else was left behind */
	close_fd(&folder);
	return tap_end();
}
