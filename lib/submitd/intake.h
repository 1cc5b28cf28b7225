#ifndef POSTERN_SUBMITD_INTAKE_H
#define POSTERN_SUBMITD_INTAKE_H
/*
 * A message on its way from the client into the queue, as a stream. The header section alone is
 * held in memory (up to INTAKE_HEADER_MAX_BYTES): checked by policy, then written with our trace
 * field, a Date and a Message-ID where missing (RFC 6409 §8.2, §8.3), and without Bcc, Resent-Bcc
 * and Return-Path. The body passes through. The first failure sticks, frees the file at once, and
 * the rest of the message is read and thrown away.
 */
#include "gate/handler.h"
#include "smtp/data.h"
#include "submitd/transaction.h"

enum {
	INTAKE_HEADER_MAX_BYTES = 256 << 10,
	/* What the queued message may be longer than the submitted one, header and all. */
	INTAKE_ADDED_MAX_BYTES = 4096,
};

struct intake;
/* Never fails: trouble is answered at the end. The session and transaction must outlive it. */
struct intake *intake_new(struct session *s, const struct transaction *t, bool esmtp);
void intake_free(struct intake *i); /* NULL is fine; without a commit nothing stays */
/* Unstuffed bytes of the message. */
void intake_push(struct intake *i, struct span bytes);
/* What the message is refused with as far as one can tell by now; NULL: nothing yet. */
const struct smtp_status *intake_refusal(const struct intake *i);
/*
 * After the last byte: commits to the queue. 0 with the queue id (lives as long as i), or -EINVAL
 * with the reply in *ret_refusal; *ret_error is then the reason if it is our own failure, else 0.
 */
must_use int intake_commit(struct intake *i, const char **ret_id, uint64_t *ret_bytes,
    struct smtp_status *ret_refusal, int *ret_error);
#endif
