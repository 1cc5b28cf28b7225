#ifndef POSTERN_IMAPD_CONTENT_H
#define POSTERN_IMAPD_CONTENT_H
/*
 * The text of one message, for SEARCH: encoded words, transfer encodings and charsets undone, then
 * i;unicode-casemap (RFC 5051), so that needles are found in any case. Opened only when a key asks.
 * Headers are looked at up to IMAPD_HEADER_BYTES_MAX each; bodies go by in pieces.
 */
#include "mime/message.h"
#include "store/store.h"

enum {
	CONTENT_NEEDLE_BYTES_MAX = 65536 * 6, /* of a mapped literal of the largest size */
	CONTENT_PIECE_BYTES = 49152,	      /* of a body in memory */
};

struct content {
	struct store *store;
	struct arena *arena; /* of one message */
	uint64_t message_id;
	int fd; /* -1: not open yet */
	const struct mime_message *structure;
	struct span header; /* of the whole message; unset: not read yet */
	int error;	    /* sticks: nothing matches any more */
};
#define CONTENT_OF(store_, arena_, id) \
	((struct content){.store = (store_), .arena = (arena_), .message_id = (id), .fd = -1})
void content_close(struct content *t);

/*
 * A search string as the functions below want it. NULs and broken UTF-8 become blanks and U+FFFD.
 */
struct span content_needle(struct span utf8, struct arena *a);

/* A field of that name whose value contains the needle; an empty needle: there is such a field. */
bool content_header_has(struct content *t, struct span name, struct span needle);
/*
 * The same, or the needle is in one of the field's addresses as ENVELOPE shows it: "local@domain".
 */
bool content_address_has(struct content *t, struct span name, struct span needle);
/*
 * Anywhere in the bodies of text parts or the headers of inner parts; with_header: in the header
 * too.
 */
bool content_body_has(struct content *t, struct span needle, bool with_header);
/* Day of the Date field in its own zone (days since 1970); false: none that is valid. */
bool content_sent_day(struct content *t, int64_t *ret_day);
#endif
