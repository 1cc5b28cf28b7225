#ifndef POSTERN_MIME_HEADER_H
#define POSTERN_MIME_HEADER_H
/*
 * The fields of a header section that is in memory (RFC 5322 §2.2). Lines end in CRLF, and in LF
 * alone for messages that came in so; a lone CR is an ordinary byte. A line that begins with SP or
 * HTAB continues the field above it. A line without a colon, or with blanks or control bytes in
 * the name, is junk: a field whose name is unset. Blanks between name and colon (RFC 5322 §4.5)
 * are allowed and not part of the name. Pure and linear.
 */
#include "base/str.h"

struct header_field {
	struct span name;  /* as written; unset for junk */
	struct span value; /* all after the colon but the last line end; folds are inside */
	struct span whole; /* name to line end, inclusive */
};

/*
 * Takes the next field from *rest. False at the end of the section: an empty line (which then is
 * what *rest begins with) or nothing left.
 */
bool header_next(struct span *rest, struct header_field *ret);
/* The first field of that name (ASCII case does not count); false when there is none. */
bool header_find(struct span section, struct span name, struct header_field *ret);
size_t header_count(struct span section, struct span name);
/* The value without folds (CR and LF dropped, blanks kept), trimmed at both ends; NULs dropped. */
void header_unfold(struct span value, struct str *out);
/*
 * HEADER.FIELDS and HEADER.FIELDS.NOT (RFC 9051 §6.4.5.1): the fields named, or all others, byte
 * for byte and in their order, and an empty line at the end. Junk is among "all others".
 */
enum header_choice { HEADER_NAMED, HEADER_NOT_NAMED };
void header_select(struct span section, enum header_choice choice, const struct span *names,
    size_t name_count, struct str *out);
#endif
