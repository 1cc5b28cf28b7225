#ifndef POSTERN_RELAY_PLAN_H
#define POSTERN_RELAY_PLAN_H
/*
 * Where a recipient goes at this attempt (local first; then override, account routes, routes
 * of the sender's domain, global routes; else direct), by the configuration as it is now.
 */
#include "conf/config.h"
#include "queue/queue.h"

enum plan_kind {
	PLAN_LOCAL,	/* into the mailbox of `account` */
	PLAN_TRANSPORT, /* through `transport` */
	PLAN_DIRECT,	/* to the MX of `domain` */
	PLAN_ANSWER,	/* no attempt: code, enhanced, text are the result (4xx: later) */
};
struct plan {
	enum plan_kind kind;
	struct span account;
	struct config_transport transport;
	struct span domain; /* of the recipient, A-labels */
	struct span name;   /* for the record: "local", "direct", the transport's name */
	struct span route;  /* "file:line" of the route that matched; empty: none */
	struct span hop;    /* recipients with equal hops can share a worker */
	uint32_t code;
	struct span enhanced, text;
};
/* Results are in the arena. Errors are those of reading the configuration. */
must_use int plan_recipient(struct config *c, const struct queue_message *m,
    const struct queue_recipient *r, struct arena *a, struct plan *ret);
#endif
