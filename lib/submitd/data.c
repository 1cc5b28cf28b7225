#include "submitd/intake.h"
#include "submitd/server.h"
#include "sys/log.h"

static bool read_text(struct server *v, struct intake *i);
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
	struct intake *i = intake_new(v->session, v->transaction, v->esmtp);
	smtp_reply(v->peer, 354, NULL, SPAN("Go ahead, end with a dot on a line of its own"));
	if (read_text(v, i))
		finish(v, i);
	intake_free(i);
	server_reset(v);
}

/* False when the connection ended before the message did: nothing is kept then. */
static bool read_text(struct server *v, struct intake *i)
{
	struct smtp_unstuffer u = {0};
	char piece[STREAM_BUFFER_BYTES];
	int64_t until_ms = monotonic_ms() + SUBMITD_MESSAGE_TIMEOUT_MS;
	while (u.state != SMTP_DATA_END) {
		int64_t left_ms = until_ms - monotonic_ms();
		if (!server_wait(v, (int)MIN(left_ms, (int64_t)SUBMITD_DATA_TIMEOUT_MS)))
			return false;
		ssize_t n = stream_read(v->peer, piece, sizeof(piece));
		if (n <= 0) {
			v->over = true;
			return false;
		}
		struct span got = span_of(piece, (size_t)n);
		size_t used = smtp_unstuff(&u, got, push, i);
		if (used < got.n)
			stream_unread(v->peer, span_from(got, used));
	}
	return true;
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
