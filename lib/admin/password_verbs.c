/* An account's own password, and its app passwords. */
#include <inttypes.h>

#include "account/history.h"
#include "admin/options.h"
#include "admin/secret.h"

enum { SENTENCE_MAX_BYTES = 500, QUESTION_MAX_BYTES = 16384 };

struct lister {
	struct admin *admin;
	const struct config_account *account;
	int history_fd;
	bool any;
};

static int confirm_rehash(struct admin *admin, const char *name);
static int name_password(const struct password *p, void *context);
static int list_account(struct admin *admin, const struct config_account *account, void *context);
static int list_password(const struct password *p, void *context);

int verb_account_password(struct admin *admin)
{
	struct str password cleanup(str_clear_secret) = STR_INIT(PASSWORD_MAX_BYTES);
	struct config_account account;
	bool generate = option_flag(admin, "--generate"), rehash = option_flag(admin, "--rehash");
	int status = operands_check(admin, 1, 1);
	if (status != STATUS_OK)
		return status;
	const char *name = admin->arguments.items[0];
	status = find_account(admin, name, &account);
	if (status == STATUS_OK && rehash)
		status = confirm_rehash(admin, name);
	if (status != STATUS_OK)
		return status;
	if (generate)
		secret_generate(&password);
	else
		status = secret_read(&password);
	const struct password own = {
	    .name = SPAN(""), .scope = SCOPE_BOTH, .cram_md5 = account.cram_md5};
	if (status == STATUS_OK)
		status = secret_store(admin, name, &own, str_span(&password), rehash);
	if (status == STATUS_OK && generate)
		printf("%s\n", password.data);
	return status;
}

/* Names the app passwords that stop working. */
static int confirm_rehash(struct admin *admin, const char *name)
{
	struct str names cleanup(str_clear) = STR_INIT(QUESTION_MAX_BYTES);
	struct credentials *c = NULL;
	int fd cleanup(close_fd) = -1;
	int status = open_account(admin, name, &fd);
	if (status != STATUS_OK)
		return status;
	int rc = credentials_open(fd, false, &c);
	if (rc == 0)
		rc = credentials_each_password(c, name_password, &names);
	credentials_close(c);
	if (rc < 0 && rc != -ENOENT)
		return problem_credentials(admin, name, rc);
	if (names.n == 0)
		return STATUS_OK;
	struct span sentence = arena_format(
	    &admin->arena, "These app passwords of %s stop working: %s.", name, names.data);
	if (admin->yes) /* they do not stand on the command line */
		fprintf(stderr, "%.*s\n", SPAN_ARG(sentence));
	return confirm(admin, arena_format(&admin->arena, "%.*s Go on?", SPAN_ARG(sentence)).p);
}

static int name_password(const struct password *p, void *context)
{
	struct str *names = context;
	if (p->name.n > 0)
		str_format(names, "%s\"%.*s\"", names->n ? ", " : "", SPAN_ARG(p->name));
	return 0;
}

int verb_apppassword_add(struct admin *admin)
{
	struct str password cleanup(str_clear_secret) = STR_INIT(PASSWORD_MAX_BYTES);
	struct password p = {.scope = SCOPE_BOTH};
	struct config_account account;
	struct credentials *c = NULL;
	struct password old;
	int fd cleanup(close_fd) = -1;
	int status = option_scope(admin, &p.scope);
	if (status == STATUS_OK)
		status = option_expiry(admin, &p.expires);
	if (status == STATUS_OK)
		status = operands_check(admin, 2, 2);
	if (status == STATUS_OK)
		status = find_account(admin, admin->arguments.items[0], &account);
	if (status == STATUS_OK)
		status = open_account(admin, admin->arguments.items[0], &fd);
	if (status != STATUS_OK)
		return status;
	p.name = span_cstr(admin->arguments.items[1]);
	p.cram_md5 = account.cram_md5;
	if (!account_password_name_is_valid(p.name))
		return problem(STATUS_USAGE,
		    "the name of a password has 1 to %d bytes of UTF-8, and no control characters",
		    PASSWORD_NAME_MAX_BYTES);
	int rc = credentials_open(fd, false, &c);
	if (rc == 0)
		rc = credentials_get_password(c, p.name, &admin->arena, &old);
	credentials_close(c);
	if (rc == 0)
		return problem(STATUS_CANNOT_CREATE,
		    "%.*s has an app password \"%.*s\" already; remove it first, or choose another "
		    "name",
		    SPAN_ARG(account.name), SPAN_ARG(p.name));
	secret_generate(&password);
	status = secret_store(admin, admin->arguments.items[0], &p, str_span(&password), false);
	if (status == STATUS_OK)
		printf("%s\n", password.data); /* this once */
	return status;
}

int verb_apppassword_list(struct admin *admin)
{
	struct lister l = {.admin = admin};
	return list_accounts(admin, list_account, &l);
}

static int list_account(struct admin *admin, const struct config_account *account, void *context)
{
	struct lister *l = context;
	const char *name = arena_cstr(&admin->arena, account->name);
	struct credentials *c = NULL;
	int fd cleanup(close_fd) = -1;
	int status = open_account(admin, name, &fd);
	if (status != STATUS_OK)
		return status;
	l->account = account;
	l->history_fd = open_history(admin, name);
	int rc = credentials_open(fd, false, &c);
	if (rc == 0)
		rc = credentials_each_password(c, list_password, l);
	credentials_close(c);
	close_fd(&l->history_fd);
	if (rc < 0 && rc != -ENOENT)
		return problem_credentials(admin, name, rc);
	return STATUS_OK;
}

static int list_password(const struct password *p, void *context)
{
	struct lister *l = context;
	struct arena *a = &l->admin->arena;
	if (p->name.n == 0)
		return 0; /* the account's own */
	const struct login_record *used = find_use(l->history_fd, false, p->name, p->created, a);
	if (l->admin->json) {
		printf("%s{\"account\":", l->any ? "," : "");
		print_json_string(l->account->name);
		printf(",\"name\":");
		print_json_string(p->name);
		printf(",\"state\":\"%s\",\"scope\":\"%s\",\"expires\":%" PRId64
		       ",\"created\":%" PRId64,
		    state_name(true, p->expires), scope_name(p->scope), p->expires, p->created);
		print_json_use(used);
		printf("}");
	} else {
		printf("%.*s ", SPAN_ARG(l->account->name));
		print_quoted(p->name);
		printf(" state=%s scope=%s created=%.10s expires=%.*s used=",
		    state_name(true, p->expires), scope_name(p->scope),
		    format_time(a, p->created).p, SPAN_ARG(format_expiry(a, p->expires)));
		print_use(a, used);
		printf("\n");
	}
	l->any = true;
	return 0;
}

int verb_apppassword_rm(struct admin *admin)
{
	struct str why cleanup(str_clear) = STR_INIT(SENTENCE_MAX_BYTES);
	struct config_account account;
	struct credentials *c = NULL;
	struct password old;
	int fd cleanup(close_fd) = -1;
	int status = operands_check(admin, 2, 2);
	if (status == STATUS_OK)
		status = find_account(admin, admin->arguments.items[0], &account);
	if (status == STATUS_OK)
		status = open_account(admin, admin->arguments.items[0], &fd);
	if (status != STATUS_OK)
		return status;
	const char *account_name = admin->arguments.items[0], *name = admin->arguments.items[1];
	if (!*name)
		return problem(STATUS_USAGE, "an app password has a name");
	int rc = credentials_open(fd, false, &c);
	if (rc == 0)
		rc = credentials_get_password(c, span_cstr(name), &admin->arena, &old);
	credentials_close(c);
	if (rc == 0) {
		status =
		    confirm(admin, arena_format(&admin->arena,
				       "Remove the app password \"%s\" of %s?", name, account_name)
				       .p);
		if (status != STATUS_OK)
			return status;
		rc = account_remove_password(fd, span_cstr(name), &why);
	}
	if (rc == -ENOENT)
		return problem(STATUS_PROBLEM,
		    "%s has no app password \"%s\"; `postern apppassword list %s` names them",
		    account_name, name, account_name);
	if (is_damage(rc) || (rc < 0 && why.n == 0))
		return problem_credentials(admin, account_name, rc);
	return rc < 0 ? problem(status_of(rc), "account %s: %s", account_name, why.data)
		      : STATUS_OK;
}
