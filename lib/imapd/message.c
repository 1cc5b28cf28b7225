/* STORE, COPY, MOVE, EXPUNGE (RFC 3501 §6.4, RFC 4315, RFC 6851): one transaction each. */
#include "imapd/connection.h"

static int tell_stored(const struct message_info *m, void *context);
static struct span copied_code(
    struct imapd *c, uint32_t validity, struct uid_set from, struct uid_set to);

static const char no_such_message[] = "There is no such message";
static const char is_read_only[] = "The mailbox was opened read-only";

struct answer imapd_store(struct imapd *c)
{
	const struct imap_command *command = c->command;
	struct uid_set uids, modified;
	if (!imapd_resolve(c, &command->store.set, &uids))
		return answer_bad(no_such_message);
	if (c->read_only)
		return answer_no("CANNOT", is_read_only);
	static const enum flags_mode modes[] = {
	    [IMAP_STORE_REPLACE] = FLAGS_REPLACE,
	    [IMAP_STORE_ADD] = FLAGS_ADD,
	    [IMAP_STORE_REMOVE] = FLAGS_REMOVE,
	};
	struct flags_change change = {
	    .mode = modes[command->store.mode],
	    .flags = command->store.flags.system,
	    .keywords = command->store.flags.keywords,
	    .keyword_count = command->store.flags.keyword_count,
	    .unchanged_since = UINT64_MAX,
	};
	if (!uids.count)
		return answer_ok("STORE done");
	int error = view_store_flags(c->view, uids, &change, true, &c->scratch, &modified);
	if (error)
		return answer_error(error);
	if (command->store.silent)
		return answer_ok("STORE done");
	/* keywords that came with it must be known to view and client before they are shown */
	error = imapd_tell_updates(c, command->uid);
	/* RFC 3501 §6.4.6: told for each message, as if fetched, whether it changed or not */
	for (size_t i = 0; i < uids.count && !error; i++)
		error =
		    view_each(c->view, uids.ranges[i].first, uids.ranges[i].last, tell_stored, c);
	if (stream_error(c->peer))
		return answer_lost(c);
	return error ? answer_error(error) : answer_ok("STORE done");
}

static int tell_stored(const struct message_info *m, void *context)
{
	struct imapd *c = context;
	str_format(&c->out, "* %u FETCH (", view_sequence(c->view, m->uid));
	if (c->command->uid)
		str_format(&c->out, "UID %u ", m->uid);
	imapd_put_flags(c, m->flags, m->keywords);
	str_append_cstr(&c->out, ")\r\n");
	imapd_put_out(c);
	return stream_error(c->peer);
}

struct answer imapd_copy(struct imapd *c)
{
	bool move = c->command->kind == IMAP_MOVE;
	struct uid_set uids, from, to;
	struct span name = c->command->copy.name;
	uint32_t validity;
	if (!imapd_resolve(c, &c->command->copy.set, &uids))
		return answer_bad(no_such_message);
	if (move && c->read_only)
		return answer_no("CANNOT", is_read_only);
	struct mailbox_info target;
	int error = store_status(c->store, name, &c->scratch, &target);
	if (!error && !target.selectable)
		error = -ENOENT;
	if (!error && uids.count)
		error = view_copy(c->view, uids, name, move, &c->scratch, &validity, &from, &to);
	if (error == -ENOENT)
		return answer_no("TRYCREATE", "There is no such mailbox");
	if (error)
		return answer_error(error);
	if (!uids.count || !from.count) /* RFC 4315 §3: then there is no COPYUID */
		return answer_ok(move ? "MOVE done, of nothing" : "COPY done, of nothing");
	struct span code = copied_code(c, validity, from, to);
	if (!move)
		return answer_ok_code(code, "COPY done");
	/* RFC 6851 §4.3: before the EXPUNGEs, which the dispatcher tells */
	stream_write_cstr(c->peer, "* OK [");
	stream_write(c->peer, code);
	stream_write_cstr(c->peer, "] Moved\r\n");
	return answer_ok("MOVE done");
}

static struct span copied_code(
    struct imapd *c, uint32_t validity, struct uid_set from, struct uid_set to)
{
	struct str code cleanup(str_clear) = STR_INIT(IMAPD_OUT_BYTES_MAX);
	str_format(&code, "COPYUID %u ", validity);
	for (int side = 0; side < 2; side++) {
		struct uid_set set = side ? to : from;
		for (size_t i = 0; i < set.count; i++) {
			const struct uid_range *r = &set.ranges[i];
			str_format(&code, i ? ",%u" : side ? " %u" : "%u", r->first);
			if (r->last != r->first)
				str_format(&code, ":%u", r->last);
		}
	}
	return arena_span(&c->scratch, str_span(&code));
}

struct answer imapd_expunge(struct imapd *c)
{
	struct uid_set uids;
	if (c->command->uid && !imapd_resolve(c, &c->command->expunge.set, &uids))
		return answer_bad(no_such_message);
	if (c->read_only)
		return answer_no("CANNOT", is_read_only);
	if (c->command->uid && !uids.count)
		return answer_ok("EXPUNGE done");
	int error = view_expunge(c->view, c->command->uid ? &uids : NULL);
	return error ? answer_error(error) : answer_ok("EXPUNGE done");
}
