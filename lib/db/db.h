#ifndef POSTERN_DB_DB_H
#define POSTERN_DB_DB_H
/*
 * Records in a tdb file (the only user of libtdb), with its sharp edges hidden:
 * - Two kinds: DB_DURABLE is changed inside transactions only, which survive kill -9 and a power
 *   cut; DB_CACHE has no transactions and no sync, is thrown away when damaged, and may be lost. A
 *   value of a DB_CACHE may be half-written after a crash: whoever puts it adds a checksum.
 * - Locks wait at most DB_LOCK_MS, then -EBUSY; tdb's own fcntl waits have no end.
 * - One struct db per file and process, opened after any fork: closing a second fd of the file
 *   would drop the locks (POSIX). Not opened with O_CREAT unless asked.
 * - Inside a transaction: no network, no message fsync, no child process.
 *
 * States a crash can leave:
 * - in the middle of making the file: nothing, for it is made without a name and then linked;
 * - in the middle of a commit: libtdb's recovery area in the file, written and synced before the
 *   first byte of data is touched. Whoever next takes a lock or opens the file for writing puts the
 *   old bytes back. A commit is there as a whole from its last fsync on, and before that not at
 *   all.
 */
#include "base/str.h"

struct db;
enum db_kind { DB_DURABLE, DB_CACHE };
enum db_access { DB_READ_ONLY, DB_READ_WRITE, DB_CREATE };
enum { DB_LOCK_MS = 10000, DB_FILE_MAX_BYTES = 0x70000000, DB_VALUE_MAX_BYTES = 16 * 1024 * 1024 };

/*
 * Opens `name` in the folder. expected_records sizes the hash of a new file. -ENOENT, -EBUSY,
 * -EUCLEAN when it is no such database (a DB_CACHE with DB_CREATE is then removed and made anew).
 * The folder fd is not kept.
 */
must_use int db_open(int dirfd, const char *name, enum db_kind kind, enum db_access access,
    uint32_t expected_records, struct db **ret);
void db_close(struct db *db); /* NULL is fine; cancels an open transaction */
/* Of any call: is it the file that is to blame? */
static inline bool db_is_damage(int error)
{
	return error == -EUCLEAN || error == -EIO;
}
/*
 * DB_CACHE: closes what some call has found to be damaged (-EUCLEAN, -EIO), and removes the file if
 * the name is still that file's, so that the next DB_CREATE makes a new one.
 */
void db_discard(struct db *db, int dirfd, const char *name);

/* The value, appended to *value (reset first): -ENOENT, -EMSGSIZE, -EBUSY, -EUCLEAN, -EIO. */
must_use int db_get(struct db *db, struct span key, struct str *value);
bool db_has(struct db *db, struct span key);
/*
 * Reads in place: fn sees the value while the record is locked, and must not call db_*. What fn
 * returns is the answer. The value has no particular alignment.
 */
must_use int db_parse(
    struct db *db, struct span key, int (*fn)(struct span value, void *context), void *context);
/* DB_DURABLE: only inside a transaction (asserted). -ENOSPC near DB_FILE_MAX_BYTES. */
must_use int db_put(struct db *db, struct span key, struct span value);
must_use int db_delete(struct db *db, struct span key); /* -ENOENT */
/*
 * DB_CACHE: between these nobody else is between them for the same key. Others read, and write
 * records of other keys; so does the holder. -EBUSY.
 */
must_use int db_lock(struct db *db, struct span key);
void db_unlock(struct db *db, struct span key);
/*
 * All records in no order; fn returning non-zero ends it and is the answer. fn must not change db:
 * nobody can meanwhile. -EBUSY.
 */
must_use int db_each(
    struct db *db, int (*fn)(struct span key, struct span value, void *context), void *context);

/*
 * Between these, everything read belongs to one moment, and costs no further lock. Others read too,
 * but nobody commits: read, copy, end; never write to a peer in between. They nest, and inside
 * a transaction they do nothing.
 */
must_use int db_read_begin(struct db *db); /* -EBUSY */
void db_read_end(struct db *db);

must_use int db_begin(struct db *db);
/* 0: on disk, synced. Otherwise the transaction has been cancelled. */
must_use int db_commit(struct db *db);
void db_cancel(struct db *db);
/*
 * Changes at each commit of anybody: whoever caches what it read compares it. Asked outside
 * db_read_begin() it may already tell a commit that readers still wait for.
 */
uint32_t db_sequence(struct db *db);
uint64_t db_file_bytes(struct db *db);
/* DB_DURABLE: follows all chains and the free list. 0 or -EUCLEAN, -EBUSY. Holds off writers. */
must_use int db_check(struct db *db);
#endif
