/* `logins`: what was tried, by account. */
#include <inttypes.h>
#include <unistd.h>

#include "admin/options.h"

struct lister {
	struct admin *admin;
	const struct config_account *account;
	bool any;
};

static int list_account(struct admin *admin, const struct config_account *account, void *context);
static int list_login(const struct login_record *r, void *context);
static void print_login(struct admin *admin, struct span account, const struct login_record *r);
static void print_login_json(struct span account, const struct login_record *r);

int verb_logins(struct admin *admin)
{
	struct lister l = {.admin = admin};
	return list_accounts(admin, list_account, &l);
}

static int list_account(struct admin *admin, const struct config_account *account, void *context)
{
	struct lister *l = context;
	const char *name = arena_cstr(&admin->arena, account->name);
	int fd cleanup(close_fd) = open_history(admin, name);
	l->account = account;
	if (fd < 0)
		return STATUS_OK; /* nobody has tried yet */
	int rc = login_record_each(fd, wall_ms() / 1000, list_login, l);
	return rc < 0 ? problem_history(admin, name, "logins.tdb", rc) : STATUS_OK;
}

static int list_login(const struct login_record *r, void *context)
{
	struct lister *l = context;
	if (l->admin->json) {
		printf("%s", l->any ? "," : "");
		print_login_json(l->account->name, r);
	} else {
		print_login(l->admin, l->account->name, r);
	}
	l->any = true;
	return 0;
}

/* A session that is taken over writes what it likes there. */
static void print_login(struct admin *admin, struct span account, const struct login_record *r)
{
	const struct span words[] = {r->protocol, r->address, r->mechanism};
	printf("%.*s %.*s %s", SPAN_ARG(format_time(&admin->arena, r->when_s)), SPAN_ARG(account),
	    login_result_name(r->result));
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		printf(" ");
		print_word(words[i]);
	}
	printf(" %s=", login_record_is_by_key(r) ? "key" : "password");
	print_quoted(r->credential);
	printf(" tls=");
	print_quoted(r->tls);
	printf(" client=");
	print_quoted(r->client);
	printf("\n");
}

static void print_login_json(struct span account, const struct login_record *r)
{
	const struct {
		const char *label;
		struct span text;
	} fields[] = {{"account", account}, {"result", span_cstr(login_result_name(r->result))},
	    {"protocol", r->protocol}, {"address", r->address}, {"mechanism", r->mechanism},
	    {login_record_is_by_key(r) ? "key" : "password", r->credential}, {"tls", r->tls},
	    {"client", r->client}};
	printf("{\"when\":%" PRId64, r->when_s);
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		printf(",\"%s\":", fields[i].label);
		print_json_string(fields[i].text);
	}
	printf("}");
}
