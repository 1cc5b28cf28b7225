#ifndef POSTERN_QUEUE_QUEUE_H
#define POSTERN_QUEUE_QUEUE_H
/*
 * The queue: queue/queue.tdb (one record per message and per recipient, and the schedule) and
 * queue/msg/ID (one immutable file per message, the one that came in). Used by the queue-runner,
 * which holds queue/lock, and by `postern queue`; every change is one synced transaction.
 *
 * Records:
 *	m:ID         the message: account, sender, flags, where in msg/ID the text is, recipients
 *	r:ID:N       the recipient: address, attempts so far and the next, notice due, last ones
 *	d:MINUTE     recipients due in that minute: a run reads only what is due
 *	buckets      the minutes that have a record, sorted
 *
 * States that a crash can leave, and who repairs them:
 *	incoming/A/ID and msg/ID, no m:ID    take-in was cut short: queue_take_in() again goes on
 *	incoming/A/ID and m:ID               likewise: the incoming name is removed, nothing doubles
 *	msg/ID, no m:ID and no incoming/A/ID finished, the file not removed: queue_sweep() does it
 *	m:ID, attempt registered, no result  the attempt is lost, the next one comes by schedule
 *	r:ID:N with a notice due             the notice (DSN) is made by the next run
 */
#include "base/arena.h"
#include "queue/incoming.h"

enum { QUEUE_ATTEMPTS_KEPT = 8, QUEUE_TEXT_MAX_BYTES = 1024, QUEUE_ID_MAX_BYTES = 40 };

enum queue_notice { /* a DSN that is still to be made, RFC 3464 §2.3.3 */
	QUEUE_NOTICE_NONE,
	QUEUE_NOTICE_FAILED,
	QUEUE_NOTICE_DELAYED,
	QUEUE_NOTICE_RELAYED,
	QUEUE_NOTICE_DELIVERED
};

struct queue_attempt {
	int64_t when_s;
	struct span transport; /* its name; "local", "direct" */
	struct span route;     /* "file:line"; empty: none matched */
	struct span host;      /* that answered, with address; may be empty */
	uint32_t code;	       /* of the answer; 0: there was none */
	struct span enhanced, text;
};
struct queue_message {
	struct span id, account, sender, envid, client;
	int64_t received_s;
	enum queue_body body;
	bool smtputf8, require_tls, return_full, return_headers;
	bool is_notice;		/* one of our own DSNs: never answered by another */
	uint64_t offset, bytes; /* of the text in msg/ID */
	uint32_t recipients_left;
};
struct queue_recipient {
	struct span id; /* of the message */
	uint32_t number;
	struct span address, original;
	unsigned notify;
	uint32_t attempts; /* registered so far */
	int64_t next_attempt_s;
	enum queue_notice notice;
	bool delay_told;
	struct span override_transport;			   /* "": none */
	struct queue_attempt history[QUEUE_ATTEMPTS_KEPT]; /* oldest first */
	size_t history_count;
};

struct queue;
/*
 * queue_dirfd: queue/, kept open by the caller. -ENOENT, -EBUSY, -EUCLEAN: damaged, or to be
 * created while msg/ has files, which means that it was lost.
 */
must_use int queue_open(int queue_dirfd, bool create, struct queue **ret);
void queue_close(struct queue *q);

/* incoming_read(), for a file that may have been taken in halfway. */
must_use int queue_read_incoming(struct queue *q, int incoming_fd, const char *id, struct arena *a,
    struct envelope *ret, int *ret_fd, uint64_t *ret_offset, uint64_t *ret_bytes);
/*
 * Takes queue/incoming/ACCOUNT/ID in: links msg/ID, one transaction, removes the incoming name, all
 * synced. Doing it twice is doing it once. `e` and where the text is: what queue_read_incoming()
 * told. -EEXIST: another file has its id.
 */
must_use int queue_take_in(struct queue *q, int incoming_fd, struct span account, const char *id,
    const struct envelope *e, uint64_t offset, uint64_t bytes);
/*
 * Adds our own notice: writes msg/ID, and in one transaction adds it and clears the notices of
 * these recipients of message `about` (removing those that are finished). address: of the notice's
 * reader.
 */
must_use int queue_add_notice(struct queue *q, struct span account, struct span address,
    struct span text, bool smtputf8, int64_t now_s, const struct queue_recipient *about,
    size_t count);
/* The same without a notice, for those whose sender wants none. */
must_use int queue_drop_notices(struct queue *q, const struct queue_recipient *about, size_t count);

must_use int queue_message(
    struct queue *q, struct span id, struct arena *a, struct queue_message *ret);
must_use int queue_recipient(
    struct queue *q, struct span id, uint32_t number, struct arena *a, struct queue_recipient *ret);
must_use int queue_message_open(struct queue *q, struct span id, int *ret_fd);

/*
 * Recipients whose time has come (or that have a notice due), oldest first, at most max, without
 * those for which skip() is true. *ret_next_s: when the next one after now_s is due, INT64_MAX:
 * none.
 */
must_use int queue_due(struct queue *q, int64_t now_s, size_t max,
    bool (*skip)(struct span id, uint32_t number, void *context), void *context, struct arena *a,
    struct queue_recipient **ret, size_t *ret_count, int64_t *ret_next_s);
/*
 * Before a worker starts: counts the attempt and sets next_attempt_s of each, in one transaction.
 */
must_use int queue_register_attempts(
    struct queue *q, const struct queue_recipient *recipients, const int64_t *next_s, size_t count);

enum queue_result { QUEUE_DELIVERED, QUEUE_RELAYED, QUEUE_DEFERRED, QUEUE_FAILED };
/*
 * One recipient's result. `notice`: the DSN that follows from it (the record then stays until it is
 * made); QUEUE_NOTICE_NONE with anything but QUEUE_DEFERRED removes the recipient, the last one the
 * message with its file.
 */
must_use int queue_record_result(struct queue *q, struct span id, uint32_t number,
    enum queue_result result, const struct queue_attempt *attempt, enum queue_notice notice);
/* Everything, for `postern queue list`: fn's non-zero answer ends it. */
must_use int queue_each(struct queue *q,
    int (*fn)(const struct queue_message *m, const struct queue_recipient *r, void *context),
    void *context);
/* Removes files of msg/ that no message record names (older than an hour). */
must_use int queue_sweep(struct queue *q, int64_t now_s);
#endif
