#include "submitd/intake.h"
#include "submitd/server.h"
#include "sys/log.h"

static bool read_text(struct server *v, struct intake *i);
static bool read_chunk(struct server *v, struct intake *i, uint64_t bytes);
static ssize_t read_piece(
    struct server *v, int64_t until_ms, char piece[STREAM_BUFFER_BYTES], size_t most);
static void finish(struct server *v, struct intake *i);
static void log_message(struct server *v, const char *id, uint64_t bytes);

static void push(void *context, struct span bytes)
{
	intake_push(context, bytes);
}

/* RFC 5321 §4.1.1.4. Whatever happens, the transaction is over afterwards. */
void server_data(struct server *v, const struct smtp_command *c, struct arena *scratch)
{
	(void)c, (void)scratch;
	struct transaction *t = v->transaction;
	t->intake = intake_new(v->session, t, v->esmtp);
	smtp_reply(v->peer, 354, NULL, SPAN("Go ahead, end with a dot on a line of its own"));
	if (read_text(v, t->intake))
		finish(v, t->intake);
	server_reset(v);
}

/*
 * RFC 3030 §2. The chunk follows the command at once, so it is read even where it is not wanted. A
 * refused chunk ends the transaction: those that are under way already are then out of order.
 */
void server_bdat(struct server *v, const struct smtp_command *c, struct arena *scratch)
{
	struct transaction *t = v->transaction;
	bool wanted = t && t->recipient_count;
	(void)scratch;
	if (wanted && !t->intake)
		t->intake = intake_new(v->session, t, v->esmtp);
	if (!read_chunk(v, wanted ? t->intake : NULL, c->size))
		return;
	if (!t) {
		server_mistake(v, 503, "5.5.1", "Say MAIL first");
	} else if (!wanted) {
		server_mistake(v, 554, "5.5.1", "No valid recipients");
	} else if (c->last) {
		finish(v, t->intake);
		server_reset(v);
	} else if (intake_refusal(t->intake)) {
		smtp_reply_status(v->peer, intake_refusal(t->intake));
		server_reset(v);
	} else {
		smtp_reply(v->peer, 250, "2.0.0", SPAN("Chunk received"));
	}
}

/* False when the connection ended before the message did: nothing is kept then. */
static bool read_text(struct server *v, struct intake *i)
{
	struct smtp_unstuffer u = {0};
	char piece[STREAM_BUFFER_BYTES];
	int64_t until_ms = monotonic_ms() + SUBMITD_MESSAGE_TIMEOUT_MS;
	while (u.state != SMTP_DATA_END) {
		ssize_t n = read_piece(v, until_ms, piece, sizeof(piece));
		if (n <= 0)
			return false;
		struct span got = span_of(piece, (size_t)n);
		size_t used = smtp_unstuff(&u, got, push, i);
		if (used < got.n)
			stream_unread(v->peer, span_from(got, used));
	}
	return true;
}

/* As read_text(); without an intake the bytes are thrown away. */
static bool read_chunk(struct server *v, struct intake *i, uint64_t bytes)
{
	char piece[STREAM_BUFFER_BYTES];
	int64_t until_ms = monotonic_ms() + SUBMITD_MESSAGE_TIMEOUT_MS;
	while (bytes) {
		ssize_t n = read_piece(v, until_ms, piece, (size_t)MIN(bytes, sizeof(piece)));
		if (n <= 0)
			return false;
		bytes -= (uint64_t)n;
		if (i)
			intake_push(i, span_of(piece, (size_t)n));
	}
	return true;
}

/* At most `most` bytes; ≤ 0: the connection is over. */
static ssize_t read_piece(
    struct server *v, int64_t until_ms, char piece[STREAM_BUFFER_BYTES], size_t most)
{
	int64_t left_ms = until_ms - monotonic_ms();
	v->in_message = true;
	bool is_there = server_wait(v, (int)MIN(left_ms, (int64_t)SUBMITD_DATA_TIMEOUT_MS));
	ssize_t n = is_there ? stream_read(v->peer, piece, most) : -ETIMEDOUT;
	v->in_message = false;
	if (n <= 0)
		v->over = true;
	return n;
}

static void finish(struct server *v, struct intake *i)
{
	const char *id;
	uint64_t bytes;
	struct smtp_status refusal;
	int error;
	if (intake_commit(i, &id, &bytes, &refusal, &error) == 0) {
		log_message(v, id, bytes);
		smtp_reply_format(v->peer, 250, "2.0.0", "Message queued as %s", id);
		return;
	}
	if (error < 0)
		log_line(LOG_LEVEL_ERROR, "cannot queue a message: %s", strerrordesc_np(-error));
	else
		log_line(LOG_LEVEL_INFO, "message refused: %u %s %s", refusal.code,
		    refusal.enhanced, refusal.text);
	smtp_reply_status(v->peer, &refusal);
}

static void log_message(struct server *v, const char *id, uint64_t bytes)
{
	struct str sender cleanup(str_clear) = STR_INIT(2048);
	log_quote(v->transaction->sender, SMTP_PATH_MAX_BYTES, &sender);
	log_line(LOG_LEVEL_INFO, "queued %s from=<%s> bytes=%llu recipients=%zu", id, sender.data,
	    (unsigned long long)bytes, v->transaction->recipient_count);
}
