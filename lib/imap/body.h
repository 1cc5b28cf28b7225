#ifndef POSTERN_IMAP_BODY_H
#define POSTERN_IMAP_BODY_H
/*
 * FETCH's ENVELOPE, BODY, BODYSTRUCTURE (RFC 9051 §7.5.2) from a message's structure, and where in
 * the message BODY[section] is. The structure comes from mime/summary.h: the message stays closed.
 */
#include "imap/write.h"
#include "mime/message.h"

/* "(…)" of the outermost message. */
void imap_put_envelope(struct str *out, const struct mime_message *m, enum imap_text mode);
enum imap_body { IMAP_BODY, IMAP_BODYSTRUCTURE };
/*
 * "(…)"; a multipart without parts is shown with one empty text/plain part, as the grammar wants.
 */
void imap_put_body(
    struct str *out, const struct mime_message *m, enum imap_body form, enum imap_text mode);

struct imap_range {
	uint32_t offset, bytes; /* within the message */
};
/*
 * Where the section is (RFC 9051 §6.4.5.1). HEADER.FIELDS and .NOT give the whole header: read it
 * and use header_select(). -ENOENT: there is no such part, answer NIL.
 */
must_use int imap_section_locate(
    const struct mime_message *m, const struct imap_section *section, struct imap_range *ret);
/* Cuts the range to <offset.count> of a fetch item. */
void imap_range_cut(struct imap_range *range, const struct imap_fetch_item *item);
#endif
