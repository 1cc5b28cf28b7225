#ifndef POSTERN_SUBMITD_TRANSACTION_H
#define POSTERN_SUBMITD_TRANSACTION_H
/*
 * All that is known of one message before it is queued: made by MAIL, freed as a whole by RSET,
 * EHLO, HELO, the end of data (taken or refused) and every failure. Nothing of a message lives
 * elsewhere, so nothing of it can survive into the next.
 */
#include "queue/incoming.h"
#include "smtp/command.h"

struct intake;
struct transaction {
	struct arena arena; /* all spans below */
	struct span sender; /* "" for <> */
	bool smtputf8;	    /* the client said SMTPUTF8 */
	bool utf8_address;  /* an address is not ASCII */
	enum smtp_ret ret;
	struct span envid;
	struct envelope_recipient *recipients; /* heap */
	size_t recipient_count, recipients_allocated;
	struct intake *intake; /* the message, once DATA or BDAT began; owned */
};
/* From MAIL; what must live is copied. */
struct transaction *transaction_new(const struct smtp_command *mail);
void transaction_free(struct transaction *t); /* NULL is fine */
/* From RCPT, delivered to `address` (RCPT's own, or what policy made of it); a repeated address is
 * taken once. */
void transaction_add(struct transaction *t, const struct smtp_command *rcpt, struct span address);
#endif
