#include "submitd/transaction.h"

#include "submitd/intake.h"

/* The two enums say the same, each in its own layer's header. */
_Static_assert((int)SMTP_NOTIFY_NEVER == (int)NOTIFY_NEVER &&
		   (int)SMTP_NOTIFY_SUCCESS == (int)NOTIFY_SUCCESS &&
		   (int)SMTP_NOTIFY_FAILURE == (int)NOTIFY_FAILURE &&
		   (int)SMTP_NOTIFY_DELAY == (int)NOTIFY_DELAY,
    "NOTIFY");

struct transaction *transaction_new(const struct smtp_command *mail)
{
	struct transaction *t = xcalloc(1, sizeof(*t));
	t->sender = arena_span(&t->arena, mail->path.address);
	t->smtputf8 = mail->smtputf8;
	t->utf8_address = mail->path.utf8;
	t->ret = mail->ret;
	t->envid = arena_span(&t->arena, mail->envid);
	return t;
}

void transaction_free(struct transaction *t)
{
	if (!t)
		return;
	intake_free(t->intake);
	arena_clear(&t->arena);
	free(t->recipients);
	free(t);
}

void transaction_add(struct transaction *t, const struct smtp_command *rcpt, struct span address)
{
	for (size_t i = 0; i < t->recipient_count; i++)
		if (span_equal(t->recipients[i].address, address))
			return;
	ARRAY_ROOM(t->recipients, t->recipient_count, t->recipients_allocated);
	t->recipients[t->recipient_count++] = (struct envelope_recipient){
	    .address = arena_span(&t->arena, address),
	    .notify = rcpt->notify,
	    .original = arena_span(&t->arena, rcpt->original),
	};
	t->utf8_address = t->utf8_address || !span_is_ascii(address);
}
