#ifndef POSTERN_MIME_LEXER_H
#define POSTERN_MIME_LEXER_H
/*
 * Tokens of structured header fields (RFC 5322 §3.2, RFC 2045 §5.1), within mime/ only. Nothing
 * fails: what does not end, ends with the input, and `broken` is set.
 */
#include "base/str.h"

struct lexer {
	struct span rest;
	bool broken;
};

/*
 * Skips blanks, line ends, NULs and comments. *comment (NULL: not wanted) gets the inside of the
 * last one. True when anything was skipped.
 */
bool lexer_skip(struct lexer *l, struct span *comment);
/* The next byte, or -1 at the end. */
int lexer_peek(const struct lexer *l);
bool lexer_char(struct lexer *l, char c);
/* A quoted string is next: its contents, quotes and folds undone, are appended. */
void lexer_quoted(struct lexer *l, struct str *out);
/* The same for any escaped text (comments). */
void lexer_unescape(struct span text, struct str *out);
/* The longest run without specials, blanks and controls (8-bit bytes are in it); may be empty. */
struct span lexer_atom(struct lexer *l);  /* specials of RFC 5322: ( ) < > [ ] : ; @ \ , . " */
struct span lexer_token(struct lexer *l); /* tspecials of RFC 2045: ( ) < > @ , ; : \ " / [ ] ? = */
/* Moves to the next ';' outside of quotes and comments, or to the end. */
void lexer_to_semicolon(struct lexer *l);
#endif
