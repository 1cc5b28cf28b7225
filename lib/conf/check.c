#include "conf/draft.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/str.h"
#include "text/text.h"
#include "tls/tls.h"

enum { PEM_FILE_MAX_BYTES = 1 << 20, REASON_MAX_BYTES = 1000 };

/* One address of an account, for finding the second one that is the same. */
struct claim {
	struct span compared;
	const struct draft_account *owner;
};

static void check_domains(const struct config_draft *d, struct config_report *report);
static void check_addresses(const struct config_draft *d, struct config_report *report);
static void check_disabled_text(const struct draft_account *a, struct config_report *report);
static void check_account_name(const struct config_draft *d, struct span name, const char *key,
    struct config_place place, struct config_report *report);
static void check_routes(
    struct config_draft *d, const struct draft_routes *routes, struct config_report *report);
static void check_shadowing(const struct draft_routes *routes, struct config_report *report);
static bool covers(
    const struct span *outer, size_t outer_count, const struct span *inner, size_t inner_count);
static bool entry_covers(struct span outer, struct span inner);
static void check_transport(const struct draft_transport *t, struct config_report *report);
static void check_relay(const struct draft_transport *t, struct config_report *report);
static void check_ca(const struct draft_transport *t, struct config_report *report);
static void check_certificate(
    const struct config_certificate *c, struct config_place place, struct config_report *report);
static bool read_file(
    struct span path, struct config_place place, struct config_report *report, struct str *out);
static int compare_claims(const void *a, const void *b);

void draft_check(struct config_draft *d, struct config_report *report)
{
	check_domains(d, report);
	check_addresses(d, report);
	check_account_name(d, d->global.postmaster, "postmaster", d->postmaster_place, report);
	check_routes(d, &d->routes, report);
	for (size_t i = 0; i < d->domain_count; i++)
		check_routes(d, &d->domains[i].routes, report);
	for (size_t i = 0; i < d->account_count; i++) {
		check_disabled_text(&d->accounts[i], report);
		check_routes(d, &d->accounts[i].routes, report);
	}
	for (size_t i = 0; i < d->transport_count; i++)
		check_transport(&d->transports[i], report);
	if (d->global.certificate_count == 0)
		report_warning(report, d->place,
		    "no certificate { } is configured: handlers cannot serve TLS");
	for (size_t i = 0; i < d->global.certificate_count; i++)
		check_certificate(&d->global.certificates[i], d->certificate_places[i], report);
}

static void check_domains(const struct config_draft *d, struct config_report *report)
{
	for (size_t i = 0; i < d->domain_count; i++) {
		const struct draft_domain *domain = &d->domains[i];
		check_account_name(
		    d, domain->domain.catch_all, "catch-all", domain->catch_all_place, report);
		/* Sorted: the same name in another spelling stands beside it. */
		if (i == 0 || domain->domain.name.n == 0 ||
		    !span_equal(domain->domain.name, d->domains[i - 1].domain.name))
			continue;
		report_error(report, domain->place,
		    "the domain %.*s is configured twice; also at %.*s",
		    SPAN_ARG(domain->domain.name),
		    SPAN_ARG(report_place(report->arena, d->domains[i - 1].place)));
	}
}

static void check_addresses(const struct config_draft *d, struct config_report *report)
{
	size_t count = 0, n = 0;
	for (size_t i = 0; i < d->account_count; i++)
		count += d->accounts[i].account.address_count;
	struct claim *claims = ARENA_ARRAY(report->arena, struct claim, count);
	for (size_t i = 0; i < d->account_count; i++) {
		const struct draft_account *account = &d->accounts[i];
		for (size_t k = 0; k < account->account.address_count; k++)
			claims[n++] = (struct claim){account->compared[k], account};
	}
	qsort(claims, count, sizeof(*claims), compare_claims);
	for (size_t i = 1; i < count; i++) {
		if (!span_equal(claims[i].compared, claims[i - 1].compared))
			continue;
		report_error(report, claims[i].owner->addresses_place,
		    "the address %.*s is given twice; also at %.*s (account \"%.*s\")",
		    SPAN_ARG(claims[i].compared),
		    SPAN_ARG(report_place(report->arena, claims[i - 1].owner->addresses_place)),
		    SPAN_ARG(claims[i - 1].owner->account.name));
	}
}

/* It stands in responses and replies to clients that have not logged in: those are ASCII. */
static void check_disabled_text(const struct draft_account *a, struct config_report *report)
{
	struct span text = a->account.disabled_text;
	struct str shown cleanup(str_clear) = STR_INIT(text.n);
	text_to_printable_ascii(text, &shown);
	if (!span_equal(text, str_span(&shown)))
		report_warning(report, a->disabled_text_place,
		    "mail programs are told this in ASCII: \"%s\"", shown.data);
}

static void check_account_name(const struct config_draft *d, struct span name, const char *key,
    struct config_place place, struct config_report *report)
{
	if (name.n == 0)
		return;
	for (size_t i = 0; i < d->account_count; i++) {
		if (span_equal(d->accounts[i].account.name, name))
			return;
	}
	report_error(report, place, "%s names the account \"%.*s\", which is not configured", key,
	    SPAN_ARG(name));
}

static void check_routes(
    struct config_draft *d, const struct draft_routes *routes, struct config_report *report)
{
	for (size_t i = 0; i < routes->list.count; i++) {
		struct span name = routes->list.routes[i].transport;
		struct draft_transport *found = NULL;
		for (size_t k = 0; k < d->transport_count; k++) {
			if (span_equal(d->transports[k].transport.name, name))
				found = &d->transports[k];
		}
		if (found)
			found->used = true;
		else if (name.n > 0)
			report_error(report, routes->transport_places[i],
			    "the route names the transport \"%.*s\", which is not configured",
			    SPAN_ARG(name));
	}
	check_shadowing(routes, report);
}

/* A route is never reached when an earlier one of its list matches whatever it would match. */
static void check_shadowing(const struct draft_routes *routes, struct config_report *report)
{
	const struct route *list = routes->list.routes;
	for (size_t later = 1; later < routes->list.count; later++) {
		const struct route *inner = &list[later];
		for (size_t i = 0; i < later; i++) {
			const struct route *outer = &list[i];
			if (outer->minimum_attempts > inner->minimum_attempts ||
			    !covers(outer->from_domains, outer->from_count, inner->from_domains,
				inner->from_count) ||
			    !covers(outer->to_domains, outer->to_count, inner->to_domains,
				inner->to_count))
				continue;
			report_error(report, routes->places[later],
			    "this route is never reached: the one at %.*s matches first; put it "
			    "behind",
			    SPAN_ARG(outer->where));
			break;
		}
	}
}

static bool covers(
    const struct span *outer, size_t outer_count, const struct span *inner, size_t inner_count)
{
	if (outer_count == 0)
		return true;
	for (size_t i = 0; i < inner_count; i++) {
		size_t k = 0;
		while (k < outer_count && !entry_covers(outer[k], inner[i]))
			k++;
		if (k == outer_count)
			return false;
	}
	return inner_count > 0;
}

static bool entry_covers(struct span outer, struct span inner)
{
	bool inner_is_tree = inner.n > 0 && inner.p[0] == '.';
	bool outer_is_tree = outer.n > 0 && outer.p[0] == '.';
	if (inner_is_tree && !outer_is_tree)
		return false;
	return route_domain_matches(outer, inner_is_tree ? span_from(inner, 1) : inner);
}

static void check_transport(const struct draft_transport *t, struct config_report *report)
{
	const struct config_transport *transport = &t->transport;
	bool relay = transport->kind != TRANSPORT_DIRECT && transport->kind != TRANSPORT_FAIL;
	if (relay)
		check_relay(t, report);
	else if (transport->host.n > 0 || transport->username.n > 0)
		report_error(
		    report, t->place, "host and username are for relays, not for this kind");
	if (!t->used)
		report_warning(report, t->place, "no route uses the transport \"%.*s\"",
		    SPAN_ARG(transport->name));
}

static void check_relay(const struct draft_transport *t, struct config_report *report)
{
	const struct config_transport *transport = &t->transport;
	struct str contents cleanup(str_clear_secret) = STR_INIT(PEM_FILE_MAX_BYTES);
	bool secret = span_is_set(transport->password_file);
	if (transport->host.n == 0)
		report_error(report, t->place, "transport \"%.*s\" needs \"host = …\"",
		    SPAN_ARG(transport->name));
	if (secret != (transport->username.n > 0))
		report_error(report, t->place, "username and password-file go together");
	if (secret && transport->tls == TRANSPORT_TLS_NONE)
		report_error(report, t->place,
		    "tls = none would show the password to the network; leave tls away");
	if ((transport->verify == TRANSPORT_VERIFY_PINNED) != (transport->pin.n > 0))
		report_error(report, t->place, "verify = pinned and pin go together");
	if (secret && read_file(transport->password_file, t->password_place, report, &contents) &&
	    contents.n == 0)
		report_error(report, t->password_place,
		    "%.*s is empty; its first line is the password",
		    SPAN_ARG(transport->password_file));
	if (span_is_set(transport->client_key_file) &&
	    read_file(transport->client_key_file, t->client_key_place, report, &contents) &&
	    span_find(str_span(&contents), SPAN("PRIVATE KEY-----")) == SIZE_MAX)
		report_error(report, t->client_key_place, "%.*s holds no private key in PEM",
		    SPAN_ARG(transport->client_key_file));
	if (span_is_set(transport->ca_file))
		check_ca(t, report);
}

/* What the relay will do with it at each connection. */
static void check_ca(const struct draft_transport *t, struct config_report *report)
{
	struct str pem cleanup(str_clear) = STR_INIT(PEM_FILE_MAX_BYTES);
	struct str why cleanup(str_clear) = STR_INIT(REASON_MAX_BYTES);
	if (!read_file(t->transport.ca_file, t->ca_place, report, &pem))
		return;
	const struct tls_client_options options = {
	    .verify = TLS_VERIFY_PKIX, .ca_pem = str_span(&pem)};
	if (tls_client_check(&options, &why) < 0)
		report_error(report, t->ca_place, "%.*s cannot be used: %s",
		    SPAN_ARG(t->transport.ca_file), why.data);
}

/* What a handler will do with it at each connection. */
static void check_certificate(
    const struct config_certificate *c, struct config_place place, struct config_report *report)
{
	struct str certificate cleanup(str_clear) = STR_INIT(PEM_FILE_MAX_BYTES);
	struct str key cleanup(str_clear_secret) = STR_INIT(PEM_FILE_MAX_BYTES);
	struct str why cleanup(str_clear) = STR_INIT(REASON_MAX_BYTES);
	if (!span_is_set(c->certificate_file) || !span_is_set(c->key_file) ||
	    !read_file(c->certificate_file, place, report, &certificate) ||
	    !read_file(c->key_file, place, report, &key))
		return;
	struct tls_identity identity = {str_span(&certificate), str_span(&key)};
	static const uint8_t nonce[TLS_NONCE_BYTES];
	struct tls_server *server = NULL;
	if (tls_server_new(&identity, 1, false, nonce, &server, &why) < 0)
		report_error(report, place, "%.*s and %.*s cannot be used: %s",
		    SPAN_ARG(c->certificate_file), SPAN_ARG(c->key_file), why.data);
	tls_server_free(server);
}

static bool read_file(
    struct span path, struct config_place place, struct config_report *report, struct str *out)
{
	str_reset(out);
	char *name = arena_cstr(report->arena, path);
	int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char buffer[4096];
	ssize_t n = fd < 0 ? -1 : read(fd, buffer, sizeof(buffer));
	for (; n > 0; n = read(fd, buffer, sizeof(buffer)))
		str_append(out, span_of(buffer, (size_t)n));
	int error = n < 0 ? errno : out->failed ? EFBIG : 0;
	explicit_bzero(buffer, sizeof(buffer));
	close_fd(&fd);
	if (error)
		report_unreadable(report, place, path, -error);
	return error == 0;
}

static int compare_claims(const void *a, const void *b)
{
	const struct claim *left = a, *right = b;
	return span_compare(left->compared, right->compared);
}
