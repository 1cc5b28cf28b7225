/*
 * run/state/limits.tdb. Keys and what they count:
 *
 *	a 192.0.2.1          failures from an address (IPv4, or an IPv6 /64)
 *	n 192.0.2.0          failures from its network (/24, /48)
 *	u ACCOUNT            failures for an account
 *	p ADDRESS ACCOUNT    failures of that pair: what a success takes back from the three above
 *	s ADDRESS ACCOUNT    the last success of that pair
 *	b ADDRESS            the last success with channel binding
 *	h ADDRESS LISTENER   when a client last gave up a -PLUS exchange there
 *
 * Beside it plus-00 … plus-ff: 8 bytes, when a client last gave up a -PLUS exchange in a session that
 * cannot reach limits.tdb any more (limits_plus_mark_open()). Which of them is a digest of address and
 * listener: addresses that share one are now and then hidden from together, which harms nobody.
 *
 * A bucket has two levels, one leaking empty in a minute, the other in a day; it is full when either
 * has no room for one more failure. Levels are thousandths of a failure, so that seconds can leak parts of one.
 * Handlers are separate processes: a lock on limits.lock makes reading, adding and writing one step;
 * whoever cannot get it in time goes on without, and at worst a failure is not counted.
 */
#include "account/login.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <unistd.h>

#include "account/checked_record.h"
#include "base/codec.h"
#include "crypto/crypto.h"

enum { MINUTE_S = 60, DAY_S = 86400, SUCCESS_MEMORY_S = 30 * DAY_S };
enum { ONE_FAILURE = 1000 };
enum { LOCK_WAIT_MS = 500, LOCK_RETRY_MS = 2 };
enum { DELAY_STEP_MS = 500, DELAY_MAX_MS = 5000, SLOW_ACCOUNT_MS = 2000 };
enum { EXPECTED_RECORDS = 10000, RECORDS_MAX = 200000, SWEEP_ONE_IN = 512 };
enum { RECORD_MAX_BYTES = 64, RECORD_KEY_MAX_BYTES = 128 };
enum { ADDRESS_PREFIX_V6 = 8, NETWORK_PREFIX_V4 = 3, NETWORK_PREFIX_V6 = 6 }; /* bytes */

struct capacity {
	int64_t minute, day; /* failures */
};
static const struct capacity address_capacity = {10, 50};
static const struct capacity network_capacity = {30, 150};
static const struct capacity account_capacity = {20, 100};

struct bucket {
	int64_t when_s, minute, day; /* levels at that time */
};
/* The keys of one attempt; empty ones: not counted. */
struct attempt {
	struct str address, network, account, pair, success;
};
struct limits {
	struct db *db;
	int lock_fd, folder_fd; /* -1: none */
};
struct sweep {
	int64_t now_s;
	size_t kept;
	struct str keys; /* of what has leaked empty, length-prefixed */
	bool all;
};

static void attempt_init(struct attempt *t, struct span address, struct span account);
static void attempt_clear(struct attempt *t);
static bool parse_address(struct span address, struct in6_addr *v6, struct in_addr *v4);
static struct bucket read_bucket(
    struct limits *l, const struct str *key, const struct capacity *c, int64_t now_s);
static void write_bucket(struct limits *l, const struct str *key, const struct bucket *b);
static void leak(struct bucket *b, const struct capacity *c, int64_t now_s);
static bool is_full(const struct bucket *b, const struct capacity *c);
static int delay_of(const struct bucket *b, const struct capacity *c);
static void add(struct limits *l, const struct str *key, const struct capacity *c, int64_t now_s);
static void take_back(struct limits *l, const struct str *key, const struct capacity *c,
    const struct bucket *share, int64_t now_s);
static bool has_succeeded(struct limits *l, const struct attempt *t, int64_t now_s);
static bool is_recent(struct limits *l, const struct str *key, int64_t span_s, int64_t now_s);
static void plus_keys(
    struct span address, struct span listener, struct str *success, struct str *given_up);
static int open_mark(struct limits *l, const struct str *given_up, int flags);
static bool is_marked(struct limits *l, const struct str *given_up, int64_t now_s);
static void lock(struct limits *l);
static void unlock(struct limits *l);
static void sweep(struct limits *l, int64_t now_s, bool all);
static int sweep_record(struct span key, struct span value, void *context);

int limits_open(int run_state_dirfd, struct limits **ret)
{
	struct db *db;
	int rc = db_open(run_state_dirfd, "limits.tdb", DB_CACHE, DB_CREATE, EXPECTED_RECORDS, &db);
	if (rc < 0)
		return rc;
	struct limits *l = xcalloc(1, sizeof(*l));
	l->db = db;
	l->lock_fd =
	    openat(run_state_dirfd, "limits.lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	l->folder_fd = fcntl(run_state_dirfd, F_DUPFD_CLOEXEC, 0);
	*ret = l;
	return 0;
}

void limits_close(struct limits *l)
{
	if (!l)
		return;
	db_close(l->db);
	close_fd(&l->lock_fd);
	close_fd(&l->folder_fd);
	free(l);
}

int limits_check(
    struct limits *l, struct span address, struct span account, int64_t now_s, int *ret_delay_ms)
{
	if (!l) {
		*ret_delay_ms = 0;
		return 0;
	}
	struct attempt t;
	attempt_init(&t, address, account);
	struct bucket b = read_bucket(l, &t.address, &address_capacity, now_s);
	bool refused = is_full(&b, &address_capacity);
	int delay_ms = delay_of(&b, &address_capacity);
	b = read_bucket(l, &t.network, &network_capacity, now_s);
	refused = refused || is_full(&b, &network_capacity);
	delay_ms = MAX(delay_ms, delay_of(&b, &network_capacity));
	b = read_bucket(l, &t.account, &account_capacity, now_s);
	if (is_full(&b, &account_capacity)) {
		/* Strangers can fill this one: it must not lock the owner out. */
		bool familiar = !span_is_set(address) || has_succeeded(l, &t, now_s);
		refused = refused || !familiar;
		delay_ms = MAX(delay_ms, SLOW_ACCOUNT_MS);
	}
	attempt_clear(&t);
	if (refused)
		return -EACCES;
	*ret_delay_ms = delay_ms;
	return 0;
}

void limits_failed(struct limits *l, struct span address, struct span account, int64_t now_s)
{
	if (!l)
		return;
	struct attempt t;
	attempt_init(&t, address, account);
	lock(l);
	add(l, &t.address, &address_capacity, now_s);
	add(l, &t.network, &network_capacity, now_s);
	add(l, &t.account, &account_capacity, now_s);
	add(l, &t.pair, &address_capacity, now_s);
	uint16_t dice;
	random_bytes(&dice, sizeof(dice));
	if (dice % SWEEP_ONE_IN == 0)
		sweep(l, now_s, false);
	unlock(l);
	attempt_clear(&t);
}

void limits_succeeded(struct limits *l, struct span address, struct span account, int64_t now_s)
{
	if (!l)
		return;
	struct attempt t;
	attempt_init(&t, address, account);
	lock(l);
	struct bucket share = read_bucket(l, &t.pair, &address_capacity, now_s);
	if (share.day > 0) {
		take_back(l, &t.address, &address_capacity, &share, now_s);
		take_back(l, &t.network, &network_capacity, &share, now_s);
		take_back(l, &t.account, &account_capacity, &share, now_s);
		take_back(l, &t.pair, &address_capacity, &share, now_s);
	}
	struct bucket last = {.when_s = now_s};
	write_bucket(l, &t.success, &last);
	unlock(l);
	attempt_clear(&t);
}

/* An IPv4-mapped address is that IPv4 address. False: it is none at all. */
static bool parse_address(struct span address, struct in6_addr *v6, struct in_addr *v4)
{
	char text[INET6_ADDRSTRLEN];
	if (address.n == 0 || address.n >= sizeof(text) || span_index(address, '\0') != SIZE_MAX)
		return false;
	memcpy(text, address.p, address.n);
	text[address.n] = '\0';
	*v6 = (struct in6_addr){0};
	*v4 = (struct in_addr){0};
	if (inet_pton(AF_INET, text, v4) == 1)
		return true;
	if (inet_pton(AF_INET6, text, v6) != 1)
		return false;
	if (IN6_IS_ADDR_V4MAPPED(v6)) {
		memcpy(v4, &v6->s6_addr[12], sizeof(*v4));
		*v6 = (struct in6_addr){0};
	}
	return true;
}

int login_address(struct span address, char ret[LOGIN_ADDRESS_MAX_BYTES])
{
	struct in6_addr v6;
	struct in_addr v4;
	if (!parse_address(address, &v6, &v4))
		return -EINVAL;
	bool is_v6 = !IN6_IS_ADDR_UNSPECIFIED(&v6);
	const char *text = is_v6 ? inet_ntop(AF_INET6, &v6, ret, LOGIN_ADDRESS_MAX_BYTES)
				 : inet_ntop(AF_INET, &v4, ret, LOGIN_ADDRESS_MAX_BYTES);
	return text ? 0 : -EINVAL;
}

static void attempt_init(struct attempt *t, struct span address, struct span account)
{
	struct str *all[] = {&t->address, &t->network, &t->account, &t->pair, &t->success};
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		str_init(all[i], RECORD_KEY_MAX_BYTES);
	if (account.n > 0)
		str_format(&t->account, "u %.*s", SPAN_ARG(account));
	struct in6_addr v6;
	struct in_addr v4;
	if (!parse_address(address, &v6, &v4))
		return;
	char text[LOGIN_ADDRESS_MAX_BYTES], network[LOGIN_ADDRESS_MAX_BYTES];
	if (!IN6_IS_ADDR_UNSPECIFIED(&v6)) {
		memset(&v6.s6_addr[ADDRESS_PREFIX_V6], 0, sizeof(v6) - ADDRESS_PREFIX_V6);
		(void)inet_ntop(AF_INET6, &v6, text, sizeof(text)); /* large enough */
		memset(&v6.s6_addr[NETWORK_PREFIX_V6], 0, sizeof(v6) - NETWORK_PREFIX_V6);
		(void)inet_ntop(AF_INET6, &v6, network, sizeof(network));
	} else {
		(void)inet_ntop(AF_INET, &v4, text, sizeof(text));
		memset((char *)&v4 + NETWORK_PREFIX_V4, 0, sizeof(v4) - NETWORK_PREFIX_V4);
		(void)inet_ntop(AF_INET, &v4, network, sizeof(network));
	}
	str_format(&t->address, "a %s", text);
	str_format(&t->network, "n %s", network);
	if (account.n > 0) {
		str_format(&t->pair, "p %s %.*s", text, SPAN_ARG(account));
		str_format(&t->success, "s %s %.*s", text, SPAN_ARG(account));
	}
}

static void attempt_clear(struct attempt *t)
{
	str_clear(&t->address);
	str_clear(&t->network);
	str_clear(&t->account);
	str_clear(&t->pair);
	str_clear(&t->success);
}

/* Empty when there is none, or the record is damaged. */
static struct bucket read_bucket(
    struct limits *l, const struct str *key, const struct capacity *c, int64_t now_s)
{
	struct bucket b = {.when_s = now_s};
	struct str record cleanup(str_clear) = STR_INIT(RECORD_MAX_BYTES);
	if (key->n == 0 || checked_get(l->db, str_span(key), &record) < 0)
		return b;
	struct reader r = reader_of(str_span(&record));
	int64_t when_s = (int64_t)get_u64(&r);
	int64_t minute = (int64_t)get_u64(&r);
	int64_t day = (int64_t)get_u64(&r);
	if (reader_end(&r) < 0)
		return b;
	b = (struct bucket){when_s, minute, day};
	leak(&b, c, now_s);
	return b;
}

static void leak(struct bucket *b, const struct capacity *c, int64_t now_s)
{
	/* A clock that went back leaks nothing and is believed from now on. */
	int64_t elapsed_s = MIN(MAX(now_s - b->when_s, 0), 2 * DAY_S);
	b->minute = MAX(b->minute - elapsed_s * c->minute * ONE_FAILURE / MINUTE_S, 0);
	b->day = MAX(b->day - elapsed_s * c->day * ONE_FAILURE / DAY_S, 0);
	b->when_s = now_s;
}

static void write_bucket(struct limits *l, const struct str *key, const struct bucket *b)
{
	if (key->n == 0)
		return;
	struct str record cleanup(str_clear) = STR_INIT(RECORD_MAX_BYTES);
	put_u64(&record, (uint64_t)b->when_s);
	put_u64(&record, (uint64_t)b->minute);
	put_u64(&record, (uint64_t)b->day);
	if (checked_put(l->db, str_span(key), str_span(&record)) == -ENOSPC)
		sweep(l, b->when_s, true);
}

/* No room for one more failure: what leaks in a moment is no room. */
static bool is_full(const struct bucket *b, const struct capacity *c)
{
	return b->minute > (c->minute - 1) * ONE_FAILURE || b->day > (c->day - 1) * ONE_FAILURE;
}

/* From half a bucket on, every further failure makes the next attempt wait longer. */
static int delay_of(const struct bucket *b, const struct capacity *c)
{
	int64_t over =
	    MAX(b->minute - c->minute * ONE_FAILURE / 2, b->day - c->day * ONE_FAILURE / 2);
	return (int)MIN(MAX(over, 0) * DELAY_STEP_MS / ONE_FAILURE, DELAY_MAX_MS);
}

static void add(struct limits *l, const struct str *key, const struct capacity *c, int64_t now_s)
{
	struct bucket b = read_bucket(l, key, c, now_s);
	/* Attempts at the same moment overfill it: they count, but not for ever. */
	b.minute = MIN(b.minute + ONE_FAILURE, 2 * c->minute * ONE_FAILURE);
	b.day = MIN(b.day + ONE_FAILURE, 2 * c->day * ONE_FAILURE);
	write_bucket(l, key, &b);
}

static void take_back(struct limits *l, const struct str *key, const struct capacity *c,
    const struct bucket *share, int64_t now_s)
{
	struct bucket b = read_bucket(l, key, c, now_s);
	b.minute = MAX(b.minute - share->minute, 0);
	b.day = MAX(b.day - share->day, 0);
	write_bucket(l, key, &b);
}

static bool has_succeeded(struct limits *l, const struct attempt *t, int64_t now_s)
{
	return is_recent(l, &t->success, SUCCESS_MEMORY_S, now_s);
}

static bool is_recent(struct limits *l, const struct str *key, int64_t span_s, int64_t now_s)
{
	struct str record cleanup(str_clear) = STR_INIT(RECORD_MAX_BYTES);
	if (key->n == 0 || checked_get(l->db, str_span(key), &record) < 0)
		return false;
	struct reader r = reader_of(str_span(&record));
	return now_s - (int64_t)get_u64(&r) <= span_s;
}

void limits_plus_used(struct limits *l, struct span address, int64_t now_s)
{
	struct str success cleanup(str_clear) = STR_INIT(RECORD_KEY_MAX_BYTES);
	struct str given_up cleanup(str_clear) = STR_INIT(RECORD_KEY_MAX_BYTES);
	struct bucket last = {.when_s = now_s};
	plus_keys(address, SPAN_NONE, &success, &given_up);
	if (l)
		write_bucket(l, &success, &last);
}

bool limits_plus_given_up(
    struct limits *l, struct span address, struct span listener, int64_t now_s)
{
	struct str success cleanup(str_clear) = STR_INIT(RECORD_KEY_MAX_BYTES);
	struct str given_up cleanup(str_clear) = STR_INIT(RECORD_KEY_MAX_BYTES);
	struct bucket last = {.when_s = now_s};
	plus_keys(address, listener, &success, &given_up);
	if (!l || given_up.n == 0 || is_recent(l, &success, SUCCESS_MEMORY_S, now_s))
		return false;
	write_bucket(l, &given_up, &last);
	return true;
}

bool limits_plus_is_hidden(
    struct limits *l, struct span address, struct span listener, int64_t now_s)
{
	struct str success cleanup(str_clear) = STR_INIT(RECORD_KEY_MAX_BYTES);
	struct str given_up cleanup(str_clear) = STR_INIT(RECORD_KEY_MAX_BYTES);
	plus_keys(address, listener, &success, &given_up);
	return l && given_up.n > 0 &&
	       (is_recent(l, &given_up, LIMITS_PLUS_HIDDEN_S, now_s) ||
		   is_marked(l, &given_up, now_s)) &&
	       !is_recent(l, &success, SUCCESS_MEMORY_S, now_s);
}

int limits_plus_mark_open(
    struct limits *l, struct span address, struct span listener, int64_t now_s)
{
	struct str success cleanup(str_clear) = STR_INIT(RECORD_KEY_MAX_BYTES);
	struct str given_up cleanup(str_clear) = STR_INIT(RECORD_KEY_MAX_BYTES);
	plus_keys(address, listener, &success, &given_up);
	if (!l || given_up.n == 0 || is_recent(l, &success, SUCCESS_MEMORY_S, now_s))
		return -1;
	return open_mark(l, &given_up, O_WRONLY | O_CREAT);
}

void limits_plus_mark(int mark_fd, int64_t when_s)
{
	uint64_t when = (uint64_t)when_s;
	if (mark_fd >= 0 && pwrite(mark_fd, &when, sizeof(when), 0) < 0)
		return; /* a hint that may be lost */
}

static int open_mark(struct limits *l, const struct str *given_up, int flags)
{
	uint8_t digest[HASH_MAX_BYTES];
	char name[sizeof("plus-ff")];
	hash_digest(HASH_SHA256, str_span(given_up), digest);
	(void)snprintf(name, sizeof(name), "plus-%02x", digest[0]); /* always fits */
	return openat(l->folder_fd, name, flags | O_NOFOLLOW | O_CLOEXEC, 0600);
}

static bool is_marked(struct limits *l, const struct str *given_up, int64_t now_s)
{
	uint64_t when = 0;
	int fd cleanup(close_fd) = open_mark(l, given_up, O_RDONLY);
	if (fd < 0 || pread(fd, &when, sizeof(when), 0) != (ssize_t)sizeof(when))
		return false;
	int64_t age_s = now_s - (int64_t)when;
	return age_s >= 0 && age_s <= LIMITS_PLUS_HIDDEN_S;
}

/* Empty ones for what is no address. */
static void plus_keys(
    struct span address, struct span listener, struct str *success, struct str *given_up)
{
	struct attempt t;
	attempt_init(&t, address, SPAN_NONE);
	struct span peer = span_from(str_span(&t.address), 2);
	if (peer.n > 0) {
		str_format(success, "b %.*s", SPAN_ARG(peer));
		str_format(given_up, "h %.*s %.*s", SPAN_ARG(peer), SPAN_ARG(listener));
	}
	attempt_clear(&t);
}

static void lock(struct limits *l)
{
	struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int64_t deadline = monotonic_ms() + LOCK_WAIT_MS;
	while (l->lock_fd >= 0 && fcntl(l->lock_fd, F_SETLK, &whole) < 0 &&
	       (errno == EAGAIN || errno == EACCES || errno == EINTR) &&
	       monotonic_ms() < deadline) {
		const struct timespec pause = {.tv_nsec = LOCK_RETRY_MS * 1000000L};
		(void)nanosleep(&pause, NULL); /* woken early: tries early */
	}
}

static void unlock(struct limits *l)
{
	struct flock whole = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
	if (l->lock_fd >= 0)
		(void)fcntl(l->lock_fd, F_SETLK, &whole); /* closing the file would do as well */
}

/* Removes what has leaked empty; everything, when it is all or when too much is left. */
static void sweep(struct limits *l, int64_t now_s, bool all)
{
	struct sweep s = {.now_s = now_s, .all = all, .keys = STR_INIT(RECORDS_MAX * 64)};
	if (db_each(l->db, sweep_record, &s) == 0) {
		for (struct reader r = reader_of(str_span(&s.keys)); r.rest.n > 0 && !r.failed;) {
			struct span key = get_span(&r);
			if (db_delete(l->db, key) < 0)
				break;
		}
	}
	bool too_many = s.kept > RECORDS_MAX && !all;
	str_clear(&s.keys);
	if (too_many)
		sweep(l, now_s, true);
}

static int sweep_record(struct span key, struct span value, void *context)
{
	struct sweep *s = context;
	struct reader r = reader_of(checked_open(value));
	int64_t age_s = s->now_s - (int64_t)get_u64(&r);
	bool is_success = span_starts_with(key, SPAN("s ")) || span_starts_with(key, SPAN("b "));
	/* After two days every level is empty, whatever it was. */
	bool keep = !r.failed && !s->all && age_s <= (is_success ? SUCCESS_MEMORY_S : 2 * DAY_S);
	if (keep)
		s->kept++;
	else
		put_span(&s->keys, key);
	return 0;
}
