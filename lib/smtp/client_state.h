#ifndef POSTERN_SMTP_CLIENT_STATE_H
#define POSTERN_SMTP_CLIENT_STATE_H
/* Inside of the client: shared by its files. */
#include "smtp/answer.h"

enum smtp_wait { /* RFC 5321 §4.5.3.2, in ms */
	SMTP_WAIT_GREETING = 5 * 60 * 1000,
	SMTP_WAIT_COMMAND = 5 * 60 * 1000,
	SMTP_WAIT_DATA_START = 2 * 60 * 1000,
	SMTP_WAIT_DATA_BLOCK = 3 * 60 * 1000,
	SMTP_WAIT_DATA_END = 10 * 60 * 1000,
	SMTP_WAIT_QUIT = 10 * 1000, /* courtesy only */
};

struct smtp_client {
	struct stream *stream;
	struct str ehlo_name;
	int timeout_ms; /* 0: by enum smtp_wait */
	unsigned extensions, mechanisms;
	bool other_plus; /* a mechanism in -PLUS that we do not know is offered */
	uint64_t size_max;
	bool dead; /* the session is over: `death` says why */
	struct smtp_outcome death;
};

/* Ends the session, with this reason; answers -EIO. */
int smtp_client_die(struct smtp_client *c, const struct smtp_outcome *why);
/*
 * Reads a reply; *ret is always set. -EIO: there was none, or 421: the session is dead then, which
 * may also be asked later. smtp_client_answer_2xx() in addition takes 3xx for nonsense.
 */
int smtp_client_answer(
    struct smtp_client *c, enum smtp_wait wait, const char *what, struct smtp_outcome *ret);
int smtp_client_answer_2xx(
    struct smtp_client *c, enum smtp_wait wait, const char *what, struct smtp_outcome *ret);
/* The session failed with this answer (refused EHLO, AUTH, …): -EIO, *ret_outcome set. */
int smtp_client_refused(
    struct smtp_client *c, const struct smtp_outcome *answer, struct smtp_outcome *ret_outcome);
void smtp_client_set_wait(struct smtp_client *c, enum smtp_wait wait);
#endif
