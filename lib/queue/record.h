#ifndef POSTERN_QUEUE_RECORD_H
#define POSTERN_QUEUE_RECORD_H
/* The records of queue.tdb as bytes. Decoded spans borrow `value`; a damaged record is -EUCLEAN. */
#include "queue/queue.h"

enum { QUEUE_RECORD_MAX_BYTES = 64 << 10 };

void queue_message_encode(const struct queue_message *m, struct str *out);
must_use int queue_message_decode(struct span value, struct span id, struct queue_message *ret);
void queue_recipient_encode(const struct queue_recipient *r, struct str *out);
must_use int queue_recipient_decode(
    struct span value, struct span id, uint32_t number, struct queue_recipient *ret);
/* A name for a notice of our own, in the form of the other ids but distinct from them. */
void queue_notice_id(char id[QUEUE_ID_MAX_BYTES]);
#endif
