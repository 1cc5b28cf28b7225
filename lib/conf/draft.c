#include "conf/draft.h"

#include "base/ascii.h"
#include "base/str.h"
#include "conf/address.h"
#include "conf/paths.h"
#include "conf/value.h"
#include "sasl/server.h"
#include "text/text.h"

enum {
	TRANSPORT_NAME_MAX_BYTES = 64,
	SMTP_PORT = 25,
	SUBMISSION_PORT = 587,
	SUBMISSIONS_PORT = 465
};

struct maker {
	struct arena *arena;
	struct config_report *report;
	const char *etc;
	struct config_draft *draft;
};

static void make_global(struct maker *m, const struct config_section *root);
static void make_certificate(
    struct maker *m, const struct config_section *s, struct config_certificate *ret);
static void make_domain(struct maker *m, const struct config_section *s, struct draft_domain *ret);
static void make_account(
    struct maker *m, const struct config_section *s, struct draft_account *ret);
static void make_addresses(struct maker *m, const struct values *v, struct draft_account *account);
static bool make_address(struct maker *m, const struct values *v, struct span text,
    struct span *ret_canonical, struct span *ret_compared);
static bool is_plain_local(struct span local);
static void make_transport(
    struct maker *m, const struct config_section *s, struct draft_transport *ret);
static struct draft_routes make_routes(struct maker *m, const struct config_section *parent);
static size_t make_entries(
    struct maker *m, const struct values *v, const char *name, const struct span **ret);
static unsigned make_mechanisms(
    struct maker *m, const struct values *v, const char *name, unsigned refused);
static struct span make_domain_name(struct maker *m, struct span text, struct config_place place);
static struct values values_of(const struct maker *m, const struct config_section *s);
static size_t count_sections(const struct config_section *parent, enum config_section_kind kind);
static int compare_domains(const void *a, const void *b);

void draft_make(const struct config_section *root, const char *etc, struct arena *a,
    struct config_report *report, struct config_draft *ret)
{
	*ret = (struct config_draft){.place = root->place};
	struct maker m = {a, report, etc, ret};
	struct config_draft *d = ret;
	d->domains = ARENA_ARRAY(a, struct draft_domain, count_sections(root, CONFIG_DOMAIN));
	d->accounts = ARENA_ARRAY(a, struct draft_account, count_sections(root, CONFIG_ACCOUNT));
	d->transports =
	    ARENA_ARRAY(a, struct draft_transport, count_sections(root, CONFIG_TRANSPORT));
	make_global(&m, root);
	for (const struct config_section *s = root->first; s; s = s->next) {
		if (s->kind == CONFIG_DOMAIN)
			make_domain(&m, s, &d->domains[d->domain_count++]);
	}
	/* An address needs its domain. */
	qsort(d->domains, d->domain_count, sizeof(*d->domains), compare_domains);
	for (const struct config_section *s = root->first; s; s = s->next) {
		if (s->kind == CONFIG_ACCOUNT)
			make_account(&m, s, &d->accounts[d->account_count++]);
		else if (s->kind == CONFIG_TRANSPORT)
			make_transport(&m, s, &d->transports[d->transport_count++]);
	}
	d->routes = make_routes(&m, root);
}

const struct draft_domain *draft_find_domain(const struct config_draft *d, struct span name)
{
	struct draft_domain wanted = {.domain.name = name};
	if (d->domain_count == 0)
		return NULL;
	return bsearch(&wanted, d->domains, d->domain_count, sizeof(wanted), compare_domains);
}

static void make_global(struct maker *m, const struct config_section *root)
{
	struct values v = values_of(m, root);
	struct config_global *g = &m->draft->global;
	if (value_is_required(&v, "hostname"))
		g->hostname =
		    make_domain_name(m, value_text(&v, "hostname"), value_place(&v, "hostname"));
	g->sasl_mechanisms = make_mechanisms(m, &v, "sasl-mechanisms", 0);
	g->message_size_max = value_size(&v, "message-size-max");
	g->recipients_max = value_number(&v, "recipients-max");
	g->schedule_count = value_times(&v, "schedule", &g->schedule_s);
	g->lifetime_s = value_time(&v, "lifetime");
	g->delay_notice_s = value_time(&v, "delay-notice");
	g->concurrency = value_number(&v, "concurrency");
	g->concurrency_per_host = value_number(&v, "concurrency-per-host");
	g->postmaster = value_text(&v, "postmaster");
	m->draft->postmaster_place = value_place(&v, "postmaster");
	g->account_pages_url = value_text(&v, "account-pages-url");
	g->hide_plus_after_abort = value_yes_no(&v, "hide-plus-after-abort");
	g->scram_iterations = value_number(&v, "scram-iterations");

	size_t count = count_sections(root, CONFIG_CERTIFICATE);
	struct config_certificate *certificates =
	    ARENA_ARRAY(m->arena, struct config_certificate, count);
	struct config_place *places = ARENA_ARRAY(m->arena, struct config_place, count);
	for (const struct config_section *s = root->first; s; s = s->next) {
		if (s->kind != CONFIG_CERTIFICATE)
			continue;
		places[g->certificate_count] = s->place;
		make_certificate(m, s, &certificates[g->certificate_count++]);
	}
	g->certificates = certificates;
	m->draft->certificate_places = places;
}

static void make_certificate(
    struct maker *m, const struct config_section *s, struct config_certificate *ret)
{
	struct values v = values_of(m, s);
	if (value_is_required(&v, "certificate-file") && value_is_required(&v, "key-file")) {
		ret->certificate_file = value_file(&v, "certificate-file");
		ret->key_file = value_file(&v, "key-file");
	}
}

static void make_domain(struct maker *m, const struct config_section *s, struct draft_domain *ret)
{
	struct values v = values_of(m, s);
	ret->place = s->place;
	ret->domain.name = make_domain_name(m, s->title, s->place);
	ret->domain.deliver_route = value_choice(&v, "deliver", 0) == 1;
	ret->domain.case_sensitive = value_yes_no(&v, "case-sensitive");
	ret->domain.catch_all = value_text(&v, "catch-all");
	ret->catch_all_place = value_place(&v, "catch-all");
	ret->routes = make_routes(m, s);
	ret->domain.routes = ret->routes.list;
}

static void make_account(struct maker *m, const struct config_section *s, struct draft_account *ret)
{
	struct values v = values_of(m, s);
	struct config_account *account = &ret->account;
	ret->place = s->place;
	account->name = s->title;
	if (!account_name_is_valid(s->title))
		report_error(m->report, s->place,
		    "\"%.*s\" cannot be the name of an account: 1 to 64 of a-z, 0-9, \".\", \"_\", "
		    "\"-\", no \".\" in front",
		    SPAN_ARG(s->title));
	make_addresses(m, &v, ret);
	account->disabled = value_yes_no(&v, "disabled");
	account->disabled_text = value_text(&v, "disabled-text");
	ret->disabled_text_place = value_place(&v, "disabled-text");
	account->quota_bytes = value_size(&v, "quota");
	account->quota_messages = value_number(&v, "quota-messages");
	account->local_only = value_yes_no(&v, "local-only");
	account->cram_md5 = value_yes_no(&v, "cram-md5");
	ret->routes = make_routes(m, s);
	account->routes = ret->routes.list;
}

static void make_addresses(struct maker *m, const struct values *v, struct draft_account *account)
{
	const struct span *texts = NULL;
	account->addresses_place = value_place(v, "addresses");
	if (!value_is_required(v, "addresses"))
		return;
	size_t count = value_list(v, "addresses", &texts);
	struct span *canonical = ARENA_ARRAY(m->arena, struct span, count);
	struct span *compared = ARENA_ARRAY(m->arena, struct span, count);
	size_t good = 0;
	for (size_t i = 0; i < count; i++) {
		if (make_address(m, v, texts[i], &canonical[good], &compared[good]))
			good++;
	}
	account->account.addresses = canonical;
	account->account.address_count = good;
	account->compared = compared;
}

static bool make_address(struct maker *m, const struct values *v, struct span text,
    struct span *ret_canonical, struct span *ret_compared)
{
	struct config_place place = value_place(v, "addresses");
	struct str local cleanup(str_clear) = STR_INIT(ADDRESS_LOCAL_MAX_BYTES);
	struct str name cleanup(str_clear) = STR_INIT(ADDRESS_DOMAIN_MAX_BYTES);
	struct str folded cleanup(str_clear) = STR_INIT(ADDRESS_LOCAL_MAX_BYTES);
	if (address_split(text, &local, &name) < 0 || !is_plain_local(str_span(&local))) {
		report_error(m->report, place, "\"%.*s\" is not an address like user@example.org",
		    SPAN_ARG(text));
		return false;
	}
	const struct draft_domain *domain = draft_find_domain(m->draft, str_span(&name));
	if (!domain) {
		report_error(m->report, place,
		    "the domain of \"%.*s\" is not configured; add: domain \"%s\" { }",
		    SPAN_ARG(text), name.data);
		return false;
	}
	if (address_fold_local(str_span(&local), domain->domain.case_sensitive, &folded) < 0)
		return false; /* it was NFC a moment ago: memory aside, this cannot be */
	*ret_canonical = arena_format(m->arena, "%s@%s", local.data, name.data);
	*ret_compared = arena_format(m->arena, "%s@%s", folded.data, name.data);
	return true;
}

/* Dot-string of RFC 5321 §4.1.2 with UTF-8 (RFC 6531 §3.3): what needs no quotes. */
static bool is_plain_local(struct span local)
{
	bool dot = true;
	for (size_t i = 0; i < local.n; i++) {
		unsigned char c = (unsigned char)local.p[i];
		if (c == '.' && dot)
			return false;
		dot = c == '.';
		if (!dot && c < 0x80 && !ascii_is_alnum(c) && !strchr("!#$%&'*+-/=?^_`{|}~", c))
			return false;
	}
	return !dot;
}

static void make_transport(
    struct maker *m, const struct config_section *s, struct draft_transport *ret)
{
	static const enum transport_kind kinds[] = {/* in the order of the table's choices */
	    TRANSPORT_DIRECT, TRANSPORT_SMTP, TRANSPORT_SUBMISSION, TRANSPORT_SUBMISSIONS,
	    TRANSPORT_FAIL};
	static const uint16_t ports[] = {0, SMTP_PORT, SUBMISSION_PORT, SUBMISSIONS_PORT, 0};
	struct values v = values_of(m, s);
	struct config_transport *t = &ret->transport;
	ret->place = s->place;
	t->name = s->title;
	if (t->name.n == 0 || t->name.n > TRANSPORT_NAME_MAX_BYTES)
		report_error(m->report, s->place, "the name of a transport has 1 to %d bytes",
		    TRANSPORT_NAME_MAX_BYTES);
	unsigned kind = value_is_required(&v, "kind") ? value_choice(&v, "kind", 0) : 0;
	t->kind = kinds[kind];
	t->host = value_text(&v, "host");
	t->port = value_is_set(&v, "port") ? (uint16_t)value_number(&v, "port") : ports[kind];
	t->tls = (enum transport_tls)value_choice(&v, "tls",
	    t->kind == TRANSPORT_SUBMISSIONS ? TRANSPORT_TLS_IMPLICIT : TRANSPORT_TLS_STARTTLS);
	t->verify = (enum transport_verify)value_choice(&v, "verify", TRANSPORT_VERIFY_PKIX);
	t->ca_file = value_file(&v, "ca-file");
	ret->ca_place = value_place(&v, "ca-file");
	t->pin = value_text(&v, "pin");
	t->username = value_text(&v, "username");
	t->password_file = value_file(&v, "password-file");
	ret->password_place = value_place(&v, "password-file");
	t->client_key_file = value_file(&v, "client-key-file");
	ret->client_key_place = value_place(&v, "client-key-file");
	t->mechanisms = make_mechanisms(m, &v, "mechanisms", 0);
	t->connections = value_number(&v, "connections");
	t->messages_per_connection = value_number(&v, "messages-per-connection");
	t->fail_code = value_number(&v, "code");
	t->fail_text = value_text(&v, "text");
}

static struct draft_routes make_routes(struct maker *m, const struct config_section *parent)
{
	size_t count = count_sections(parent, CONFIG_ROUTE), n = 0;
	struct route *routes = ARENA_ARRAY(m->arena, struct route, count);
	struct config_place *places = ARENA_ARRAY(m->arena, struct config_place, count);
	struct config_place *transports = ARENA_ARRAY(m->arena, struct config_place, count);
	for (const struct config_section *s = parent->first; s; s = s->next) {
		if (s->kind != CONFIG_ROUTE)
			continue;
		struct values v = values_of(m, s);
		struct route *r = &routes[n];
		r->from_count = make_entries(m, &v, "from-domain", &r->from_domains);
		r->to_count = make_entries(m, &v, "to-domain", &r->to_domains);
		r->minimum_attempts = value_number(&v, "minimum-attempts");
		if (value_is_required(&v, "transport"))
			r->transport = value_text(&v, "transport");
		r->where = report_place(m->arena, s->place);
		places[n] = s->place;
		transports[n++] = value_place(&v, "transport");
	}
	return (struct draft_routes){{routes, count}, places, transports};
}

/* "example.org" or ".example.org", in any spelling of the domain. */
static size_t make_entries(
    struct maker *m, const struct values *v, const char *name, const struct span **ret)
{
	const struct span *texts;
	size_t count = value_list(v, name, &texts);
	struct span *entries = ARENA_ARRAY(m->arena, struct span, count);
	for (size_t i = 0; i < count; i++) {
		bool below = texts[i].n > 0 && texts[i].p[0] == '.';
		struct span domain =
		    make_domain_name(m, span_from(texts[i], below ? 1 : 0), value_place(v, name));
		entries[i] = below ? arena_format(m->arena, ".%.*s", SPAN_ARG(domain)) : domain;
	}
	*ret = entries;
	return count;
}

static unsigned make_mechanisms(
    struct maker *m, const struct values *v, const char *name, unsigned refused)
{
	const struct span *names;
	size_t count = value_list(v, name, &names);
	unsigned set = 0;
	for (size_t i = 0; i < count; i++) {
		enum sasl_mechanism mechanism = sasl_by_name(names[i]);
		if (mechanism == SASL_MECHANISM_COUNT)
			report_error(m->report, value_place(v, name),
			    "\"%.*s\" is not a SASL mechanism that is known here",
			    SPAN_ARG(names[i]));
		else if (refused & 1u << mechanism)
			report_error(m->report, value_place(v, name), "%.*s cannot be offered",
			    SPAN_ARG(names[i]));
		else
			set |= 1u << mechanism;
	}
	return set;
}

static struct span make_domain_name(struct maker *m, struct span text, struct config_place place)
{
	struct str name cleanup(str_clear) = STR_INIT(ADDRESS_DOMAIN_MAX_BYTES);
	if (text_domain_ascii(text, &name) == 0 && name.n > 0)
		return arena_span(m->arena, str_span(&name));
	report_error(m->report, place, "\"%.*s\" is not a domain", SPAN_ARG(text));
	return SPAN("");
}

static struct values values_of(const struct maker *m, const struct config_section *s)
{
	return (struct values){s, m->arena, m->report, m->etc};
}

static size_t count_sections(const struct config_section *parent, enum config_section_kind kind)
{
	size_t count = 0;
	for (const struct config_section *s = parent->first; s; s = s->next)
		count += s->kind == kind;
	return count;
}

static int compare_domains(const void *a, const void *b)
{
	const struct draft_domain *left = a, *right = b;
	return span_compare(left->domain.name, right->domain.name);
}
