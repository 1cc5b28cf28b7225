#include "admin/admin.h"

#include <inttypes.h>

#include "sasl/server.h"

static int check(struct admin *admin, struct config_draft *ret);
static void print_global(const struct config_global *g);
static void print_sections(const struct config_draft *d);
static void print_json(const struct config_draft *d);
static void print_routes(const struct route_list *list, const char *indent);
static void print_transport(const struct config_transport *t);
static void print_list(const char *indent, const char *key, const struct span *items, size_t count);

static const char *const kind_names[] = {
    [TRANSPORT_DIRECT] = "direct",
    [TRANSPORT_SMTP] = "smtp",
    [TRANSPORT_SUBMISSION] = "submission",
    [TRANSPORT_SUBMISSIONS] = "submissions",
    [TRANSPORT_SOCKS] = "socks",
    [TRANSPORT_LMTP] = "lmtp",
    [TRANSPORT_FAIL] = "fail",
};

int verb_config_check(struct admin *admin)
{
	struct config_draft draft;
	int status = check(admin, &draft);
	if (status == STATUS_OK)
		warn_of_iterations(admin, &draft, draft.global.scram_iterations);
	return status;
}

static int check(struct admin *admin, struct config_draft *ret)
{
	struct config_report report = {.arena = &admin->arena};
	int status = operands_check(admin, 0, 0);
	if (status != STATUS_OK)
		return status;
	config_check(&admin->paths, NULL, &admin->arena, &report, ret);
	print_report(&report);
	return report.error_count > 0 ? STATUS_PROBLEM : STATUS_OK;
}

int verb_config_apply(struct admin *admin)
{
	int status = operands_check(admin, 0, 0);
	if (status != STATUS_OK)
		return status;
	int rc = apply_config(admin);
	if (rc == -EINVAL)
		return problem(
		    STATUS_PROBLEM, "nothing was changed; correct the above and apply again");
	return status_of(rc);
}

int verb_config_show(struct admin *admin)
{
	struct config_draft draft;
	int status = check(admin, &draft);
	if (status != STATUS_OK)
		return status;
	if (admin->json) {
		print_json(&draft);
		return STATUS_OK;
	}
	print_global(&draft.global);
	for (size_t i = 0; i < draft.transport_count; i++)
		print_transport(&draft.transports[i].transport);
	print_routes(&draft.routes.list, "");
	print_sections(&draft);
	return STATUS_OK;
}

int verb_config_keys(struct admin *admin)
{
	int status = operands_check(admin, 0, 0);
	for (size_t i = 0; status == STATUS_OK && i < config_key_count; i++) {
		const struct config_key *k = &config_keys[i];
		if (i == 0 || config_keys[i - 1].section != k->section)
			printf("%s%s\n", i > 0 ? "\n" : "",
			    k->section == CONFIG_GLOBAL ? "(outside of sections)"
							: config_section_name(k->section));
		printf("  %s = %s%s%s%s\n      %s\n", k->name,
		    k->choices ? k->choices : config_type_name(k->type), k->fallback ? " (" : "",
		    k->fallback ? k->fallback : "", k->fallback ? ")" : "", k->help);
	}
	return status;
}

static void print_global(const struct config_global *g)
{
	printf("hostname = \"%.*s\"\n", SPAN_ARG(g->hostname));
	printf("message-size-max = %" PRIu64 "\n", g->message_size_max);
	printf("recipients-max = %u\n", g->recipients_max);
	printf("sasl-mechanisms = {");
	for (int m = 0, n = 0; m < SASL_MECHANISM_COUNT; m++) {
		if (g->sasl_mechanisms & 1u << m)
			printf(
			    "%s%.*s", n++ ? ", " : "", SPAN_ARG(sasl_name((enum sasl_mechanism)m)));
	}
	printf("}\nschedule = {");
	for (size_t i = 0; i < g->schedule_count; i++)
		printf("%s%us", i ? ", " : "", g->schedule_s[i]);
	printf("}\nlifetime = %us\ndelay-notice = %us\n", g->lifetime_s, g->delay_notice_s);
	printf("concurrency = %u\nconcurrency-per-host = %u\n", g->concurrency,
	    g->concurrency_per_host);
	printf("hide-plus-after-abort = %s\n", g->hide_plus_after_abort ? "yes" : "no");
	printf("scram-iterations = %u\n", g->scram_iterations);
	if (g->postmaster.n > 0)
		printf("postmaster = \"%.*s\"\n", SPAN_ARG(g->postmaster));
	if (g->account_pages_url.n > 0)
		printf("account-pages-url = \"%.*s\"\n", SPAN_ARG(g->account_pages_url));
	for (size_t i = 0; i < g->certificate_count; i++)
		printf("certificate {\n\tcertificate-file = \"%.*s\"\n\tkey-file = \"%.*s\"\n}\n",
		    SPAN_ARG(g->certificates[i].certificate_file),
		    SPAN_ARG(g->certificates[i].key_file));
}

static void print_sections(const struct config_draft *d)
{
	for (size_t i = 0; i < d->domain_count; i++) {
		const struct config_domain *domain = &d->domains[i].domain;
		printf("domain \"%.*s\" {\n\tdeliver = %s\n\tcase-sensitive = %s\n",
		    SPAN_ARG(domain->name), domain->deliver_route ? "route" : "mailbox",
		    domain->case_sensitive ? "yes" : "no");
		if (domain->catch_all.n > 0)
			printf("\tcatch-all = \"%.*s\"\n", SPAN_ARG(domain->catch_all));
		print_routes(&domain->routes, "\t");
		printf("}\n");
	}
	for (size_t i = 0; i < d->account_count; i++) {
		const struct config_account *account = &d->accounts[i].account;
		printf("account \"%.*s\" {\n", SPAN_ARG(account->name));
		print_list("\t", "addresses", account->addresses, account->address_count);
		printf("\tdisabled = %s\n\tlocal-only = %s\n\tcram-md5 = %s\n",
		    account->disabled ? "yes" : "no", account->local_only ? "yes" : "no",
		    account->cram_md5 ? "yes" : "no");
		printf("\tquota = %" PRIu64 "\n\tquota-messages = %" PRIu64 "\n",
		    account->quota_bytes, account->quota_messages);
		print_routes(&account->routes, "\t");
		printf("}\n");
	}
}

static void print_transport(const struct config_transport *t)
{
	printf("transport \"%.*s\" {\n\tkind = %s\n", SPAN_ARG(t->name), kind_names[t->kind]);
	if (t->kind == TRANSPORT_FAIL)
		printf("\tcode = %u\n\ttext = \"%.*s\"\n", t->fail_code, SPAN_ARG(t->fail_text));
	if (t->host.n > 0)
		printf("\thost = \"%.*s\"\n\tport = %u\n", SPAN_ARG(t->host), t->port);
	if (t->username.n > 0)
		printf("\tusername = \"%.*s\"\n\tpassword-file = \"%.*s\"\n", SPAN_ARG(t->username),
		    SPAN_ARG(t->password_file));
	if (t->client_key_file.n > 0)
		printf("\tclient-key-file = \"%.*s\"\n", SPAN_ARG(t->client_key_file));
	printf("}\n");
}

static void print_routes(const struct route_list *list, const char *indent)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct route *r = &list->routes[i];
		char inner[10];
		snprintf(inner, sizeof(inner), "%s\t", indent);
		printf("%sroute { # %.*s\n", indent, SPAN_ARG(r->where));
		if (r->from_count > 0)
			print_list(inner, "from-domain", r->from_domains, r->from_count);
		if (r->to_count > 0)
			print_list(inner, "to-domain", r->to_domains, r->to_count);
		printf("%sminimum-attempts = %u\n%stransport = \"%.*s\"\n%s}\n", inner,
		    r->minimum_attempts, inner, SPAN_ARG(r->transport), indent);
	}
}

static void print_list(const char *indent, const char *key, const struct span *items, size_t count)
{
	printf("%s%s = {", indent, key);
	for (size_t i = 0; i < count; i++)
		printf("%s\"%.*s\"", i ? ", " : "", SPAN_ARG(items[i]));
	printf("}\n");
}

static void print_json(const struct config_draft *d)
{
	printf("{\"hostname\":");
	print_json_string(d->global.hostname);
	printf(",\"domains\":[");
	for (size_t i = 0; i < d->domain_count; i++) {
		printf("%s", i ? "," : "");
		print_json_string(d->domains[i].domain.name);
	}
	printf("],\"transports\":[");
	for (size_t i = 0; i < d->transport_count; i++) {
		const struct config_transport *t = &d->transports[i].transport;
		printf("%s{\"name\":", i ? "," : "");
		print_json_string(t->name);
		printf(",\"kind\":\"%s\",\"host\":", kind_names[t->kind]);
		print_json_string(t->host);
		printf(",\"port\":%u}", t->port);
	}
	printf("],\"accounts\":[");
	for (size_t i = 0; i < d->account_count; i++) {
		const struct config_account *account = &d->accounts[i].account;
		printf("%s{\"name\":", i ? "," : "");
		print_json_string(account->name);
		printf(",\"addresses\":[");
		for (size_t k = 0; k < account->address_count; k++) {
			printf("%s", k ? "," : "");
			print_json_string(account->addresses[k]);
		}
		printf("],\"disabled\":%s,\"quota\":%" PRIu64 "}",
		    account->disabled ? "true" : "false", account->quota_bytes);
	}
	printf("]}\n");
}
