#include "gate/message.h"

#include "base/codec.h"

static const struct {
	enum message_sender sender;
	uint32_t max_bytes; /* of the body */
} messages[MESSAGE_TYPE_COUNT] = {
    [MESSAGE_FACTS] = {SENDER_GATE, MESSAGE_MAX_BYTES},
    [MESSAGE_AUTH] = {SENDER_GATE, MESSAGE_RESPONSE_MAX_BYTES + 4 * MESSAGE_NAME_MAX_BYTES},
    [MESSAGE_RESPONSE] = {SENDER_GATE, MESSAGE_RESPONSE_MAX_BYTES},
    [MESSAGE_ABORT] = {SENDER_GATE, 1},
    [MESSAGE_GOODBYE] = {SENDER_GATE, 0},
    [MESSAGE_WELCOME] = {SENDER_SESSION, MESSAGE_TEXT_MAX_BYTES + 16},
    [MESSAGE_CHALLENGE] = {SENDER_SESSION, MESSAGE_RESPONSE_MAX_BYTES},
    [MESSAGE_REFUSED] = {SENDER_SESSION, MESSAGE_TEXT_MAX_BYTES + 16},
    [MESSAGE_HANDOVER] = {SENDER_SESSION, 0},
};
enum { HEADER_BYTES = 5 };

static void put_flag(struct str *body, bool flag);
static bool get_flag(struct reader *r);
static void put_optional(struct str *body, struct span s);
static struct span get_optional(struct reader *r);
static struct span get_name(struct reader *r);

void message_put_facts(struct str *body, const struct message_facts *f)
{
	put_flag(body, f->tls);
	put_flag(body, f->implicit_tls);
	put_flag(body, f->client_certificate);
	put_u16(body, (uint16_t)f->tls_version);
	put_span(body, f->cipher);
	put_span(body, f->server_name);
	put_optional(body, f->client_spki);
	put_optional(body, f->transcript);
	put_flag(body, f->binding.tls);
	put_optional(body, f->binding.exporter);
	put_optional(body, f->binding.unique);
	put_optional(body, f->binding.server_end_point);
}

int message_get_facts(struct span body, struct message_facts *ret)
{
	struct reader r = reader_of(body);
	struct message_facts f = {0};

	f.tls = get_flag(&r);
	f.implicit_tls = get_flag(&r);
	f.client_certificate = get_flag(&r);
	f.tls_version = get_u16(&r);
	f.cipher = get_name(&r);
	f.server_name = get_name(&r);
	f.client_spki = get_optional(&r);
	f.transcript = get_optional(&r);
	f.binding.tls = get_flag(&r);
	f.binding.exporter = get_optional(&r);
	f.binding.unique = get_optional(&r);
	f.binding.server_end_point = get_optional(&r);
	int rc = reader_end(&r);
	if (rc == 0)
		*ret = f;
	return rc;
}

void message_put_auth(struct str *body, const struct message_auth *a)
{
	put_u8(body, (uint8_t)a->mechanism);
	put_optional(body, a->initial);
	put_span(body, a->tag);
	put_span(body, a->helo);
	put_flag(body, a->esmtp);
	put_span(body, a->client_id);
}

int message_get_auth(struct span body, struct message_auth *ret)
{
	struct reader r = reader_of(body);
	struct message_auth a = {0};

	a.mechanism = get_u8(&r);
	r.failed = r.failed || a.mechanism >= SASL_MECHANISM_COUNT;
	a.initial = get_optional(&r);
	a.tag = get_name(&r);
	a.helo = get_name(&r);
	a.esmtp = get_flag(&r);
	a.client_id = get_name(&r);
	int rc = reader_end(&r);
	if (rc == 0)
		*ret = a;
	return rc;
}

void message_put_welcome(struct str *body, const struct message_welcome *w)
{
	put_u32(body, w->mechanisms);
	put_flag(body, w->disabled);
	put_span(body, span_sub(w->text, 0, MESSAGE_TEXT_MAX_BYTES));
}

int message_get_welcome(struct span body, struct message_welcome *ret)
{
	struct reader r = reader_of(body);
	struct message_welcome w = {0};

	w.mechanisms = get_u32(&r);
	r.failed = r.failed || w.mechanisms >> SASL_MECHANISM_COUNT;
	w.disabled = get_flag(&r);
	w.text = get_span(&r);
	int rc = reader_end(&r);
	if (rc == 0)
		*ret = w;
	return rc;
}

void message_put_refused(struct str *body, const struct message_refused *refused)
{
	put_u8(body, (uint8_t)refused->refusal);
	put_flag(body, refused->close);
	put_span(body, span_sub(refused->text, 0, MESSAGE_TEXT_MAX_BYTES));
}

int message_get_refused(struct span body, struct message_refused *ret)
{
	struct reader r = reader_of(body);
	struct message_refused refused = {0};

	refused.refusal = get_u8(&r);
	r.failed = r.failed || refused.refusal >= REFUSAL_COUNT;
	refused.close = get_flag(&r);
	refused.text = get_span(&r);
	int rc = reader_end(&r);
	if (rc == 0)
		*ret = refused;
	return rc;
}

static void put_flag(struct str *body, bool flag)
{
	put_u8(body, flag);
}

static bool get_flag(struct reader *r)
{
	uint8_t v = get_u8(r);
	r->failed = r->failed || v > 1;
	return v == 1;
}

/* A span that may be unset. */
static void put_optional(struct str *body, struct span s)
{
	put_flag(body, span_is_set(s));
	if (span_is_set(s))
		put_span(body, s);
}

static struct span get_optional(struct reader *r)
{
	if (!get_flag(r))
		return SPAN_NONE;
	struct span s = get_span(r);
	return span_of(s.p ? s.p : "", s.n);
}

static struct span get_name(struct reader *r)
{
	struct span s = get_span(r);
	r->failed = r->failed || s.n > MESSAGE_NAME_MAX_BYTES;
	return s;
}

int message_send(struct stream *s, enum message_type type, struct span body)
{
	struct str header cleanup(str_clear) = STR_INIT(HEADER_BYTES);

	if (body.n > messages[type].max_bytes)
		return -EMSGSIZE;
	put_u32(&header, (uint32_t)body.n);
	put_u8(&header, (uint8_t)type);
	stream_write(s, str_span(&header));
	stream_write(s, body);
	return stream_flush(s);
}

int message_receive(
    struct stream *s, enum message_sender from, enum message_type *ret, struct str *body)
{
	char bytes[HEADER_BYTES];

	str_reset(body);
	int rc = stream_read_all(s, bytes, sizeof(bytes));
	if (rc < 0)
		return rc;
	struct reader r = reader_of(span_of(bytes, sizeof(bytes)));
	uint32_t n = get_u32(&r);
	uint8_t type = get_u8(&r);
	if (type < MESSAGE_FACTS || type >= MESSAGE_TYPE_COUNT || messages[type].sender != from ||
	    n > messages[type].max_bytes)
		return -EBADMSG;
	char *room = str_extend(body, n);
	if (!room)
		return -EMSGSIZE;
	rc = stream_read_all(s, room, n);
	if (rc < 0)
		return rc;
	*ret = type;
	return 0;
}
