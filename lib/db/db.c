#include "db/db.h"

#include <assert.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <tdb.h>

#include "io/file.h"
#include "io/lock.h"

/*
 * Deadlines. libtdb waits in fcntl(F_SETLKW), which a stopped process could make last for ever.
 * Where it offers a nonblocking form, that is called in a loop. Where it does not (opening,
 * upgrading to the write lock in a commit, traversing), the same lock is first taken here, by
 * F_SETLK in a loop: POSIX locks belong to the process, so libtdb's own call then succeeds at once,
 * and libtdb's unlock releases it. The offsets are part of the file format.
 */
enum { LOCK_OPEN = 0, LOCK_TRANSACTION = 8, LOCK_ALL_RECORDS = 168 };
enum { CHAINS_MIN = 131, CHAINS_MAX = 131071, RECORDS_PER_CHAIN = 4 };

struct db {
	struct tdb_context *tdb;
	enum db_kind kind;
	unsigned readers;
	bool alarmed; /* libtdb has logged something fatal since this was last cleared */
};

static int create(int dirfd, const char *name, enum db_kind kind, uint32_t expected_records);
static int look_before_opening(int dirfd, const char *name);
static int open_existing(
    int dirfd, const char *name, enum db_kind kind, enum db_access access, struct db **ret);
static int look_up(struct span key, struct span value, void *context);
static bool lock_is_taken(struct db *db);
static int wait_for_range(int fd, short type, off_t start, off_t bytes);
static int lock_chain(struct db *db, TDB_DATA key, bool write);
static void unlock_chain(struct db *db, TDB_DATA key, bool write);
static int error_of(struct db *db);
static TDB_DATA data_of(struct span s);

static void note_log(struct tdb_context *tdb, enum tdb_debug_level level, const char *format, ...)
    printf_like(3, 4);
static void note_log(struct tdb_context *tdb, enum tdb_debug_level level, const char *format, ...)
{
	struct db *db = tdb_get_logging_private(tdb);
	(void)format;
	if (db && level == TDB_DEBUG_FATAL)
		db->alarmed = true;
}

int db_open(int dirfd, const char *name, enum db_kind kind, enum db_access access,
    uint32_t expected_records, struct db **ret)
{
	int error = open_existing(dirfd, name, kind, access, ret);
	if (access != DB_CREATE)
		return error;
	if (error == -EUCLEAN && kind == DB_CACHE) {
		if (unlinkat(dirfd, name, 0) < 0 && errno != ENOENT)
			return -errno;
		error = -ENOENT;
	}
	if (error != -ENOENT)
		return error;
	error = create(dirfd, name, kind, expected_records);
	if (error < 0 && error != -EEXIST) /* somebody else made it in between: as good */
		return error;
	return open_existing(dirfd, name, kind, access, ret);
}

static int flags_of(enum db_kind kind)
{
	/*
	 * TDB_INCOMPATIBLE_HASH: the better hash. The old one adds up shifted bytes, and our keys
	 * are a letter and small numbers, which it sends to few chains. "Incompatible" means libtdb
	 * before 1.2.6. TDB_NOSYNC is for caches alone. TDB_NOMMAP: with a map, each of the four
	 * syncs of a commit is an fdatasync() and an msync(), which flushes the disk once more:
	 * 1.05 ms instead of 0.75 for changing a flag. A read costs 4 µs instead of 2, and what has
	 * gone wrong with the file is an error instead of a SIGBUS.
	 */
	int flags = TDB_INCOMPATIBLE_HASH | TDB_SEQNUM | TDB_DISALLOW_NESTING;
	return flags | (kind == DB_CACHE ? TDB_NOSYNC : TDB_NOMMAP);
}

static int create(int dirfd, const char *name, enum db_kind kind, uint32_t expected_records)
{
	int fd cleanup(close_fd) = -1;
	int error = file_draft(dirfd, 0600, &fd);
	if (error < 0)
		return error;
	/*
	 * Fixed for the life of the file. Each transaction reads all chain heads (4 bytes each), so
	 * more is not simply better; a chain of a dozen records costs below a microsecond.
	 */
	uint32_t chains = MAX(expected_records / RECORDS_PER_CHAIN, (uint32_t)CHAINS_MIN);
	chains = MIN(chains, (uint32_t)CHAINS_MAX) | 1;
	char path[64];
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd); /* fits: an int is short */
	struct tdb_logging_context log = {note_log, NULL};
	errno = 0;
	struct tdb_context *tdb = tdb_open_ex(
	    path, (int)chains, flags_of(kind), O_RDWR | O_CREAT | O_CLOEXEC, 0600, &log, NULL);
	if (!tdb)
		return errno ? -errno : -EIO;
	if (tdb_close(tdb) < 0)
		return -EIO;
	return file_draft_link(fd, dirfd, name);
}

static int open_existing(
    int dirfd, const char *name, enum db_kind kind, enum db_access access, struct db **ret)
{
	int error = look_before_opening(dirfd, name);
	if (error < 0)
		return error;
	struct str path cleanup(str_clear) = STR_INIT(512);
	str_format(&path, "/proc/self/fd/%d/%s", dirfd, name);
	if (path.failed)
		return -ENAMETOOLONG;
	struct db *db = xcalloc(1, sizeof(*db));
	struct tdb_logging_context log = {note_log, db};
	int open_flags = access == DB_READ_ONLY ? O_RDONLY : O_RDWR;
	errno = 0;
	struct tdb_context *tdb = tdb_open_ex(
	    path.data, 0, flags_of(kind), open_flags | O_NOFOLLOW | O_CLOEXEC, 0600, &log, NULL);
	if (!tdb) {
		int reason = errno;
		free(db);
		/* libtdb says EIO and EINVAL for what it cannot make sense of */
		return reason == EIO || reason == EINVAL || reason == 0 ? -EUCLEAN : -reason;
	}
	*db = (struct db){.tdb = tdb, .kind = kind};
	*ret = db;
	return 0;
}

/* Is it a regular file with tdb's magic, and not being committed to? -ENOENT, -EUCLEAN, -EBUSY. */
static int look_before_opening(int dirfd, const char *name)
{
	static const char magic[] = "TDB file\n";
	char head[sizeof(magic)];
	int fd cleanup(close_fd) =
	    openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return errno == ELOOP ? -EUCLEAN : -errno;
	struct stat st;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EUCLEAN;
	ssize_t n = pread(fd, head, sizeof(head), 0);
	if (n < 0)
		return -errno;
	if ((size_t)n < sizeof(head) || memcmp(head, magic, sizeof(head)) != 0)
		return -EUCLEAN;
	return wait_for_range(fd, F_RDLCK, LOCK_OPEN, 1);
}

void db_close(struct db *db)
{
	if (!db)
		return;
	db_cancel(db);
	(void)tdb_close(db->tdb); /* nothing is pending: every commit was synced */
	free(db);
}

void db_discard(struct db *db, int dirfd, const char *name)
{
	struct stat ours, named;
	assert(db->kind == DB_CACHE);
	/* not by path: cages refuse stat */
	int fd cleanup(close_fd) = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0 && fstat(fd, &named) == 0 && fstat(tdb_fd(db->tdb), &ours) == 0 &&
	    named.st_ino == ours.st_ino && named.st_dev == ours.st_dev)
		(void)unlinkat(dirfd, name, 0); /* what stays is found damaged again */
	db_close(db);
}

int db_lock(struct db *db, struct span key)
{
	assert(db->kind == DB_CACHE && db->readers == 0);
	return lock_chain(db, data_of(key), true);
}

void db_unlock(struct db *db, struct span key)
{
	unlock_chain(db, data_of(key), true);
}

struct parse_call {
	int (*fn)(struct span value, void *context);
	void *context;
	int answer;
};

static int parse_record(TDB_DATA key, TDB_DATA value, void *context)
{
	(void)key;
	struct parse_call *call = context;
	call->answer =
	    call->fn(span_of(value.dptr ? value.dptr : (void *)"", value.dsize), call->context);
	return 0;
}

int db_parse(
    struct db *db, struct span key, int (*fn)(struct span value, void *context), void *context)
{
	struct parse_call call = {fn, context, 0};
	TDB_DATA k = data_of(key);
	int error = lock_chain(db, k, false);
	if (error < 0)
		return error;
	errno = 0;
	int found = tdb_parse_record(db->tdb, k, parse_record, &call);
	if (found < 0)
		error = error_of(db);
	unlock_chain(db, k, false);
	return found < 0 ? error : call.answer;
}

static int append_value(struct span value, void *context)
{
	struct str *out = context;
	str_append(out, value);
	return str_error(out);
}

int db_get(struct db *db, struct span key, struct str *value)
{
	str_reset(value);
	return db_parse(db, key, append_value, value);
}

static int see_nothing(struct span value, void *context)
{
	(void)value;
	(void)context;
	return 0;
}

bool db_has(struct db *db, struct span key)
{
	return db_parse(db, key, see_nothing, NULL) == 0;
}

int db_put(struct db *db, struct span key, struct span value)
{
	assert(db->kind == DB_CACHE || tdb_transaction_active(db->tdb));
	if (value.n > DB_VALUE_MAX_BYTES)
		return -EMSGSIZE;
	if (db_file_bytes(db) + key.n + value.n > DB_FILE_MAX_BYTES)
		return -ENOSPC;
	TDB_DATA k = data_of(key);
	int error = lock_chain(db, k, true);
	if (error < 0)
		return error;
	errno = 0;
	if (tdb_store(db->tdb, k, data_of(value), TDB_REPLACE) < 0)
		error = error_of(db);
	unlock_chain(db, k, true);
	return error;
}

int db_delete(struct db *db, struct span key)
{
	assert(db->kind == DB_CACHE || tdb_transaction_active(db->tdb));
	TDB_DATA k = data_of(key);
	int error = lock_chain(db, k, true);
	if (error < 0)
		return error;
	errno = 0;
	if (tdb_delete(db->tdb, k) < 0)
		error = error_of(db);
	unlock_chain(db, k, true);
	return error;
}

struct each_call {
	int (*fn)(struct span key, struct span value, void *context);
	void *context;
	int answer;
};

static int each_record(struct tdb_context *tdb, TDB_DATA key, TDB_DATA value, void *context)
{
	(void)tdb;
	struct each_call *call = context;
	call->answer =
	    call->fn(span_of(key.dptr, key.dsize), span_of(value.dptr, value.dsize), call->context);
	return call->answer;
}

int db_each(
    struct db *db, int (*fn)(struct span key, struct span value, void *context), void *context)
{
	struct each_call call = {fn, context, 0};
	/*
	 * So that no lock of a chain is waited for: transactions are kept out, by a lock that
	 * libtdb gives back; of a cache, whoever writes. Opened for reading only, it locks nothing.
	 */
	bool locks_all = db->kind == DB_CACHE && !(tdb_get_flags(db->tdb) & TDB_NOLOCK);
	int error = 0;
	if (locks_all)
		error = db_read_begin(db);
	else if (!tdb_transaction_active(db->tdb))
		error = wait_for_range(tdb_fd(db->tdb), F_RDLCK, LOCK_TRANSACTION, 1);
	if (error < 0)
		return error;
	errno = 0;
	error = tdb_traverse_read(db->tdb, each_record, &call) < 0 ? error_of(db) : call.answer;
	if (locks_all)
		db_read_end(db);
	return error;
}

int db_read_begin(struct db *db)
{
	if (db->readers == 0 && !tdb_transaction_active(db->tdb)) {
		struct lock_wait wait = {0};
		while (tdb_lockall_read_nonblock(db->tdb) < 0)
			if (!lock_is_taken(db))
				return error_of(db);
			else if (!lock_wait_again(&wait, DB_LOCK_MS))
				return -EBUSY;
	}
	db->readers++;
	return 0;
}

void db_read_end(struct db *db)
{
	assert(db->readers > 0);
	if (--db->readers == 0 && !tdb_transaction_active(db->tdb))
		(void)tdb_unlockall_read(db->tdb); /* fails only when it was not locked */
}

int db_begin(struct db *db)
{
	assert(db->kind == DB_DURABLE && db->readers == 0 && !tdb_transaction_active(db->tdb));
	struct lock_wait wait = {0};
	errno = 0;
	while (tdb_transaction_start_nonblock(db->tdb) < 0)
		if (!lock_is_taken(db))
			return error_of(db);
		else if (!lock_wait_again(&wait, DB_LOCK_MS))
			return -EBUSY;
	return 0;
}

int db_commit(struct db *db)
{
	assert(tdb_transaction_active(db->tdb) && db->readers == 0);
	int fd = tdb_fd(db->tdb);
	/*
	 * The transaction holds this range for reading; now wait for the other readers to be gone.
	 */
	int error = wait_for_range(fd, F_WRLCK, LOCK_ALL_RECORDS, 0);
	if (error == 0)
		error = wait_for_range(fd, F_WRLCK, LOCK_OPEN, 1);
	if (error < 0) {
		db_cancel(db);
		return error;
	}
	errno = 0;
	db->alarmed = false;
	if (tdb_transaction_commit(db->tdb) < 0) {
		error = error_of(db);
		if (error == -ENOENT) /* likewise: nothing is looked up here */
			error = -EIO;
		db_cancel(db);
	} else if (db->alarmed) {
		/*
		 * The mark of the recovery area could not be taken away, which libtdb logs and does
		 * not tell: whoever takes the next lock, or starts the machine again, puts the old
		 * bytes back.
		 */
		error = -EIO;
	}
	/*
	 * An empty transaction ends before libtdb takes this lock, and so before it gives it back.
	 */
	(void)wait_for_range(fd, F_UNLCK, LOCK_OPEN, 1); /* unlocking does not fail */
	return error;
}

void db_cancel(struct db *db)
{
	if (tdb_transaction_active(db->tdb))
		(void)tdb_transaction_cancel(
		    db->tdb); /* nothing was written: nothing to do about it */
}

uint32_t db_sequence(struct db *db)
{
	return (uint32_t)tdb_get_seqnum(db->tdb);
}

uint64_t db_file_bytes(struct db *db)
{
	return tdb_map_size(db->tdb);
}

/*
 * Not tdb_check(), which walks the file from front to back and stumbles over what a crash leaves
 * there: space that a commit took and that belongs to nobody (tried; lookups never see it).
 */
int db_check(struct db *db)
{
	bool own = !tdb_transaction_active(db->tdb);
	int error = own ? db_begin(db) : 0;
	if (error < 0)
		return error;
	int ignored;
	error = db_each(db, look_up, db);
	if (error == 0 && tdb_validate_freelist(db->tdb, &ignored) < 0)
		error = -EUCLEAN;
	if (own)
		db_cancel(db);
	return error;
}

/* A record that a walk along the chains finds must be found by its key, too. */
static int look_up(struct span key, struct span value, void *context)
{
	struct db *db = context;
	(void)value;
	return tdb_exists(db->tdb, data_of(key)) ? 0 : -EUCLEAN;
}

static bool lock_is_taken(struct db *db)
{
	enum TDB_ERROR error = tdb_error(db->tdb);
	return error == TDB_ERR_LOCK || error == TDB_ERR_NOLOCK;
}

/* bytes 0: to the end of the file and beyond. */
static int wait_for_range(int fd, short type, off_t start, off_t bytes)
{
	struct flock range = {
	    .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = bytes};
	struct lock_wait wait = {0};
	while (fcntl(fd, F_SETLK, &range) < 0) {
		if (errno != EAGAIN && errno != EACCES && errno != EINTR)
			return -errno;
		if (!lock_wait_again(&wait, DB_LOCK_MS))
			return -EBUSY;
	}
	return 0;
}

static int lock_chain(struct db *db, TDB_DATA key, bool write)
{
	if (db->readers > 0 || tdb_transaction_active(db->tdb))
		return 0;
	struct lock_wait wait = {0};
	while ((write ? tdb_chainlock_nonblock(db->tdb, key)
		      : tdb_chainlock_read_nonblock(db->tdb, key)) < 0)
		if (!lock_is_taken(db))
			return error_of(db);
		else if (!lock_wait_again(&wait, DB_LOCK_MS))
			return -EBUSY;
	return 0;
}

static void unlock_chain(struct db *db, TDB_DATA key, bool write)
{
	if (db->readers > 0 || tdb_transaction_active(db->tdb))
		return;
	/* Unlocking fails only when it was not locked. */
	(void)(write ? tdb_chainunlock(db->tdb, key) : tdb_chainunlock_read(db->tdb, key));
}

static int error_of(struct db *db)
{
	int reason = errno; /* what the system said, where libtdb has only "I/O error" */
	if (reason == ENOSPC || reason == EDQUOT || reason == EFBIG)
		return -reason; /* a failed commit leaves the error of some earlier call */
	switch (tdb_error(db->tdb)) {
	case TDB_ERR_NOEXIST: return -ENOENT;
	case TDB_ERR_CORRUPT: return -EUCLEAN;
	case TDB_ERR_LOCK:
	case TDB_ERR_NOLOCK: return -EBUSY;
	case TDB_ERR_RDONLY: return -EROFS;
	case TDB_ERR_OOM: return -ENOMEM;
	case TDB_ERR_EINVAL: return -EUCLEAN;
	default: return -EIO;
	}
}

static TDB_DATA data_of(struct span s)
{
	return (TDB_DATA){(unsigned char *)s.p, s.n}; /* libtdb has no const; it does not write */
}
