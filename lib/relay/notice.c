#include "relay/notice.h"

#include "crypto/crypto.h"
#include "io/file.h"
#include "relay/dsn.h"

enum { BOUNDARY_CHARS = 24 };

static bool wants(const struct queue_recipient *r, unsigned event, bool by_default)
{
	return r->notify == NOTIFY_DEFAULT ? by_default : (r->notify & event) != 0;
}

static enum queue_notice notice_for(const struct notice_context *c, const struct queue_message *m,
    const struct queue_recipient *r, enum queue_result result)
{
	bool answerable = m->sender.n && !m->is_notice;
	switch (result) {
	case QUEUE_FAILED:
		/* what cannot be told to its sender is the postmaster's */
		if (!answerable)
			return c->global->postmaster.n ? QUEUE_NOTICE_FAILED : QUEUE_NOTICE_NONE;
		return wants(r, NOTIFY_FAILURE, true) ? QUEUE_NOTICE_FAILED : QUEUE_NOTICE_NONE;
	case QUEUE_DEFERRED:
		return answerable && !r->delay_told && c->global->delay_notice_s &&
			       c->now_s - m->received_s >= c->global->delay_notice_s &&
			       wants(r, NOTIFY_DELAY, true)
			   ? QUEUE_NOTICE_DELAYED
			   : QUEUE_NOTICE_NONE;
	case QUEUE_DELIVERED:
		return answerable && wants(r, NOTIFY_SUCCESS, false) ? QUEUE_NOTICE_DELIVERED
								     : QUEUE_NOTICE_NONE;
	case QUEUE_RELAYED:
		return answerable && wants(r, NOTIFY_SUCCESS, false) ? QUEUE_NOTICE_RELAYED
								     : QUEUE_NOTICE_NONE;
	}
	return QUEUE_NOTICE_NONE;
}

int notice_record(const struct notice_context *c, const struct queue_message *m,
    const struct queue_recipient *r, enum queue_result result, const struct queue_attempt *attempt)
{
	struct str text cleanup(str_clear) = STR_INIT(2 * QUEUE_TEXT_MAX_BYTES);
	struct queue_attempt a = *attempt;
	if (result == QUEUE_DEFERRED && c->now_s - m->received_s >= c->global->lifetime_s) {
		result = QUEUE_FAILED;
		str_format(&text, "given up, it is too old; last answer: %.*s", SPAN_ARG(a.text));
		a.text = str_span(&text);
		a.enhanced = SPAN("4.4.7"); /* RFC 3463: delivery time expired */
	}
	return queue_record_result(
	    c->queue, m->id, r->number, result, &a, notice_for(c, m, r, result));
}

/* Header, or all of a message that is not too large, into *out. */
static int read_returned(
    const struct notice_context *c, const struct queue_message *m, bool full, struct str *out)
{
	int fd cleanup(close_fd) = -1;
	int error = queue_message_open(c->queue, m->id, &fd);
	uint64_t n =
	    MIN(m->bytes, (uint64_t)(full ? DSN_RETURNED_MAX_BYTES : DSN_HEADER_MAX_BYTES));
	char *room = error ? NULL : str_extend(out, (size_t)n);
	if (!error)
		error = room ? fd_pread_all(fd, room, (size_t)n, m->offset) : -EMSGSIZE;
	if (error || full)
		return error;
	size_t end = span_find(str_span(out), SPAN("\r\n\r\n"));
	str_truncate(out, end == SIZE_MAX ? out->n : end + 2);
	return 0;
}

/* Who reads the notice: the sender, or for what has none the postmaster. */
static int find_reader(const struct notice_context *c, const struct queue_message *m,
    struct arena *a, struct span *ret_account, struct span *ret_address)
{
	struct config_account account;
	if (m->sender.n && !m->is_notice) {
		*ret_account = m->account;
		*ret_address = m->sender;
		return 0;
	}
	int error = config_account(c->config, c->global->postmaster, a, &account);
	if (error || account.address_count == 0)
		return error ? error : -ENOENT;
	*ret_account = account.name;
	*ret_address = account.addresses[0];
	return 0;
}

static int send_one(const struct notice_context *c, const struct queue_message *m,
    enum queue_notice kind, const struct queue_recipient *about, size_t count, struct arena *a)
{
	struct str returned cleanup(str_clear) = STR_INIT(DSN_RETURNED_MAX_BYTES);
	struct str text cleanup(str_clear) = STR_INIT(DSN_MAX_BYTES);
	struct span account, address;
	int error = find_reader(c, m, a, &account, &address);
	if (error == -ENOENT)
		return queue_drop_notices(c->queue, about, count); /* nobody to tell */
	bool full =
	    m->return_full && kind == QUEUE_NOTICE_FAILED && m->bytes <= DSN_RETURNED_MAX_BYTES;
	if (!error)
		error = read_returned(c, m, full, &returned);
	if (error == -ENOENT)
		error = 0; /* it is lost; that it was not delivered must be said all the same */
	if (error)
		return error;
	char boundary[BOUNDARY_CHARS + 1];
	random_name(boundary, BOUNDARY_CHARS);
	struct dsn d = {
	    .hostname = c->global->hostname,
	    .from = arena_format(a, "postmaster@%.*s", SPAN_ARG(c->global->hostname)),
	    .to = address,
	    .now_s = c->now_s,
	    .expires_s = m->received_s + c->global->lifetime_s,
	    .message = m,
	    .recipients = about,
	    .recipient_count = count,
	    .notice = kind,
	    .returned = str_span(&returned),
	    .returned_is_full = full,
	    .boundary = span_of(boundary, BOUNDARY_CHARS),
	};
	error = dsn_write(&d, &text);
	if (error)
		return error;
	return queue_add_notice(c->queue, account, address, str_span(&text),
	    !span_is_ascii(address), c->now_s, about, count);
}

int notice_send(
    const struct notice_context *c, struct span id, const uint32_t *numbers, size_t count)
{
	struct arena a cleanup(arena_clear) = {0};
	struct queue_message m;
	int error = queue_message(c->queue, id, &a, &m);
	if (error)
		return error == -ENOENT ? 0 : error; /* all done, nothing to tell */
	struct queue_recipient *list = ARENA_ARRAY(&a, struct queue_recipient, count);
	for (enum queue_notice kind = QUEUE_NOTICE_FAILED; kind <= QUEUE_NOTICE_DELIVERED; kind++) {
		size_t n = 0;
		for (size_t i = 0; i < count; i++) {
			error = queue_recipient(c->queue, id, numbers[i], &a, &list[n]);
			if (error && error != -ENOENT)
				return error;
			n += error == 0 && list[n].notice == kind;
		}
		error = n ? send_one(c, &m, kind, list, n, &a) : 0;
		if (error)
			return error;
	}
	return 0;
}
