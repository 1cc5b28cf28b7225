/*
 * APPEND (RFC 3501 §6.3.11, APPENDUID of RFC 4315 §3): the message goes from the stream into an
 * unnamed file piece by piece, and is in memory at no time.
 *
 * Messages are kept with CRLF. A client that sends LF alone (RFC 3501 asks for CRLF) gets its lines
 * completed on the way: the literal has the size that was announced, the message is larger. A lone
 * CR is no line end and stays. NULs are refused, as RFC 3501 §4.3 does.
 */
#include "imapd/connection.h"

enum { PIECE_BYTES = 16384 };

/* A message on its way in. */
struct incoming {
	struct draft *draft;
	uint64_t left_bytes; /* of the literal */
	char last;	     /* byte before this piece */
	int error;	     /* the first; the rest of the literal is read all the same */
	bool nul;
};

static struct answer refuse(struct imapd *c, struct answer answer);
static struct answer check_target(struct imapd *c, struct span name, bool *ret_good);
static bool is_over_quota(struct imapd *c);
static bool take_message(struct imapd *c, struct incoming *in);
static void take_piece(struct incoming *in, struct span piece);
static bool take_rest(struct imapd *c, bool utf8, struct answer *ret_answer);
static struct answer store_message(
    struct imapd *c, struct span name, const struct append_item *item);

struct answer imapd_append(struct imapd *c)
{
	const struct imap_command *command = c->command;
	struct span name = command->append.name;
	bool good;
	struct answer answer = check_target(c, name, &good);
	struct incoming in = {.left_bytes = command->append.bytes};
	if (good && (in.error = draft_new(c->store, &in.draft)))
		answer = answer_error(in.error);
	if (!good || in.error)
		return refuse(c, answer);

	struct append_item item = {
	    .draft = in.draft,
	    .flags = command->append.flags.system,
	    .keywords = command->append.flags.keywords,
	    .keyword_count = command->append.flags.keyword_count,
	    .internal_date_s = command->append.has_date ? command->append.date_s : wall_ms() / 1000,
	    .zone_minutes = command->append.has_date ? command->append.zone_minutes : 0,
	};
	c->in_message = true;
	imap_reader_accept(&c->reader);
	if (!take_message(c, &in))
		answer = (struct answer){.kind = ANSWER_NONE};
	else if (!take_rest(c, command->append.utf8, &answer))
		;
	else if (in.nul)
		answer = answer_no("CANNOT", "The message contains NUL bytes");
	else if (in.error)
		answer = answer_error(in.error);
	else
		answer = store_message(c, name, &item);
	c->in_message = false;
	draft_free(in.draft);
	return answer;
}

/* Instead of the message; the client may keep it, if it asked first. */
static struct answer refuse(struct imapd *c, struct answer answer)
{
	if (imap_reader_refuse(&c->reader) == IMAP_READ_COMMAND)
		return answer;
	imapd_give_up(c, answer, "The message is far too large");
	return (struct answer){.kind = ANSWER_NONE};
}

static struct answer check_target(struct imapd *c, struct span name, bool *ret_good)
{
	struct mailbox_info info;
	*ret_good = false;
	if (c->command->append.bytes > c->session->global.message_size_max)
		return answer_no("TOOBIG", "The message is larger than this server takes");
	if (!c->command->append.bytes)
		return answer_no("CANNOT", "The message is empty");
	int error = store_status(c->store, name, &c->scratch, &info);
	if (error == -ENOENT || (!error && !info.selectable))
		return answer_no("TRYCREATE", "There is no such mailbox");
	if (!error && is_over_quota(c))
		error = -EDQUOT;
	*ret_good = !error;
	return error ? answer_error(error) : answer_ok("");
}

/* Before it is read; what counts is what store_append() says. */
static bool is_over_quota(struct imapd *c)
{
	const struct config_account *account = &c->session->account;
	uint64_t bytes, messages;
	if (store_usage(c->store, &bytes, &messages))
		return false;
	return (account->quota_bytes && bytes + c->command->append.bytes > account->quota_bytes) ||
	       (account->quota_messages && messages >= account->quota_messages);
}

/* False: the peer is gone, or the session ends. */
static bool take_message(struct imapd *c, struct incoming *in)
{
	char piece[PIECE_BYTES];
	while (in->left_bytes) {
		ssize_t n = stream_read(c->peer, piece, (size_t)MIN(in->left_bytes, sizeof(piece)));
		if (n <= 0) {
			c->ended = true;
			return false;
		}
		in->left_bytes -= (uint64_t)n;
		take_piece(in, span_of(piece, (size_t)n));
		in->last = piece[n - 1];
	}
	return true;
}

static void take_piece(struct incoming *in, struct span piece)
{
	if (memchr(piece.p, '\0', piece.n))
		in->nul = true;
	while (piece.n && !in->error && !in->nul) {
		size_t end = span_index(piece, '\n');
		bool bare = end != SIZE_MAX && (end ? piece.p[end - 1] : in->last) != '\r';
		/* up to the next LF that lacks its CR; most messages have none */
		while (end != SIZE_MAX && !bare) {
			size_t next = span_index(span_from(piece, end + 1), '\n');
			if (next == SIZE_MAX) {
				end = SIZE_MAX;
				break;
			}
			end += 1 + next;
			bare = piece.p[end - 1] != '\r';
		}
		in->error = draft_write(in->draft, span_sub(piece, 0, end));
		if (end == SIZE_MAX)
			break;
		if (!in->error)
			in->error = draft_write(in->draft, SPAN("\r\n"));
		in->last = '\n';
		piece = span_from(piece, end + 1);
	}
}

/* What follows the message on its line. False with the answer when that is wrong. */
static bool take_rest(struct imapd *c, bool utf8, struct answer *ret_answer)
{
	*ret_answer = answer_bad("Something follows the message");
	imapd_line_begins(c);
	enum imap_read read = imap_reader_rest(&c->reader);
	if (!imapd_line_ends(c))
		read = IMAP_READ_ERROR;
	switch (read) {
	case IMAP_READ_COMMAND: return imap_append_rest(str_span(&c->reader.line), utf8) == 0;
	case IMAP_READ_LITERAL_TOO_BIG: return false;
	case IMAP_READ_APPEND: /* MULTIAPPEND is not offered */
		if (imap_reader_refuse(&c->reader) == IMAP_READ_COMMAND)
			return false;
		imapd_give_up(c, *ret_answer, "The literal is far too large");
		break;
	case IMAP_READ_LINE_TOO_LONG: imapd_give_up(c, *ret_answer, "The line is too long"); break;
	case IMAP_READ_LOST: imapd_give_up(c, *ret_answer, "The literal is far too large"); break;
	case IMAP_READ_EOF:
	case IMAP_READ_ERROR: c->ended = true; break;
	}
	*ret_answer = (struct answer){.kind = ANSWER_NONE};
	return false;
}

static struct answer store_message(
    struct imapd *c, struct span name, const struct append_item *item)
{
	uint32_t validity, uid;
	int error = store_append(c->store, name, item, 1, &validity, &uid);
	if (error == -ENOENT)
		return answer_no("TRYCREATE", "There is no such mailbox");
	if (error)
		return answer_error(error);
	return answer_ok_code(
	    arena_format(&c->scratch, "APPENDUID %u %u", validity, uid), "APPEND done");
}
