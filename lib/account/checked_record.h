#ifndef POSTERN_ACCOUNT_CHECKED_RECORD_H
#define POSTERN_ACCOUNT_CHECKED_RECORD_H
/* Records of caches without transactions: a checksum in front tells half-written ones (db/db.h). */
#include "db/db.h"

/* The record's bytes are read from and written behind a u32 checksum. */
must_use int checked_get(
    struct db *db, struct span key, struct str *record); /* -ENOENT: or damaged */
must_use int checked_put(struct db *db, struct span key, struct span record);
/* The record of a value in db_each(); unset: damaged. */
struct span checked_open(struct span value);
#endif
