#ifndef POSTERN_IMAP_CURSOR_H
#define POSTERN_IMAP_CURSOR_H
/*
 * The place where a parser of commands is (used within imap/ only). Each cursor_x() is one rule of
 * RFC 9051 §9: true and the cursor moved behind it, or false and the cursor where it was. The
 * functions built on them may leave it anywhere when they fail, as the whole command fails then.
 */
#include "imap/syntax.h"
#include "imap/write.h"

struct imap_cursor {
	struct span rest;
	struct arena *arena;
	enum imap_text mode;
	const char *error; /* the first that was noted; NULL: none */
	int code;	   /* of error: -EINVAL, -E2BIG, -EILSEQ */
};

/* Notes the error unless there is one; false, for `return cursor_fail(…)`. */
bool cursor_fail(struct imap_cursor *c, int code, const char *error);

bool cursor_char(struct imap_cursor *c, char wanted);
/* What the next byte is; false at the end, too. */
bool cursor_sees(const struct imap_cursor *c, char wanted);
/* SP; several in a row are not an error of their own but of what follows. */
bool cursor_sp(struct imap_cursor *c);
/* True at the end, blanks there ignored. */
bool cursor_end(const struct imap_cursor *c);

/* 1*ATOM-CHAR, ASCII only. */
bool cursor_atom(struct imap_cursor *c, struct span *ret);
/* Letters, digits and '.': the names of fetch items, section texts, STORE's items. */
bool cursor_name(struct imap_cursor *c, struct span *ret);
/* An atom that is this word in any case. */
bool cursor_word(struct imap_cursor *c, const char *word);
bool cursor_number(struct imap_cursor *c, uint64_t max, uint64_t *ret);
/* quoted / literal / non-synchronising literal; no NUL inside. */
bool cursor_string(struct imap_cursor *c, struct span *ret);
/* *ret is unset for NIL. */
bool cursor_nstring(struct imap_cursor *c, struct span *ret);
bool cursor_astring(struct imap_cursor *c, struct span *ret);
/* "list-mailbox": as astring, with wildcards. */
bool cursor_pattern(struct imap_cursor *c, struct span *ret);
/* An astring decoded by imap_mailbox_decode(); -EILSEQ where that fails. */
bool cursor_mailbox(struct imap_cursor *c, struct span *ret);
bool cursor_seqset(struct imap_cursor *c, struct seqset *ret);
/* "(\Seen foo)" or, for STORE, the same without parentheses up to the end. */
bool cursor_flag_list(struct imap_cursor *c, struct imap_flags *ret);
bool cursor_flags_bare(struct imap_cursor *c, struct imap_flags *ret);

/* A growing list of spans in the arena, at most IMAP_LIST_ITEMS_MAX. */
struct span_list {
	struct span *items;
	size_t count, allocated;
};
bool span_list_add(struct imap_cursor *c, struct span_list *list, struct span item);

/* fetch.c, search.c: what comes behind "FETCH set " and "SEARCH ". */
bool imap_parse_fetch_items(
    struct imap_cursor *c, const struct imap_fetch_item **ret, size_t *ret_count);
bool imap_parse_search(
    struct imap_cursor *c, struct span *ret_charset, const struct imap_search_key **ret);
#endif
