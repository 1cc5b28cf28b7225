#include "account/bucket.h"

#include "account/checked_record.h"
#include "base/codec.h"

enum { ONE_FAILURE = 1000 };
enum { DELAY_STEP_MS = 500, DELAY_MAX_MS = 5000 };
enum { RECORD_MAX_BYTES = 64 };
/* Clocks of one machine agree better than this; more is a clock that was set. */
enum { CLOCK_SLACK_S = BUCKET_MINUTE_S };

static void leak(struct bucket *b, const struct bucket_capacity *c, int64_t now_s);

int bucket_read(struct db *db, struct span key, const struct bucket_capacity *c, int64_t now_s,
    struct bucket *ret)
{
	struct str record cleanup(str_clear) = STR_INIT(RECORD_MAX_BYTES);
	*ret = (struct bucket){.when_s = now_s};
	int rc = key.n > 0 ? checked_get(db, key, &record) : -ENOENT;
	if (rc < 0)
		return rc == -ENOENT || rc == -EMSGSIZE ? 0 : rc;
	struct reader r = reader_of(str_span(&record));
	struct bucket b = {.when_s = (int64_t)get_u64(&r)};
	b.minute = (int64_t)get_u64(&r);
	b.day = (int64_t)get_u64(&r);
	bool is_sound = reader_end(&r) == 0 && b.when_s >= 0 && b.minute >= 0 && b.day >= 0 &&
			MAX(b.minute, b.day) <= 2 * ONE_FAILURE * MAX(c->minute, c->day);
	if (is_sound && b.when_s - now_s <= CLOCK_SLACK_S) {
		leak(&b, c, now_s);
		*ret = b;
	}
	return 0;
}

static void leak(struct bucket *b, const struct bucket_capacity *c, int64_t now_s)
{
	int64_t elapsed_s = MIN(MAX(now_s - b->when_s, 0), 2 * BUCKET_DAY_S);
	b->minute = MAX(b->minute - elapsed_s * c->minute * ONE_FAILURE / BUCKET_MINUTE_S, 0);
	b->day = MAX(b->day - elapsed_s * c->day * ONE_FAILURE / BUCKET_DAY_S, 0);
	b->when_s = now_s;
}

int bucket_write(struct db *db, struct span key, const struct bucket *b)
{
	struct str record cleanup(str_clear) = STR_INIT(RECORD_MAX_BYTES);
	if (key.n == 0)
		return 0;
	put_u64(&record, (uint64_t)b->when_s);
	put_u64(&record, (uint64_t)b->minute);
	put_u64(&record, (uint64_t)b->day);
	return checked_put(db, key, str_span(&record));
}

int bucket_add(struct db *db, struct span key, const struct bucket_capacity *c, int64_t now_s)
{
	struct bucket b;
	int rc = bucket_read(db, key, c, now_s, &b);
	if (rc < 0)
		return rc;
	/* Attempts at the same moment overfill it: they count, but not for ever. */
	b.minute = MIN(b.minute + ONE_FAILURE, 2 * c->minute * ONE_FAILURE);
	b.day = MIN(b.day + ONE_FAILURE, 2 * c->day * ONE_FAILURE);
	return bucket_write(db, key, &b);
}

int bucket_take_back(struct db *db, struct span key, const struct bucket_capacity *c,
    const struct bucket *share, int64_t now_s)
{
	struct bucket b;
	int rc = bucket_read(db, key, c, now_s, &b);
	if (rc < 0)
		return rc;
	b.minute = MAX(b.minute - share->minute, 0);
	b.day = MAX(b.day - share->day, 0);
	return bucket_write(db, key, &b);
}

/* No room for one more failure: what leaks in a moment is no room. */
bool bucket_is_full(const struct bucket *b, const struct bucket_capacity *c)
{
	return b->minute > (c->minute - 1) * ONE_FAILURE || b->day > (c->day - 1) * ONE_FAILURE;
}

int bucket_delay_ms(const struct bucket *b, const struct bucket_capacity *c)
{
	int64_t over =
	    MAX(b->minute - c->minute * ONE_FAILURE / 2, b->day - c->day * ONE_FAILURE / 2);
	return (int)MIN(MAX(over, 0) * DELAY_STEP_MS / ONE_FAILURE, DELAY_MAX_MS);
}

bool bucket_is_within(int64_t when_s, int64_t span_s, int64_t now_s)
{
	return when_s >= 0 && now_s - when_s <= span_s && when_s - now_s <= CLOCK_SLACK_S;
}
