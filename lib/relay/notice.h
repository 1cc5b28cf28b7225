#ifndef POSTERN_RELAY_NOTICE_H
#define POSTERN_RELAY_NOTICE_H
/*
 * From the result of an attempt to what the sender is told: gives up what is too old, decides
 * whether a notice (DSN) is due, makes it. A notice goes to the message's sender, who is local,
 * through the queue; about a notice there is none, only the postmaster's copy.
 */
#include "conf/config.h"
#include "queue/queue.h"

struct notice_context {
	struct queue *queue;
	struct config *config;
	const struct config_global *global;
	int64_t now_s;
};
/* Records the result of one recipient, with the notice that is due because of it. */
must_use int notice_record(const struct notice_context *c, const struct queue_message *m,
    const struct queue_recipient *r, enum queue_result result, const struct queue_attempt *attempt);
/* Makes the notices that are due among these recipients of the message: one for each kind. */
must_use int notice_send(
    const struct notice_context *c, struct span id, const uint32_t *numbers, size_t count);
#endif
