/* `tlspubkey pending` and `approve`. */
#include <inttypes.h>
#include <unistd.h>

#include "account/pending.h"
#include "admin/key.h"

struct lister {
	struct admin *admin;
	struct keys *keys;
	const struct config_account *account;
	int status;
	bool any;
};
struct finder {
	struct span fingerprint;
	struct span account, other; /* whose it is; unset: nobody's */
	struct pending_key key;
};

static int list_account(struct admin *admin, const struct config_account *account, void *context);
static int list_pending(const struct pending_key *key, void *context);
static void print_pending(struct admin *admin, const struct pending_key *key);
static void print_pending_json(struct span account, const struct pending_key *key);
static int find_registered(struct admin *admin, struct span fingerprint, struct span *ret_account);
static int find_in(struct admin *admin, const struct config_account *account, void *context);
static int forget_in(struct admin *admin, const struct config_account *account, void *context);

int verb_key_pending(struct admin *admin)
{
	struct lister l = {.admin = admin};
	int status = open_keys(admin, &l.keys);
	if (status == STATUS_OK)
		status = list_accounts(admin, list_account, &l);
	keys_close(l.keys);
	return status;
}

static int list_account(struct admin *admin, const struct config_account *account, void *context)
{
	struct lister *l = context;
	const char *name = arena_cstr(&admin->arena, account->name);
	int fd cleanup(close_fd) = open_history(admin, name);
	l->account = account;
	l->status = STATUS_OK;
	int rc = fd < 0 ? 0 : pending_each(fd, wall_ms() / 1000, list_pending, l);
	return rc < 0 ? problem_history(admin, name, "pending.tdb", rc) : l->status;
}

static int list_pending(const struct pending_key *key, void *context)
{
	struct lister *l = context;
	struct span owner = SPAN_NONE;
	l->status = find_key_owner(l->admin, l->keys, key->fingerprint, &owner);
	if (l->status != STATUS_OK || span_is_set(owner)) /* registered since */
		return l->status != STATUS_OK;
	if (l->admin->json) {
		printf("%s", l->any ? "," : "");
		print_pending_json(l->account->name, key);
	} else {
		print_pending(l->admin, key);
	}
	l->any = true;
	return 0;
}

static void print_pending(struct admin *admin, const struct pending_key *key)
{
	const struct span words[] = {key->fingerprint, key->type, key->login_address};
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		print_word(words[i]);
		printf(" ");
	}
	printf("%.*s from ", SPAN_ARG(format_time(&admin->arena, key->last_s)));
	print_word(key->peer_address);
	printf("%s client=", key->tls12 ? " by TLS 1.2" : "");
	print_quoted(key->client);
	printf("\n");
}

static void print_pending_json(struct span account, const struct pending_key *key)
{
	const struct {
		const char *label;
		struct span text;
	} fields[] = {{"fingerprint", key->fingerprint}, {"type", key->type}, {"account", account},
	    {"login", key->login_address}, {"address", key->peer_address}, {"client", key->client}};
	printf("{");
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		printf("\"%s\":", fields[i].label);
		print_json_string(fields[i].text);
		printf(",");
	}
	printf("\"tls12\":%s,\"first\":%" PRId64 ",\"last\":%" PRId64 "}",
	    key->tls12 ? "true" : "false", key->first_s, key->last_s);
}

/* The login address is the one that the password was for, unless --address names another. */
int verb_key_approve(struct admin *admin)
{
	struct key_request request = {.preauth = PREAUTH_YES, .scope = SCOPE_BOTH};
	struct finder f = {0};
	struct span fingerprint, owner = SPAN_NONE;
	const char *only = option_value(admin, "--account");
	const char *address = option_value(admin, "--address");
	int status = key_options(admin, &request);
	if (status == STATUS_OK)
		status = operands_check(admin, 1, 2);
	if (status != STATUS_OK)
		return status;
	f.fingerprint = span_cstr(admin->arguments.items[0]);
	status = find_registered(admin, f.fingerprint, &owner);
	if (status == STATUS_OK && span_is_set(owner))
		return problem(STATUS_PROBLEM,
		    "the key %.*s is registered for %.*s already; `postern tlspubkey get` shows it",
		    SPAN_ARG(f.fingerprint), SPAN_ARG(owner));
	if (status == STATUS_OK)
		status = each_account(admin, only, find_in, &f);
	if (status != STATUS_OK)
		return status;
	if (span_is_set(f.other))
		return problem(STATUS_PROBLEM,
		    "the key is pending for %.*s and for %.*s; choose with --account",
		    SPAN_ARG(f.account), SPAN_ARG(f.other));
	if (!span_is_set(f.account))
		return problem(STATUS_PROBLEM,
		    "no key %.*s is pending; `postern tlspubkey pending` names them",
		    SPAN_ARG(f.fingerprint));
	request.input = f.key.spki;
	request.address = address ? address : arena_cstr(&admin->arena, f.key.login_address);
	request.name = admin->arguments.count > 1 ? admin->arguments.items[1] : NULL;
	status = key_register_for(admin, &request, f.account, &fingerprint);
	if (status != STATUS_OK)
		return status;
	if (f.key.tls12 && !request.allow_tls12)
		fprintf(stderr, "note: it was seen over TLS 1.2, where it does not log in without "
				"--allow-tls12\n");
	printf("%.*s\n", SPAN_ARG(fingerprint));
	/*
	 * It is somebody's now, and nobody else's to approve; where that fails, PENDING_DAYS end
	 * it.
	 */
	ignore_result(each_account(admin, NULL, forget_in, &f));
	return STATUS_OK;
}

static int find_registered(struct admin *admin, struct span fingerprint, struct span *ret_account)
{
	struct keys *keys = NULL;
	int status = open_keys(admin, &keys);
	if (status == STATUS_OK)
		status = find_key_owner(admin, keys, fingerprint, ret_account);
	keys_close(keys);
	return status;
}

static int find_in(struct admin *admin, const struct config_account *account, void *context)
{
	struct finder *f = context;
	struct pending_key key;
	int fd cleanup(close_fd) = open_history(admin, arena_cstr(&admin->arena, account->name));
	if (fd < 0 || pending_get(fd, f->fingerprint, wall_ms() / 1000, &admin->arena, &key) < 0)
		return STATUS_OK;
	if (span_is_set(f->account)) {
		f->other = account->name;
	} else {
		f->account = account->name;
		f->key = key;
	}
	return STATUS_OK;
}

static int forget_in(struct admin *admin, const struct config_account *account, void *context)
{
	const struct finder *f = context;
	key_forget_pending(admin, account->name, f->fingerprint);
	return STATUS_OK;
}
