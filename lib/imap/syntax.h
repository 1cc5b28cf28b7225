#ifndef POSTERN_IMAP_SYNTAX_H
#define POSTERN_IMAP_SYNTAX_H
/*
 * What the arguments of IMAP commands mean, as parsed: flags, special uses, sections, fetch items,
 * search keys (RFC 9051 §9). Filled in by imap/command.h; everything lives in its arena.
 */
#include "imap/seqset.h"

/* System flags, RFC 9051 §2.3.2. The bits are the same as of the store's enum message_flag. */
enum imap_flag {
	IMAP_FLAG_SEEN = 1,
	IMAP_FLAG_ANSWERED = 2,
	IMAP_FLAG_FLAGGED = 4,
	IMAP_FLAG_DELETED = 8,
	IMAP_FLAG_DRAFT = 16,
};
/* A parsed list. \Recent in it is ignored: clients copy it from what they fetched. */
struct imap_flags {
	unsigned system;
	const struct span *keywords; /* each once, as written; ASCII case does not count */
	size_t keyword_count;
};

/* RFC 6154 §2; the numbers are the same as of the store's enum special_use. */
enum imap_special_use {
	IMAP_USE_NONE,
	IMAP_USE_ALL,
	IMAP_USE_ARCHIVE,
	IMAP_USE_DRAFTS,
	IMAP_USE_FLAGGED,
	IMAP_USE_JUNK,
	IMAP_USE_SENT,
	IMAP_USE_TRASH,
	IMAP_USE_IMPORTANT,
	IMAP_USE_COUNT,
};
/* "\Sent"; "" for IMAP_USE_NONE. */
const char *imap_special_use_name(enum imap_special_use use);

/* "section-spec" of RFC 9051 §9: "1.2.HEADER.FIELDS (To)". */
enum imap_section_text {
	IMAP_SECTION_ALL, /* no text: the whole message, or the body of the part */
	IMAP_SECTION_HEADER,
	IMAP_SECTION_HEADER_FIELDS,
	IMAP_SECTION_HEADER_FIELDS_NOT,
	IMAP_SECTION_TEXT,
	IMAP_SECTION_MIME, /* only with numbers */
};
struct imap_section {
	const uint32_t *numbers; /* "1.2" */
	size_t number_count;
	enum imap_section_text text;
	const struct span *fields; /* of HEADER.FIELDS, as written */
	size_t field_count;
};

enum imap_fetch_kind {
	IMAP_FETCH_UID,
	IMAP_FETCH_FLAGS,
	IMAP_FETCH_INTERNALDATE,
	IMAP_FETCH_RFC822_SIZE,
	IMAP_FETCH_ENVELOPE,
	IMAP_FETCH_BODY, /* structure without extension data */
	IMAP_FETCH_BODYSTRUCTURE,
	/*
	 * These have a section; RFC822, RFC822.HEADER and RFC822.TEXT are answered by those names.
	 */
	IMAP_FETCH_BODY_SECTION,
	IMAP_FETCH_RFC822,
	IMAP_FETCH_RFC822_HEADER,
	IMAP_FETCH_RFC822_TEXT,
};
struct imap_fetch_item {
	enum imap_fetch_kind kind;
	struct imap_section section; /* also filled in for the RFC822 ones */
	bool peek;		     /* does not set \Seen: BODY.PEEK, RFC822.HEADER */
	bool partial;		     /* <offset.count> */
	uint64_t offset, count;	     /* count ≥ 1 */
};

enum imap_search_kind {
	IMAP_SEARCH_ALL,
	IMAP_SEARCH_AND,      /* of the children (one or more) */
	IMAP_SEARCH_OR,	      /* two children */
	IMAP_SEARCH_NOT,      /* one child */
	IMAP_SEARCH_SEQUENCE, /* set */
	IMAP_SEARCH_UID,      /* set */
	IMAP_SEARCH_FLAG,     /* flag is set; UNSEEN is NOT of FLAG */
	IMAP_SEARCH_KEYWORD,  /* text: the keyword; UNKEYWORD is NOT of it */
	IMAP_SEARCH_RECENT,   /* RECENT, NEW (with NOT SEEN), OLD (NOT RECENT) */
	IMAP_SEARCH_BEFORE,   /* day; internal date, as local day of its zone */
	IMAP_SEARCH_ON,
	IMAP_SEARCH_SINCE,
	IMAP_SEARCH_SENT_BEFORE, /* day; of the Date field */
	IMAP_SEARCH_SENT_ON,
	IMAP_SEARCH_SENT_SINCE,
	IMAP_SEARCH_LARGER, /* number */
	IMAP_SEARCH_SMALLER,
	IMAP_SEARCH_HEADER,  /* name, text; SUBJECT is HEADER, too; text "": exists */
	IMAP_SEARCH_ADDRESS, /* name, text; FROM, TO, CC, BCC: HEADER, or in an address of it */
	IMAP_SEARCH_BODY,    /* text */
	IMAP_SEARCH_TEXT,    /* text */
};
struct imap_search_key {
	enum imap_search_kind kind;
	struct imap_search_key *children, *next; /* first child; next sibling */
	struct seqset set;
	unsigned flag;		/* one IMAP_FLAG_* */
	struct span name, text; /* text: bytes in the command's charset */
	int64_t day;		/* since 1970-01-01 */
	uint64_t number;
};
#endif
