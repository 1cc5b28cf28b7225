/*
 * history/NAME/logins.tdb: a ring. "next" holds the number of attempts so far, "row N" the attempt
 * whose number modulo LOGIN_RECORDS_MAX is N, with its number. Two sessions that write at the same
 * moment may take the same row; then one of the two is lost. "key FINGERPRINT" and "password NAME" are
 * the last success by each: as many as the account has ever had credentials.
 */
#include "account/login.h"

#include "account/checked_record.h"
#include "base/codec.h"

enum { RECORD_MAX_BYTES = 8 * LOGIN_FIELD_MAX_BYTES, ROW_KEY_BYTES = 32 };
enum { SECONDS_PER_DAY = 86400 };
#define NEXT_KEY SPAN("next")

static int put_record(struct db *db, uint64_t number, const struct login_record *r);
static void use_key(bool is_key, struct span credential, struct str *ret);
static uint64_t read_next(struct db *db);
static struct span row_key(uint64_t number, char buffer[ROW_KEY_BYTES]);
static void write_record(uint64_t number, const struct login_record *r, struct str *out);
static int parse_record(struct span record, uint64_t *ret_number, struct login_record *ret);

bool login_record_is_by_key(const struct login_record *r)
{
	return span_equal(r->mechanism, SPAN("TLS-KEY")) ||
	       span_equal(r->mechanism, SPAN("EXTERNAL"));
}

void login_record_add(int history_dirfd, const struct login_record *r)
{
	struct db *db;
	if (db_open(history_dirfd, "logins.tdb", DB_CACHE, DB_CREATE, LOGIN_RECORDS_MAX, &db) < 0)
		return;
	(void)put_record(db, read_next(db), r); /* history may be lost */
	db_close(db);
}

static int put_record(struct db *db, uint64_t number, const struct login_record *r)
{
	struct str record cleanup(str_clear) = STR_INIT(RECORD_MAX_BYTES);
	struct str next cleanup(str_clear) = STR_INIT(sizeof(uint64_t));
	struct str use cleanup(str_clear) = STR_INIT(RECORD_MAX_BYTES);
	char key[ROW_KEY_BYTES];
	write_record(number, r, &record);
	put_u64(&next, number + 1);
	use_key(login_record_is_by_key(r), r->credential, &use);
	int rc = str_error(&record);
	if (rc == 0)
		rc = checked_put(db, row_key(number, key), str_span(&record));
	if (rc == 0)
		rc = checked_put(db, NEXT_KEY, str_span(&next));
	if (rc == 0 && r->result == LOGIN_OK && span_is_set(r->credential))
		rc = checked_put(db, str_span(&use), str_span(&record));
	return rc;
}

static void use_key(bool is_key, struct span credential, struct str *ret)
{
	str_append_cstr(ret, is_key ? "key " : "password ");
	str_append(ret, span_sub(credential, 0, LOGIN_FIELD_MAX_BYTES));
}

int login_record_last(int history_dirfd, bool is_key, struct span credential, struct arena *a,
    struct login_record *ret)
{
	struct db *db;
	struct str use cleanup(str_clear) = STR_INIT(RECORD_MAX_BYTES);
	struct str record cleanup(str_clear) = STR_INIT(2 * RECORD_MAX_BYTES);
	uint64_t number;
	int rc =
	    db_open(history_dirfd, "logins.tdb", DB_CACHE, DB_READ_ONLY, LOGIN_RECORDS_MAX, &db);
	if (rc < 0)
		return rc == -EUCLEAN ? -ENOENT : rc;
	use_key(is_key, credential, &use);
	rc = checked_get(db, str_span(&use), &record);
	db_close(db);
	struct login_record found;
	if (rc < 0 || parse_record(arena_span(a, str_span(&record)), &number, &found) < 0)
		return rc < 0 ? rc : -ENOENT;
	*ret = found;
	return 0;
}

int login_record_each(int history_dirfd, int64_t now_s,
    int (*fn)(const struct login_record *r, void *context), void *context)
{
	struct db *db;
	int rc =
	    db_open(history_dirfd, "logins.tdb", DB_CACHE, DB_READ_ONLY, LOGIN_RECORDS_MAX, &db);
	if (rc < 0)
		return rc == -ENOENT || rc == -EUCLEAN ? 0 : rc;
	uint64_t next = read_next(db);
	uint64_t number = next > LOGIN_RECORDS_MAX ? next - LOGIN_RECORDS_MAX : 0;
	for (; number < next && rc == 0; number++) {
		struct str record cleanup(str_clear) = STR_INIT(2 * RECORD_MAX_BYTES);
		char key[ROW_KEY_BYTES];
		struct login_record r;
		uint64_t found;
		if (checked_get(db, row_key(number, key), &record) < 0 ||
		    parse_record(str_span(&record), &found, &r) < 0 || found != number)
			continue;
		if (now_s - r.when_s <= (int64_t)LOGIN_RECORDS_DAYS * SECONDS_PER_DAY)
			rc = fn(&r, context);
	}
	db_close(db);
	return rc;
}

static uint64_t read_next(struct db *db)
{
	struct str value cleanup(str_clear) = STR_INIT(RECORD_MAX_BYTES);
	if (checked_get(db, NEXT_KEY, &value) < 0)
		return 0;
	struct reader r = reader_of(str_span(&value));
	uint64_t next = get_u64(&r);
	return reader_end(&r) == 0 ? next : 0;
}

static struct span row_key(uint64_t number, char buffer[ROW_KEY_BYTES])
{
	int n = snprintf(buffer, ROW_KEY_BYTES, "row %u", (unsigned)(number % LOGIN_RECORDS_MAX));
	return span_of(buffer, (size_t)n);
}

static void write_record(uint64_t number, const struct login_record *r, struct str *out)
{
	char address[LOGIN_ADDRESS_MAX_BYTES];
	struct span peer =
	    login_address(r->address, address) == 0 ? span_cstr(address) : r->address;
	const struct span fields[] = {
	    peer, r->protocol, r->mechanism, r->credential, r->tls, r->client};
	put_u64(out, number);
	put_u64(out, (uint64_t)r->when_s);
	put_u8(out, (uint8_t)r->result);
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		put_span(out, span_sub(fields[i], 0, LOGIN_FIELD_MAX_BYTES));
}

static int parse_record(struct span record, uint64_t *ret_number, struct login_record *ret)
{
	struct reader r = reader_of(record);
	uint64_t number = get_u64(&r);
	int64_t when_s = (int64_t)get_u64(&r);
	uint8_t result = get_u8(&r);
	*ret = (struct login_record){.when_s = when_s, .result = (enum login_result)result};
	struct span *fields[] = {&ret->address, &ret->protocol, &ret->mechanism, &ret->credential,
	    &ret->tls, &ret->client};
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		*fields[i] = get_span(&r);
	if (result >= LOGIN_RESULT_COUNT)
		return -EBADMSG;
	*ret_number = number;
	return reader_end(&r);
}
