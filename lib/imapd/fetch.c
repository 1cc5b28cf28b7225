/*
 * FETCH (RFC 3501 §6.4.5, §7.4.2). Envelopes and structures come from the summary that the store
 * keeps; bodies go from the message's file to the stream and are never in memory. Only headers of
 * which fields are picked are read, up to IMAPD_HEADER_BYTES_MAX.
 *
 * What is missing is decided before the response to a message begins: somebody else may have
 * expunged it, and then it is left out and the answer has EXPUNGEISSUED (RFC 5530 §3). It is OK
 * unless there was nothing else: clients throw away what came before a NO.
 */
#include "imap/body.h"
#include "imapd/connection.h"
#include "io/file.h"
#include "mime/header.h"
#include "mime/summary.h"
#include "sys/log.h"

struct fetch {
	struct imapd *c;
	struct arena arena; /* of one message */
	bool wants_uid, wants_flags;
	bool needs_file, needs_structure;
	struct uid_list seen; /* got \Seen by this very command */
	size_t seen_at;	      /* the first range of it that is not behind us */
	uint32_t told;	      /* messages */
	bool some_gone, some_too_large;

	/* of the message at hand */
	const struct message_info *m;
	int fd;
	const struct mime_message *structure;
	const char *separator;
};

static void find_needs(struct fetch *f);
static int mark_seen(struct fetch *f, struct uid_set uids);
static int note_unseen(const struct message_info *m, void *context);
static int fetch_message(const struct message_info *m, void *context);
static int open_message(struct fetch *f);
static bool is_newly_seen(struct fetch *f, uint32_t uid);
static void put_message(struct fetch *f);
static void put_item(struct fetch *f, const struct imap_fetch_item *item);
static void put_name(struct fetch *f, const char *name);
static void put_section(struct fetch *f, const struct imap_fetch_item *item);
static void put_fields(
    struct fetch *f, const struct imap_fetch_item *item, const struct imap_range *header);
static bool wants_fields(const struct imap_fetch_item *item);

struct answer imapd_fetch(struct imapd *c)
{
	const struct imap_command *command = c->command;
	struct uid_set uids;
	if (!imapd_resolve(c, &command->fetch.set, &uids))
		return answer_bad("There is no such message");
	struct fetch f = {.c = c, .wants_uid = command->uid, .fd = -1};
	find_needs(&f);
	int error = mark_seen(&f, uids);
	uint32_t wanted = 0;
	for (size_t i = 0; i < uids.count && !error; i++) {
		struct uid_range r = uids.ranges[i];
		if (!command->uid)
			wanted +=
			    view_sequence(c->view, r.last) - view_sequence(c->view, r.first) + 1;
		error = view_each(c->view, r.first, r.last, fetch_message, &f);
	}
	arena_clear(&f.arena);
	if (stream_error(c->peer) || c->ended)
		return answer_lost(c);
	if (error)
		return answer_error(error);
	if (f.some_too_large)
		return answer_no("LIMIT", "Some headers are too large to pick fields from");
	if (!f.some_gone && f.told >= wanted)
		return answer_ok("FETCH done");
	if (!f.told && !command->uid)
		return answer_no("EXPUNGEISSUED", "These messages no longer exist");
	return answer_ok_code(SPAN("EXPUNGEISSUED"), "Some of the messages no longer exist");
}

static void find_needs(struct fetch *f)
{
	const struct imap_command *command = f->c->command;
	for (size_t i = 0; i < command->fetch.item_count; i++) {
		const struct imap_fetch_item *item = &command->fetch.items[i];
		switch (item->kind) {
		case IMAP_FETCH_UID: f->wants_uid = true; break;
		case IMAP_FETCH_FLAGS: f->wants_flags = true; break;
		case IMAP_FETCH_INTERNALDATE:
		case IMAP_FETCH_RFC822_SIZE: break;
		case IMAP_FETCH_ENVELOPE:
		case IMAP_FETCH_BODY:
		case IMAP_FETCH_BODYSTRUCTURE: f->needs_structure = true; break;
		case IMAP_FETCH_RFC822: f->needs_file = true; break;
		case IMAP_FETCH_BODY_SECTION:
		case IMAP_FETCH_RFC822_HEADER:
		case IMAP_FETCH_RFC822_TEXT:
			f->needs_file = true;
			if (item->section.number_count || item->section.text != IMAP_SECTION_ALL)
				f->needs_structure = true;
			break;
		}
	}
}

/*
 * Fetching a body without PEEK sets \Seen (RFC 3501 §6.4.5): one transaction before anything is
 * told, and the FLAGS go into the same responses.
 */
static int mark_seen(struct fetch *f, struct uid_set uids)
{
	const struct imap_command *command = f->c->command;
	bool peeks = true;
	for (size_t i = 0; i < command->fetch.item_count; i++)
		if (command->fetch.items[i].kind >= IMAP_FETCH_BODY_SECTION)
			peeks = peeks && command->fetch.items[i].peek;
	if (peeks || f->c->read_only)
		return 0;
	int error = 0;
	for (size_t i = 0; i < uids.count && !error; i++)
		error = view_each(
		    f->c->view, uids.ranges[i].first, uids.ranges[i].last, note_unseen, f);
	if (error || !f->seen.count)
		return error;
	struct flags_change change = {
	    .mode = FLAGS_ADD, .flags = FLAG_SEEN, .unchanged_since = UINT64_MAX};
	struct uid_set modified;
	return view_store_flags(
	    f->c->view, uid_list_set(&f->seen), &change, true, &f->c->scratch, &modified);
}

static int note_unseen(const struct message_info *m, void *context)
{
	struct fetch *f = context;
	if (!(m->flags & FLAG_SEEN))
		uid_list_add(&f->seen, &f->c->scratch, m->uid);
	return 0;
}

static int fetch_message(const struct message_info *m, void *context)
{
	struct fetch *f = context;
	f->m = m;
	int error = open_message(f);
	if (!error) {
		put_message(f);
		f->told++;
	}
	close_fd(&f->fd);
	arena_reset(&f->arena);
	if (error == -ENOENT) { /* its file is gone */
		f->some_gone = true;
		error = 0;
	}
	if (!error && imapd_is_withdrawn(f->c))
		error = -ECANCELED;
	return error ? error : stream_error(f->c->peer);
}

static int open_message(struct fetch *f)
{
	if (f->needs_file) {
		int error = store_message_open(f->c->store, f->m->id, &f->fd);
		if (error)
			return error;
	}
	if (!f->needs_structure)
		return 0;
	struct span record;
	int error = store_summary(f->c->store, f->m->id, &f->arena, &record);
	return error ? error : mime_summary_decode(record, &f->arena, &f->structure);
}

static void put_message(struct fetch *f)
{
	struct imapd *c = f->c;
	const struct imap_command *command = c->command;
	str_format(&c->out, "* %u FETCH (", view_sequence(c->view, f->m->uid));
	f->separator = "";
	if (f->wants_uid) {
		put_name(f, "UID ");
		str_append_u64(&c->out, f->m->uid);
	}
	if (is_newly_seen(f, f->m->uid) || f->wants_flags) {
		put_name(f, "");
		imapd_put_flags(c, f->m->flags, f->m->keywords);
	}
	for (size_t i = 0; i < command->fetch.item_count; i++)
		put_item(f, &command->fetch.items[i]);
	str_append_cstr(&c->out, ")\r\n");
	imapd_put_out(c);
}

/* Asked once per message, in their order. */
static bool is_newly_seen(struct fetch *f, uint32_t uid)
{
	while (f->seen_at < f->seen.count && f->seen.ranges[f->seen_at].last < uid)
		f->seen_at++;
	return f->seen_at < f->seen.count && f->seen.ranges[f->seen_at].first <= uid;
}

static void put_item(struct fetch *f, const struct imap_fetch_item *item)
{
	struct str *out = &f->c->out;
	switch (item->kind) {
	case IMAP_FETCH_UID:
	case IMAP_FETCH_FLAGS: return; /* stand in front */
	case IMAP_FETCH_INTERNALDATE:
		put_name(f, "INTERNALDATE ");
		imap_put_date(out, f->m->internal_date_s, f->m->zone_minutes);
		return;
	case IMAP_FETCH_RFC822_SIZE:
		put_name(f, "RFC822.SIZE ");
		str_append_u64(out, f->m->size);
		return;
	case IMAP_FETCH_ENVELOPE:
		put_name(f, "ENVELOPE ");
		imap_put_envelope(out, f->structure, IMAP_TEXT_ASCII);
		return;
	case IMAP_FETCH_BODY:
		put_name(f, "BODY ");
		imap_put_body(out, f->structure, IMAP_BODY, IMAP_TEXT_ASCII);
		return;
	case IMAP_FETCH_BODYSTRUCTURE:
		put_name(f, "BODYSTRUCTURE ");
		imap_put_body(out, f->structure, IMAP_BODYSTRUCTURE, IMAP_TEXT_ASCII);
		return;
	case IMAP_FETCH_BODY_SECTION:
		put_name(f, "");
		imap_put_section_name(out, item);
		break;
	case IMAP_FETCH_RFC822: put_name(f, "RFC822"); break;
	case IMAP_FETCH_RFC822_HEADER: put_name(f, "RFC822.HEADER"); break;
	case IMAP_FETCH_RFC822_TEXT: put_name(f, "RFC822.TEXT"); break;
	}
	str_append_char(out, ' ');
	put_section(f, item);
}

static void put_name(struct fetch *f, const char *name)
{
	str_append_cstr(&f->c->out, f->separator);
	str_append_cstr(&f->c->out, name);
	f->separator = " ";
}

static void put_section(struct fetch *f, const struct imap_fetch_item *item)
{
	struct imapd *c = f->c;
	struct imap_range range = {0, f->m->size};
	if (f->structure && imap_section_locate(f->structure, &item->section, &range)) {
		str_append_cstr(&c->out, "NIL");
		return;
	}
	if (wants_fields(item)) {
		put_fields(f, item, &range);
		return;
	}
	imap_range_cut(&range, item);
	imap_put_literal_head(&c->out, range.bytes);
	imapd_put_out(c);
	stream_write_file(c->peer, f->fd, range.offset, range.bytes);
	if (stream_error(c->peer) == -EIO)
		log_line(LOG_LEVEL_ERROR, "message file %llx is shorter than the index says",
		    (unsigned long long)f->m->id);
}

static bool wants_fields(const struct imap_fetch_item *item)
{
	return item->section.text == IMAP_SECTION_HEADER_FIELDS ||
	       item->section.text == IMAP_SECTION_HEADER_FIELDS_NOT;
}

static void put_fields(
    struct fetch *f, const struct imap_fetch_item *item, const struct imap_range *header)
{
	struct imapd *c = f->c;
	/* of this item alone: a command may ask for a thousand of them */
	struct arena scratch cleanup(arena_clear) = {0};
	char *bytes = NULL;
	if (header->bytes <= IMAPD_HEADER_BYTES_MAX)
		bytes = arena_alloc(&scratch, MAX(header->bytes, 1));
	if (!bytes || fd_pread_all(f->fd, bytes, header->bytes, header->offset)) {
		f->some_too_large = true;
		str_append_cstr(&c->out, "NIL");
		return;
	}
	struct str fields cleanup(str_clear) = STR_INIT(IMAPD_HEADER_BYTES_MAX + 2);
	header_select(span_of(bytes, header->bytes),
	    item->section.text == IMAP_SECTION_HEADER_FIELDS ? HEADER_NAMED : HEADER_NOT_NAMED,
	    item->section.fields, item->section.field_count, &fields);
	struct imap_range range = {0, (uint32_t)fields.n};
	imap_range_cut(&range, item);
	imap_put_literal_head(&c->out, range.bytes);
	imapd_put_out(c);
	stream_write(c->peer, span_sub(str_span(&fields), range.offset, range.bytes));
}
