/*
 * history/NAME/logins.tdb: two rings, of successes ("ok") and of what else was tried ("row"). "next
 * RING" holds the number of attempts so far, "RING N" the attempt whose number modulo
 * LOGIN_RECORDS_MAX is N, with its number and how many both rings have seen before it. "key
 * FINGERPRINT" and "password NAME" are the last success by each: as many as the account has ever
 * had credentials. "guesses FINGERPRINT" is a bucket of wrong passwords over a key.
 *
 * Whoever writes rows holds the lock of "lock" (which has no record) meanwhile: one for both rings,
 * or two writers could wait for each other.
 */
#include "account/history.h"

#include <fcntl.h>

#include "account/bucket.h"
#include "account/checked_record.h"
#include "account/limits.h"
#include "base/codec.h"

enum { RECORD_MAX_BYTES = 8 * LOGIN_FIELD_MAX_BYTES, KEY_MAX_BYTES = 2 * LOGIN_FIELD_MAX_BYTES };
#define HISTORY_FILE "logins.tdb"
#define ROWS_LOCK SPAN("lock")

static const struct bucket_capacity guess_capacity = {10, 50};

enum ring { RING_OTHERS, RING_SUCCESSES, RING_COUNT };
static const char *const ring_names[RING_COUNT] = {"row", "ok"};

struct login_history {
	struct db *db;
	int dirfd;
	/* of the attempt added last: for login_history_name_client() */
	enum ring ring;
	uint64_t number, order;
	struct str record;
};
/* One ring, walked from its oldest row. */
struct cursor {
	enum ring ring;
	uint64_t number, next, order;
	bool has_row;
	struct str record; /* what `row` borrows */
	struct login_record row;
};

static int put_record(struct login_history *h, const struct login_record *r);
static bool is_use(const struct login_record *r);
static int name_client(struct login_history *h, struct span client);
static int replace_record(struct login_history *h, struct span key, struct span record);
static void next_key(enum ring ring, struct str *ret);
static void row_key(enum ring ring, uint64_t number, struct str *ret);
static void use_key(const struct login_record *r, struct str *ret);
static uint64_t read_next(struct db *db, enum ring ring);
static bool is_before(const struct cursor *a, const struct cursor *b);
static void walk(struct db *db, struct cursor *c, int64_t now_s);
static void discard_damaged(struct login_history *h, int rc);
static void write_record(
    uint64_t number, uint64_t order, const struct login_record *r, struct str *out);
static int parse_record(
    struct span record, uint64_t *ret_number, uint64_t *ret_order, struct login_record *ret);

bool login_record_is_by_key(const struct login_record *r)
{
	return span_equal(r->mechanism, SPAN("TLS-KEY")) ||
	       span_equal(r->mechanism, SPAN("EXTERNAL"));
}

int login_history_open(int history_dirfd, struct login_history **ret)
{
	struct db *db;
	int rc =
	    db_open(history_dirfd, HISTORY_FILE, DB_CACHE, DB_CREATE, 2 * LOGIN_RECORDS_MAX, &db);
	if (rc < 0)
		return rc;
	struct login_history *h = xcalloc(1, sizeof(*h));
	*h = (struct login_history){.db = db, .dirfd = fcntl(history_dirfd, F_DUPFD_CLOEXEC, 0)};
	str_init(&h->record, RECORD_MAX_BYTES);
	*ret = h;
	return 0;
}

void login_history_close(struct login_history *h)
{
	if (!h)
		return;
	db_close(h->db);
	close_fd(&h->dirfd);
	str_clear(&h->record);
	free(h);
}

void login_history_add(struct login_history *h, const struct login_record *r)
{
	if (!h || !h->db)
		return;
	discard_damaged(h, put_record(h, r)); /* history may be lost */
}

static int put_record(struct login_history *h, const struct login_record *r)
{
	struct str key cleanup(str_clear) = STR_INIT(KEY_MAX_BYTES);
	struct str next cleanup(str_clear) = STR_INIT(sizeof(uint64_t));
	int rc = db_lock(h->db, ROWS_LOCK);
	if (rc < 0)
		return rc;
	h->ring = r->result == LOGIN_OK ? RING_SUCCESSES : RING_OTHERS;
	h->number = read_next(h->db, h->ring);
	h->order = read_next(h->db, RING_OTHERS) + read_next(h->db, RING_SUCCESSES);
	str_reset(&h->record);
	write_record(h->number, h->order, r, &h->record);
	rc = str_error(&h->record);
	row_key(h->ring, h->number, &key);
	if (rc == 0)
		rc = checked_put(h->db, str_span(&key), str_span(&h->record));
	next_key(h->ring, &key);
	put_u64(&next, h->number + 1);
	if (rc == 0)
		rc = checked_put(h->db, str_span(&key), str_span(&next));
	use_key(r, &key);
	if (rc == 0 && is_use(r))
		rc = checked_put(h->db, str_span(&key), str_span(&h->record));
	db_unlock(h->db, ROWS_LOCK);
	return rc;
}

static bool is_use(const struct login_record *r)
{
	return r->result == LOGIN_OK && span_is_set(r->credential);
}

void login_history_name_client(struct login_history *h, struct span client)
{
	if (!h || !h->db || h->record.n == 0 || db_lock(h->db, ROWS_LOCK) < 0)
		return;
	int rc = name_client(h, client);
	db_unlock(h->db, ROWS_LOCK);
	discard_damaged(h, rc);
}

/*
 * In the row and in the last use, where they are still of that attempt: others may have come since.
 */
static int name_client(struct login_history *h, struct span client)
{
	struct arena scratch cleanup(arena_clear) = {0};
	struct str named cleanup(str_clear) = STR_INIT(RECORD_MAX_BYTES);
	struct str row cleanup(str_clear) = STR_INIT(KEY_MAX_BYTES);
	struct str use cleanup(str_clear) = STR_INIT(KEY_MAX_BYTES);
	struct login_record r;
	uint64_t number, order;
	int rc = parse_record(arena_span(&scratch, str_span(&h->record)), &number, &order, &r);
	if (rc < 0)
		return rc;
	r.client = client;
	write_record(number, order, &r, &named);
	row_key(h->ring, number, &row);
	use_key(&r, &use);
	rc = replace_record(h, str_span(&row), str_span(&named));
	if (rc == 0 && is_use(&r))
		rc = replace_record(h, str_span(&use), str_span(&named));
	str_reset(&h->record);
	str_append(&h->record, str_span(&named));
	return rc;
}

static int replace_record(struct login_history *h, struct span key, struct span record)
{
	struct str found cleanup(str_clear) = STR_INIT(2 * RECORD_MAX_BYTES);
	int rc = checked_get(h->db, key, &found);
	if (rc < 0 || !span_equal(str_span(&found), str_span(&h->record)))
		return rc == -ENOENT ? 0 : rc;
	return checked_put(h->db, key, record);
}

int login_history_settle_guess(
    struct login_history *h, struct span fingerprint, bool good, int64_t now_s)
{
	struct str key cleanup(str_clear) = STR_INIT(KEY_MAX_BYTES);
	struct bucket b;
	if (!h || !h->db)
		return 0;
	str_format(&key, "guesses %.*s", SPAN_ARG(fingerprint));
	int rc = db_lock(h->db, str_span(&key));
	if (rc < 0)
		return 0; /* what cannot be counted locks nobody out */
	rc = bucket_read(h->db, str_span(&key), &guess_capacity, now_s, &b);
	bool refused = rc == 0 && bucket_is_full(&b, &guess_capacity);
	if (rc == 0 && !refused && !good)
		rc = bucket_add(h->db, str_span(&key), &guess_capacity, now_s);
	db_unlock(h->db, str_span(&key));
	discard_damaged(h, rc);
	return refused ? -EACCES : 0;
}

/* Then nothing more is remembered here; whoever opens it next begins a new one. */
static void discard_damaged(struct login_history *h, int rc)
{
	if (!db_is_damage(rc))
		return;
	db_discard(h->db, h->dirfd, HISTORY_FILE);
	h->db = NULL;
}

static void next_key(enum ring ring, struct str *ret)
{
	str_reset(ret);
	str_format(ret, "next %s", ring_names[ring]);
}

static void row_key(enum ring ring, uint64_t number, struct str *ret)
{
	str_reset(ret);
	str_format(ret, "%s %u", ring_names[ring], (unsigned)(number % LOGIN_RECORDS_MAX));
}

static void use_key(const struct login_record *r, struct str *ret)
{
	str_reset(ret);
	str_append_cstr(ret, login_record_is_by_key(r) ? "key " : "password ");
	str_append(ret, span_sub(r->credential, 0, LOGIN_FIELD_MAX_BYTES));
}

int login_record_last(int history_dirfd, bool is_key, struct span credential, struct arena *a,
    struct login_record *ret)
{
	struct db *db;
	struct str use cleanup(str_clear) = STR_INIT(KEY_MAX_BYTES);
	struct str record cleanup(str_clear) = STR_INIT(2 * RECORD_MAX_BYTES);
	struct login_record found = {
	    .mechanism = is_key ? SPAN("TLS-KEY") : SPAN("PLAIN"), .credential = credential};
	uint64_t number, order;
	int rc = db_open(
	    history_dirfd, HISTORY_FILE, DB_CACHE, DB_READ_ONLY, 2 * LOGIN_RECORDS_MAX, &db);
	if (rc < 0)
		return rc == -EUCLEAN ? -ENOENT : rc;
	use_key(&found, &use);
	rc = checked_get(db, str_span(&use), &record);
	db_close(db);
	if (rc < 0 || parse_record(arena_span(a, str_span(&record)), &number, &order, &found) < 0)
		return rc < 0 && !db_is_damage(rc) ? rc : -ENOENT;
	*ret = found;
	return 0;
}

int login_record_each(int history_dirfd, int64_t now_s,
    int (*fn)(const struct login_record *r, void *context), void *context)
{
	struct db *db;
	int rc = db_open(
	    history_dirfd, HISTORY_FILE, DB_CACHE, DB_READ_ONLY, 2 * LOGIN_RECORDS_MAX, &db);
	if (rc < 0)
		return rc == -ENOENT || rc == -EUCLEAN ? 0 : rc;
	struct cursor c[RING_COUNT];
	for (enum ring ring = 0; ring < RING_COUNT; ring++) {
		c[ring] = (struct cursor){.ring = ring,
		    .next = read_next(db, ring),
		    .record = STR_INIT(2 * RECORD_MAX_BYTES)};
		c[ring].number = c[ring].next - MIN(c[ring].next, (uint64_t)LOGIN_RECORDS_MAX);
		walk(db, &c[ring], now_s);
	}
	while (rc == 0 && (c[RING_OTHERS].has_row || c[RING_SUCCESSES].has_row)) {
		struct cursor *oldest = &c[is_before(&c[0], &c[1]) ? 0 : 1];
		rc = fn(&oldest->row, context);
		walk(db, oldest, now_s);
	}
	for (enum ring ring = 0; ring < RING_COUNT; ring++)
		str_clear(&c[ring].record);
	db_close(db);
	return rc;
}

static bool is_before(const struct cursor *a, const struct cursor *b)
{
	if (!a->has_row || !b->has_row)
		return a->has_row;
	if (a->row.when_s != b->row.when_s)
		return a->row.when_s < b->row.when_s;
	return a->order < b->order;
}

/* To the next row that is there, whole, and not too old. */
static void walk(struct db *db, struct cursor *c, int64_t now_s)
{
	struct str key cleanup(str_clear) = STR_INIT(KEY_MAX_BYTES);
	c->has_row = false;
	while (!c->has_row && c->number < c->next) {
		uint64_t found;
		row_key(c->ring, c->number, &key);
		c->has_row = checked_get(db, str_span(&key), &c->record) == 0 &&
			     parse_record(str_span(&c->record), &found, &c->order, &c->row) == 0 &&
			     found == c->number &&
			     now_s - c->row.when_s <= (int64_t)LOGIN_RECORDS_DAYS * BUCKET_DAY_S;
		c->number++;
	}
}

static uint64_t read_next(struct db *db, enum ring ring)
{
	struct str key cleanup(str_clear) = STR_INIT(KEY_MAX_BYTES);
	struct str value cleanup(str_clear) = STR_INIT(RECORD_MAX_BYTES);
	next_key(ring, &key);
	if (checked_get(db, str_span(&key), &value) < 0)
		return 0;
	struct reader r = reader_of(str_span(&value));
	uint64_t next = get_u64(&r);
	return reader_end(&r) == 0 ? next : 0;
}

static void write_record(
    uint64_t number, uint64_t order, const struct login_record *r, struct str *out)
{
	char address[LOGIN_ADDRESS_MAX_BYTES];
	struct span peer =
	    login_address(r->address, address) == 0 ? span_cstr(address) : r->address;
	const struct span fields[] = {
	    peer, r->protocol, r->mechanism, r->credential, r->tls, r->client};
	put_u64(out, number);
	put_u64(out, order);
	put_u64(out, (uint64_t)r->when_s);
	put_u8(out, (uint8_t)r->result);
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		put_span(out, span_sub(fields[i], 0, LOGIN_FIELD_MAX_BYTES));
}

static int parse_record(
    struct span record, uint64_t *ret_number, uint64_t *ret_order, struct login_record *ret)
{
	struct reader r = reader_of(record);
	uint64_t number = get_u64(&r);
	uint64_t order = get_u64(&r);
	int64_t when_s = (int64_t)get_u64(&r);
	uint8_t result = get_u8(&r);
	*ret = (struct login_record){.when_s = when_s, .result = (enum login_result)result};
	struct span *fields[] = {&ret->address, &ret->protocol, &ret->mechanism, &ret->credential,
	    &ret->tls, &ret->client};
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		*fields[i] = get_span(&r);
	if (result >= LOGIN_RESULT_COUNT || when_s < 0)
		return -EBADMSG;
	*ret_number = number;
	*ret_order = order;
	return reader_end(&r);
}
