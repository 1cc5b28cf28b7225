/* Buckets of failures, and the history of logins. */
#include "account/login.h"
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

static void fail_times(struct limits *l, int times, struct span address, struct span account)
{
	for (int i = 0; i < times; i++)
		limits_failed(l, address, account, NOW);
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
	check_int(ask(l, "192.0.2.1", NULL, NOW - 100), -EACCES); /* a clock that went back */
	limits_close(l);

	/* Neighbours fill the network's bucket. */
	l = fresh();
	for (int i = 0; i < 30; i++) {
		char address[40];
		int n = snprintf(address, sizeof(address), "198.51.100.%d", i);
		limits_failed(l, span_of(address, (size_t)n), SPAN_NONE, NOW);
	}
	check_int(ask(l, "198.51.100.200", NULL, NOW), -EACCES);
	check_int(ask(l, "198.51.101.200", NULL, NOW), 0);
	limits_close(l);

	/* IPv6: one host has a /64. */
	l = fresh();
	for (int i = 0; i < 10; i++) {
		char address[40];
		int n = snprintf(address, sizeof(address), "2001:db8:1:2::%x", i);
		limits_failed(l, span_of(address, (size_t)n), SPAN_NONE, NOW);
	}
	check_int(ask(l, "2001:db8:1:2:ffff::1", NULL, NOW), -EACCES);
	check(ask(l, "2001:db8:1:3::1", NULL, NOW) >= 0);
	check_int(ask(l, "2001:db8:2:2::1", NULL, NOW), 0);
	limits_close(l);

	/* The day's bucket holds on when the minute's has leaked. */
	l = fresh();
	for (int i = 0; i < 60; i++)
		limits_failed(l, SPAN("192.0.2.1"), SPAN_NONE, NOW + i * 60);
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
		limits_failed(l, span_of(address, (size_t)n), SPAN("one"), NOW);
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
	limits_failed(NULL, SPAN("192.0.2.1"), SPAN("one"), NOW);
	limits_succeeded(NULL, SPAN("192.0.2.1"), SPAN("one"), NOW);
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
		limits_failed(l, span_of(address, (size_t)n), SPAN("one"), NOW);
	}
	for (int i = 0; i < 20000; i++)
		limits_failed(l, SPAN("192.0.2.1"), SPAN("two"), NOW + 5 * DAY);
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
	int fd = limits_plus_mark_open(l, peer, port, NOW);
	check(fd >= 0);
	check(!limits_plus_is_hidden(l, peer, port, NOW));
	limits_plus_mark(fd, NOW);
	check(limits_plus_is_hidden(l, SPAN("2001:db8::2"), port, NOW + 600)); /* of the same /64 */
	check(!limits_plus_is_hidden(l, peer, port, NOW + 601));
	check(!limits_plus_is_hidden(l, peer, port, NOW - 1));
	check(!limits_plus_is_hidden(l, peer, SPAN("imap"), NOW));
	limits_plus_mark(fd, 0);
	check(!limits_plus_is_hidden(l, peer, port, NOW));
	limits_plus_mark(fd, NOW);
	limits_plus_used(l, peer, NOW);
	check(!limits_plus_is_hidden(l, peer, port, NOW));
	check_int(limits_plus_mark_open(l, peer, port, NOW), -1);
	check(ftruncate(fd, 3) == 0);
	check(!limits_plus_is_hidden(l, peer, port, NOW + 40 * DAY));
	close_fd(&fd);
	check_int(limits_plus_mark_open(l, SPAN("nonsense"), port, NOW), -1);
	check_int(limits_plus_mark_open(NULL, peer, port, NOW), -1);
	limits_plus_mark(-1, NOW);
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
	char address[64];
};

static int see(const struct login_record *r, void *context)
{
	struct seen *seen = context;
	if (seen->count++ == 0)
		seen->first_s = r->when_s;
	seen->last_s = r->when_s;
	(void)snprintf(seen->address, sizeof(seen->address), "%.*s", SPAN_ARG(r->address));
	return 0;
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
		login_record_add(root_fd, &r);
	}
	check_int(login_record_each(root_fd, NOW + 2000, see, &seen), 0);
	check_int(seen.count, LOGIN_RECORDS_MAX);
	check_int(seen.first_s, NOW + 5);
	check_int(seen.last_s, NOW + LOGIN_RECORDS_MAX + 4);
	check(strcmp(seen.address, "192.0.2.1") == 0);
	seen.count = 0;
	check_int(login_record_each(root_fd, NOW + 31 * DAY, see, &seen), 0);
	check_int(seen.count, 0);
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
	login_record_add(root_fd, &r);
	r.mechanism = SPAN("PLAIN");
	r.credential = SPAN("");
	for (int i = 1; i <= LOGIN_RECORDS_MAX + 1; i++) { /* the ring goes round */
		r.when_s = NOW + i;
		login_record_add(root_fd, &r);
	}
	r.result = LOGIN_EXPIRED;
	r.when_s += 100;
	login_record_add(root_fd, &r);
	if (check_int(login_record_last(root_fd, true, SPAN("the-key"), &a, &found), 0)) {
		check_int(found.when_s, NOW);
		check_span(found.address, SPAN("192.0.2.9"));
		check(login_record_is_by_key(&found));
	}
	if (check_int(login_record_last(root_fd, false, SPAN(""), &a, &found), 0))
		check_int(found.when_s, NOW + LOGIN_RECORDS_MAX + 1);
	check_int(login_record_last(root_fd, false, SPAN("the-key"), &a, &found), -ENOENT);
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
}

int main(void)
{
	if (crypto_init() < 0 || !mkdtemp(root))
		return 1;
	check_int(folder_open(AT_FDCWD, root, &root_fd), 0);
	test_address_buckets();
	test_account_bucket();
	test_shared();
	test_sweep();
	test_plus();
	test_addresses();
	test_plus_mark();
	test_history();
	test_last_use();
	test_pending();
	close_fd(&root_fd);
	check(folder_remove(root));
	return tap_end();
}
