#ifndef POSTERN_SMTP_DATA_H
#define POSTERN_SMTP_DATA_H
/*
 * The text between DATA and its end (RFC 5321 §4.5.2), both directions, in pieces of any size.
 *
 * The end of data is CR LF "." CR LF and nothing else. A bare CR or a bare LF, wherever it stands,
 * is counted and never taken for a line end: a message with one is to be refused after its end was
 * read, so that no two programs can disagree about where it ends.
 */
#include "base/span.h"

enum {
	/*
	 * RFC 5321 §4.5.3.1.6 has 1000 with CRLF. Longer lines exist, break nothing here (nothing
	 * is buffered by line) and are taken up to this.
	 */
	SMTP_TEXT_LINE_MAX_BYTES = 65536,
};

/* What was seen in text that passed; {0} begins. Shared by DATA (unstuffed bytes) and BDAT. */
struct smtp_text {
	bool bare;	    /* a CR without LF, or an LF without CR */
	bool nul;	    /* a NUL byte */
	bool eight_bit;	    /* a byte above 127 */
	bool line_too_long; /* more than SMTP_TEXT_LINE_MAX_BYTES */
	uint64_t bytes;
	uint64_t line_bytes; /* of the current line */
	bool after_cr;
};
void smtp_text_check(struct smtp_text *t, struct span bytes);
/* At the end: text must end in CRLF; a CR that waits for its LF is bare. */
void smtp_text_end(struct smtp_text *t);

enum smtp_data_state { /* where in CR LF "." CR LF; the start of data counts as behind CRLF */
	SMTP_DATA_LINE_START,
	SMTP_DATA_TEXT,
	SMTP_DATA_CR,
	SMTP_DATA_DOT,
	SMTP_DATA_DOT_CR,
	SMTP_DATA_END
};
struct smtp_unstuffer {
	enum smtp_data_state state; /* {0} begins */
};
/*
 * Takes input up to the end of data, or all of it; hands the text without its stuffing to sink, in
 * order, in as few pieces as can be. Answers how many bytes it took: fewer than input.n only at the
 * end, when state is SMTP_DATA_END.
 */
size_t smtp_unstuff(struct smtp_unstuffer *u, struct span input,
    void (*sink)(void *context, struct span bytes), void *context);

/*
 * The other way: canonical text → stuffed text. -EBADMSG at a bare CR or LF: nothing more may be
 * sent, and the connection must be dropped, not ended with a dot.
 */
struct smtp_stuffer {
	enum smtp_data_state state;
};
must_use int smtp_stuff(struct smtp_stuffer *s, struct span input,
    void (*sink)(void *context, struct span bytes), void *context);
/*
 * What ends the data: ".\r\n", with a CRLF before it where the text did not end in one. -EBADMSG.
 */
must_use int smtp_stuff_end(
    struct smtp_stuffer *s, void (*sink)(void *context, struct span bytes), void *context);
#endif
