#ifndef POSTERN_IMAP_COMMAND_H
#define POSTERN_IMAP_COMMAND_H
/*
 * Client commands (RFC 9051 §6 and §9, RFC 3501, and the extensions named below), by recursive
 * descent over the whole command as imap/reader.h assembled it. Syntax only: nothing is done here,
 * no state is known. Strict where a second reading is possible, lenient on what clients send
 * (names in any case; blanks at the end of the line).
 *
 * A parsed command borrows from the text and from the arena: keep both.
 */
#include "imap/syntax.h"
#include "imap/write.h"

enum {
	IMAP_TAG_BYTES_MAX = 128,
	IMAP_LIST_ITEMS_MAX = 1000,  /* flags, fetch items, header fields, patterns, ID pairs … */
	IMAP_SEARCH_DEPTH_MAX = 100, /* parentheses, NOT and OR within each other */
	IMAP_SEARCH_KEYS_MAX = 5000,
	IMAP_SECTION_DEPTH_MAX = 100, /* numbers of one section */
};

enum imap_command_kind {
	IMAP_CAPABILITY,
	IMAP_NOOP,
	IMAP_LOGOUT,
	IMAP_ID, /* RFC 2971 */
	IMAP_STARTTLS,
	IMAP_AUTHENTICATE,
	IMAP_LOGIN,
	IMAP_ENABLE, /* RFC 5161 */
	IMAP_SELECT,
	IMAP_EXAMINE,
	IMAP_CREATE,
	IMAP_DELETE,
	IMAP_RENAME,
	IMAP_SUBSCRIBE,
	IMAP_UNSUBSCRIBE,
	IMAP_LIST,
	IMAP_LSUB,
	IMAP_NAMESPACE, /* RFC 2342 */
	IMAP_STATUS,
	IMAP_APPEND,
	IMAP_IDLE, /* RFC 2177 */
	IMAP_CHECK,
	IMAP_CLOSE,
	IMAP_UNSELECT, /* RFC 3691 */
	IMAP_EXPUNGE,  /* uid: UID EXPUNGE of RFC 4315 */
	IMAP_SEARCH,
	IMAP_FETCH,
	IMAP_STORE,
	IMAP_COPY,
	IMAP_MOVE, /* RFC 6851 */
	IMAP_COMMAND_COUNT,
};

/* In which states RFC 9051 §6 allows a command. */
enum imap_state {
	IMAP_STATE_NOT_AUTHENTICATED = 1,
	IMAP_STATE_AUTHENTICATED = 2,
	IMAP_STATE_SELECTED = 4,
};

enum imap_status_item { /* as bits */
	IMAP_STATUS_MESSAGES = 1,
	IMAP_STATUS_RECENT = 2,
	IMAP_STATUS_UIDNEXT = 4,
	IMAP_STATUS_UIDVALIDITY = 8,
	IMAP_STATUS_UNSEEN = 16,
};
enum imap_list_option { /* RFC 5258 §3, RFC 6154 §3: bits for selection and for return */
	IMAP_LIST_SUBSCRIBED = 1,
	IMAP_LIST_REMOTE = 2,	       /* selection only */
	IMAP_LIST_RECURSIVE_MATCH = 4, /* selection only */
	IMAP_LIST_SPECIAL_USE = 8,
	IMAP_LIST_CHILDREN = 16, /* return only */
};
enum imap_store_mode { IMAP_STORE_REPLACE, IMAP_STORE_ADD, IMAP_STORE_REMOVE };

struct imap_id_pair {
	struct span name, value; /* value unset: NIL */
};

struct imap_command {
	struct span tag;
	enum imap_command_kind kind;
	bool uid; /* UID FETCH, STORE, COPY, MOVE, SEARCH, EXPUNGE */
	union {
		struct {
			const struct imap_id_pair *pairs;
			size_t count;
		} id;
		struct {
			struct span mechanism;
			struct span initial; /* base64 as sent; unset: none; "" was "=" */
		} authenticate;
		struct {
			struct span user, password;
		} login;
		struct {
			const struct span *capabilities;
			size_t count;
		} enable;
		/* SELECT, EXAMINE, DELETE, SUBSCRIBE, UNSUBSCRIBE. Names: imap_mailbox_decode(). */
		struct {
			struct span name;
		} mailbox;
		struct {
			struct span name; /* without a "/" at the end (RFC 9051 §6.3.4) */
			/*
			 * 1 << enum imap_special_use; that of IMAP_USE_NONE: one that nobody knows
			 */
			unsigned uses;
		} create;
		struct {
			struct span from, to;
		} rename;
		struct {
			bool extended; /* has selection or return options or several patterns */
			unsigned selection, returned; /* IMAP_LIST_* */
			struct span reference;
			const struct span *patterns; /* UTF-8 */
			size_t pattern_count;	     /* 0: none that a name could match */
		} list;				     /* LSUB, too */
		struct {
			struct span name;
			unsigned items; /* IMAP_STATUS_* */
		} status;
		struct {
			struct span name;
			struct imap_flags flags;
			bool has_date;
			int64_t date_s;
			int16_t zone_minutes;
			uint64_t bytes; /* of the message, which is not part of the text */
			bool binary;	/* literal8 */
			bool utf8; /* UTF8 (~{…}) of RFC 6855 §4: a ")" follows the message */
		} append;
		struct {
			struct span charset; /* unset: none was given */
			const struct imap_search_key *key;
		} search;
		struct {
			struct seqset set;
			const struct imap_fetch_item
			    *items; /* macros expanded; items without a section once */
			size_t item_count;
		} fetch;
		struct {
			struct seqset set;
			enum imap_store_mode mode;
			bool silent;
			struct imap_flags flags;
		} store;
		struct {
			struct seqset set;
			struct span name;
		} copy; /* MOVE, too */
		struct {
			struct seqset set;
		} expunge; /* UID EXPUNGE only */
	};
};

/*
 * -EINVAL bad syntax, -ENOSYS no such command, -E2BIG some limit: answered BAD; -EILSEQ a string
 * that is no mailbox's name (not well-formed modified UTF-7, too long): NO. *ret_error is one line
 * of English for the client. The mode says how mailbox names are written.
 */
must_use int imap_command_parse(struct span text, enum imap_text mode, struct arena *a,
    struct imap_command *ret, const char **ret_error);
/* The tag of whatever this is; unset when there is none: answer "* BAD". */
struct span imap_command_tag(struct span text);
/*
 * The text after APPEND's message, as imap_reader_rest() leaves it: nothing, or ")" if utf8.
 * -EINVAL.
 */
must_use int imap_append_rest(struct span text, bool utf8);

/* "FETCH"; never with UID. */
const char *imap_command_name(enum imap_command_kind kind);
/* Set of enum imap_state. */
unsigned imap_command_states(enum imap_command_kind kind);
#endif
