#ifndef POSTERN_SUBMITD_POLICY_H
#define POSTERN_SUBMITD_POLICY_H
/*
 * Who may send what to whom, for an authenticated account (RFC 6409 §3, §6). Each answers 0, or
 * -EINVAL with the reply in *ret_refusal.
 */
#include "gate/handler.h"
#include "smtp/command.h"

/* MAIL: "<>", or an address of the account. */
must_use int policy_sender(struct session *s, const struct smtp_path *sender, struct arena *scratch,
    struct smtp_status *ret_refusal);
/* RCPT: *ret_address (may live in the scratch arena) is where it goes. */
must_use int policy_recipient(struct session *s, const struct smtp_path *recipient,
    struct arena *scratch, struct span *ret_address, struct smtp_status *ret_refusal);
/*
 * The header section: nothing but fields; exactly one From, all of whose addresses are the
 * account's; at most one Sender, one address of the account.
 */
must_use int policy_header(struct session *s, struct span section, struct smtp_status *ret_refusal);
#endif
