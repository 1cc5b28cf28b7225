#ifndef POSTERN_MIME_FIELDS_H
#define POSTERN_MIME_FIELDS_H
/* What single header fields mean for a part's description, within mime/ only. */
#include "mime/message.h"

enum { MIME_FIELD_NONE = -1 };

/*
 * The number of a field that is worth keeping, below 32, or MIME_FIELD_NONE. Envelope fields count
 * in the headers of messages only.
 */
int mime_field_find(struct span name, bool in_message);
/* Notes the value (unfolded) in the part, or in its envelope. */
void mime_field_take(
    int field, struct span value, struct arena *a, struct mime_part *part, struct mime_envelope *e);
#endif
