/* Buckets of failures, and the history of logins. */
#include "account/limits.h"
#include "account/bucket.h"
#include "account/history.h"
#include "account/pending.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "db/db.h"
#include "io/file.h"
#include "folder.h"
#include "tap.h"

static char root[] = "/tmp/postern-limits-XXXXXX";
static int root_fd = -1;

enum { NOW = 1000000, DAY = 86400 };

/* A wrong password; nobody looks whether it may be told. */
static void fail_at(struct limits *l, struct span address, struct span account, int64_t now_s)
{
	(void)!limits_settle(l, address, account, false, now_s);
}

static void fail_times(struct limits *l, int times, struct span address, struct span account)
{
	for (int i = 0; i < times; i++)
		fail_at(l, address, account, NOW);
}

/* The delay, or the negative answer. */
static int ask(struct limits *l, const char *address, const char *account, int64_t now_s)
{
	int delay_ms = -1;
	int rc = limits_check(l, span_cstr(address), span_cstr(account), now_s, &delay_ms);
	return rc < 0 ? rc : delay_ms;
}

static struct limits *fresh(void)
{
	struct limits *l = NULL;
	(void)unlinkat(root_fd, "limits.tdb", 0); /* may not be there */
	check_int(limits_open(root_fd, &l), 0);
	return l;
}

static void test_address_buckets(void)
{
	struct limits *l = fresh();
	check_int(ask(l, "192.0.2.1", NULL, NOW), 0);
	fail_times(l, 3, SPAN("192.0.2.1"), SPAN("one"));
	check_int(ask(l, "192.0.2.1", NULL, NOW), 0);
	fail_times(l, 4, SPAN("192.0.2.1"), SPAN("one"));
	int delay_ms = ask(l, "192.0.2.1", NULL, NOW);
	check(delay_ms > 0 && delay_ms <= 5000);
	fail_times(l, 3, SPAN("192.0.2.1"), SPAN("one"));
	check_int(ask(l, "192.0.2.1", NULL, NOW), -EACCES);
	check_int(ask(l, "::ffff:192.0.2.1", NULL, NOW), -EACCES); /* the same host */
	check(ask(l, "192.0.2.2", NULL, NOW) >= 0);
	check(ask(l, "192.0.3.1", NULL, NOW) == 0);
	check(ask(l, NULL, NULL, NOW) == 0); /* a proven key */
	/* It leaks. */
	check(ask(l, "192.0.2.1", NULL, NOW + 7) > 0);
	check_int(ask(l, "192.0.2.1", NULL, NOW + 61), 0);
	check_int(
	    ask(l, "192.0.2.1", NULL, NOW - 30), -EACCES); /* a clock that went back a little */
	check_int(ask(l, "192.0.2.1", NULL, NOW - 365 * DAY), 0); /* one that was wrong */
	limits_close(l);

	/* Neighbours fill the network's bucket. */
	l = fresh();
	for (int i = 0; i < 30; i++) {
		char address[40];
		int n = snprintf(address, sizeof(address), "198.51.100.%d", i);
		fail_at(l, span_of(address, (size_t)n), SPAN_NONE, NOW);
	}
	check_int(ask(l, "198.51.100.200", NULL, NOW), -EACCES);
	check_int(ask(l, "198.51.101.200", NULL, NOW), 0);
	/* Whoever logged in from there before is slowed only. */
	limits_succeeded(l, SPAN("198.51.100.201"), SPAN("one"), NOW - 5 * DAY);
	check(ask(l, "198.51.100.201", NULL, NOW) > 0);
	check(ask(l, "198.51.100.201", "two", NOW) > 0);
	check_int(ask(l, "198.51.100.202", "one", NOW), -EACCES);
	limits_close(l);

	/* IPv6: one host has a /64. */
	l = fresh();
	for (int i = 0; i < 10; i++) {
		char address[40];
		int n = snprintf(address, sizeof(address), "2001:db8:1:2::%x", i);
		fail_at(l, span_of(address, (size_t)n), SPAN_NONE, NOW);
	}
	check_int(ask(l, "2001:db8:1:2:ffff::1", NULL, NOW), -EACCES);
	check(ask(l, "2001:db8:1:3::1", NULL, NOW) >= 0);
	check_int(ask(l, "2001:db8:2:2::1", NULL, NOW), 0);
	limits_close(l);

	/* The day's bucket holds on when the minute's has leaked. */
	l = fresh();
	for (int i = 0; i < 60; i++)
		fail_at(l, SPAN("192.0.2.1"), SPAN_NONE, NOW + i * 60);
	check_int(ask(l, "192.0.2.1", NULL, NOW + 60 * 60), -EACCES);
	check_int(ask(l, "192.0.2.1", NULL, NOW + 3 * DAY), 0);
	limits_close(l);
}

static void test_account_bucket(void)
{
	struct limits *l = fresh();
	limits_succeeded(l, SPAN("203.0.113.5"), SPAN("one"), NOW - 5 * DAY);
	for (int i = 0; i < 100; i++) {
		char address[40];
		int n = snprintf(address, sizeof(address), "10.%d.0.1", i);
		fail_at(l, span_of(address, (size_t)n), SPAN("one"), NOW);
	}
	check_int(ask(l, "10.200.0.1", "one", NOW), -EACCES); /* a stranger */
	check(ask(l, "203.0.113.5", "one", NOW) > 0);	      /* the owner, slowed */
	check_int(ask(l, "10.200.0.1", "two", NOW), 0);
	check_int(ask(l, "203.0.113.5", "one", NOW + 40 * DAY), 0);
	limits_close(l);

	/* A success takes back the failures of its own pair, and no others. */
	l = fresh();
	fail_times(l, 6, SPAN("192.0.2.1"), SPAN("one"));
	fail_times(l, 4, SPAN("192.0.2.1"), SPAN("two"));
	check_int(ask(l, "192.0.2.1", "one", NOW), -EACCES);
	limits_succeeded(l, SPAN("192.0.2.1"), SPAN("two"), NOW);
	check(ask(l, "192.0.2.1", "one", NOW) > 0);
	fail_times(l, 4, SPAN("192.0.2.1"), SPAN_NONE);
	check_int(ask(l, "192.0.2.1", "one", NOW), -EACCES);
	limits_succeeded(l, SPAN("192.0.2.1"), SPAN("two"), NOW);
	check_int(ask(l, "192.0.2.1", "one", NOW), -EACCES);
	limits_close(l);
}

/*
 * Not more verdicts are told than a bucket holds, and a right password is as silent as a wrong one.
 */
static void test_settle(void)
{
	struct limits *l = fresh();
	for (int i = 0; i < 10; i++)
		check_int(limits_settle(l, SPAN("192.0.2.1"), SPAN("one"), false, NOW), 0);
	check_int(limits_settle(l, SPAN("192.0.2.1"), SPAN("one"), false, NOW), -EACCES);
	check_int(limits_settle(l, SPAN("192.0.2.1"), SPAN("one"), true, NOW), -EACCES);
	check_int(limits_settle(l, SPAN("192.0.2.1"), SPAN("one"), true, NOW + 7), 0);
	check_int(limits_settle(l, SPAN_NONE, SPAN("one"), true, NOW), 0); /* a proven key */
	check_int(limits_settle(NULL, SPAN("192.0.2.1"), SPAN("one"), true, NOW), 0);
	limits_close(l);

	/* All at once, from two networks, for one account that holds 20. */
	enum { GUESSERS = 8, GUESSES = 9 };
	l = fresh();
	limits_close(l);
	pid_t children[GUESSERS];
	for (int i = 0; i < GUESSERS; i++) {
		children[i] = fork();
		if (children[i] != 0)
			continue;
		char address[40];
		int n = snprintf(address, sizeof(address), "10.%d.0.1", i), told = 0;
		if (limits_open(root_fd, &l) < 0)
			_exit(100);
		for (int k = 0; k < GUESSES; k++)
			told += limits_settle(
				    l, span_of(address, (size_t)n), SPAN("one"), false, NOW) == 0;
		_exit(told);
	}
	int told = 0;
	for (int i = 0; i < GUESSERS; i++) {
		int status = -1;
		check(waitpid(children[i], &status, 0) == children[i] && WIFEXITED(status));
		told += WEXITSTATUS(status);
	}
	check_int(told, 20);
}

static void overwrite(const char *name, off_t from, int byte)
{
	char bytes[4096];
	struct stat st;
	int fd cleanup(close_fd) = openat(root_fd, name, O_WRONLY | O_CLOEXEC);
	check(fstat(fd, &st) == 0);
	memset(bytes, byte, sizeof(bytes));
	for (off_t at = from; at < st.st_size; at += (off_t)sizeof(bytes))
		check(pwrite(fd, bytes, MIN(sizeof(bytes), (size_t)(st.st_size - at)), at) > 0);
}

/* Damage that opening does not see: the file is made anew, and limits limit again. */
static void test_damaged(void)
{
	static const struct {
		off_t from;
		int byte;
	} damages[] = {{400, 'x'}, {168, 0xff}, {168, 'x'}, {5000, 0xff}};
	for (size_t i = 0; i < ARRAY_SIZE(damages); i++) {
		struct limits *l = fresh();
		fail_times(l, 10, SPAN("192.0.2.1"), SPAN("one"));
		limits_close(l);
		overwrite("limits.tdb", damages[i].from, damages[i].byte);
		check_int(limits_open(root_fd, &l), 0);
		check(!limits_was_made_anew(l));
		check_int(ask(l, "192.0.2.1", "one", NOW), 0);
		fail_times(l, 12, SPAN("192.0.2.1"), SPAN("one"));
		check_int(ask(l, "192.0.2.1", "one", NOW), -EACCES);
		check(limits_was_made_anew(l) && !limits_was_made_anew(l));
		limits_close(l);
		check_int(limits_open(root_fd, &l), 0);
		check_int(ask(l, "192.0.2.1", "one", NOW), -EACCES);
		limits_close(l);
	}
}

static void test_shared(void)
{
	/* Two handlers at once: no failure is lost. */
	struct limits *l = fresh();
	limits_close(l);
	pid_t child = fork();
	int rc = limits_open(root_fd, &l);
	if (rc == 0)
		fail_times(l, 5, SPAN("192.0.2.1"), SPAN("one"));
	limits_close(rc == 0 ? l : NULL);
	if (child == 0)
		_exit(rc == 0 ? 0 : 1);
	int status = -1;
	check(waitpid(child, &status, 0) == child && status == 0);
	check_int(limits_open(root_fd, &l), 0);
	check_int(ask(l, "192.0.2.1", NULL, NOW), -EACCES);
	limits_close(l);

	/* A damaged file is made anew. */
	int fd cleanup(close_fd) = openat(root_fd, "limits.tdb", O_WRONLY | O_TRUNC | O_CLOEXEC);
	check(write(fd, "garbage", 7) == 7);
	check_int(limits_open(root_fd, &l), 0);
	check_int(ask(l, "192.0.2.1", NULL, NOW), 0);
	limits_close(l);
	check_int(ask(NULL, "192.0.2.1", NULL, NOW), 0);
	fail_at(NULL, SPAN("192.0.2.1"), SPAN("one"), NOW);
	limits_succeeded(NULL, SPAN("192.0.2.1"), SPAN("one"), NOW);
}

/* Whoever finds the lock taken waits for what is counted there, even if its holder is slow. */
static void test_slow_holder(void)
{
	struct limits *l = fresh();
	int ready[2];
	char byte;
	limits_close(l);
	check_int(pipe(ready), 0);
	pid_t child = fork();
	if (child == 0) {
		struct db *db = NULL;
		int rc = db_open(root_fd, "limits.tdb", DB_CACHE, DB_READ_WRITE, 0, &db);
		if (rc < 0 || db_lock(db, SPAN("lock")) < 0 || write(ready[1], "x", 1) != 1)
			_exit(1);
		(void)usleep(800000);
		static const struct bucket_capacity ten = {10, 50};
		for (int i = 0; i < 10 && rc == 0; i++)
			rc = bucket_add(db, SPAN("a 192.0.2.1"), &ten, NOW);
		db_close(db);
		_exit(rc == 0 ? 0 : 1);
	}
	close(ready[1]);
	check_int(read(ready[0], &byte, 1), 1);
	check_int(limits_open(root_fd, &l), 0);
	check_int(limits_settle(l, SPAN("192.0.2.1"), SPAN("one"), false, NOW), -EACCES);
	limits_close(l);
	int status = -1;
	check(waitpid(child, &status, 0) == child && status == 0);
	close(ready[0]);
}

static int count_record(struct span key, struct span value, void *context)
{
	(void)key;
	(void)value;
	++*(int *)context;
	return 0;
}

/* What has leaked empty is swept now and then: by so many failures surely (to 1 in 10^17). */
static void test_sweep(void)
{
	struct limits *l = fresh();
	for (int i = 0; i < 200; i++) {
		char address[40];
		int n = snprintf(address, sizeof(address), "10.%d.0.1", i);
		fail_at(l, span_of(address, (size_t)n), SPAN("one"), NOW);
	}
	for (int i = 0; i < 20000; i++)
		fail_at(l, SPAN("192.0.2.1"), SPAN("two"), NOW + 5 * DAY);
	limits_close(l);
	struct db *db;
	int count = 0;
	if (check_int(db_open(root_fd, "limits.tdb", DB_CACHE, DB_READ_ONLY, 1, &db), 0)) {
		check_int(db_each(db, count_record, &count), 0);
		check_int(count, 4); /* address, network, account and pair of the last */
		db_close(db);
	}
}

static void test_plus(void)
{
	struct limits *l = fresh();
	const struct span peer = SPAN("192.0.2.1"), port = SPAN("submission");
	check(!limits_plus_is_hidden(l, peer, port, NOW));
	check(limits_plus_given_up(l, SPAN("::ffff:192.0.2.1"), port, NOW));
	check(limits_plus_is_hidden(l, peer, port, NOW + 600));
	check(!limits_plus_is_hidden(l, peer, port, NOW + 601));
	check(!limits_plus_is_hidden(l, peer, SPAN("imap"), NOW));
	check(!limits_plus_is_hidden(l, SPAN("192.0.2.2"), port, NOW));
	limits_plus_used(l, peer, NOW);
	check(!limits_plus_is_hidden(l, peer, port, NOW));
	check(!limits_plus_given_up(l, peer, port, NOW + 29 * DAY));
	check(limits_plus_given_up(l, peer, port, NOW + 31 * DAY));
	check(!limits_plus_given_up(l, SPAN("nonsense"), port, NOW));
	check(!limits_plus_is_hidden(l, SPAN_NONE, port, NOW));
	check(!limits_plus_given_up(NULL, peer, port, NOW));
	check(!limits_plus_is_hidden(NULL, peer, port, NOW));
	limits_plus_used(NULL, peer, NOW);
	limits_close(l);
}

/* What a session can still write when limits.tdb is behind its cage. */
static void test_plus_mark(void)
{
	struct limits *l = fresh();
	const struct span peer = SPAN("2001:db8::1"), port = SPAN("submission");
	struct limits_plus_mark mark = limits_plus_mark_open(l, peer, port, NOW);
	check(mark.fd >= 0);
	check(!limits_plus_is_hidden(l, peer, port, NOW));
	limits_plus_mark_given_up(&mark, NOW);
	check(limits_plus_is_hidden(l, SPAN("2001:db8::2"), port, NOW + 600)); /* of the same /64 */
	check(!limits_plus_is_hidden(l, peer, port, NOW + 601));
	check(!limits_plus_is_hidden(l, peer, port, NOW - DAY)); /* a clock that was wrong */
	check(!limits_plus_is_hidden(l, peer, SPAN("imap"), NOW));

	/* A success counts for 30 days, also when others share the file meanwhile. */
	limits_plus_mark_used(&mark, NOW);
	check(!limits_plus_is_hidden(l, peer, port, NOW));
	struct limits_plus_mark other = {.fd = mark.fd, .who = mark.who + 1};
	limits_plus_mark_used(&other, NOW + 1);
	limits_plus_mark_given_up(&mark, NOW + 29 * DAY);
	check(!limits_plus_is_hidden(l, peer, port, NOW + 29 * DAY));
	check(!limits_plus_given_up(l, peer, port, NOW + 29 * DAY));
	limits_plus_mark_given_up(&mark, NOW + 31 * DAY);
	check(limits_plus_is_hidden(l, peer, port, NOW + 31 * DAY));
	limits_plus_mark_used(&other, NOW + 31 * DAY);
	limits_plus_mark_given_up(&other, NOW + 31 * DAY);
	check(limits_plus_is_hidden(l, peer, port, NOW + 31 * DAY)); /* another's success */

	limits_plus_used(l, peer, NOW + 31 * DAY);
	check(!limits_plus_is_hidden(l, peer, port, NOW + 31 * DAY));
	check_int(limits_plus_mark_open(l, peer, port, NOW + 31 * DAY).fd, -1);
	check(ftruncate(mark.fd, 3) == 0);
	check(!limits_plus_is_hidden(l, peer, port, NOW + 70 * DAY));
	close_fd(&mark.fd);
	check_int(limits_plus_mark_open(l, SPAN("nonsense"), port, NOW).fd, -1);
	check_int(limits_plus_mark_open(NULL, peer, port, NOW).fd, -1);
	limits_plus_mark_given_up(&mark, NOW);
	limits_close(l);
}

static void test_addresses(void)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
	    {"192.0.2.1", "192.0.2.1"},
	    {"::ffff:192.0.2.1", "192.0.2.1"},
	    {"::FFFF:c000:0201", "192.0.2.1"},
	    {"2001:DB8:0::1", "2001:db8::1"},
	    {"::1", "::1"},
	    {"", NULL},
	    {"localhost", NULL},
	    {"192.0.2", NULL},
	    {"192.0.2.1 ", NULL},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char text[LOGIN_ADDRESS_MAX_BYTES] = "";
		int rc = login_address(span_cstr(cases[i].in), text);
		check_named(
		    cases[i].out ? rc == 0 && strcmp(text, cases[i].out) == 0 : rc == -EINVAL,
		    cases[i].in);
	}
}

struct seen {
	int count;
	int64_t first_s, last_s;
	char address[64], client[64];
};

static int see(const struct login_record *r, void *context)
{
	struct seen *seen = context;
	if (seen->count++ == 0)
		seen->first_s = r->when_s;
	seen->last_s = r->when_s;
	(void)snprintf(seen->address, sizeof(seen->address), "%.*s", SPAN_ARG(r->address));
	(void)snprintf(seen->client, sizeof(seen->client), "%.*s", SPAN_ARG(r->client));
	return 0;
}

static int see_order(const struct login_record *r, void *context)
{
	int64_t *last_s = context;
	check(r->when_s >= *last_s);
	*last_s = r->when_s;
	return 0;
}

static void add_record(const struct login_record *r)
{
	struct login_history *h;
	if (!check_int(login_history_open(root_fd, &h), 0))
		return;
	login_history_add(h, r);
	login_history_close(h);
}

static void test_history(void)
{
	struct seen seen = {0};
	check_int(login_record_each(root_fd, NOW, see, &seen), 0);
	check_int(seen.count, 0);
	char client[1000];
	memset(client, 'x', sizeof(client));
	struct login_record r = {.address = SPAN("::ffff:192.0.2.1"),
	    .protocol = SPAN("imap"),
	    .mechanism = SPAN("PREAUTH"),
	    .client = span_of(client, sizeof(client)),
	    .result = LOGIN_EXPIRED};
	for (int i = 0; i < LOGIN_RECORDS_MAX + 5; i++) {
		r.when_s = NOW + i;
		add_record(&r);
	}
	check_int(login_record_each(root_fd, NOW + 2000, see, &seen), 0);
	check_int(seen.count, LOGIN_RECORDS_MAX);
	check_int(seen.first_s, NOW + 5);
	check_int(seen.last_s, NOW + LOGIN_RECORDS_MAX + 4);
	check(strcmp(seen.address, "192.0.2.1") == 0);
	seen.count = 0;
	check_int(login_record_each(root_fd, NOW + 31 * DAY, see, &seen), 0);
	check_int(seen.count, 0);

	/* Failures do not push successes out; all come in the order of time. */
	r.result = LOGIN_OK;
	for (int i = 0; i < 3; i++) {
		r.when_s = NOW + 10 + 100 * i;
		add_record(&r);
	}
	check_int(login_record_each(root_fd, NOW + 2000, see, &seen), 0);
	check_int(seen.count, LOGIN_RECORDS_MAX + 3);
	check_int(seen.first_s, NOW + 5);
	int64_t last_s = 0;
	check_int(login_record_each(root_fd, NOW + 2000, see_order, &last_s), 0);
	check_int(last_s, NOW + LOGIN_RECORDS_MAX + 4);
	for (int i = 0; i < LOGIN_RESULT_COUNT; i++)
		check(login_result_name(i) != NULL);
}

static void test_last_use(void)
{
	struct arena a cleanup(arena_clear) = {0};
	struct login_record found;
	struct login_record r = {.when_s = NOW,
	    .address = SPAN("192.0.2.9"),
	    .protocol = SPAN("imap"),
	    .mechanism = SPAN("TLS-KEY"),
	    .credential = SPAN("the-key"),
	    .result = LOGIN_OK};
	check_int(login_record_last(root_fd, true, SPAN("the-key"), &a, &found), -ENOENT);
	add_record(&r);
	r.mechanism = SPAN("PLAIN");
	r.credential = SPAN("");
	for (int i = 1; i <= LOGIN_RECORDS_MAX + 1; i++) { /* the ring goes round */
		r.when_s = NOW + i;
		add_record(&r);
	}
	r.result = LOGIN_EXPIRED;
	r.when_s += 100;
	add_record(&r);
	if (check_int(login_record_last(root_fd, true, SPAN("the-key"), &a, &found), 0)) {
		check_int(found.when_s, NOW);
		check_span(found.address, SPAN("192.0.2.9"));
		check(login_record_is_by_key(&found));
	}
	if (check_int(login_record_last(root_fd, false, SPAN(""), &a, &found), 0))
		check_int(found.when_s, NOW + LOGIN_RECORDS_MAX + 1);
	check_int(login_record_last(root_fd, false, SPAN("the-key"), &a, &found), -ENOENT);
}

/* Many at once: each has its row. Then a client that names itself later, and damage. */
static void test_history_shared(void)
{
	struct arena a cleanup(arena_clear) = {0};
	enum { WRITERS = 6, EACH = 50 };
	(void)unlinkat(root_fd, "logins.tdb", 0); /* of the tests before */
	struct login_record r = {.when_s = NOW,
	    .address = SPAN("192.0.2.9"),
	    .protocol = SPAN("imap"),
	    .mechanism = SPAN("TLS-KEY"),
	    .credential = SPAN("the-key")};
	pid_t children[WRITERS];
	for (int i = 0; i < WRITERS; i++) {
		children[i] = fork();
		if (children[i] != 0)
			continue;
		r.result = i % 2 ? LOGIN_OK : LOGIN_EXPIRED;
		for (int k = 0; k < EACH; k++)
			add_record(&r);
		_exit(0);
	}
	for (int i = 0; i < WRITERS; i++) {
		int status = -1;
		check(waitpid(children[i], &status, 0) == children[i] && status == 0);
	}
	struct seen seen = {0};
	check_int(login_record_each(root_fd, NOW, see, &seen), 0);
	check_int(seen.count, WRITERS * EACH);

	struct login_history *h;
	struct login_record found;
	check_int(login_history_open(root_fd, &h), 0);
	login_history_name_client(h, SPAN("nobody was added yet"));
	r.result = LOGIN_OK;
	r.when_s = NOW + 1;
	login_history_add(h, &r);
	login_history_name_client(h, SPAN("(\"name\" \"mutt\")"));
	login_history_close(h); /* one struct db a file and process */
	if (check_int(login_record_last(root_fd, true, SPAN("the-key"), &a, &found), 0)) {
		check_span(found.client, SPAN("(\"name\" \"mutt\")"));
		check_int(found.when_s, NOW + 1);
	}
	seen.count = 0;
	check_int(login_record_each(root_fd, NOW, see, &seen), 0);
	check_int(seen.count, WRITERS * EACH + 1);
	check(strcmp(seen.client, "(\"name\" \"mutt\")") == 0);

	/* A name that comes late leaves a later use of the same key alone. */
	check_int(login_history_open(root_fd, &h), 0);
	login_history_add(h, &r);
	login_history_close(h);
	r.when_s = NOW + 2;
	check_int(login_history_open(root_fd, &h), 0);
	login_history_add(h, &r);
	r.when_s = NOW + 3;
	r.address = SPAN("192.0.2.10");
	pid_t later = fork();
	if (later == 0) { /* another process: one struct db a file and process */
		login_history_close(h);
		add_record(&r);
		_exit(0);
	}
	int later_status = -1;
	check(waitpid(later, &later_status, 0) == later && later_status == 0);
	login_history_name_client(h, SPAN("late"));
	login_history_close(h);
	if (check_int(login_record_last(root_fd, true, SPAN("the-key"), &a, &found), 0)) {
		check_int(found.when_s, NOW + 3);
		check_span(found.address, SPAN("192.0.2.10"));
	}
	check_int(login_history_open(root_fd, &h), 0);
	/* Guesses over a key: as many as a bucket holds, good or bad, and each key has its own. */
	for (int i = 0; i < 10; i++)
		check_int(login_history_settle_guess(h, SPAN("the-key"), false, NOW), 0);
	check_int(login_history_settle_guess(h, SPAN("the-key"), true, NOW), -EACCES);
	check_int(login_history_settle_guess(h, SPAN("other-key"), true, NOW), 0);
	check_int(login_history_settle_guess(h, SPAN("the-key"), true, NOW + 61), 0);
	check_int(login_history_settle_guess(NULL, SPAN("the-key"), true, NOW), 0);
	login_history_close(h);

	static const off_t damages[] = {0, 168, 400, 5000};
	for (size_t i = 0; i < ARRAY_SIZE(damages); i++) {
		overwrite("logins.tdb", damages[i], 0xff);
		for (int k = 0; k < 3; k++)
			add_record(&r);
		seen.count = 0;
		check_int(login_record_each(root_fd, NOW, see, &seen), 0);
		check(seen.count >= 2); /* the first one may have found the damage */
	}
	login_history_add(NULL, &r);
	login_history_name_client(NULL, SPAN("x"));
}

struct pending_seen {
	int count;
	int64_t first_s, last_s;
};

static int see_pending(const struct pending_key *key, void *context)
{
	struct pending_seen *seen = context;
	check_int(key->fingerprint.n, FINGERPRINT_CHARS);
	check_span(key->type, SPAN("ed25519"));
	if (seen->count++ == 0)
		seen->first_s = key->first_s;
	seen->last_s = key->last_s;
	return 0;
}

static void test_pending(void)
{
	struct arena a cleanup(arena_clear) = {0};
	char spki[44] = "\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00"; /* Ed25519 */
	struct pending_key key = {.spki = span_of(spki, sizeof(spki)),
	    .login_address = SPAN("user@example.org"),
	    .peer_address = SPAN("192.0.2.1")};
	struct pending_seen seen = {0};
	bool is_new = false;
	check_int(pending_each(root_fd, NOW, see_pending, &seen), 0);
	check_int(seen.count, 0);
	pending_forget(root_fd, SPAN("nothing"));
	for (int i = 0; i <= PENDING_KEYS_MAX; i++) {
		spki[43] = (char)i;
		key.last_s = NOW + i;
		check_int(pending_remember(root_fd, &key, &is_new), 0);
		check(is_new);
	}
	check_int(pending_each(root_fd, NOW, see_pending, &seen), 0);
	check(seen.count == PENDING_KEYS_MAX && seen.first_s == NOW + 1);

	/* Seen again: it is the newest one, known since then. */
	spki[43] = 1;
	key.last_s = NOW + 20 * DAY;
	check_int(pending_remember(root_fd, &key, &is_new), 0);
	check(!is_new);
	seen = (struct pending_seen){0};
	check_int(pending_each(root_fd, NOW + 20 * DAY, see_pending, &seen), 0);
	check(seen.count == PENDING_KEYS_MAX && seen.first_s == NOW + 2);
	check_int(seen.last_s, NOW + 20 * DAY);
	seen = (struct pending_seen){0};
	check_int(pending_each(root_fd, NOW + 31 * DAY, see_pending, &seen), 0);
	check(seen.count == 1 && seen.first_s == NOW + 1);

	char fingerprint[FINGERPRINT_CHARS + 1];
	struct pending_key found;
	key_fingerprint(key.spki, fingerprint);
	if (check_int(
		pending_get(root_fd, span_cstr(fingerprint), NOW + 31 * DAY, &a, &found), 0)) {
		check_span(found.spki, key.spki);
		check_span(found.login_address, SPAN("user@example.org"));
	}
	check_int(
	    pending_get(root_fd, span_cstr(fingerprint), NOW + 60 * DAY, &a, &found), -ENOENT);
	pending_forget(root_fd, span_cstr(fingerprint));
	check_int(
	    pending_get(root_fd, span_cstr(fingerprint), NOW + 31 * DAY, &a, &found), -ENOENT);

	/* Keys that could never be registered */
	key.spki = SPAN("no key");
	check(pending_remember(root_fd, &key, &is_new) < 0);
	/* A damaged file is begun anew */
	int fd = openat(root_fd, "pending.tdb", O_WRONLY | O_TRUNC | O_CLOEXEC);
	check(write(fd, "nonsense", 8) == 8);
	close_fd(&fd);
	seen = (struct pending_seen){0};
	check_int(pending_each(root_fd, NOW, see_pending, &seen), 0);
	check_int(seen.count, 0);
	key.spki = span_of(spki, sizeof(spki));
	check_int(pending_remember(root_fd, &key, &is_new), 0);
	check(is_new);
	static const off_t damages[] = {168, 400};
	for (size_t i = 0; i < ARRAY_SIZE(damages); i++) {
		overwrite("pending.tdb", damages[i], 0xff);
		(void)!pending_remember(root_fd, &key, &is_new); /* may find the damage */
		check_int(pending_remember(root_fd, &key, &is_new), 0);
		seen = (struct pending_seen){0};
		check_int(pending_each(root_fd, NOW, see_pending, &seen), 0);
		check_int(seen.count, 1);
	}
}

int main(void)
{
	if (crypto_init() < 0 || !mkdtemp(root))
		return 1;
	check_int(folder_open(AT_FDCWD, root, &root_fd), 0);
	test_address_buckets();
	test_account_bucket();
	test_settle();
	test_damaged();
	test_shared();
	test_slow_holder();
	test_sweep();
	test_plus();
	test_addresses();
	test_plus_mark();
	test_history();
	test_last_use();
	test_history_shared();
	test_pending();
	close_fd(&root_fd);
	check(folder_remove(root));
	return tap_end();
}
