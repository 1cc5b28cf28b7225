#ifndef POSTERN_QUEUE_INCOMING_H
#define POSTERN_QUEUE_INCOMING_H
/*
 * The way into the queue: queue/incoming/ACCOUNT/ID, one file with message and envelope, made by a
 * sandboxed session (O_TMPFILE, link; it never removes), taken in and removed by the queue-runner.
 *
 * File, numbers little-endian:
 *	u32 magic            INCOMING_MAGIC
 *	message              canonical CRLF, so that it streams in before the envelope is final
 *	envelope record      envelope_write()
 *	u64 offset           of the envelope record
 *	u32 magic            again: a torn file is recognised
 *
 * States a crash can leave:
 *	before the link      nothing: the file had no name
 *	after the link       the complete file, which was synced before; the client was told nothing
 *	                     and may send the message again. Without a wake mark the next run finds
 *	                     it: it looks into every folder of incoming/, marks only start it
 *	after the mark       as above; the 250 may have been lost on the way
 * A file that incoming_read() refuses was not made by this code: the runner moves it to queue/bad/.
 * The folder's name says whose message it is, never the file: a session may write what it likes.
 */
#include "base/arena.h"
#include "base/str.h"

enum {
	ENVELOPE_MAX_BYTES = 64 << 20,
	ENVELOPE_RECIPIENTS_MAX = 100000,
	ENVELOPE_FIELD_MAX_BYTES = 2048, /* each of its texts */
};

enum queue_body { QUEUE_BODY_7BIT, QUEUE_BODY_8BITMIME, QUEUE_BODY_BINARYMIME };
enum dsn_notify {
	NOTIFY_DEFAULT = 0,
	NOTIFY_NEVER = 1,
	NOTIFY_SUCCESS = 2,
	NOTIFY_FAILURE = 4,
	NOTIFY_DELAY = 8
};
struct envelope_recipient {
	struct span address;  /* as to be sent: local@domain */
	unsigned notify;      /* set of enum dsn_notify */
	struct span original; /* ORCPT as written, xtext: "rfc822;…"; empty: none */
};
struct envelope {
	struct span account; /* informative: the runner takes the folder's name */
	struct span sender;  /* "" for <> */
	struct span client;  /* for the log: "submission TLS-KEY fingerprint…" */
	int64_t received_s;
	int64_t not_before_s; /* FUTURERELEASE; 0: now */
	enum queue_body body; /* what the message is, whatever the client called it */
	bool smtputf8;	      /* an address or the header is not ASCII */
	bool require_tls, return_full, return_headers; /* RET=FULL, RET=HDRS */
	struct span envid;			       /* as written, xtext; empty: none */
	const struct envelope_recipient *recipients;
	size_t recipient_count;
};
void envelope_write(const struct envelope *e, struct str *out);
/*
 * Bounds-checked; spans borrow `record`, lists are in the arena. -EBADMSG also for what no envelope
 * may hold: no recipient, an address that is none, control characters, over a limit.
 */
must_use int envelope_read(struct span record, struct arena *a, struct envelope *ret);

/* Names of files in incoming/ACCOUNT/: [0-9a-z], time first, so that they sort by age. */
enum { INCOMING_ID_BYTES = 21 };
bool incoming_id_is_valid(struct span name);

struct incoming;
/* incoming_fd: queue/incoming/ACCOUNT/, borrowed. Not linked until incoming_commit(). */
must_use int incoming_new(int incoming_fd, struct incoming **ret);
/* Its name, drawn by incoming_new(): the queue id of the trace line and of the 250. */
const char *incoming_id(const struct incoming *i);
/* Any error (-ENOSPC, -EDQUOT, -EFBIG, -EIO) sticks. */
must_use int incoming_write(struct incoming *i, struct span message_bytes);
uint64_t incoming_message_bytes(const struct incoming *i);
/*
 * Envelope, fsync, link, fsync of the folder, then the wake mark of the account: 0 means that 250
 * may be said. A mark that cannot be made is no failure: the message is in the queue.
 */
must_use int incoming_commit(
    struct incoming *i, const struct envelope *e, int wake_fd, struct span account);
void incoming_free(struct incoming *i); /* NULL is fine; without a commit nothing stays */

/*
 * For the runner: opens, checks, reads the envelope; *ret_fd (owned by the caller) and where in it
 * the message is. -EBADMSG: torn, hostile, or no regular file with one name; others: try later.
 * taken_fd: queue/msg/, where a take-in that was cut short has given the file its one other name
 * (queue_read_incoming() knows it); -1: nowhere.
 */
must_use int incoming_read(int incoming_fd, const char *name, int taken_fd, struct arena *a,
    struct envelope *ret, int *ret_fd, uint64_t *ret_message_offset, uint64_t *ret_message_bytes);
#endif
