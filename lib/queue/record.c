#include "queue/record.h"

#include <inttypes.h>

#include "base/codec.h"
#include "crypto/crypto.h"

enum { MESSAGE_VERSION = 1, RECIPIENT_VERSION = 1 };

enum message_bits {
	SMTPUTF8 = 1,
	REQUIRE_TLS = 2,
	RETURN_FULL = 4,
	IS_NOTICE = 8,
	RETURN_HEADERS = 16
};

void queue_message_encode(const struct queue_message *m, struct str *out)
{
	put_u8(out, MESSAGE_VERSION);
	put_span(out, m->account);
	put_span(out, m->sender);
	put_span(out, m->envid);
	put_span(out, m->client);
	put_u64(out, (uint64_t)m->received_s);
	put_u8(out, (uint8_t)m->body);
	put_u8(out,
	    (uint8_t)((m->smtputf8 ? SMTPUTF8 : 0) | (m->require_tls ? REQUIRE_TLS : 0) |
		      (m->return_full ? RETURN_FULL : 0) |
		      (m->return_headers ? RETURN_HEADERS : 0) | (m->is_notice ? IS_NOTICE : 0)));
	put_u64(out, m->offset);
	put_u64(out, m->bytes);
	put_u32(out, m->recipients_left);
}

int queue_message_decode(struct span value, struct span id, struct queue_message *ret)
{
	struct reader r = reader_of(value);
	struct queue_message m = {.id = id};
	if (get_u8(&r) != MESSAGE_VERSION)
		return -EUCLEAN;
	m.account = get_span(&r);
	m.sender = get_span(&r);
	m.envid = get_span(&r);
	m.client = get_span(&r);
	m.received_s = (int64_t)get_u64(&r);
	m.body = (enum queue_body)get_u8(&r);
	unsigned bits = get_u8(&r);
	m.smtputf8 = bits & SMTPUTF8;
	m.require_tls = bits & REQUIRE_TLS;
	m.return_full = bits & RETURN_FULL;
	m.return_headers = bits & RETURN_HEADERS;
	m.is_notice = bits & IS_NOTICE;
	m.offset = get_u64(&r);
	m.bytes = get_u64(&r);
	m.recipients_left = get_u32(&r);
	if (reader_end(&r))
		return -EUCLEAN;
	*ret = m;
	return 0;
}

static void encode_attempt(const struct queue_attempt *a, struct str *out)
{
	put_u64(out, (uint64_t)a->when_s);
	put_span(out, a->transport);
	put_span(out, a->route);
	put_span(out, a->host);
	put_u32(out, a->code);
	put_span(out, a->enhanced);
	put_span(out, span_sub(a->text, 0, QUEUE_TEXT_MAX_BYTES));
}

static void decode_attempt(struct reader *r, struct queue_attempt *a)
{
	a->when_s = (int64_t)get_u64(r);
	a->transport = get_span(r);
	a->route = get_span(r);
	a->host = get_span(r);
	a->code = get_u32(r);
	a->enhanced = get_span(r);
	a->text = get_span(r);
}

void queue_recipient_encode(const struct queue_recipient *r, struct str *out)
{
	put_u8(out, RECIPIENT_VERSION);
	put_span(out, r->address);
	put_span(out, r->original);
	put_u8(out, (uint8_t)r->notify);
	put_u32(out, r->attempts);
	put_u64(out, (uint64_t)r->next_attempt_s);
	put_u8(out, (uint8_t)r->notice);
	put_u8(out, r->delay_told);
	put_span(out, r->override_transport);
	put_u8(out, (uint8_t)r->history_count);
	for (size_t i = 0; i < r->history_count; i++)
		encode_attempt(&r->history[i], out);
}

int queue_recipient_decode(
    struct span value, struct span id, uint32_t number, struct queue_recipient *ret)
{
	struct reader r = reader_of(value);
	struct queue_recipient q = {.id = id, .number = number};
	if (get_u8(&r) != RECIPIENT_VERSION)
		return -EUCLEAN;
	q.address = get_span(&r);
	q.original = get_span(&r);
	q.notify = get_u8(&r);
	q.attempts = get_u32(&r);
	q.next_attempt_s = (int64_t)get_u64(&r);
	q.notice = (enum queue_notice)get_u8(&r);
	q.delay_told = get_u8(&r);
	q.override_transport = get_span(&r);
	q.history_count = get_u8(&r);
	if (q.history_count > QUEUE_ATTEMPTS_KEPT || q.notice > QUEUE_NOTICE_DELIVERED)
		return -EUCLEAN;
	for (size_t i = 0; i < q.history_count; i++)
		decode_attempt(&r, &q.history[i]);
	if (reader_end(&r))
		return -EUCLEAN;
	*ret = q;
	return 0;
}

void queue_notice_id(char id[QUEUE_ID_MAX_BYTES])
{
	uint64_t random;
	random_bytes(&random, sizeof(random));
	/* "n" never begins an id of incoming/: their time part begins with a digit until 2527 */
	(void)snprintf(id, QUEUE_ID_MAX_BYTES, "n%012" PRIx64 "%016" PRIx64, (uint64_t)wall_ms(),
	    random); /* 29 characters */
}
