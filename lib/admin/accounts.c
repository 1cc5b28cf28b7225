/* The accounts in effect: those of the compiled configuration, whatever has been written since. */
#include <fcntl.h>

#include "admin/admin.h"
#include "io/file.h"

static bool is_configured(struct admin *admin, const char *name);
static int read_accounts(struct admin *admin, const struct config_account **ret, size_t *ret_count);

int find_account(struct admin *admin, const char *name, struct config_account *ret)
{
	struct config *config = NULL;
	int status = open_config(admin, &config);
	if (status != STATUS_OK)
		return status;
	int rc = config_account(config, span_cstr(name), &admin->arena, ret);
	config_close(config);
	if (rc == -ENOENT && is_configured(admin, name))
		return problem(STATUS_PROBLEM,
		    "the account \"%s\" is configured, but not in effect; run `postern config "
		    "apply`",
		    name);
	if (rc == -ENOENT)
		return problem(STATUS_PROBLEM,
		    "there is no account \"%s\"; `postern account list` names them", name);
	if (rc < 0)
		return problem_config(admin, rc);
	return STATUS_OK;
}

/* In the text, as `account list` has it. */
static bool is_configured(struct admin *admin, const char *name)
{
	struct config_report report = {.arena = &admin->arena};
	struct config_draft d;
	config_check(&admin->paths, NULL, &admin->arena, &report, &d);
	size_t i = 0;
	while (i < d.account_count && !span_equal(d.accounts[i].account.name, span_cstr(name)))
		i++;
	return i < d.account_count;
}

int open_account(struct admin *admin, const char *name, int *ret_fd)
{
	struct span folder = arena_format(&admin->arena, "accounts/%s", name);
	return open_state(admin, folder.p, ret_fd);
}

int problem_credentials(struct admin *admin, const char *name, int error)
{
	return problem(status_of(error), "%s/accounts/%s/credentials.tdb cannot be read: %s",
	    admin->paths.state, name, error_text(error));
}

int problem_history(struct admin *admin, const char *name, const char *file, int error)
{
	return problem(status_of(error), "%s/history/%s/%s cannot be read: %s", admin->paths.state,
	    name, file, strerror(-error));
}

int open_history(struct admin *admin, const char *name)
{
	int fd = -1;
	struct span path = arena_format(&admin->arena, "%s/history/%s", admin->paths.state, name);
	return folder_open(AT_FDCWD, path.p, &fd) < 0 ? -1 : fd;
}

int each_account(struct admin *admin, const char *name,
    int (*fn)(struct admin *admin, const struct config_account *account, void *context),
    void *context)
{
	struct config_account account;
	const struct config_account *all = NULL;
	size_t count = 0;
	int status =
	    name ? find_account(admin, name, &account) : read_accounts(admin, &all, &count);
	if (status != STATUS_OK)
		return status;
	if (name)
		return fn(admin, &account, context);
	for (size_t i = 0; i < count; i++) {
		if (fn(admin, &all[i], context) != STATUS_OK)
			status = STATUS_PROBLEM;
	}
	return status;
}

/* All of them first: fn may need the table itself. */
static int read_accounts(struct admin *admin, const struct config_account **ret, size_t *ret_count)
{
	struct config *config = NULL;
	const struct span *names = NULL;
	size_t count = 0;
	int status = open_config(admin, &config);
	if (status != STATUS_OK)
		return status;
	int rc = config_account_names(config, &admin->arena, &names, &count);
	struct config_account *all = ARENA_ARRAY(&admin->arena, struct config_account, count);
	for (size_t i = 0; i < count && rc == 0; i++)
		rc = config_account(config, names[i], &admin->arena, &all[i]);
	config_close(config);
	if (rc < 0)
		return problem_config(admin, rc);
	*ret = all;
	*ret_count = count;
	return STATUS_OK;
}

int list_accounts(struct admin *admin,
    int (*fn)(struct admin *admin, const struct config_account *account, void *context),
    void *context)
{
	int status = operands_check(admin, 0, 1);
	if (status != STATUS_OK)
		return status;
	if (admin->json)
		printf("[");
	status = each_account(
	    admin, admin->arguments.count ? admin->arguments.items[0] : NULL, fn, context);
	if (admin->json)
		printf("]\n");
	return status;
}
