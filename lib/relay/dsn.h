#ifndef POSTERN_RELAY_DSN_H
#define POSTERN_RELAY_DSN_H
/*
 * Delivery status notifications (RFC 3461 to 3464, 6533): one message about all recipients of a
 * message with the same notice. Pure: bytes in, bytes out.
 */
#include "queue/queue.h"

enum { DSN_MAX_BYTES = 4 << 20, DSN_RETURNED_MAX_BYTES = 1 << 20, DSN_HEADER_MAX_BYTES = 64 << 10 };

struct dsn {
	struct span hostname;
	struct span from, to;	  /* addresses; from is the postmaster's */
	int64_t now_s, expires_s; /* expires_s: for delays, when it will be given up */
	const struct queue_message *message;
	const struct queue_recipient *recipients;
	size_t recipient_count;
	enum queue_notice notice;
	struct span returned; /* the message: its header, or all of it */
	bool returned_is_full;
	struct span boundary; /* random, must not occur in `returned` */
};
/* -EMSGSIZE. */
must_use int dsn_write(const struct dsn *d, struct str *out);
#endif
