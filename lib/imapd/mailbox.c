/*
 * Mailboxes: SELECT to CLOSE, and making, renaming, removing them (RFC 3501 §6.3, §6.4.1, §6.4.2).
 */
#include "imapd/connection.h"

static void tell_selected(struct imapd *c);
static void leave_mailbox(struct imapd *c);
static bool one_use(unsigned uses, enum special_use *ret);

struct answer imapd_select(struct imapd *c)
{
	struct span name = c->command->mailbox.name;
	/* RFC 3501 §6.3.1: whatever comes of it, the mailbox before is left, and not expunged */
	leave_mailbox(c);
	bool read_only = c->command->kind == IMAP_EXAMINE;
	int error = view_open(c->store, name, read_only, &c->view);
	if (error)
		return answer_error(error);
	c->read_only = read_only;
	tell_selected(c);
	return read_only ? answer_ok_code(SPAN("READ-ONLY"), "EXAMINE done")
			 : answer_ok_code(SPAN("READ-WRITE"), "SELECT done");
}

static void tell_selected(struct imapd *c)
{
	const struct mailbox_info *info = view_info(c->view);
	imapd_tell_flags(c);
	/* nothing is ever \Recent here: see doc/deviations.md */
	stream_format(c->peer, "* %u EXISTS\r\n* 0 RECENT\r\n", view_count(c->view));
	uint32_t unseen = view_first_unseen(c->view);
	if (unseen)
		stream_format(c->peer, "* OK [UNSEEN %u] First that is not seen\r\n", unseen);
	stream_format(c->peer, "* OK [UIDVALIDITY %u] UIDs are valid\r\n", info->uid_validity);
	stream_format(c->peer, "* OK [UIDNEXT %u] Predicted next UID\r\n", info->uid_next);
}

static void leave_mailbox(struct imapd *c)
{
	view_close(c->view);
	c->view = NULL;
	c->read_only = false;
}

/*
 * CLOSE (RFC 3501 §6.4.2) removes what is \Deleted and tells nothing; UNSELECT (RFC 3691) does not.
 */
struct answer imapd_close(struct imapd *c)
{
	int error = 0;
	if (c->command->kind == IMAP_CLOSE && !c->read_only)
		error = view_expunge(c->view, NULL);
	leave_mailbox(c);
	if (error && error != -ENOENT)
		return answer_error(error);
	return answer_ok(c->command->kind == IMAP_CLOSE ? "CLOSE done" : "UNSELECT done");
}

/* Every change is on disk before it is answered: there is nothing to do. */
struct answer imapd_check(struct imapd *c)
{
	(void)c;
	return answer_ok("CHECK done");
}

/* RFC 3501 §6.3.3, RFC 6154 §3 */
struct answer imapd_create(struct imapd *c)
{
	struct span name = c->command->create.name;
	enum special_use use;
	if (!one_use(c->command->create.uses, &use))
		return answer_no("USEATTR", "A mailbox has one special use: Archive, Drafts, "
					    "Important, Junk, Sent or Trash");
	int error = store_create(c->store, name, use);
	return error ? answer_error(error) : answer_ok("CREATE done");
}

/* \All and \Flagged are views of other mailboxes, which we have not; others are not known. */
static bool one_use(unsigned uses, enum special_use *ret)
{
	*ret = SPECIAL_NONE;
	if (!uses)
		return true;
	if (uses & (uses - 1) ||
	    uses & (1u << SPECIAL_NONE | 1u << SPECIAL_ALL | 1u << SPECIAL_FLAGGED))
		return false;
	while (uses >>= 1)
		(*ret)++;
	return true;
}

struct answer imapd_delete(struct imapd *c)
{
	struct span name = c->command->mailbox.name;
	struct mailbox_info info;
	int error = store_status(c->store, name, &c->scratch, &info);
	if (!error)
		error = store_delete(c->store, name);
	if (error)
		return answer_error(error);
	/* by its number: it may have been renamed since it was selected */
	if (c->view && view_info(c->view)->id == info.id)
		leave_mailbox(c);
	return answer_ok("DELETE done");
}

struct answer imapd_rename(struct imapd *c)
{
	int error = store_rename(c->store, c->command->rename.from, c->command->rename.to);
	return error ? answer_error(error) : answer_ok("RENAME done");
}

struct answer imapd_subscribe(struct imapd *c)
{
	struct span name = c->command->mailbox.name;
	bool on = c->command->kind == IMAP_SUBSCRIBE;
	int error = store_subscribe(c->store, name, on);
	if (error && (on || error != -ENOENT))
		return answer_error(error);
	return answer_ok(on ? "SUBSCRIBE done" : "UNSUBSCRIBE done");
}

struct answer imapd_status(struct imapd *c)
{
	struct span name = c->command->status.name;
	struct mailbox_info info;
	int error = store_status(c->store, name, &c->scratch, &info);
	if (!error && !info.selectable)
		error = -ENOENT;
	if (error)
		return answer_error(error);
	const struct {
		unsigned bit;
		const char *name;
		uint32_t value;
	} items[] = {
	    {IMAP_STATUS_MESSAGES, "MESSAGES", info.messages},
	    {IMAP_STATUS_RECENT, "RECENT", 0},
	    {IMAP_STATUS_UIDNEXT, "UIDNEXT", info.uid_next},
	    {IMAP_STATUS_UIDVALIDITY, "UIDVALIDITY", info.uid_validity},
	    {IMAP_STATUS_UNSEEN, "UNSEEN", info.unseen},
	};
	str_append_cstr(&c->out, "* STATUS ");
	imap_put_mailbox(&c->out, name, IMAP_TEXT_ASCII);
	const char *separator = " (";
	for (size_t i = 0; i < ARRAY_SIZE(items); i++) {
		if (!(c->command->status.items & items[i].bit))
			continue;
		str_format(&c->out, "%s%s %u", separator, items[i].name, items[i].value);
		separator = " ";
	}
	str_append_cstr(&c->out, ")\r\n");
	imapd_put_out(c);
	return answer_ok("STATUS done");
}
