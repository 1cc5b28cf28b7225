/*
 * `config show`: what the configuration amounts to, in postern.conf's own form (which may be put in
 * its place) or as JSON. It walks the table of keys: one that has no row here is an assertion, not
 * left out.
 */
#include <assert.h>
#include <inttypes.h>

#include "admin/admin.h"
#include "base/str.h"
#include "sasl/server.h"

enum { QUOTED_MAX_BYTES = 65536 };

/* How the value is held. */
enum form {
	FORM_TEXT,	 /* struct span; unset: none */
	FORM_TEXTS,	 /* const struct span *, and their count */
	FORM_TIMES,	 /* const uint32_t *, and their count */
	FORM_MECHANISMS, /* unsigned, a set; 0: none */
	FORM_U16,	 /* uint16_t; 0: none */
	FORM_U32,
	FORM_U64,
	FORM_BOOL, /* yes or no, or the first two choices */
	FORM_TLS,  /* enums */
	FORM_VERIFY,
	FORM_TRANSPORT,
};
struct field {
	enum config_section_kind section;
	const char *name;
	enum form form;
	size_t at, count_at;
};

#define GLOBAL(member) offsetof(struct config_global, member)
#define CERTIFICATE(member) offsetof(struct config_certificate, member)
#define DOMAIN(member) offsetof(struct config_domain, member)
#define ACCOUNT(member) offsetof(struct config_account, member)
#define TRANSPORT(member) offsetof(struct config_transport, member)
#define ROUTE(member) offsetof(struct route, member)

static const struct field fields[] = {
    {CONFIG_GLOBAL, "hostname", FORM_TEXT, GLOBAL(hostname), 0},
    {CONFIG_GLOBAL, "sasl-mechanisms", FORM_MECHANISMS, GLOBAL(sasl_mechanisms), 0},
    {CONFIG_GLOBAL, "message-size-max", FORM_U64, GLOBAL(message_size_max), 0},
    {CONFIG_GLOBAL, "recipients-max", FORM_U32, GLOBAL(recipients_max), 0},
    {CONFIG_GLOBAL, "schedule", FORM_TIMES, GLOBAL(schedule_s), GLOBAL(schedule_count)},
    {CONFIG_GLOBAL, "lifetime", FORM_U32, GLOBAL(lifetime_s), 0},
    {CONFIG_GLOBAL, "delay-notice", FORM_U32, GLOBAL(delay_notice_s), 0},
    {CONFIG_GLOBAL, "concurrency", FORM_U32, GLOBAL(concurrency), 0},
    {CONFIG_GLOBAL, "concurrency-per-host", FORM_U32, GLOBAL(concurrency_per_host), 0},
    {CONFIG_GLOBAL, "postmaster", FORM_TEXT, GLOBAL(postmaster), 0},
    {CONFIG_GLOBAL, "account-pages-url", FORM_TEXT, GLOBAL(account_pages_url), 0},
    {CONFIG_GLOBAL, "hide-plus-after-abort", FORM_BOOL, GLOBAL(hide_plus_after_abort), 0},
    {CONFIG_GLOBAL, "scram-iterations", FORM_U32, GLOBAL(scram_iterations), 0},

    {CONFIG_CERTIFICATE, "certificate-file", FORM_TEXT, CERTIFICATE(certificate_file), 0},
    {CONFIG_CERTIFICATE, "key-file", FORM_TEXT, CERTIFICATE(key_file), 0},

    {CONFIG_DOMAIN, "deliver", FORM_BOOL, DOMAIN(deliver_route), 0},
    {CONFIG_DOMAIN, "case-sensitive", FORM_BOOL, DOMAIN(case_sensitive), 0},
    {CONFIG_DOMAIN, "catch-all", FORM_TEXT, DOMAIN(catch_all), 0},

    {CONFIG_ACCOUNT, "addresses", FORM_TEXTS, ACCOUNT(addresses), ACCOUNT(address_count)},
    {CONFIG_ACCOUNT, "disabled", FORM_BOOL, ACCOUNT(disabled), 0},
    {CONFIG_ACCOUNT, "disabled-text", FORM_TEXT, ACCOUNT(disabled_text), 0},
    {CONFIG_ACCOUNT, "quota", FORM_U64, ACCOUNT(quota_bytes), 0},
    {CONFIG_ACCOUNT, "quota-messages", FORM_U64, ACCOUNT(quota_messages), 0},
    {CONFIG_ACCOUNT, "local-only", FORM_BOOL, ACCOUNT(local_only), 0},
    {CONFIG_ACCOUNT, "cram-md5", FORM_BOOL, ACCOUNT(cram_md5), 0},

    {CONFIG_TRANSPORT, "kind", FORM_TRANSPORT, TRANSPORT(kind), 0},
    {CONFIG_TRANSPORT, "host", FORM_TEXT, TRANSPORT(host), 0},
    {CONFIG_TRANSPORT, "port", FORM_U16, TRANSPORT(port), 0},
    {CONFIG_TRANSPORT, "tls", FORM_TLS, TRANSPORT(tls), 0},
    {CONFIG_TRANSPORT, "verify", FORM_VERIFY, TRANSPORT(verify), 0},
    {CONFIG_TRANSPORT, "ca-file", FORM_TEXT, TRANSPORT(ca_file), 0},
    {CONFIG_TRANSPORT, "pin", FORM_TEXT, TRANSPORT(pin), 0},
    {CONFIG_TRANSPORT, "username", FORM_TEXT, TRANSPORT(username), 0},
    {CONFIG_TRANSPORT, "password-file", FORM_TEXT, TRANSPORT(password_file), 0},
    {CONFIG_TRANSPORT, "client-key-file", FORM_TEXT, TRANSPORT(client_key_file), 0},
    {CONFIG_TRANSPORT, "mechanisms", FORM_MECHANISMS, TRANSPORT(mechanisms), 0},
    {CONFIG_TRANSPORT, "connections", FORM_U32, TRANSPORT(connections), 0},
    {CONFIG_TRANSPORT, "messages-per-connection", FORM_U32, TRANSPORT(messages_per_connection), 0},
    {CONFIG_TRANSPORT, "code", FORM_U32, TRANSPORT(fail_code), 0},
    {CONFIG_TRANSPORT, "text", FORM_TEXT, TRANSPORT(fail_text), 0},

    {CONFIG_ROUTE, "from-domain", FORM_TEXTS, ROUTE(from_domains), ROUTE(from_count)},
    {CONFIG_ROUTE, "to-domain", FORM_TEXTS, ROUTE(to_domains), ROUTE(to_count)},
    {CONFIG_ROUTE, "minimum-attempts", FORM_U32, ROUTE(minimum_attempts), 0},
    {CONFIG_ROUTE, "transport", FORM_TEXT, ROUTE(transport), 0},
};

static const char *const transport_words[] = {
    [TRANSPORT_DIRECT] = "direct",
    [TRANSPORT_SMTP] = "smtp",
    [TRANSPORT_SUBMISSION] = "submission",
    [TRANSPORT_SUBMISSIONS] = "submissions",
    [TRANSPORT_SOCKS] = "socks",
    [TRANSPORT_LMTP] = "lmtp",
    [TRANSPORT_FAIL] = "fail",
};
static const char *const tls_words[] = {[TRANSPORT_TLS_IMPLICIT] = "implicit",
    [TRANSPORT_TLS_STARTTLS] = "starttls",
    [TRANSPORT_TLS_NONE] = "none"};
static const char *const verify_words[] = {[TRANSPORT_VERIFY_PKIX] = "pkix",
    [TRANSPORT_VERIFY_PINNED] = "pinned",
    [TRANSPORT_VERIFY_NONE] = "none"};

/* A value, ready to be printed: one item or a list. */
struct shown {
	const struct span *items;
	size_t count;
	bool is_list;
	bool is_word; /* postern.conf needs no quotes, JSON does */
	bool is_bare; /* neither does */
};

static void show_text(struct admin *admin, const struct config_draft *d);
static void show_json(struct admin *admin, const struct config_draft *d);
static void open_text(enum config_section_kind kind, struct span title);
static void show_text_keys(
    struct admin *admin, enum config_section_kind kind, const void *section, const char *indent);
static void show_text_routes(
    struct admin *admin, const struct route_list *list, const char *indent, const char *inner);
static void show_text_value(const struct shown *v);
static void quote_text(struct span s);
static void show_json_keys(
    struct admin *admin, enum config_section_kind kind, const void *section, struct span title);
static void show_json_routes(struct admin *admin, const struct route_list *list);
static void show_json_value(const struct shown *v);
static const struct field *find_field(const struct config_key *key);
static struct shown get(struct admin *admin, const struct config_key *key, const void *section);
static struct shown get_times(struct arena *a, const uint32_t *times, size_t count, bool json);
static struct shown get_mechanisms(struct arena *a, unsigned set);
static struct shown get_number(struct admin *admin, const struct config_key *key, uint64_t number);
static struct shown get_bool(struct admin *admin, const struct config_key *key, bool yes);
static struct shown get_word(struct arena *a, const char *word);
static struct shown one(struct arena *a, struct span item);

int verb_config_show(struct admin *admin)
{
	struct config_draft draft;
	int status = check_config(admin, &draft);
	if (status == STATUS_OK)
		(admin->json ? show_json : show_text)(admin, &draft);
	return status;
}

static void show_text(struct admin *admin, const struct config_draft *d)
{
	show_text_keys(admin, CONFIG_GLOBAL, &d->global, "");
	for (size_t i = 0; i < d->global.certificate_count; i++) {
		open_text(CONFIG_CERTIFICATE, SPAN_NONE);
		show_text_keys(admin, CONFIG_CERTIFICATE, &d->global.certificates[i], "\t");
		printf("}\n");
	}
	for (size_t i = 0; i < d->transport_count; i++) {
		open_text(CONFIG_TRANSPORT, d->transports[i].transport.name);
		show_text_keys(admin, CONFIG_TRANSPORT, &d->transports[i].transport, "\t");
		printf("}\n");
	}
	show_text_routes(admin, &d->routes.list, "", "\t");
	for (size_t i = 0; i < d->domain_count; i++) {
		open_text(CONFIG_DOMAIN, d->domains[i].domain.name);
		show_text_keys(admin, CONFIG_DOMAIN, &d->domains[i].domain, "\t");
		show_text_routes(admin, &d->domains[i].domain.routes, "\t", "\t\t");
		printf("}\n");
	}
	for (size_t i = 0; i < d->account_count; i++) {
		open_text(CONFIG_ACCOUNT, d->accounts[i].account.name);
		show_text_keys(admin, CONFIG_ACCOUNT, &d->accounts[i].account, "\t");
		show_text_routes(admin, &d->accounts[i].account.routes, "\t", "\t\t");
		printf("}\n");
	}
}

static void open_text(enum config_section_kind kind, struct span title)
{
	printf("%s ", config_section_name(kind));
	if (span_is_set(title)) {
		quote_text(title);
		printf(" ");
	}
	printf("{\n");
}

/* What is not set and has no default has no line. */
static void show_text_keys(
    struct admin *admin, enum config_section_kind kind, const void *section, const char *indent)
{
	for (size_t i = 0; i < config_key_count; i++) {
		if (config_keys[i].section != kind)
			continue;
		struct shown value = get(admin, &config_keys[i], section);
		if (value.count == 0)
			continue;
		printf("%s%s = ", indent, config_keys[i].name);
		show_text_value(&value);
		printf("\n");
	}
}

static void show_text_routes(
    struct admin *admin, const struct route_list *list, const char *indent, const char *inner)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct route *r = &list->routes[i];
		printf("%sroute { # %.*s\n", indent, SPAN_ARG(r->where));
		show_text_keys(admin, CONFIG_ROUTE, r, inner);
		printf("%s}\n", indent);
	}
}

static void show_text_value(const struct shown *v)
{
	printf("%s", v->is_list ? "{" : "");
	for (size_t i = 0; i < v->count; i++) {
		printf("%s", i > 0 ? ", " : "");
		if (v->is_word || v->is_bare)
			printf("%.*s", SPAN_ARG(v->items[i]));
		else
			quote_text(v->items[i]);
	}
	printf("%s", v->is_list ? "}" : "");
}

static void quote_text(struct span s)
{
	putchar('"');
	for (size_t i = 0; i < s.n; i++)
		printf("%s%c", s.p[i] == '"' || s.p[i] == '\\' ? "\\" : "", s.p[i]);
	putchar('"');
}

static void show_json(struct admin *admin, const struct config_draft *d)
{
	printf("{");
	show_json_keys(admin, CONFIG_GLOBAL, &d->global, SPAN_NONE);
	printf(",\"certificates\":[");
	for (size_t i = 0; i < d->global.certificate_count; i++) {
		printf("%s{", i > 0 ? "," : "");
		show_json_keys(admin, CONFIG_CERTIFICATE, &d->global.certificates[i], SPAN_NONE);
		printf("}");
	}
	printf("],\"transports\":[");
	for (size_t i = 0; i < d->transport_count; i++) {
		const struct config_transport *t = &d->transports[i].transport;
		printf("%s{", i > 0 ? "," : "");
		show_json_keys(admin, CONFIG_TRANSPORT, t, t->name);
		printf("}");
	}
	printf("]");
	show_json_routes(admin, &d->routes.list);
	printf(",\"domains\":[");
	for (size_t i = 0; i < d->domain_count; i++) {
		const struct config_domain *domain = &d->domains[i].domain;
		printf("%s{", i > 0 ? "," : "");
		show_json_keys(admin, CONFIG_DOMAIN, domain, domain->name);
		show_json_routes(admin, &domain->routes);
		printf("}");
	}
	printf("],\"accounts\":[");
	for (size_t i = 0; i < d->account_count; i++) {
		const struct config_account *account = &d->accounts[i].account;
		printf("%s{", i > 0 ? "," : "");
		show_json_keys(admin, CONFIG_ACCOUNT, account, account->name);
		show_json_routes(admin, &account->routes);
		printf("}");
	}
	printf("]}\n");
}

/* All keys: null where nothing is set, and no default. */
static void show_json_keys(
    struct admin *admin, enum config_section_kind kind, const void *section, struct span title)
{
	bool any = span_is_set(title);
	if (any) {
		printf("\"name\":");
		print_json_string(title);
	}
	for (size_t i = 0; i < config_key_count; i++) {
		if (config_keys[i].section != kind)
			continue;
		struct shown value = get(admin, &config_keys[i], section);
		printf("%s\"%s\":", any ? "," : "", config_keys[i].name);
		show_json_value(&value);
		any = true;
	}
}

static void show_json_routes(struct admin *admin, const struct route_list *list)
{
	printf(",\"routes\":[");
	for (size_t i = 0; i < list->count; i++) {
		printf("%s{\"where\":", i > 0 ? "," : "");
		print_json_string(list->routes[i].where);
		printf(",");
		show_json_keys(admin, CONFIG_ROUTE, &list->routes[i], SPAN_NONE);
		printf("}");
	}
	printf("]");
}

static void show_json_value(const struct shown *v)
{
	if (v->count == 0 && !v->is_list) {
		printf("null");
		return;
	}
	printf("%s", v->is_list ? "[" : "");
	for (size_t i = 0; i < v->count; i++) {
		printf("%s", i > 0 ? "," : "");
		if (v->is_bare)
			printf("%.*s", SPAN_ARG(v->items[i]));
		else
			print_json_string(v->items[i]);
	}
	printf("%s", v->is_list ? "]" : "");
}

static const struct field *find_field(const struct config_key *key)
{
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		if (fields[i].section == key->section && strcmp(fields[i].name, key->name) == 0)
			return &fields[i];
	}
	return NULL;
}

static struct shown get(struct admin *admin, const struct config_key *key, const void *section)
{
	const struct field *f = find_field(key);
	assert(f);
	const void *at = (const char *)section + f->at;
	const void *count_at = (const char *)section + f->count_at;
	struct arena *a = &admin->arena;
	struct shown texts = {.is_list = true};
	switch (f->form) {
	case FORM_TEXT: return one(a, *(const struct span *)at);
	case FORM_TEXTS:
		texts.items = *(const struct span *const *)at;
		texts.count = *(const size_t *)count_at;
		return texts;
	case FORM_TIMES:
		return get_times(
		    a, *(const uint32_t *const *)at, *(const size_t *)count_at, admin->json);
	case FORM_MECHANISMS: return get_mechanisms(a, *(const unsigned *)at);
	case FORM_U16:
		if (*(const uint16_t *)at == 0)
			return (struct shown){0};
		return get_number(admin, key, *(const uint16_t *)at);
	case FORM_U32: return get_number(admin, key, *(const uint32_t *)at);
	case FORM_U64: return get_number(admin, key, *(const uint64_t *)at);
	case FORM_BOOL: return get_bool(admin, key, *(const bool *)at);
	case FORM_TLS: return get_word(a, tls_words[*(const enum transport_tls *)at]);
	case FORM_VERIFY: return get_word(a, verify_words[*(const enum transport_verify *)at]);
	case FORM_TRANSPORT: return get_word(a, transport_words[*(const enum transport_kind *)at]);
	}
	abort(); /* no such form */
}

static struct shown get_times(struct arena *a, const uint32_t *times, size_t count, bool json)
{
	struct span *items = ARENA_ARRAY(a, struct span, count);
	for (size_t i = 0; i < count; i++)
		items[i] = arena_format(a, "%" PRIu32 "%s", times[i], json ? "" : "s");
	return (struct shown){.items = items, .count = count, .is_list = true, .is_bare = true};
}

static struct shown get_mechanisms(struct arena *a, unsigned set)
{
	struct span *items = ARENA_ARRAY(a, struct span, SASL_MECHANISM_COUNT);
	size_t count = 0;
	for (int m = 0; m < SASL_MECHANISM_COUNT; m++) {
		if (set & 1u << m)
			items[count++] = sasl_name((enum sasl_mechanism)m);
	}
	return (struct shown){.items = items, .count = count, .is_list = true, .is_word = true};
}

static struct shown get_number(struct admin *admin, const struct config_key *key, uint64_t number)
{
	const char *unit = key->type == CONFIG_TIME && !admin->json ? "s" : "";
	struct shown v =
	    one(&admin->arena, arena_format(&admin->arena, "%" PRIu64 "%s", number, unit));
	v.is_bare = true;
	return v;
}

static struct shown get_bool(struct admin *admin, const struct config_key *key, bool yes)
{
	if (key->type == CONFIG_CHOICE) { /* "FALSE|TRUE" */
		struct span no, rest;
		(void)span_cut(span_cstr(key->choices), '|', &no, &rest); /* of the table */
		return get_word(&admin->arena, arena_cstr(&admin->arena, yes ? rest : no));
	}
	struct shown v =
	    get_word(&admin->arena, admin->json ? (yes ? "true" : "false") : (yes ? "yes" : "no"));
	v.is_bare = true;
	return v;
}

static struct shown get_word(struct arena *a, const char *word)
{
	struct shown v = one(a, span_cstr(word));
	v.is_word = true;
	return v;
}

/* Unset: no item. */
static struct shown one(struct arena *a, struct span item)
{
	struct span *items = ARENA_NEW(a, struct span);
	*items = item;
	return (struct shown){.items = items, .count = span_is_set(item)};
}
