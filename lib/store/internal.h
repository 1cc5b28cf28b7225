#ifndef POSTERN_STORE_INTERNAL_H
#define POSTERN_STORE_INTERNAL_H
/*
 * The records of index.tdb and who reads and writes them. For lib/store/ alone.
 *
 *	key                  value
 *	"G"                  struct global: counters of the account
 *	"N"                  every mailbox and subscription by name (names.c)
 *	"M" mailbox          struct mailbox_head, keywords, page directory (mailbox.c)
 *	"P" mailbox, base    one page: 1 to PAGE_ENTRIES struct page_entry by UID (page.c)
 *	"X" mailbox          expunge log: when which UIDs went (mailbox.c)
 *	"R" serial / 256     struct reference of each message file, by id (reference.c)
 *
 * Numbers in keys are big-endian, structures are the machine's own, as is the whole of a tdb file:
 * an account moves to another kind of machine by export. All structures are free of padding, and
 * everything read is checked: -EUCLEAN, never a crash.
 *
 * A page covers the UIDs from its base up to the next page's base. The base never changes, UIDs
 * only grow, and an empty page is deleted; so pages are never split, merged or reordered, and a
 * page whose modseq is as it was is unchanged. The directory repeats of each page what SELECT wants
 * to know: a page without gaps (count = last − first + 1) need not be read for that.
 *
 * Message ids are serial << 8 | folder. The serial is a counter and not random, so that messages of
 * one time share a reference page and a folder of files. Two sessions may pick the same serial: the
 * second finds the name taken (link: EEXIST) and takes the next, or has another folder and thereby
 * another id.
 */
#include "base/arena.h"
#include "db/db.h"
#include "store/store.h"

enum {
	STORE_FORMAT = 1,
	PAGE_ENTRIES = 256,
	REFERENCES_PER_PAGE = 256, /* serials; ids may be more (several folders) */
	MAILBOXES_MAX = 10000,
	MAILBOX_PAGES_MAX = 65536, /* 16 million messages */
	EXPUNGE_LOG_MAX = 2048,	   /* ranges; the older half is forgotten past it */
	EXPECTED_RECORDS = 16384,
	CACHE_EXPECTED_RECORDS = 65536,
	FLAGS_ALL = FLAG_SEEN | FLAG_ANSWERED | FLAG_FLAGGED | FLAG_DELETED | FLAG_DRAFT,
	RECORD_MAX_BYTES = DB_VALUE_MAX_BYTES,
};

struct store {
	struct db *index, *cache; /* cache may be NULL: everything is computed then */
	int dirfd;		  /* borrowed */
	int message_dirfd;	  /* msg/ */
	int changes_fd;
	uint64_t quota_bytes, quota_messages;
};

struct global {
	uint32_t format, next_mailbox_id;
	uint32_t uid_validity;	   /* the last one given out; strictly increasing */
	uint32_t retired_validity; /* the highest of mailboxes that lost their name */
	uint64_t next_serial;
	uint64_t bytes, messages; /* of all mailboxes together, for quota */
};

/* One transaction: store_begin(), changes, then store_commit() or store_cancel(). */
must_use int store_begin(struct store *s, struct global *ret);
/* Writes the counters, commits, touches changes. On failure nothing has happened. */
must_use int store_commit(struct store *s, const struct global *global);
void store_cancel(struct store *s);
must_use int global_load(struct store *s, struct global *ret);

struct key {
	char bytes[9];
	uint8_t n;
};
struct key key_of(char kind);
struct key key_of_u32(char kind, uint32_t number);
struct key key_of_u64(char kind, uint64_t number);
struct key key_of_page(uint32_t mailbox_id, uint32_t base_uid);
static inline struct span key_span(const struct key *key)
{
	return span_of(key->bytes, key->n);
}

/* names.c: sorted bytewise, INBOX first. id 0: only a subscription. */
struct name {
	uint32_t id;
	uint8_t special_use;
	bool subscribed;
	struct span text;
};
struct names {
	struct name *all;
	size_t count, allocated;
	struct arena *arena;
};
must_use int names_load(struct store *s, struct arena *a, struct names *ret);
must_use int names_save(struct store *s, const struct names *names);
struct name *names_find(const struct names *names, struct span text);
/* In its place; the text is borrowed. -ENOSPC at the limit. Pointers into names become invalid. */
must_use int names_add(struct names *names, const struct name *name);
void names_remove(struct names *names, struct name *name);
int name_compare(struct span a, struct span b);
/* -EINVAL: not UTF-8 in NFC, too long, control characters, an empty part. INBOX in any spelling is
 * fine and comes back as "INBOX" (also as the first part). */
must_use int name_normalise(struct span text, struct arena *a, struct span *ret);
/* The mailbox of that name. -ENOENT. */
must_use int name_lookup(struct store *s, struct span text, struct arena *a, struct name *ret);

/* mailbox.c */
struct mailbox_head {
	uint32_t id, uid_validity, uid_next, messages;
	uint64_t highest_modseq, bytes;
	uint32_t unseen, deleted;
	uint32_t keyword_count, keyword_bytes, page_count, reserved;
};
struct page_ref {
	uint64_t modseq; /* highest of its messages and of expunges from it */
	uint32_t base_uid, first_uid, last_uid;
	uint16_t count, unseen, deleted;
	uint16_t reserved[3];
};
struct mailbox {
	struct mailbox_head head;
	struct page_ref *pages;
	size_t pages_allocated;
	struct str keyword_bytes; /* of each: length byte, text */
	struct span keywords[KEYWORDS_MAX];
};
must_use int mailbox_load(struct store *s, uint32_t id, struct mailbox *ret);
/* The head alone. */
must_use int mailbox_head_load(struct store *s, uint32_t id, struct mailbox_head *ret);
must_use int mailbox_save(struct store *s, const struct mailbox *m);
void mailbox_clear(struct mailbox *m); /* accepts a zeroed one */
/* A new, empty one with an id and UIDVALIDITY from the counters; not saved. */
void mailbox_init(struct mailbox *m, struct global *global);
uint32_t next_uid_validity(struct global *global);
void mailbox_info_fill(
    struct mailbox_info *info, const struct name *name, const struct mailbox_head *head);
/* Bits of these keywords (case-insensitive). Unknown ones are added, or left out when !add.
 * -ENOSPC past KEYWORDS_MAX, -EINVAL for a bad name. */
must_use int mailbox_keyword_bits(
    struct mailbox *m, const struct span *keywords, size_t count, bool add, uint64_t *ret_bits);
/* Index of the first page whose last UID is at least uid; page_count when none. */
size_t mailbox_page_from(const struct mailbox *m, uint32_t uid);
/* Log of expunges, written whole: appends ranges at this modseq. */
must_use int expunge_log_add(struct store *s, uint32_t mailbox_id, uint64_t modseq,
    const struct uid_range *ranges, size_t count);
struct expunge_log_entry {
	uint64_t modseq;
	uint32_t first, last;
};

/* page.c */
struct page_entry {
	uint64_t id, keywords, modseq;
	int64_t internal_date_s, save_date_s;
	uint32_t uid, size;
	uint16_t flags;
	int16_t zone_minutes;
	uint32_t reserved;
};
struct page {
	uint32_t count;
	struct page_entry entries[PAGE_ENTRIES];
};
void free_page(struct page **page); /* for cleanup() */
must_use int page_load(
    struct store *s, uint32_t mailbox_id, const struct page_ref *ref, struct page *page);
/*
 * Writes the page and brings directory and counts of the mailbox up to date. An empty page is
 * deleted and leaves the directory: true in *ret_gone, if asked for.
 */
must_use int page_save(struct store *s, struct mailbox *m, size_t index, const struct page *page,
    uint64_t modseq, bool *ret_gone);
/*
 * Appends messages: gives them the next UIDs, this modseq and their save date; counts bytes and
 * messages in mailbox and account. entries[].uid tells the UID. -ENOSPC when UIDs or pages run out.
 */
must_use int page_append(struct store *s, struct global *global, struct mailbox *m,
    struct page_entry *entries, size_t count, uint64_t modseq);
void page_entry_info(const struct page_entry *entry, struct message_info *info);

/* reference.c */
enum { DIGEST_BYTES = 32 };
struct reference {
	uint64_t id;
	uint32_t count, size;
	uint8_t digest[DIGEST_BYTES]; /* SHA-256 of the file */
};
/* What shall be added to the count of one message; a new message brings size and digest. */
struct reference_change {
	uint64_t id;
	int32_t delta;
	uint32_t size;
	const uint8_t *digest; /* NULL: must be there already, else -EUCLEAN */
};
/* Ids of messages that nobody refers to any more. */
struct id_list {
	uint64_t *ids;
	size_t count, allocated;
};
void id_list_add(struct id_list *list, uint64_t id);
void id_list_clear(struct id_list *list);
/* Sorts and joins changes. Ids whose count came down to 0 are appended to *freed. */
must_use int references_change(
    struct store *s, struct reference_change *changes, size_t count, struct id_list *freed);
must_use int reference_load(struct store *s, uint64_t id, struct reference *ret); /* -ENOENT */
/* Is there a message of the serials around this one in that folder? */
bool references_know_folder(struct store *s, uint64_t serial, uint8_t folder);
/* After the commit: removes files and cache entries. A crash here leaves unreferenced files. */
void messages_remove(struct store *s, const struct id_list *freed);
enum { MESSAGE_FOLDERS = 256, MESSAGE_NAME_CHARS = 17, FOLDER_NAME_CHARS = 3 };
void message_file_name(uint64_t id, char name[MESSAGE_NAME_CHARS]);
void message_folder_name(uint64_t id, char name[FOLDER_NAME_CHARS]);
static inline uint64_t id_serial(uint64_t id)
{
	return id >> 8;
}

/*
 * cache.c: the record "S" id in cache.tdb: u32 checksum, then the summary. Whatever goes wrong
 * there is nobody's business but the reader's, who computes it again.
 */
void cache_put(struct store *s, uint64_t id, struct span summary);
must_use int cache_get(
    struct store *s, uint64_t id, struct arena *a, struct span *ret); /* -ENOENT */
void cache_forget(struct store *s, uint64_t id);

/* summary.c: of a message that has just come in, from the parser that saw it pass by; ends it. */
struct mime_parser;
void cache_fill(struct store *s, uint64_t id, struct mime_parser *parser);

/* view.c */
struct run {
	uint32_t uid, sequence, count; /* sequence numbers from 1 */
};
struct view_page {
	uint64_t modseq;
	uint32_t base_uid, count; /* messages in the view, not in the page */
	bool pending;		  /* has expunged messages that were not told yet */
};
struct view {
	struct store *store;
	struct mailbox_info info;
	char *name; /* behind info.name */
	bool read_only;
	bool pending;	      /* some page is */
	uint32_t sequence;    /* db_sequence() at the last sync */
	uint64_t told_modseq; /* everything up to here is known to the client */
	uint32_t last_uid;    /* the highest UID that belongs to the view */
	uint32_t count;
	struct run *runs;
	size_t run_count, runs_allocated;
	struct view_page *pages;
	size_t page_count, pages_allocated;
	struct str keyword_bytes;
	struct span keywords[KEYWORDS_MAX];
	size_t keyword_count;
	/* Own changes that need not be told, and messages which in these had news of others. */
	uint64_t *silent_modseqs;
	size_t silent_count, silent_allocated;
	struct id_list tell_anyway;
};
/* Adds UIDs, greater than all before, to the end of runs. */
void runs_add(struct run **runs, size_t *count, size_t *allocated, uint32_t uid, uint32_t n);
void view_keep_head(struct view *v, const struct mailbox *m);
/* Page by its base, as it is now; count 0 when it is gone. */
must_use int view_page_load(struct view *v, const struct view_page *which, struct page *page);

/* Is uid in the set? Ranges are sorted and disjoint; *hint is where to look first, start with 0. */
bool uid_set_has(struct uid_set set, uint32_t uid, size_t *hint);
/* Appends uid to a growing list of ranges in which uids come in order. */
struct range_list {
	struct uid_range *ranges;
	size_t count, allocated;
};
void range_list_add(struct range_list *list, uint32_t uid);
void range_list_add_range(struct range_list *list, uint32_t first, uint32_t last);
void range_list_clear(struct range_list *list);
struct uid_set range_list_copy(const struct range_list *list, struct arena *a);
#endif
