#include <fcntl.h>

#include "io/file.h"
#include "relay/worker.h"
#include "store/store.h"
#include "sys/sandbox.h"

enum { COPY_BYTES = 65536, TRACE_MAX_BYTES = 4096 };

static int open_mail(const struct worker *w, int *ret_fd)
{
	struct span account = w->job->plan.account;
	if (!account_name_is_valid(account))
		return -EINVAL;
	int state cleanup(close_fd) = -1;
	int error = paths_open_state(w->environment->paths, &state);
	if (error)
		return error;
	struct str path cleanup(str_clear) = STR_INIT(128);
	str_format(&path, "mail/%.*s", SPAN_ARG(account));
	return folder_open(state, path.data, ret_fd);
}

/* RFC 5321 §4.4: final delivery puts the sender in front. */
static int copy_message(struct draft *d, const struct job_message *m)
{
	struct str trace cleanup(str_clear) = STR_INIT(TRACE_MAX_BYTES);
	str_format(&trace, "Return-Path: <%.*s>\r\n", SPAN_ARG(m->message.sender));
	int error = str_error(&trace);
	if (!error)
		error = draft_write(d, str_span(&trace));
	char *piece = xmalloc(COPY_BYTES);
	for (uint64_t done = 0; !error && done < m->message.bytes;) {
		size_t n = (size_t)MIN(m->message.bytes - done, COPY_BYTES);
		error = fd_pread_all(m->fd, piece, n, m->message.offset + done);
		if (!error)
			error = draft_write(d, span_of(piece, n));
		done += n;
	}
	free(piece);
	return error;
}

static int append(struct worker *w, struct store *s, const struct job_message *m)
{
	struct draft *d = NULL;
	uint32_t uid_validity, uid;
	int error = draft_new(s, &d);
	if (!error)
		error = copy_message(d, m);
	if (!error) {
		struct append_item item = {.draft = d, .internal_date_s = w->environment->now_s};
		error = store_append(s, SPAN("INBOX"), &item, 1, &uid_validity, &uid);
	}
	draft_free(d);
	return error;
}

/* What a sender may read about our own failure. */
static struct queue_attempt answer_of(int error, struct arena *a)
{
	switch (error) {
	case 0: return (struct queue_attempt){.text = SPAN("delivered into the mailbox")};
	case -EDQUOT:
		return (struct queue_attempt){
		    .code = 452, .enhanced = SPAN("4.2.2"), .text = SPAN("the mailbox is full")};
	case -ENOSPC:
		return (struct queue_attempt){
		    .code = 452, .enhanced = SPAN("4.3.1"), .text = SPAN("the disk is full")};
	default:
		return (struct queue_attempt){.code = 451,
		    .enhanced = SPAN("4.3.0"),
		    .text = arena_format(
			a, "the mailbox cannot be written to now (%s)", strerror(-error))};
	}
}

void deliver_local(struct worker *w)
{
	struct str missing cleanup(str_clear) = STR_INIT(200);
	struct store *s = NULL;
	int mail = -1;
	int error = open_mail(w, &mail);
	if (!error) {
		struct sandbox_rule rule = {mail, SANDBOX_READ | SANDBOX_WRITE | SANDBOX_CREATE |
						      SANDBOX_REMOVE | SANDBOX_FOLDERS};
		error = sandbox_session(&rule, 1, &missing);
	}
	if (!error)
		error = store_open(mail, true, &s);
	if (!error)
		store_set_quota(s, w->environment->quota_bytes, w->environment->quota_messages);
	for (size_t i = 0; i < w->job->message_count; i++) {
		/* several addresses of one account get one copy */
		int result = error ? error : append(w, s, w->job->messages[i]);
		struct queue_attempt answer = answer_of(result, &w->arena);
		worker_report_message(w, i, result ? QUEUE_DEFERRED : QUEUE_DELIVERED, &answer);
	}
	store_close(s);
	close_fd(&mail);
}
