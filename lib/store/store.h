#ifndef POSTERN_STORE_STORE_H
#define POSTERN_STORE_STORE_H
/*
 * One account's mail, mail/NAME/: index.tdb (the truth), cache.tdb (deletable), msg/XX/ID
 * (immutable files, CRLF), changes (touched after each commit). See doc/states.md for layout and
 * crash states. Mailbox names are UTF-8 NFC with '/' as separator; "INBOX" is spelled so.
 *
 * Every change is one synced transaction; 0 means that it would survive a power cut. A crash leaves
 * the state before or after a change, never one between; besides it can leave files in msg/ that
 * nothing refers to: of a message that came in and was not committed, or of one whose removal was
 * committed and not done. They do no harm; store_check() counts them. doc/states.md has every step.
 *
 * Errors common to all: -EBUSY (somebody held the lock too long), -ENOSPC, -EDQUOT, -EIO, and
 * -EUCLEAN for a damaged index.tdb. After an error nothing has changed. Not for threads.
 */
#include "base/arena.h"

struct store;
/* mail_dirfd: mail/NAME/, kept open by the caller for the store's life. Makes INBOX, Sent, Drafts,
 * Archive, Trash, Junk in a new store when create. One struct store per account and process, made
 * after any fork (db/db.h). -ENOENT, -EBUSY, -EUCLEAN. */
must_use int store_open(int mail_dirfd, bool create, struct store **ret);
void store_close(struct store *s);

/* System flags as bits; keywords are further bits, numbered per mailbox. */
enum message_flag {
	FLAG_SEEN = 1,
	FLAG_ANSWERED = 2,
	FLAG_FLAGGED = 4,
	FLAG_DELETED = 8,
	FLAG_DRAFT = 16,
};
enum special_use { /* RFC 6154 */
	SPECIAL_NONE,
	SPECIAL_ALL,
	SPECIAL_ARCHIVE,
	SPECIAL_DRAFTS,
	SPECIAL_FLAGGED,
	SPECIAL_JUNK,
	SPECIAL_SENT,
	SPECIAL_TRASH,
	SPECIAL_IMPORTANT
};
enum { KEYWORDS_MAX = 64, KEYWORD_MAX_BYTES = 64, MAILBOX_NAME_MAX_BYTES = 1000 };

struct mailbox_info {
	uint32_t id; /* never reused; names the mailbox across renames (OBJECTID later) */
	struct span name;
	uint32_t uid_validity, uid_next;
	uint64_t highest_modseq;
	uint32_t messages, unseen, deleted;
	uint64_t bytes;
	enum special_use special_use;
	bool subscribed;
	bool selectable; /* false: \NonExistent parent or only a subscription */
};
/* All mailboxes and subscriptions sorted by name; INBOX first. Results in the arena. */
must_use int store_list(
    struct store *s, struct arena *a, struct mailbox_info **ret, size_t *ret_count);
must_use int store_status(
    struct store *s, struct span name, struct arena *a, struct mailbox_info *ret); /* -ENOENT */
/*
 * -EEXIST, -EINVAL (name), -ENOTUNIQ (special use is taken), -ENOSPC (limit). Missing parents are
 * made.
 */
must_use int store_create(struct store *s, struct span name, enum special_use use);
must_use int store_delete(struct store *s, struct span name); /* -ENOENT, -EPERM (INBOX) */
/* With children. INBOX: its messages move to a new mailbox (RFC 3501 §6.3.5). */
must_use int store_rename(struct store *s, struct span from, struct span to);
must_use int store_subscribe(struct store *s, struct span name, bool on);

/* A message on its way in: an unnamed file until it is appended. */
struct draft;
#define DRAFT_MAX_BYTES UINT32_MAX
must_use int draft_new(struct store *s, struct draft **ret);
must_use int draft_write(struct draft *d, struct span bytes); /* -ENOSPC, -EFBIG */
void draft_free(struct draft *d); /* throws away what was not appended; NULL is fine */

struct append_item {
	struct draft *draft;
	unsigned flags;
	const struct span *keywords;
	size_t keyword_count;
	int64_t internal_date_s; /* seconds since 1970 */
	int16_t zone_minutes;	 /* offset of the date as it was given */
};
/* All or none (MULTIAPPEND later), files synced and linked first. Computes the cache entry too.
 * -ENOENT mailbox, -EDQUOT, -ENOSPC, -EINVAL (keyword). Then, too, the drafts are used up: a file
 * that had a name and lost it cannot be linked again. *ret_first_uid…: the uids are consecutive. */
must_use int store_append(struct store *s, struct span mailbox, const struct append_item *items,
    size_t count, uint32_t *ret_uid_validity, uint32_t *ret_first_uid);
/* Quota of the account, 0: none. */
void store_set_quota(struct store *s, uint64_t bytes, uint64_t messages);
must_use int store_usage(struct store *s, uint64_t *ret_bytes, uint64_t *ret_messages);

/*
 * A selected mailbox as one session sees it: a frozen map of sequence numbers to UIDs, as sorted
 * runs, that moves only in view_sync().
 */
struct view;
must_use int view_open(struct store *s, struct span mailbox, bool read_only, struct view **ret);
void view_close(struct view *v);
const struct mailbox_info *view_info(const struct view *v); /* as of the last sync */
uint32_t view_count(const struct view *v);
/* 1-based; 0 when out of range / not there. */
uint32_t view_uid(const struct view *v, uint32_t sequence);
uint32_t view_sequence(const struct view *v, uint32_t uid);
/* Sequence number of the first message with at least this uid; view_count()+1 when none. */
uint32_t view_sequence_from(const struct view *v, uint32_t uid);
uint32_t view_first_unseen(struct view *v); /* sequence number, 0: none */
/* Keyword names by bit number; the set grows by view_sync. */
const struct span *view_keywords(const struct view *v, size_t *ret_count);

struct message_info {
	uint32_t uid;
	unsigned flags;	   /* FLAG_* */
	uint64_t keywords; /* bits, view_keywords() */
	uint64_t modseq;
	int64_t internal_date_s, save_date_s;
	int16_t zone_minutes;
	uint32_t size; /* RFC822.SIZE */
	uint64_t id;   /* of the message file */
};
/*
 * Calls fn for each message of the view whose uid is in [first, last], in order, reading whole
 * pages. No lock is held while fn runs. fn returning non-zero ends it and is the answer. Messages
 * expunged by others since the last sync are skipped.
 */
must_use int view_each(struct view *v, uint32_t first_uid, uint32_t last_uid,
    int (*fn)(const struct message_info *m, void *context), void *context);
must_use int view_message(struct view *v, uint32_t uid, struct message_info *ret); /* -ENOENT */

/*
 * What happened since the last sync; expunges only when allowed. The view has changed already when
 * the first of these is called. Told in this order: expunged, from the highest sequence number
 * down, so that each number is right when it is told; exists; keywords; changed. Each may be NULL.
 */
struct view_changes {
	void (*expunged)(void *context, uint32_t sequence, uint32_t uid);
	void (*exists)(void *context, uint32_t count);
	void (*changed)(void *context, uint32_t sequence, const struct message_info *m);
	void (*keywords)(void *context); /* the keyword list grew */
	void *context;
};
/* -ENOENT: the mailbox has been deleted. */
must_use int view_sync(struct view *v, bool tell_expunges, const struct view_changes *changes);
/* Cheap: has anybody committed since the last sync? */
bool view_is_stale(struct view *v);

/* Sorted, disjoint, inclusive ranges of UIDs. */
struct uid_range {
	uint32_t first, last;
};
struct uid_set {
	const struct uid_range *ranges;
	size_t count;
};

enum flags_mode { FLAGS_REPLACE, FLAGS_ADD, FLAGS_REMOVE };
struct flags_change {
	enum flags_mode mode;
	unsigned flags;
	const struct span *keywords;
	size_t keyword_count;
	uint64_t unchanged_since; /* UINT64_MAX: no condition */
};
/*
 * One transaction. Own changes are told by the next view_sync unless silent. *ret_modified: UIDs
 * that failed unchanged_since, in the arena.
 */
must_use int view_store_flags(struct view *v, struct uid_set uids,
    const struct flags_change *change, bool silent, struct arena *a, struct uid_set *ret_modified);
/* -EROFS for a read-only view, here and in all changes.
 * Removes messages that are \Deleted and in uids (count 0 with ranges NULL: all). */
must_use int view_expunge(struct view *v, const struct uid_set *uids);
/* COPY and MOVE: *ret_from and *ret_to are parallel lists for COPYUID, in the arena. -ENOENT. */
must_use int view_copy(struct view *v, struct uid_set uids, struct span target, bool move,
    struct arena *a, uint32_t *ret_uid_validity, struct uid_set *ret_from, struct uid_set *ret_to);

/* The message file, read only; the caller closes it. -ENOENT after an expunge elsewhere. */
must_use int store_message_open(struct store *s, uint64_t message_id, int *ret_fd);
/* Envelope and structure as mime/summary.h serialises it; computed and stored if missing. */
must_use int store_summary(struct store *s, uint64_t message_id, struct arena *a, struct span *ret);

/*
 * Looks at everything: records, counts, references, files. 0: as it should be; -EUCLEAN: problems,
 * each told in a sentence; other errors: could not look. Holds off writers, not readers.
 */
struct store_check {
	void (*problem)(void *context, struct span text); /* may be NULL */
	void *context;
	int file_age_s; /* younger unreferenced files, on their way in perhaps, do not count */
};
struct store_check_result {
	uint64_t unreferenced_files; /* what a crash may leave; not a problem */
	uint64_t missing_files;
};
must_use int store_check(
    struct store *s, const struct store_check *options, struct store_check_result *ret);
#endif
