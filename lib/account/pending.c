/*
 * history/NAME/pending.tdb: one record "keys": u8 format, then of each key, unseen for longest
 * first: fingerprint, type, spki, login address, peer address, client, u8 TLS 1.2, u64 first, u64
 * last. Two sessions that write at the same moment may lose one of two new keys, until its next
 * login.
 */
#include "account/pending.h"

#include "account/checked_record.h"
#include "base/codec.h"
#include "crypto/crypto.h"

enum { PENDING_FORMAT = 1, EXPECTED_RECORDS = 1, SECONDS_PER_DAY = 86400 };
enum { SPKI_MAX_BYTES = 4096, FIELD_MAX_BYTES = 320, TYPE_MAX_BYTES = 40 };
enum { RECORD_MAX_BYTES = (PENDING_KEYS_MAX + 1) * (SPKI_MAX_BYTES + 4 * FIELD_MAX_BYTES + 100) };
#define KEYS_KEY SPAN("keys")

struct list {
	struct pending_key keys[PENDING_KEYS_MAX + 1];
	size_t count;
};

static int read_list(struct db *db, int64_t now_s, struct arena *a, struct list *ret);
static bool parse_list(struct span record, int64_t now_s, struct list *ret);
static int write_list(struct db *db, const struct list *list);
static void close_list(struct db *db, int history_dirfd, int rc);
static void take_out(struct list *list, size_t at);
static size_t find(const struct list *list, struct span fingerprint);

int pending_remember(int history_dirfd, const struct pending_key *key, bool *ret_new)
{
	struct arena arena cleanup(arena_clear) = {0};
	struct str type cleanup(str_clear) = STR_INIT(TYPE_MAX_BYTES);
	char fingerprint[FINGERPRINT_CHARS + 1];
	struct list list = {0};
	struct db *db;
	int rc = key->spki.n > SPKI_MAX_BYTES ? -EOPNOTSUPP : key_type(key->spki, &type);
	if (rc == 0)
		rc = db_open(
		    history_dirfd, "pending.tdb", DB_CACHE, DB_CREATE, EXPECTED_RECORDS, &db);
	if (rc < 0)
		return rc;
	rc = read_list(db, key->last_s, &arena, &list);
	if (rc < 0 && rc != -ENOENT &&
	    rc != -EBADMSG) { /* not only none yet, or a damaged record */
		close_list(db, history_dirfd, rc);
		return rc;
	}
	key_fingerprint(key->spki, fingerprint);
	struct pending_key renewed = *key;
	renewed.fingerprint = span_cstr(fingerprint);
	renewed.type = str_span(&type);
	renewed.first_s = key->last_s;
	size_t at = find(&list, renewed.fingerprint);
	bool is_new = at == list.count;
	if (!is_new) {
		renewed.first_s = list.keys[at].first_s;
		take_out(&list, at);
	} else if (list.count == PENDING_KEYS_MAX) {
		take_out(&list, 0);
	}
	list.keys[list.count++] = renewed;
	rc = write_list(db, &list);
	close_list(db, history_dirfd, rc);
	if (rc == 0)
		*ret_new = is_new;
	return rc;
}

int pending_each(int history_dirfd, int64_t now_s,
    int (*fn)(const struct pending_key *key, void *context), void *context)
{
	struct arena arena cleanup(arena_clear) = {0};
	struct list list = {0};
	struct db *db;
	int rc =
	    db_open(history_dirfd, "pending.tdb", DB_CACHE, DB_READ_ONLY, EXPECTED_RECORDS, &db);
	if (rc == 0) {
		rc = read_list(db, now_s, &arena, &list);
		db_close(db);
	}
	if (rc < 0)
		return rc == -ENOENT || rc == -EBADMSG || db_is_damage(rc) ? 0 : rc;
	for (size_t i = 0; i < list.count && rc == 0; i++)
		rc = fn(&list.keys[i], context);
	return rc;
}

int pending_get(int history_dirfd, struct span fingerprint, int64_t now_s, struct arena *a,
    struct pending_key *ret)
{
	struct list list = {0};
	struct db *db;
	int rc =
	    db_open(history_dirfd, "pending.tdb", DB_CACHE, DB_READ_ONLY, EXPECTED_RECORDS, &db);
	if (rc < 0)
		return rc == -EUCLEAN ? -ENOENT : rc;
	rc = read_list(db, now_s, a, &list);
	db_close(db);
	if (rc < 0)
		return rc == -EBADMSG || db_is_damage(rc) ? -ENOENT : rc;
	size_t at = find(&list, fingerprint);
	if (at == list.count)
		return -ENOENT;
	*ret = list.keys[at];
	return 0;
}

void pending_forget(int history_dirfd, struct span fingerprint)
{
	struct arena arena cleanup(arena_clear) = {0};
	struct list list = {0};
	struct db *db;
	if (db_open(history_dirfd, "pending.tdb", DB_CACHE, DB_READ_WRITE, EXPECTED_RECORDS, &db) <
	    0)
		return;
	int rc = read_list(db, 0, &arena, &list);
	size_t at = find(&list, fingerprint);
	if (rc == 0 && at < list.count) {
		take_out(&list, at);
		rc = write_list(db, &list);
	}
	close_list(db, history_dirfd, rc); /* it goes by itself after PENDING_DAYS */
}

/* A damaged one is thrown away: the next such login begins a new one. */
static void close_list(struct db *db, int history_dirfd, int rc)
{
	if (db_is_damage(rc))
		db_discard(db, history_dirfd, "pending.tdb");
	else
		db_close(db);
}

static int read_list(struct db *db, int64_t now_s, struct arena *a, struct list *ret)
{
	struct str record cleanup(str_clear) = STR_INIT(2 * RECORD_MAX_BYTES);
	int rc = checked_get(db, KEYS_KEY, &record);
	if (rc < 0)
		return rc;
	return parse_list(arena_span(a, str_span(&record)), now_s, ret) ? 0 : -EBADMSG;
}

/* Without those that are too old. */
static bool parse_list(struct span record, int64_t now_s, struct list *ret)
{
	struct reader r = reader_of(record);
	bool good = get_u8(&r) == PENDING_FORMAT;
	*ret = (struct list){0};
	while (good && r.rest.n > 0 && !r.failed && ret->count < PENDING_KEYS_MAX) {
		struct pending_key k = {.fingerprint = get_span(&r)};
		struct span *fields[] = {
		    &k.type, &k.spki, &k.login_address, &k.peer_address, &k.client};
		for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
			*fields[i] = get_span(&r);
		k.tls12 = get_u8(&r) != 0;
		k.first_s = (int64_t)get_u64(&r);
		k.last_s = (int64_t)get_u64(&r);
		if (now_s - k.last_s <= (int64_t)PENDING_DAYS * SECONDS_PER_DAY)
			ret->keys[ret->count++] = k;
	}
	good = good && reader_end(&r) == 0;
	if (!good)
		ret->count = 0;
	return good;
}

static int write_list(struct db *db, const struct list *list)
{
	struct str record cleanup(str_clear) = STR_INIT(RECORD_MAX_BYTES);
	put_u8(&record, PENDING_FORMAT);
	for (size_t i = 0; i < list->count; i++) {
		const struct pending_key *k = &list->keys[i];
		const struct span fields[] = {k->login_address, k->peer_address, k->client};
		put_span(&record, k->fingerprint);
		put_span(&record, k->type);
		put_span(&record, k->spki);
		for (size_t f = 0; f < ARRAY_SIZE(fields); f++)
			put_span(&record, span_sub(fields[f], 0, FIELD_MAX_BYTES));
		put_u8(&record, k->tls12);
		put_u64(&record, (uint64_t)k->first_s);
		put_u64(&record, (uint64_t)k->last_s);
	}
	int rc = str_error(&record);
	return rc < 0 ? rc : checked_put(db, KEYS_KEY, str_span(&record));
}

static void take_out(struct list *list, size_t at)
{
	list->count--;
	memmove(&list->keys[at], &list->keys[at + 1], (list->count - at) * sizeof(*list->keys));
}

/* list->count: not there. */
static size_t find(const struct list *list, struct span fingerprint)
{
	size_t i = 0;
	while (i < list->count && !span_equal(list->keys[i].fingerprint, fingerprint))
		i++;
	return i;
}
