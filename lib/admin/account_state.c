/* `account show`, `disable` and `enable`. */
#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#include "account/pending.h"
#include "admin/key.h"
#include "base/str.h"
#include "io/file.h"

enum { FILE_TEXT_MAX_BYTES = 65536, CONFIG_FILE_MODE = 0644, SECONDS_A_DAY = 86400 };

/* What there is to say of an account, beside its configuration. */
struct summary {
	bool has_password;
	int64_t password_created;
	uint32_t iterations, wanted_iterations;
	size_t app_passwords, keys, pending;
	int64_t last_login, now_s;
	size_t failures; /* of the last 24 hours */
};

struct counter {
	struct admin *admin;
	struct keys *keys;
	size_t *count;
	int status;
};

static int summarize(struct admin *admin, const char *name, struct summary *ret);
static int summarize_pending(
    struct admin *admin, const char *name, int history_fd, struct summary *ret);
static int count_password(const struct password *p, void *context);
static int count_key(const struct tls_key *key, void *context);
static int count_pending(const struct pending_key *key, void *context);
static int count_login(const struct login_record *r, void *context);
static void print_summary(
    struct admin *admin, const struct config_account *account, const struct summary *s);
static void print_summary_json(const struct config_account *account, const struct summary *s);
static int set_disabled(struct admin *admin, bool disabled);
static bool change_text(struct span text, const char *name, bool disabled, struct str *out);
static int read_own_file(struct admin *admin, const char *file, struct str *text);
static int find_place(
    struct admin *admin, const char *name, bool *ret_disabled, struct span *ret_place);

int verb_account_show(struct admin *admin)
{
	struct config_account account;
	struct summary s = {.now_s = wall_ms() / 1000};
	int status = operands_check(admin, 1, 1);
	if (status == STATUS_OK)
		status = find_account(admin, admin->arguments.items[0], &account);
	if (status == STATUS_OK)
		status = summarize(admin, admin->arguments.items[0], &s);
	if (status != STATUS_OK)
		return status;
	if (admin->json)
		print_summary_json(&account, &s);
	else
		print_summary(admin, &account, &s);
	return STATUS_OK;
}

static int summarize(struct admin *admin, const char *name, struct summary *ret)
{
	int fd cleanup(close_fd) = -1;
	int history_fd cleanup(close_fd) = open_history(admin, name);
	struct credentials *c = NULL;
	int status = open_account(admin, name, &fd);
	if (status == STATUS_OK)
		status = installed_iterations(admin, &ret->wanted_iterations);
	if (status != STATUS_OK)
		return status;
	int rc = credentials_open(fd, false, &c);
	if (rc == 0)
		rc = credentials_each_password(c, count_password, ret);
	if (rc == 0)
		rc = credentials_each_key(c, count_key, ret);
	credentials_close(c);
	if (rc < 0 && rc != -ENOENT)
		return problem_credentials(admin, name, rc);
	ret->iterations = account_iterations(admin, name);
	if (history_fd < 0)
		return STATUS_OK;
	rc = login_record_each(history_fd, ret->now_s, count_login, ret);
	return rc < 0 ? problem_history(admin, name, "logins.tdb", rc)
		      : summarize_pending(admin, name, history_fd, ret);
}

static int summarize_pending(
    struct admin *admin, const char *name, int history_fd, struct summary *ret)
{
	struct counter c = {.admin = admin, .count = &ret->pending, .status = STATUS_OK};
	int status = open_keys(admin, &c.keys);
	if (status != STATUS_OK)
		return status;
	int rc = pending_each(history_fd, ret->now_s, count_pending, &c);
	keys_close(c.keys);
	return rc < 0 ? problem_history(admin, name, "pending.tdb", rc) : c.status;
}

static int count_password(const struct password *p, void *context)
{
	struct summary *s = context;
	if (p->name.n > 0) {
		s->app_passwords++;
	} else {
		s->has_password = true;
		s->password_created = p->created;
	}
	return 0;
}

static int count_key(const struct tls_key *key, void *context)
{
	(void)key;
	struct summary *s = context;
	s->keys++;
	return 0;
}

static int count_pending(const struct pending_key *key, void *context)
{
	struct counter *c = context;
	struct span owner = SPAN_NONE;
	c->status = find_key_owner(c->admin, c->keys, key->fingerprint, &owner);
	if (c->status == STATUS_OK && !span_is_set(owner)) /* not registered since */
		(*c->count)++;
	return c->status != STATUS_OK;
}

static int count_login(const struct login_record *r, void *context)
{
	struct summary *s = context;
	if (r->result == LOGIN_OK)
		s->last_login = r->when_s;
	else if (s->now_s - r->when_s <= SECONDS_A_DAY)
		s->failures++;
	return 0;
}

static void print_summary(
    struct admin *admin, const struct config_account *account, const struct summary *s)
{
	struct arena *a = &admin->arena;
	printf("account:        %.*s\naddresses:     ", SPAN_ARG(account->name));
	for (size_t i = 0; i < account->address_count; i++)
		printf(" %.*s", SPAN_ARG(account->addresses[i]));
	printf("\nstate:          %s\n", account->disabled ? "disabled" : "enabled");
	if (account->disabled)
		printf("text:           %.*s\n", SPAN_ARG(account->disabled_text));
	if (s->has_password)
		printf("password:       set %.*s UTC\n",
		    SPAN_ARG(format_time(a, s->password_created)));
	else
		printf("password:       none\n");
	if (s->iterations && s->wanted_iterations && s->iterations != s->wanted_iterations)
		printf(
		    "                made with %u iterations, not %u: this tells the account from "
		    "unknown users\n                until `postern account password --rehash`\n",
		    s->iterations, s->wanted_iterations);
	printf("app passwords:  %zu\nTLS keys:       %zu, and %zu pending\n", s->app_passwords,
	    s->keys, s->pending);
	printf("CRAM-MD5:       %s\n", account->cram_md5 ? "allowed" : "no");
	printf("last login:     %.*s%s\nfailures:       %zu in the last 24 hours\n",
	    SPAN_ARG(format_time(a, s->last_login)), s->last_login ? " UTC" : "", s->failures);
}

static void print_summary_json(const struct config_account *account, const struct summary *s)
{
	printf("{\"name\":");
	print_json_string(account->name);
	printf(",\"addresses\":[");
	for (size_t i = 0; i < account->address_count; i++) {
		printf("%s", i ? "," : "");
		print_json_string(account->addresses[i]);
	}
	printf("],\"disabled\":%s,\"cram_md5\":%s,\"password\":%s,\"iterations\":%u,"
	       "\"app_passwords\":%zu,\"keys\":%zu,\"pending\":%zu,\"last_login\":%" PRId64
	       ",\"failures\":%zu}\n",
	    account->disabled ? "true" : "false", account->cram_md5 ? "true" : "false",
	    s->has_password ? "true" : "false", s->iterations, s->app_passwords, s->keys,
	    s->pending, s->last_login, s->failures);
}

int verb_account_disable(struct admin *admin)
{
	return set_disabled(admin, true);
}

int verb_account_enable(struct admin *admin)
{
	return set_disabled(admin, false);
}

/* Still as root on the system's instance, for the one file; applying happens as `postern`. */
static int set_disabled(struct admin *admin, bool disabled)
{
	struct str text cleanup(str_clear) = STR_INIT(FILE_TEXT_MAX_BYTES);
	struct str changed cleanup(str_clear) = STR_INIT(FILE_TEXT_MAX_BYTES);
	bool is_disabled = false;
	struct span place = SPAN_NONE;
	int status = operands_check(admin, 1, 1);
	if (status != STATUS_OK)
		return status;
	const char *name = admin->arguments.items[0];
	status = find_place(admin, name, &is_disabled, &place);
	if (status != STATUS_OK)
		return status;
	struct span file = arena_format(&admin->arena, "account-%s.conf", name);
	struct span path = arena_format(&admin->arena, "%s/conf.d/%s", admin->paths.etc, file.p);
	int etc cleanup(close_fd) = read_own_file(admin, file.p, &text);
	if (is_disabled != disabled) {
		if (etc < 0 || !change_text(str_span(&text), name, disabled, &changed))
			return problem(STATUS_PROBLEM,
			    "the account is configured by hand, at %.*s: write \"disabled = %s\" "
			    "into "
			    "it, then run `postern config apply`",
			    SPAN_ARG(place), disabled ? "yes" : "no");
		int rc = file_replace(etc, file.p, str_span(&changed), CONFIG_FILE_MODE);
		if (rc < 0)
			return problem(
			    status_of(rc), "%s cannot be written: %s", path.p, strerror(-rc));
	}
	status = become_postern(admin);
	if (status != STATUS_OK)
		return status;
	return apply_written(admin, path);
}

static int find_place(
    struct admin *admin, const char *name, bool *ret_disabled, struct span *ret_place)
{
	struct config_report report = {.arena = &admin->arena};
	struct config_draft d;
	config_check(&admin->paths, NULL, &admin->arena, &report, &d);
	if (report.error_count > 0) {
		print_report(&report);
		return problem(STATUS_PROBLEM, "nothing was changed");
	}
	for (size_t i = 0; i < d.account_count; i++) {
		if (!span_equal(d.accounts[i].account.name, span_cstr(name)))
			continue;
		*ret_disabled = d.accounts[i].account.disabled;
		*ret_place = report_place(&admin->arena, d.accounts[i].place);
		return STATUS_OK;
	}
	return problem(
	    STATUS_PROBLEM, "there is no account \"%s\"; `postern account list` names them", name);
}

/* The folder conf.d, with the file's text; -1: there is no such file. */
static int read_own_file(struct admin *admin, const char *file, struct str *text)
{
	struct span path = arena_format(&admin->arena, "%s/conf.d", admin->paths.etc);
	int fd = -1;
	if (folder_open(AT_FDCWD, path.p, &fd) < 0)
		return -1;
	if (file_read(fd, file, text) < 0)
		close_fd(&fd);
	return fd;
}

/*
 * Only a file that looks as `account add` and these verbs write it is changed: its first two lines,
 * perhaps "disabled = yes", and the last. Anything else is a person's.
 */
static bool change_text(struct span text, const char *name, bool disabled, struct str *out)
{
	struct span rest = text, line;
	struct str first cleanup(str_clear) = STR_INIT(FILE_TEXT_MAX_BYTES);
	str_format(&first, "account \"%s\" {", name);
	if (!span_cut(rest, '\n', &line, &rest) || !span_equal(line, str_span(&first)) ||
	    !span_cut(rest, '\n', &line, &rest) ||
	    !span_starts_with(line, SPAN("\taddresses = {\"")) || line.p[line.n - 1] != '}')
		return false;
	str_append(out, span_sub(text, 0, (size_t)(rest.p - text.p)));
	if (span_starts_with(rest, SPAN("\tdisabled = yes\n")))
		rest = span_from(rest, sizeof("\tdisabled = yes\n") - 1);
	if (!span_equal(rest, SPAN("}\n")))
		return false;
	if (disabled)
		str_append_cstr(out, "\tdisabled = yes\n");
	str_append(out, rest);
	return str_error(out) == 0;
}
