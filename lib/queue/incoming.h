#ifndef POSTERN_QUEUE_INCOMING_H
#define POSTERN_QUEUE_INCOMING_H
/*
 * The way into the queue: queue/incoming/ACCOUNT/ID, one file with envelope and message, made by a
 * sandboxed session (O_TMPFILE, link; never removes), taken in by the queue-runner.
 *
 * File: u32 magic, then the message (canonical CRLF), then the envelope record, then u64 offset of
 * the envelope, u32 magic again: so that the message streams in before all recipients are known to
 * be final, and a torn file is recognised.
 */
#include "base/arena.h"
#include "base/str.h"

enum queue_body { QUEUE_BODY_7BIT, QUEUE_BODY_8BITMIME, QUEUE_BODY_BINARYMIME };
enum dsn_notify { NOTIFY_DEFAULT = 0, NOTIFY_NEVER = 1, NOTIFY_SUCCESS = 2, NOTIFY_FAILURE = 4, NOTIFY_DELAY = 8 };
struct envelope_recipient {
	struct span address;	    /* as to be sent: local@domain */
	unsigned notify;	    /* set of enum dsn_notify */
	struct span original;	    /* ORCPT, "rfc822;…"; empty: none */
};
struct envelope {
	struct span account;   /* informative: the runner takes the folder's name */
	struct span sender;    /* "" for <> */
	struct span client;    /* for the log: "submission TLS-KEY fingerprint…" */
	int64_t received_s;
	int64_t not_before_s;  /* FUTURERELEASE; 0: now */
	enum queue_body body;
	bool smtputf8, require_tls, return_full; /* RET=FULL */
	struct span envid;
	const struct envelope_recipient *recipients;
	size_t recipient_count;
};
void envelope_write(const struct envelope *e, struct str *out);
/* Bounds-checked; spans borrow `record`, lists are in the arena. -EBADMSG. */
must_use int envelope_read(struct span record, struct arena *a, struct envelope *ret);

struct incoming;
/* incoming_fd: queue/incoming/ACCOUNT/. Not linked until incoming_commit(). */
must_use int incoming_new(int incoming_fd, struct incoming **ret);
must_use int incoming_write(struct incoming *i, struct span message_bytes); /* -ENOSPC sticks */
uint64_t incoming_message_bytes(const struct incoming *i);
/* fsync, link, fsync of the folder, then the wake mark: 0 means that 250 may be said. */
must_use int incoming_commit(struct incoming *i, const struct envelope *e, int wake_fd,
    struct span account, struct str *ret_id);
void incoming_free(struct incoming *i);

/* For the runner: opens, checks, reads the envelope; *ret_fd at the message, its length. */
must_use int incoming_read(int incoming_fd, const char *name, struct arena *a, struct envelope *ret,
    int *ret_fd, uint64_t *ret_message_offset, uint64_t *ret_message_bytes);
#endif
