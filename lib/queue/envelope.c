#include "base/ascii.h"
#include "base/codec.h"
#include "queue/incoming.h"
#include "smtp/address.h"

/*
 * Record: u8 version; account, sender, client (spans); u64 received, not_before; u8 body; u8 flags;
 * envid (span); u32 recipients, each: address (span), u8 notify, original (span).
 */
enum { ENVELOPE_VERSION = 1, RECIPIENT_MIN_BYTES = 4 + 1 + 4 };
enum {
	FLAG_SMTPUTF8 = 1,
	FLAG_REQUIRE_TLS = 2,
	FLAG_RETURN_FULL = 4,
	FLAG_RETURN_HEADERS = 8,
	FLAGS_ALL = 15
};
enum { NOTIFY_ALL = NOTIFY_NEVER | NOTIFY_SUCCESS | NOTIFY_FAILURE | NOTIFY_DELAY };

static bool text_is_valid(struct span s);
static bool original_is_valid(struct span s);
static int read_recipients(struct reader *r, struct arena *a, struct envelope *e);

void envelope_write(const struct envelope *e, struct str *out)
{
	put_u8(out, ENVELOPE_VERSION);
	put_span(out, e->account);
	put_span(out, e->sender);
	put_span(out, e->client);
	put_u64(out, (uint64_t)e->received_s);
	put_u64(out, (uint64_t)e->not_before_s);
	put_u8(out, (uint8_t)e->body);
	put_u8(out,
	    (uint8_t)((e->smtputf8 ? FLAG_SMTPUTF8 : 0) | (e->require_tls ? FLAG_REQUIRE_TLS : 0) |
		      (e->return_full ? FLAG_RETURN_FULL : 0) |
		      (e->return_headers ? FLAG_RETURN_HEADERS : 0)));
	put_span(out, e->envid);
	put_u32(out, (uint32_t)e->recipient_count);
	for (size_t i = 0; i < e->recipient_count; i++) {
		put_span(out, e->recipients[i].address);
		put_u8(out, (uint8_t)e->recipients[i].notify);
		put_span(out, e->recipients[i].original);
	}
}

int envelope_read(struct span record, struct arena *a, struct envelope *ret)
{
	struct reader r = reader_of(record);
	if (get_u8(&r) != ENVELOPE_VERSION)
		return -EBADMSG;
	struct envelope e = {0};
	e.account = get_span(&r);
	e.sender = get_span(&r);
	e.client = get_span(&r);
	e.received_s = (int64_t)get_u64(&r);
	e.not_before_s = (int64_t)get_u64(&r);
	uint8_t body = get_u8(&r), flags = get_u8(&r);
	e.envid = get_span(&r);
	if (r.failed || body > QUEUE_BODY_BINARYMIME || flags & ~FLAGS_ALL || e.received_s < 0 ||
	    e.not_before_s < 0)
		return -EBADMSG;
	e.body = (enum queue_body)body;
	e.smtputf8 = flags & FLAG_SMTPUTF8;
	e.require_tls = flags & FLAG_REQUIRE_TLS;
	e.return_full = flags & FLAG_RETURN_FULL;
	e.return_headers = flags & FLAG_RETURN_HEADERS;
	if (!text_is_valid(e.account) || !text_is_valid(e.client) || !text_is_valid(e.envid) ||
	    !xtext_is_valid(e.envid) || (e.sender.n && !smtp_address_is_valid(e.sender)))
		return -EBADMSG;
	int error = read_recipients(&r, a, &e);
	if (error == 0)
		error = reader_end(&r);
	if (error == 0)
		*ret = e;
	return error;
}

static int read_recipients(struct reader *r, struct arena *a, struct envelope *e)
{
	uint32_t count = get_u32(r);
	/* The second test keeps the list, 40 bytes each, in proportion to the file. */
	if (count == 0 || count > ENVELOPE_RECIPIENTS_MAX ||
	    count > r->rest.n / RECIPIENT_MIN_BYTES)
		return -EBADMSG;
	struct envelope_recipient *list = ARENA_ARRAY(a, struct envelope_recipient, count);
	for (uint32_t i = 0; i < count; i++) {
		list[i].address = get_span(r);
		list[i].notify = get_u8(r);
		list[i].original = get_span(r);
		bool never = list[i].notify & NOTIFY_NEVER;
		if (r->failed || !smtp_address_is_valid(list[i].address) ||
		    list[i].notify & ~(unsigned)NOTIFY_ALL ||
		    (never && list[i].notify != NOTIFY_NEVER) ||
		    !original_is_valid(list[i].original))
			return -EBADMSG;
	}
	e->recipients = list;
	e->recipient_count = count;
	return 0;
}

/* What may stand in a log line or a command: no control characters, of a sane length. */
static bool text_is_valid(struct span s)
{
	if (s.n > ENVELOPE_FIELD_MAX_BYTES)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (ascii_is_control((unsigned char)s.p[i]))
			return false;
	return true;
}

static bool original_is_valid(struct span s)
{
	struct span type, address;
	if (s.n == 0)
		return true;
	if (!text_is_valid(s) || !span_cut(s, ';', &type, &address))
		return false;
	for (size_t i = 0; i < type.n; i++)
		if (!ascii_is_alnum((unsigned char)type.p[i]) && type.p[i] != '-')
			return false;
	return type.n && xtext_is_valid(address);
}
