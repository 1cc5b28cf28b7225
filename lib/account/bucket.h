#ifndef POSTERN_ACCOUNT_BUCKET_H
#define POSTERN_ACCOUNT_BUCKET_H
/*
 * Leaking buckets of failures, as checked records of a cache (account/checked_record.h). A bucket
 * has two levels, one leaking empty in a minute, the other in a day; it is full when either has no
 * room for one more failure. What is told here of the past is told by the wall clock: a level from
 * the future (a clock was wrong, and was set back) is forgotten.
 *
 * Errors are the database's; a record that is not there or damaged is an empty bucket, not an
 * error.
 */
#include "db/db.h"

enum { BUCKET_MINUTE_S = 60, BUCKET_DAY_S = 86400 };
struct bucket_capacity {
	int64_t minute, day; /* failures */
};
struct bucket {
	int64_t when_s, minute, day; /* levels at that time, in thousandths of a failure */
};

/* As it is now: leaked since it was written. An empty key is an empty bucket. */
must_use int bucket_read(struct db *db, struct span key, const struct bucket_capacity *c,
    int64_t now_s, struct bucket *ret);
/* Does nothing for an empty key. */
must_use int bucket_write(struct db *db, struct span key, const struct bucket *b);
/* Reads, adds one failure, writes. Whoever must not lose one holds a lock of theirs. */
must_use int bucket_add(
    struct db *db, struct span key, const struct bucket_capacity *c, int64_t now_s);
/* The same, for taking back what another bucket counts. */
must_use int bucket_take_back(struct db *db, struct span key, const struct bucket_capacity *c,
    const struct bucket *share, int64_t now_s);

bool bucket_is_full(const struct bucket *b, const struct bucket_capacity *c);
/* From half a bucket on, every further failure makes the next attempt wait longer. */
int bucket_delay_ms(const struct bucket *b, const struct bucket_capacity *c);
/* A time of a record, but never one that is still to come. */
bool bucket_is_within(int64_t when_s, int64_t span_s, int64_t now_s);
#endif
