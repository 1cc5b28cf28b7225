#ifndef POSTERN_MIME_MESSAGE_H
#define POSTERN_MIME_MESSAGE_H
/*
 * The structure of a message (RFC 5322, 2045, 2046), found in one linear pass over its bytes as
 * they come, in pieces of any size. Nothing of bodies is kept; what is kept is bounded by the
 * constants below, whatever the message. Every message has a structure: nothing here fails.
 *
 *	struct mime_parser *p = mime_parser_new();
 *	while (more) mime_parser_feed(p, bytes);
 *	const struct mime_message *m = mime_parser_end(p); // lives until mime_parser_free(p)
 *
 * Defined behaviour for what the RFCs do not allow:
 * - Lines end in CRLF or LF; a lone CR and a NUL are ordinary bytes. NULs are dropped from values.
 * - A line of a header without a colon is ignored; only an empty line (or a delimiter of a
 *   multipart around, or the end) ends a header. Of several fields of one name the first counts.
 * - A delimiter is a line that begins with "--" and the boundary (RFC 2046 §5.1.1); if several
 *   open multiparts match, the longest boundary wins, then the innermost. It ends all parts inside.
 * - Missing close delimiters: parts end where the multipart around ends.
 * - A multipart without usable boundary, or deeper than MIME_DEPTH_MAX, is a leaf, text/plain; a
 *   message deeper than that is one, application/octet-stream. Past MIME_PARTS_MAX no further part
 *   begins: the bytes belong to the last one.
 * - A Content-Type that is missing or broken: text/plain; charset=us-ascii; directly within
 *   multipart/digest: message/rfc822.
 */
#include "mime/address.h"
#include "mime/parameter.h"

enum {
	MIME_PARTS_MAX = 1000,
	MIME_DEPTH_MAX = 50,		  /* open multiparts and messages within each other */
	MIME_BOUNDARY_BYTES_MAX = 200,	  /* RFC 2046 §5.1.1 allows 70 */
	MIME_FIELD_BYTES_MAX = 65536,	  /* of one header field; the rest of it is ignored */
	MIME_KEPT_BYTES_MAX = 512 * 1024, /* of all values together, as parsed */
};

struct mime_envelope { /* RFC 9051 §7.5.2; values unfolded and trimmed, unset: no such field */
	struct span date, subject, in_reply_to, message_id;
	struct address_list from, sender, reply_to, to, cc, bcc; /* count 0: none */
	bool date_is_valid;
	int64_t date_s; /* of the Date field, UTC */
	int16_t date_zone_minutes;
};

enum mime_kind {
	MIME_LEAF,
	MIME_MULTIPART, /* its children, if any, are its parts */
	MIME_MESSAGE,	/* message/rfc822, message/global: its one child is the message inside */
};
enum { MIME_NO_PART = 0 }; /* parts[0] is nobody's child */

struct mime_part {
	enum mime_kind kind;
	uint32_t parent, first_child, next; /* indices into parts[]; MIME_NO_PART: none */
	/* Offsets from the start of the outermost message. header_start ≤ body_start ≤ body_end. */
	uint32_t header_start;	   /* MIME header, or the header of a message */
	uint32_t body_start;	   /* behind the empty line */
	uint32_t body_end;	   /* before the line end that belongs to a delimiter */
	uint32_t body_lines;	   /* LF bytes in the body */
	struct span type, subtype; /* as written; always set */
	struct parameters parameters;
	struct span encoding; /* Content-Transfer-Encoding's token; unset: none (7bit) */
	struct span id, description, md5, location; /* unset: none */
	struct span disposition;
	struct parameters disposition_parameters;
	const struct span *languages;
	size_t language_count;
	const struct mime_envelope
	    *envelope; /* of parts that are messages: [0] and in MIME_MESSAGE */
};

struct mime_message {
	const struct mime_part *parts; /* in the order of the message; at least one */
	size_t part_count;
	uint32_t bytes; /* of the whole message */
	bool cut;	/* some limit was met, something is missing here */
};

struct mime_parser;
struct mime_parser *mime_parser_new(void);
void mime_parser_free(struct mime_parser *p); /* NULL is fine */
void mime_parser_feed(struct mime_parser *p, struct span bytes);
/* Once. NULL for a message of 4 GiB or more. */
const struct mime_message *mime_parser_end(struct mime_parser *p);
#endif
