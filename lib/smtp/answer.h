#ifndef POSTERN_SMTP_ANSWER_H
#define POSTERN_SMTP_ANSWER_H
/* Replies of a server as the client reads them (RFC 5321 §4.2.1); strict and bounded. */
#include "smtp/client.h"

/*
 * Reads one reply, all its lines. 0 with code, enhanced and text in *ret, and result by the code:
 * 2xx and 3xx OK, 4xx TRANSIENT, 5xx PERMANENT, 421 SESSION. -EPROTO: no reply at all, or over a
 * limit; -EPIPE: end of input; -ETIMEDOUT and other errors of the stream. Lines other than the
 * first are handed to each_line, where there is one (EHLO's keywords).
 */
must_use int smtp_answer_read(struct stream *s, struct smtp_outcome *ret,
    void (*each_line)(void *context, struct span line), void *context);

/* Fills an outcome that is no reply: code 0. */
void smtp_outcome_set(struct smtp_outcome *o, enum smtp_result result, const char *enhanced,
    const char *format, ...) printf_like(4, 5);
#endif
