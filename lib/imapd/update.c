/*
 * Untagged responses about the selected mailbox (RFC 3501 §7.3, §7.4): what this session and others
 * changed, told after a command and in IDLE, and at no other time.
 */
#include "imapd/connection.h"

static void tell_expunged(void *context, uint32_t sequence, uint32_t uid);
static void tell_exists(void *context, uint32_t count);
static void tell_changed(void *context, uint32_t sequence, const struct message_info *m);
static void tell_keywords(void *context);

static const unsigned system_flags =
    FLAG_ANSWERED | FLAG_FLAGGED | FLAG_DELETED | FLAG_SEEN | FLAG_DRAFT;

int imapd_tell_updates(struct imapd *c, bool tell_expunges)
{
	if (!c->view)
		return 0;
	struct view_changes changes = {
	    .expunged = tell_expunged,
	    .exists = tell_exists,
	    .changed = tell_changed,
	    .keywords = tell_keywords,
	    .context = c,
	};
	return view_sync(c->view, tell_expunges, &changes);
}

void imapd_put_flags(struct imapd *c, unsigned flags, uint64_t keywords)
{
	size_t count;
	const struct span *names = view_keywords(c->view, &count);
	str_append_cstr(&c->out, "FLAGS (");
	imap_put_flags(&c->out, flags, keywords, names, count);
	str_append_char(&c->out, ')');
}

void imapd_tell_flags(struct imapd *c)
{
	size_t count;
	const struct span *names = view_keywords(c->view, &count);
	str_append_cstr(&c->out, "* ");
	imapd_put_flags(c, system_flags, UINT64_MAX);
	str_append_cstr(&c->out, "\r\n* OK [PERMANENTFLAGS (");
	if (!c->read_only) {
		imap_put_flags(&c->out, system_flags, UINT64_MAX, names, count);
		if (count < KEYWORDS_MAX)
			str_append_cstr(&c->out, " \\*");
	}
	str_append_cstr(&c->out, ")] Flags that are kept\r\n");
	imapd_put_out(c);
}

static void tell_expunged(void *context, uint32_t sequence, uint32_t uid)
{
	struct imapd *c = context;
	(void)uid;
	stream_format(c->peer, "* %u EXPUNGE\r\n", sequence);
}

static void tell_exists(void *context, uint32_t count)
{
	struct imapd *c = context;
	stream_format(c->peer, "* %u EXISTS\r\n", count);
}

static void tell_changed(void *context, uint32_t sequence, const struct message_info *m)
{
	struct imapd *c = context;
	str_format(&c->out, "* %u FETCH (", sequence);
	if (c->command && c->command->uid)
		str_format(&c->out, "UID %u ", m->uid); /* RFC 3501 §6.4.8 */
	imapd_put_flags(c, m->flags, m->keywords);
	str_append_cstr(&c->out, ")\r\n");
	imapd_put_out(c);
}

static void tell_keywords(void *context)
{
	imapd_tell_flags(context);
}
