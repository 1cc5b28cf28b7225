#ifndef POSTERN_IMAP_READER_H
#define POSTERN_IMAP_READER_H
/*
 * Assembles one whole command from the stream: lines, and the literals between them (RFC 9051
 * §4.3, LITERAL+ of RFC 7888), under the limits of its caller; sends "+ " continuations itself.
 * The result is what imap/command.h parses: all in memory, literals in place as "{3}CRLFabc",
 * without the last line end.
 *
 * One thing is never held in memory, APPEND's message: at its literal the reader stops.
 *
 *	enum imap_read r = imap_reader_next(&reader);
 *	if (r == IMAP_READ_APPEND) {
 *		parse reader.text (it ends in "{310}" CRLF): mailbox, flags, date, size;
 *		if refused: imap_reader_refuse(&reader), and the tagged NO or BAD;
 *		imap_reader_accept(&reader);
 *		take exactly reader.literal.bytes from the stream, into a file;
 *		r = imap_reader_rest(&reader), then imap_append_rest() (command.h) on reader.line
 *	}
 *
 * Lines end in CRLF; LF alone is taken too, as nothing is ambiguous here. AUTHENTICATE's responses
 * and IDLE's DONE are no commands: their callers use stream_read_line().
 */
#include "io/stream.h"

struct imap_limits {
	size_t line_bytes;    /* of each line, literal marker included */
	size_t literal_bytes; /* of each literal in memory */
	size_t total_bytes;   /* of the command in memory */
	uint64_t
	    discard_bytes; /* of refused non-synchronising literals that are read and dropped */
};
/*
 * An ID may have 30 fields with values of 1,024 bytes (RFC 2971 §3.3): 32 KiB, before login, too.
 */
#define IMAP_LIMITS_BEFORE_LOGIN                   \
	((struct imap_limits){.line_bytes = 32768, \
	    .literal_bytes = 1024,                 \
	    .total_bytes = 40960,                  \
	    .discard_bytes = 65536})
#define IMAP_LIMITS_AFTER_LOGIN                    \
	((struct imap_limits){.line_bytes = 65536, \
	    .literal_bytes = 65536,                \
	    .total_bytes = 262144,                 \
	    .discard_bytes = 64 * 1024 * 1024})

struct imap_literal {
	uint64_t bytes;
	bool synchronising; /* {n}: the client waits for "+ "; {n+}: it does not */
	bool binary;	    /* ~{n}: literal8 of RFC 9051 §9 */
};

enum imap_read {
	IMAP_READ_COMMAND,
	IMAP_READ_APPEND, /* stopped before APPEND's message, `literal` describes it */
	/*
	 * A literal past literal_bytes, or that makes the command pass total_bytes. It was refused
	 * already (imap_reader_refuse()): answer NO or BAD [TOOBIG] to imap_command_tag(text), go
	 * on.
	 */
	IMAP_READ_LITERAL_TOO_BIG,
	/* A line past line_bytes, thrown away but for the command's tag (imap_command_tag(text)). A
	 * literal may have been announced in it, so that what follows cannot be understood: answer
	 * BAD, say BYE and close. */
	IMAP_READ_LINE_TOO_LONG,
	IMAP_READ_LOST,	 /* a refused literal is past discard_bytes: say BYE and close */
	IMAP_READ_EOF,	 /* at the start of a command or inside */
	IMAP_READ_ERROR, /* stream_error() */
};

struct imap_reader {
	struct stream *stream; /* borrowed */
	struct imap_limits limits;
	struct str text;	     /* of the command so far */
	struct imap_literal literal; /* pending, after IMAP_READ_APPEND */
	struct str line;	     /* the last line; after imap_reader_rest(): the rest */
};

void imap_reader_init(
    struct imap_reader *r, struct stream *stream, const struct imap_limits *limits);
/* Overwrites what was read: it may be a password. */
void imap_reader_clear(struct imap_reader *r);

/* The next command, from its first line. */
enum imap_read imap_reader_next(struct imap_reader *r);
/* After IMAP_READ_APPEND: "+ " if the client waits for it. Errors stick to the stream. */
void imap_reader_accept(struct imap_reader *r);
/*
 * After IMAP_READ_APPEND, instead: the client keeps a synchronising literal for itself; others are
 * read and thrown away, with the rest of the command. IMAP_READ_COMMAND: go on with the next
 * command; else _LOST, _LINE_TOO_LONG, _EOF, _ERROR.
 */
enum imap_read imap_reader_refuse(struct imap_reader *r);
/*
 * After the message was taken from the stream: the rest of the command, in `line`; `text`, from
 * which the parsed command borrows, stays. IMAP_READ_COMMAND; IMAP_READ_APPEND if one more literal
 * was announced (MULTIAPPEND, CATENATE); else _LINE_TOO_LONG, _EOF, _ERROR.
 */
enum imap_read imap_reader_rest(struct imap_reader *r);

/*
 * Does the line end in a literal marker ("{3}", "{3+}", "~{3}")? A number of more than 63 bits
 * (RFC 9051 §9 "number64") is taken for INT64_MAX: too big for anybody.
 */
bool imap_literal_marker(struct span line, struct imap_literal *ret);
#endif
