#include "conf/record.h"

#include "base/codec.h"

/* The least a list's entry takes: a count that could not fit is refused before it is allocated. */
enum { ENTRY_MIN_BYTES = 4 };

static void put_bool(struct str *out, bool v);
static void put_spans(struct str *out, const struct span *list, size_t count);
static const struct span *get_spans(struct reader *r, struct arena *a, size_t *ret_count);
static size_t get_count(struct reader *r);
static void put_routes(struct str *out, const struct route_list *list);
static struct route_list get_routes(struct reader *r, struct arena *a);

void record_write_global(const struct config_global *g, struct str *out)
{
	put_span(out, g->hostname);
	put_u32(out, (uint32_t)g->certificate_count);
	for (size_t i = 0; i < g->certificate_count; i++) {
		put_span(out, g->certificates[i].certificate_file);
		put_span(out, g->certificates[i].key_file);
	}
	put_u32(out, g->sasl_mechanisms);
	put_u64(out, g->message_size_max);
	put_u32(out, g->recipients_max);
	put_u32(out, (uint32_t)g->schedule_count);
	for (size_t i = 0; i < g->schedule_count; i++)
		put_u32(out, g->schedule_s[i]);
	put_u32(out, g->lifetime_s);
	put_u32(out, g->delay_notice_s);
	put_u32(out, g->concurrency);
	put_u32(out, g->concurrency_per_host);
	put_span(out, g->postmaster);
	put_span(out, g->account_pages_url);
	put_bool(out, g->hide_plus_after_abort);
	put_u32(out, g->scram_iterations);
}

int record_read_global(struct span record, struct arena *a, struct config_global *ret)
{
	struct reader r = reader_of(record);
	struct config_global g = {.hostname = get_span(&r)};
	g.certificate_count = get_count(&r);
	struct config_certificate *certificates =
	    ARENA_ARRAY(a, struct config_certificate, g.certificate_count);
	for (size_t i = 0; i < g.certificate_count; i++) {
		certificates[i].certificate_file = get_span(&r);
		certificates[i].key_file = get_span(&r);
	}
	g.certificates = certificates;
	g.sasl_mechanisms = get_u32(&r);
	g.message_size_max = get_u64(&r);
	g.recipients_max = get_u32(&r);
	g.schedule_count = get_count(&r);
	uint32_t *schedule = ARENA_ARRAY(a, uint32_t, g.schedule_count);
	for (size_t i = 0; i < g.schedule_count; i++)
		schedule[i] = get_u32(&r);
	g.schedule_s = schedule;
	g.lifetime_s = get_u32(&r);
	g.delay_notice_s = get_u32(&r);
	g.concurrency = get_u32(&r);
	g.concurrency_per_host = get_u32(&r);
	g.postmaster = get_span(&r);
	g.account_pages_url = get_span(&r);
	g.hide_plus_after_abort = get_u8(&r) != 0;
	g.scram_iterations = get_u32(&r);
	int rc = reader_end(&r);
	if (rc == 0)
		*ret = g;
	return rc;
}

void record_write_account(const struct config_account *account, struct str *out)
{
	put_span(out, account->name);
	put_spans(out, account->addresses, account->address_count);
	put_bool(out, account->disabled);
	put_span(out, account->disabled_text);
	put_u64(out, account->quota_bytes);
	put_u64(out, account->quota_messages);
	put_bool(out, account->local_only);
	put_bool(out, account->cram_md5);
	put_routes(out, &account->routes);
}

int record_read_account(struct span record, struct arena *a, struct config_account *ret)
{
	struct reader r = reader_of(record);
	struct config_account account = {.name = get_span(&r)};
	account.addresses = get_spans(&r, a, &account.address_count);
	account.disabled = get_u8(&r) != 0;
	account.disabled_text = get_span(&r);
	account.quota_bytes = get_u64(&r);
	account.quota_messages = get_u64(&r);
	account.local_only = get_u8(&r) != 0;
	account.cram_md5 = get_u8(&r) != 0;
	account.routes = get_routes(&r, a);
	int rc = reader_end(&r);
	if (rc == 0)
		*ret = account;
	return rc;
}

void record_write_domain(const struct config_domain *d, struct str *out)
{
	put_span(out, d->name);
	put_bool(out, d->deliver_route);
	put_bool(out, d->case_sensitive);
	put_span(out, d->catch_all);
	put_routes(out, &d->routes);
}

int record_read_domain(struct span record, struct arena *a, struct config_domain *ret)
{
	struct reader r = reader_of(record);
	struct config_domain d = {.name = get_span(&r)};
	d.deliver_route = get_u8(&r) != 0;
	d.case_sensitive = get_u8(&r) != 0;
	d.catch_all = get_span(&r);
	d.routes = get_routes(&r, a);
	int rc = reader_end(&r);
	if (rc == 0)
		*ret = d;
	return rc;
}

void record_write_transport(const struct config_transport *t, struct str *out)
{
	put_span(out, t->name);
	put_u8(out, (uint8_t)t->kind);
	put_span(out, t->host);
	put_u16(out, t->port);
	put_u8(out, (uint8_t)t->tls);
	put_u8(out, (uint8_t)t->verify);
	put_span(out, t->ca_file);
	put_span(out, t->pin);
	put_span(out, t->username);
	put_span(out, t->password_file);
	put_span(out, t->client_key_file);
	put_u32(out, t->mechanisms);
	put_u32(out, t->connections);
	put_u32(out, t->messages_per_connection);
	put_u32(out, t->fail_code);
	put_span(out, t->fail_text);
}

int record_read_transport(struct span record, struct arena *a, struct config_transport *ret)
{
	(void)a; /* nothing of it needs memory; the others do */
	struct reader r = reader_of(record);
	struct config_transport t = {.name = get_span(&r)};
	uint8_t kind = get_u8(&r);
	t.host = get_span(&r);
	t.port = get_u16(&r);
	uint8_t tls = get_u8(&r), verify = get_u8(&r);
	t.ca_file = get_span(&r);
	t.pin = get_span(&r);
	t.username = get_span(&r);
	t.password_file = get_span(&r);
	t.client_key_file = get_span(&r);
	t.mechanisms = get_u32(&r);
	t.connections = get_u32(&r);
	t.messages_per_connection = get_u32(&r);
	t.fail_code = get_u32(&r);
	t.fail_text = get_span(&r);
	int rc = reader_end(&r);
	if (rc < 0)
		return rc;
	if (kind > TRANSPORT_FAIL || tls > TRANSPORT_TLS_NONE || verify > TRANSPORT_VERIFY_NONE)
		return -EBADMSG;
	t.kind = (enum transport_kind)kind;
	t.tls = (enum transport_tls)tls;
	t.verify = (enum transport_verify)verify;
	*ret = t;
	return 0;
}

void record_write_routes(const struct route_list *list, struct str *out)
{
	put_routes(out, list);
}

int record_read_routes(struct span record, struct arena *a, struct route_list *ret)
{
	struct reader r = reader_of(record);
	struct route_list list = get_routes(&r, a);
	int rc = reader_end(&r);
	if (rc == 0)
		*ret = list;
	return rc;
}

void record_write_owner(const struct config_owner *o, struct str *out)
{
	put_span(out, o->account);
	put_span(out, o->canonical);
}

int record_read_owner(struct span record, struct config_owner *ret)
{
	struct reader r = reader_of(record);
	struct config_owner o = {.account = get_span(&r)};
	o.canonical = get_span(&r);
	int rc = reader_end(&r);
	if (rc == 0)
		*ret = o;
	return rc;
}

static void put_bool(struct str *out, bool v)
{
	put_u8(out, v ? 1 : 0);
}

static void put_spans(struct str *out, const struct span *list, size_t count)
{
	put_u32(out, (uint32_t)count);
	for (size_t i = 0; i < count; i++)
		put_span(out, list[i]);
}

static const struct span *get_spans(struct reader *r, struct arena *a, size_t *ret_count)
{
	size_t count = get_count(r);
	struct span *list = ARENA_ARRAY(a, struct span, count);
	for (size_t i = 0; i < count; i++)
		list[i] = get_span(r);
	*ret_count = count;
	return list;
}

static size_t get_count(struct reader *r)
{
	uint32_t count = get_u32(r);
	if (count <= r->rest.n / ENTRY_MIN_BYTES)
		return count;
	r->failed = true;
	return 0;
}

static void put_routes(struct str *out, const struct route_list *list)
{
	put_u32(out, (uint32_t)list->count);
	for (size_t i = 0; i < list->count; i++) {
		const struct route *route = &list->routes[i];
		put_spans(out, route->from_domains, route->from_count);
		put_spans(out, route->to_domains, route->to_count);
		put_u32(out, route->minimum_attempts);
		put_span(out, route->transport);
		put_span(out, route->where);
	}
}

static struct route_list get_routes(struct reader *r, struct arena *a)
{
	size_t count = get_count(r);
	struct route *routes = ARENA_ARRAY(a, struct route, count);
	for (size_t i = 0; i < count; i++) {
		routes[i].from_domains = get_spans(r, a, &routes[i].from_count);
		routes[i].to_domains = get_spans(r, a, &routes[i].to_count);
		routes[i].minimum_attempts = get_u32(r);
		routes[i].transport = get_span(r);
		routes[i].where = get_span(r);
	}
	return (struct route_list){routes, count};
}
