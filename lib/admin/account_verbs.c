#include "admin/admin.h"

#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include "io/file.h"

enum { FILE_TEXT_MAX_BYTES = 65536, CONFIG_FILE_MODE = 0644, CONFIG_FOLDER_MODE = 0755 };

static bool make_text(struct admin *admin, struct str *text);
static int check_text(struct admin *admin, struct span path, struct span text);
static int write_text(struct admin *admin, const char *name, struct span text);
static void print_account(const struct config_account *account);
static void print_account_json(const struct config_account *account);

/*
 * The file is checked in memory together with the rest, then written, still as root on the system's
 * instance; applying happens as `postern`.
 */
int verb_account_add(struct admin *admin)
{
	struct str text cleanup(str_clear) = STR_INIT(FILE_TEXT_MAX_BYTES);
	int status = operands_check(admin, 2, INT_MAX);
	if (status != STATUS_OK)
		return status;
	const char *name = admin->arguments.items[0];
	if (!account_name_is_valid(span_cstr(name)))
		return problem(STATUS_USAGE,
		    "\"%s\" cannot be the name of an account: 1 to 64 of a-z, 0-9, \".\", \"_\", "
		    "\"-\"",
		    name);
	if (!make_text(admin, &text))
		return problem(
		    STATUS_USAGE, "an address has no quotes, backslashes, \"$\" or blanks");
	struct span file = arena_format(&admin->arena, "account-%s.conf", name);
	struct span path = arena_format(&admin->arena, "%s/conf.d/%s", admin->paths.etc, file.p);
	if (access(path.p, F_OK) == 0)
		return problem(STATUS_CANNOT_CREATE,
		    "%s exists already; edit it, or choose another name", path.p);
	status = check_text(admin, path, str_span(&text));
	if (status == STATUS_OK)
		status = write_text(admin, file.p, str_span(&text));
	if (status == STATUS_OK)
		status = become_postern(admin);
	if (status != STATUS_OK)
		return status;
	status = apply_written(admin, path);
	if (status != STATUS_OK)
		return status;
	printf("wrote %s\nnext: postern account password %s, or postern tlspubkey add %s\n", path.p,
	    name, admin->arguments.items[1]);
	return STATUS_OK;
}

static bool make_text(struct admin *admin, struct str *text)
{
	str_format(text, "account \"%s\" {\n\taddresses = {", admin->arguments.items[0]);
	for (int i = 1; i < admin->arguments.count; i++) {
		const char *address = admin->arguments.items[i];
		if (strpbrk(address, "\"\\\r\n\t $"))
			return false;
		str_format(text, "%s\"%s\"", i > 1 ? ", " : "", address);
	}
	str_append_cstr(text, "}\n}\n");
	return str_error(text) == 0;
}

static int check_text(struct admin *admin, struct span path, struct span text)
{
	struct config_report report = {.arena = &admin->arena};
	struct config_draft draft;
	const struct config_extra extra = {path, text};
	config_check(&admin->paths, &extra, &admin->arena, &report, &draft);
	if (report.error_count == 0)
		return STATUS_OK;
	print_report(&report);
	return problem(STATUS_PROBLEM, "nothing was written");
}

static int write_text(struct admin *admin, const char *name, struct span text)
{
	int etc cleanup(close_fd) = -1, folder cleanup(close_fd) = -1, fd cleanup(close_fd) = -1;
	int rc = folder_open(AT_FDCWD, admin->paths.etc, &etc);
	if (rc == 0)
		rc = folder_make(etc, "conf.d", CONFIG_FOLDER_MODE, &folder);
	if (rc == 0)
		rc = file_draft(folder, CONFIG_FILE_MODE, &fd);
	if (rc == 0)
		rc = fd_write_all(fd, text);
	if (rc == 0)
		rc = file_draft_link(fd, folder, name); /* never over another file */
	if (rc < 0)
		return problem(status_of(rc), "%s/conf.d/%s cannot be written: %s",
		    admin->paths.etc, name, strerror(-rc));
	return STATUS_OK;
}

int verb_account_list(struct admin *admin)
{
	struct config_report report = {.arena = &admin->arena};
	struct config_draft d;
	int status = operands_check(admin, 0, 0);
	if (status != STATUS_OK)
		return status;
	config_check(&admin->paths, NULL, &admin->arena, &report, &d);
	if (report.error_count > 0) {
		print_report(&report);
		return STATUS_PROBLEM;
	}
	for (size_t i = 0; i < d.account_count; i++) {
		if (admin->json)
			printf("%s", i ? "," : "[");
		(admin->json ? print_account_json : print_account)(&d.accounts[i].account);
	}
	if (admin->json)
		printf("%s]\n", d.account_count == 0 ? "[" : "");
	return STATUS_OK;
}

static void print_account(const struct config_account *account)
{
	printf("%.*s%s", SPAN_ARG(account->name), account->disabled ? " (disabled)" : "");
	for (size_t i = 0; i < account->address_count; i++)
		printf(" %.*s", SPAN_ARG(account->addresses[i]));
	printf("\n");
}

static void print_account_json(const struct config_account *account)
{
	printf("{\"name\":");
	print_json_string(account->name);
	printf(",\"disabled\":%s,\"addresses\":[", account->disabled ? "true" : "false");
	for (size_t i = 0; i < account->address_count; i++) {
		printf("%s", i ? "," : "");
		print_json_string(account->addresses[i]);
	}
	printf("]}");
}
