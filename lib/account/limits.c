/*
 * run/state/limits.tdb. Keys and what they count:
 *
 *	a 192.0.2.1          failures from an address (IPv4, or an IPv6 /64)
 *	n 192.0.2.0          failures from its network (/24, /48)
 *	u ACCOUNT            failures for an account
 *	p ADDRESS ACCOUNT    failures of that pair: what a success takes back from the three above
 *	s ADDRESS            the last success from that address
 *	s ADDRESS ACCOUNT    the last success of that pair
 *	b ADDRESS            the last success with channel binding
 *	h ADDRESS LISTENER   when a client last gave up a -PLUS exchange there
 *
 * Beside it plus-00 … plus-ff, for sessions that cannot reach limits.tdb any more
 * (limits_plus_mark_open()): u64 when a client last gave up a -PLUS exchange, u64 when one last
 * succeeded, u64 by whose address. Which file is a digest of address and listener: addresses that
 * share one are now and then hidden from together, which harms nobody; a success counts for its own
 * address.
 *
 * Handlers are separate processes: a lock makes reading, judging and writing one step; whoever
 * cannot get it in DB_LOCK_MS goes on without, and at worst a failure is not counted.
 *
 * Anybody can make records: from each address, for each name. One in SWEEP_ONE_IN of those that
 * write one removes what has leaked empty; where too many remain, also buckets that are less than
 * half full, then all of them. Successes, which only owners can make, go last.
 */
#include "account/limits.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <unistd.h>

#include "account/bucket.h"
#include "account/checked_record.h"
#include "base/codec.h"
#include "base/str.h"
#include "crypto/crypto.h"

enum { SUCCESS_MEMORY_S = 30 * BUCKET_DAY_S };
#define LOCK SPAN("lock")
enum { SLOW_MS = 2000 };
enum { EXPECTED_RECORDS = 10000, RECORDS_MAX = 100000, SWEEP_ONE_IN = 512 };
enum { RECORD_KEY_MAX_BYTES = 128 };
enum { ADDRESS_PREFIX_V6 = 8, NETWORK_PREFIX_V4 = 3, NETWORK_PREFIX_V6 = 6 }; /* bytes */

static const struct bucket_capacity address_capacity = {10, 50};
static const struct bucket_capacity network_capacity = {30, 150};
static const struct bucket_capacity account_capacity = {20, 100};

/* The keys of one attempt; empty ones: not counted. */
struct attempt {
	struct str address, network, account, pair, success, address_success;
};
struct limits {
	struct db *db;
	int folder_fd;	/* -1: none */
	bool damaged;	/* the file, as some call has found */
	bool made_anew; /* for limits_was_made_anew() */
};
enum sweep_level { SWEEP_EMPTY, SWEEP_HALF_EMPTY, SWEEP_BUCKETS, SWEEP_ALL };
struct sweep {
	int64_t now_s;
	enum sweep_level level;
	size_t kept;
	struct str keys; /* of what goes, length-prefixed */
};

static void note(struct limits *l, int rc);
static bool mend(struct limits *l);
static int judge(struct limits *l, const struct attempt *t, int64_t now_s, int *ret_delay_ms);
static void attempt_init(struct attempt *t, struct span address, struct span account);
static void attempt_clear(struct attempt *t);
static bool parse_address(struct span address, struct in6_addr *v6, struct in_addr *v4);
static struct bucket read_bucket(
    struct limits *l, const struct str *key, const struct bucket_capacity *c, int64_t now_s);
static bool is_recent(struct limits *l, const struct str *key, int64_t span_s, int64_t now_s);
static void write_time(struct limits *l, const struct str *key, int64_t now_s);
static void plus_keys(
    struct span address, struct span listener, struct str *success, struct str *given_up);
static int open_mark(struct limits *l, const struct str *given_up, int flags);
static bool is_marked(
    struct limits *l, const struct str *given_up, const struct str *success, int64_t now_s);
static uint64_t digest_of(const struct str *key);
static bool lock(struct limits *l);
static void unlock(struct limits *l, bool locked);
static void sweep_now_and_then(struct limits *l, int64_t now_s);
static size_t sweep(struct limits *l, int64_t now_s, enum sweep_level level);
static int sweep_record(struct span key, struct span value, void *context);

int limits_open(int run_state_dirfd, struct limits **ret)
{
	struct db *db;
	int rc = db_open(run_state_dirfd, "limits.tdb", DB_CACHE, DB_CREATE, EXPECTED_RECORDS, &db);
	if (rc < 0)
		return rc;
	struct limits *l = xcalloc(1, sizeof(*l));
	l->db = db;
	l->folder_fd = fcntl(run_state_dirfd, F_DUPFD_CLOEXEC, 0);
	*ret = l;
	return 0;
}

void limits_close(struct limits *l)
{
	if (!l)
		return;
	db_close(l->db);
	close_fd(&l->folder_fd);
	free(l);
}

/* Of any call into the database: is it the file that is to blame? */
static void note(struct limits *l, int rc)
{
	l->damaged = l->damaged || db_is_damage(rc);
}

/* True: it was damaged, and a new one takes its place. */
static bool mend(struct limits *l)
{
	if (!l->damaged)
		return false;
	db_discard(l->db, l->folder_fd, "limits.tdb");
	l->damaged = false;
	l->made_anew = true;
	if (db_open(l->folder_fd, "limits.tdb", DB_CACHE, DB_CREATE, EXPECTED_RECORDS, &l->db) < 0)
		l->db = NULL; /* nothing is limited here any more */
	return true;
}

int limits_check(
    struct limits *l, struct span address, struct span account, int64_t now_s, int *ret_delay_ms)
{
	if (!l || !l->db) {
		*ret_delay_ms = 0;
		return 0;
	}
	struct attempt t;
	int delay_ms = 0;
	attempt_init(&t, address, account);
	int rc = judge(l, &t, now_s, &delay_ms);
	attempt_clear(&t);
	if (mend(l))
		rc = delay_ms = 0;
	if (rc == 0)
		*ret_delay_ms = delay_ms;
	return rc;
}

bool limits_was_made_anew(struct limits *l)
{
	bool made_anew = l && l->made_anew;
	if (l)
		l->made_anew = false;
	return made_anew;
}

static int judge(struct limits *l, const struct attempt *t, int64_t now_s, int *ret_delay_ms)
{
	struct bucket b = read_bucket(l, &t->address, &address_capacity, now_s);
	if (bucket_is_full(&b, &address_capacity))
		return -EACCES;
	int delay_ms = bucket_delay_ms(&b, &address_capacity);
	b = read_bucket(l, &t->network, &network_capacity, now_s);
	if (bucket_is_full(&b, &network_capacity)) {
		if (!is_recent(l, &t->address_success, SUCCESS_MEMORY_S, now_s))
			return -EACCES;
		delay_ms = MAX(delay_ms, SLOW_MS);
	} else {
		delay_ms = MAX(delay_ms, bucket_delay_ms(&b, &network_capacity));
	}
	b = read_bucket(l, &t->account, &account_capacity, now_s);
	if (bucket_is_full(&b, &account_capacity)) {
		bool has_address = t->address.n > 0; /* else a proven key stands for it */
		if (has_address && !is_recent(l, &t->success, SUCCESS_MEMORY_S, now_s))
			return -EACCES;
		delay_ms = MAX(delay_ms, SLOW_MS);
	}
	*ret_delay_ms = delay_ms;
	return 0;
}

int limits_settle(
    struct limits *l, struct span address, struct span account, bool good, int64_t now_s)
{
	if (!l || !l->db)
		return 0;
	struct attempt t;
	int delay_ms;
	attempt_init(&t, address, account);
	bool locked = lock(l);
	int rc = judge(l, &t, now_s, &delay_ms);
	if (rc == 0 && !good) {
		note(l, bucket_add(l->db, str_span(&t.address), &address_capacity, now_s));
		note(l, bucket_add(l->db, str_span(&t.network), &network_capacity, now_s));
		note(l, bucket_add(l->db, str_span(&t.account), &account_capacity, now_s));
		note(l, bucket_add(l->db, str_span(&t.pair), &address_capacity, now_s));
	}
	unlock(l, locked);
	attempt_clear(&t);
	if (!good)
		sweep_now_and_then(l, now_s);
	return mend(l) ? 0 : rc;
}

void limits_succeeded(struct limits *l, struct span address, struct span account, int64_t now_s)
{
	if (!l || !l->db)
		return;
	struct attempt t;
	attempt_init(&t, address, account);
	bool locked = lock(l);
	struct bucket share = read_bucket(l, &t.pair, &address_capacity, now_s);
	if (share.day > 0) {
		const struct {
			const struct str *key;
			const struct bucket_capacity *capacity;
		} shared[] = {{&t.address, &address_capacity}, {&t.network, &network_capacity},
		    {&t.account, &account_capacity}, {&t.pair, &address_capacity}};
		for (size_t i = 0; i < ARRAY_SIZE(shared); i++)
			note(l, bucket_take_back(l->db, str_span(shared[i].key), shared[i].capacity,
				    &share, now_s));
	}
	write_time(l, &t.success, now_s);
	write_time(l, &t.address_success, now_s);
	unlock(l, locked);
	attempt_clear(&t);
	sweep_now_and_then(l, now_s);
	(void)mend(l); /* and the next session counts again */
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
	struct str *all[] = {
	    &t->address, &t->network, &t->account, &t->pair, &t->success, &t->address_success};
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
	str_format(&t->address_success, "s %s", text);
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
	str_clear(&t->address_success);
}

static struct bucket read_bucket(
    struct limits *l, const struct str *key, const struct bucket_capacity *c, int64_t now_s)
{
	struct bucket b;
	note(l, bucket_read(l->db, str_span(key), c, now_s, &b));
	return b;
}

/* A bucket whose levels say nothing. */
static void write_time(struct limits *l, const struct str *key, int64_t now_s)
{
	const struct bucket last = {.when_s = now_s};
	note(l, bucket_write(l->db, str_span(key), &last));
}

static bool is_recent(struct limits *l, const struct str *key, int64_t span_s, int64_t now_s)
{
	struct str record cleanup(str_clear) = STR_INIT(RECORD_KEY_MAX_BYTES);
	int rc = key->n > 0 ? checked_get(l->db, str_span(key), &record) : -ENOENT;
	note(l, rc);
	if (rc < 0)
		return false;
	struct reader r = reader_of(str_span(&record));
	return bucket_is_within((int64_t)get_u64(&r), span_s, now_s);
}

void limits_plus_used(struct limits *l, struct span address, int64_t now_s)
{
	struct str success cleanup(str_clear) = STR_INIT(RECORD_KEY_MAX_BYTES);
	struct str given_up cleanup(str_clear) = STR_INIT(RECORD_KEY_MAX_BYTES);
	plus_keys(address, SPAN_NONE, &success, &given_up);
	if (!l || !l->db)
		return;
	write_time(l, &success, now_s);
	(void)mend(l); /* lost */
}

bool limits_plus_given_up(
    struct limits *l, struct span address, struct span listener, int64_t now_s)
{
	struct str success cleanup(str_clear) = STR_INIT(RECORD_KEY_MAX_BYTES);
	struct str given_up cleanup(str_clear) = STR_INIT(RECORD_KEY_MAX_BYTES);
	plus_keys(address, listener, &success, &given_up);
	if (!l || !l->db || given_up.n == 0 || is_recent(l, &success, SUCCESS_MEMORY_S, now_s))
		return false;
	write_time(l, &given_up, now_s);
	sweep_now_and_then(l, now_s);
	return !mend(l);
}

bool limits_plus_is_hidden(
    struct limits *l, struct span address, struct span listener, int64_t now_s)
{
	struct str success cleanup(str_clear) = STR_INIT(RECORD_KEY_MAX_BYTES);
	struct str given_up cleanup(str_clear) = STR_INIT(RECORD_KEY_MAX_BYTES);
	plus_keys(address, listener, &success, &given_up);
	if (!l || !l->db || given_up.n == 0)
		return false;
	/* in this order: the mark may know of a success */
	bool hidden = is_marked(l, &given_up, &success, now_s) ||
		      is_recent(l, &given_up, LIMITS_PLUS_HIDDEN_S, now_s);
	return hidden && !is_recent(l, &success, SUCCESS_MEMORY_S, now_s);
}

struct limits_plus_mark limits_plus_mark_open(
    struct limits *l, struct span address, struct span listener, int64_t now_s)
{
	struct str success cleanup(str_clear) = STR_INIT(RECORD_KEY_MAX_BYTES);
	struct str given_up cleanup(str_clear) = STR_INIT(RECORD_KEY_MAX_BYTES);
	struct limits_plus_mark mark = {.fd = -1};
	plus_keys(address, listener, &success, &given_up);
	if (!l || !l->db || given_up.n == 0 || is_recent(l, &success, SUCCESS_MEMORY_S, now_s))
		return mark;
	mark.fd = open_mark(l, &given_up, O_WRONLY | O_CREAT);
	mark.who = digest_of(&success);
	return mark;
}

static void write_mark(const struct limits_plus_mark *m, const uint64_t *words, size_t count)
{
	if (m->fd >= 0 && pwrite(m->fd, words, count * sizeof(*words), 0) < 0)
		return; /* a hint that may be lost */
}

void limits_plus_mark_given_up(const struct limits_plus_mark *m, int64_t now_s)
{
	const uint64_t words[] = {(uint64_t)now_s};
	write_mark(m, words, ARRAY_SIZE(words));
}

void limits_plus_mark_used(const struct limits_plus_mark *m, int64_t now_s)
{
	const uint64_t words[] = {0, (uint64_t)now_s, m->who};
	write_mark(m, words, ARRAY_SIZE(words));
}

static int open_mark(struct limits *l, const struct str *given_up, int flags)
{
	char name[sizeof("plus-ff")];
	(void)snprintf(name, sizeof(name), "plus-%02x", (unsigned)(digest_of(given_up) & 0xff));
	return openat(l->folder_fd, name, flags | O_NOFOLLOW | O_CLOEXEC, 0600);
}

static uint64_t digest_of(const struct str *key)
{
	uint8_t digest[HASH_MAX_BYTES];
	uint64_t word;
	hash_digest(HASH_SHA256, str_span(key), digest);
	memcpy(&word, digest, sizeof(word));
	return word;
}

/* Also brings a success of this address into limits.tdb. */
static bool is_marked(
    struct limits *l, const struct str *given_up, const struct str *success, int64_t now_s)
{
	uint64_t words[3] = {0};
	int fd cleanup(close_fd) = open_mark(l, given_up, O_RDONLY);
	if (fd < 0 || pread(fd, words, sizeof(words), 0) < (ssize_t)sizeof(words[0]))
		return false;
	if (words[2] == digest_of(success) &&
	    bucket_is_within((int64_t)words[1], SUCCESS_MEMORY_S, now_s))
		write_time(l, success, (int64_t)words[1]);
	return bucket_is_within((int64_t)words[0], LIMITS_PLUS_HIDDEN_S, now_s);
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

static bool lock(struct limits *l)
{
	int rc = db_lock(l->db, LOCK);
	note(l, rc);
	return rc == 0;
}

static void unlock(struct limits *l, bool locked)
{
	if (locked)
		db_unlock(l->db, LOCK);
}

static void sweep_now_and_then(struct limits *l, int64_t now_s)
{
	uint16_t dice;
	random_bytes(&dice, sizeof(dice));
	if (dice % SWEEP_ONE_IN != 0)
		return;
	enum sweep_level level = SWEEP_EMPTY;
	while (sweep(l, now_s, level) > RECORDS_MAX && level < SWEEP_ALL)
		level++;
}

/*
 * Without the lock: it takes long, and what is counted meanwhile in a bucket that goes was little.
 */
static size_t sweep(struct limits *l, int64_t now_s, enum sweep_level level)
{
	struct sweep s = {.now_s = now_s, .level = level, .keys = STR_INIT(RECORDS_MAX * 64)};
	int rc = db_each(l->db, sweep_record, &s);
	note(l, rc);
	if (rc == 0) {
		for (struct reader r = reader_of(str_span(&s.keys)); r.rest.n > 0 && !r.failed;) {
			struct span key = get_span(&r);
			rc = db_delete(l->db, key);
			note(l, rc);
			if (rc < 0 && rc != -ENOENT) /* somebody else sweeps, too */
				break;
		}
	}
	str_clear(&s.keys);
	return s.kept;
}

static int sweep_record(struct span key, struct span value, void *context)
{
	struct sweep *s = context;
	struct reader r = reader_of(checked_open(value));
	struct bucket b = {.when_s = (int64_t)get_u64(&r)};
	b.minute = (int64_t)get_u64(&r);
	b.day = (int64_t)get_u64(&r);
	bool is_success = span_starts_with(key, SPAN("s ")) || span_starts_with(key, SPAN("b "));
	/* After two days every level is empty, whatever it was. */
	int64_t span_s = is_success ? SUCCESS_MEMORY_S : 2 * BUCKET_DAY_S;
	bool keep = !r.failed && bucket_is_within(b.when_s, span_s, s->now_s);
	switch (s->level) {
	case SWEEP_EMPTY: break;
	case SWEEP_HALF_EMPTY:
		/* as when it was written: of the smallest, the same for all */
		keep = keep && (is_success || bucket_delay_ms(&b, &address_capacity) > 0);
		break;
	case SWEEP_BUCKETS: keep = keep && is_success; break;
	case SWEEP_ALL: keep = false; break;
	}
	if (keep)
		s->kept++;
	else
		put_span(&s->keys, key);
	return 0;
}
