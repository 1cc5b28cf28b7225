#ifndef POSTERN_MIME_SUMMARY_H
#define POSTERN_MIME_SUMMARY_H
/*
 * What is known about a message without reading it again: struct mime_message as a compact record,
 * the value in cache.tdb. From it alone come ENVELOPE, BODY, BODYSTRUCTURE, and the offsets of
 * every BODY[…] (imap/body.h). At most MIME_SUMMARY_BYTES_MAX, usually below 1 KiB.
 *
 * Made while a message goes by, or from its file afterwards; the caller does the reading:
 *
 *	struct mime_parser *p = mime_parser_new();
 *	… mime_parser_feed(p, piece) …
 *	error = mime_summary_encode(mime_parser_end(p), &record);
 *
 * Format: u8 MIME_SUMMARY_VERSION, u8 flags, u32 bytes, u16 parts, then the parts, in base/codec.h.
 * A record of another version, or a damaged one, is -EBADMSG: the caller makes it anew.
 */
#include "mime/message.h"

enum { MIME_SUMMARY_VERSION = 1, MIME_SUMMARY_BYTES_MAX = 2 * 1024 * 1024 };

/* Appends. -EFBIG for NULL (a message of 4 GiB or more), -EMSGSIZE past out's maximum. */
must_use int mime_summary_encode(const struct mime_message *m, struct str *out);
/*
 * Checks everything, offsets and tree included. Spans borrow the record; the rest is in the arena.
 */
must_use int mime_summary_decode(
    struct span record, struct arena *a, const struct mime_message **ret);
#endif
