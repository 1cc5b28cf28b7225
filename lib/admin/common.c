/* What verbs share: saying what is wrong, opening, becoming the right user. */
#include "admin/admin.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include "account/history.h"
#include "base/date.h"
#include "base/utf8.h"
#include "io/file.h"
#include "sys/log.h"

#define SYSTEM_USER "postern"
#define UNICODE_REPLACEMENT 0xfffdu
enum { SHOWN_MAX_BYTES = 1000, ESCAPE_BYTES = 4 };

int problem(int status, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	fputs("postern: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	return status;
}

int status_of(int error)
{
	switch (error) {
	case 0: return STATUS_OK;
	case -EACCES:
	case -EPERM: return STATUS_NO_PERMISSION;
	case -ENOENT: return STATUS_NO_INPUT;
	case -EEXIST: return STATUS_CANNOT_CREATE;
	case -EBUSY:
	case -EAGAIN:
	case -EADDRINUSE:
	case -ENOSPC: return STATUS_TEMPORARY;
	default: return STATUS_IO;
	}
}

bool is_damage(int error)
{
	return error == -EUCLEAN || error == -EBADMSG;
}

const char *error_text(int error)
{
	if (is_damage(error))
		return "it is damaged; restore it from a backup";
	return strerror(-error);
}

void print_report(const struct config_report *report)
{
	for (size_t i = 0; i < report->count; i++) {
		const struct config_message *m = &report->messages[i];
		struct span where = report_place(report->arena, m->place);
		fprintf(stderr, "%.*s%s%s%.*s\n", SPAN_ARG(where), where.n > 0 ? ": " : "",
		    m->severity == CONFIG_WARNING ? "warning: " : "", SPAN_ARG(m->text));
	}
}

int become_postern(const struct admin *admin)
{
	if (admin->instance || geteuid() != 0)
		return STATUS_OK;
	const struct passwd *user = getpwnam(SYSTEM_USER);
	if (!user)
		return problem(STATUS_CONFIGURATION,
		    "there is no user \"%s\"; `make install` and systemd-sysusers make it, or use "
		    "--instance DIR",
		    SYSTEM_USER);
	/* Groups before gid before uid: after that none of them could be changed. */
	if (initgroups(SYSTEM_USER, user->pw_gid) < 0 || setgid(user->pw_gid) < 0 ||
	    setuid(user->pw_uid) < 0)
		return problem(STATUS_NO_PERMISSION, "cannot become user %s: %s", SYSTEM_USER,
		    strerror(errno));
	return STATUS_OK;
}

int open_state(struct admin *admin, const char *name, int *ret_fd)
{
	struct span path = arena_format(&admin->arena, "%s/%s", admin->paths.state, name);
	int rc = folder_open(AT_FDCWD, path.p, ret_fd);
	if (rc == -ENOENT)
		return problem(STATUS_CONFIGURATION,
		    "%s is not there; run `postern%s%s config apply`", path.p,
		    admin->instance ? " --instance " : "", admin->instance ? admin->instance : "");
	if (rc < 0)
		return problem(status_of(rc), "%s cannot be opened: %s%s", path.p, strerror(-rc),
		    rc == -EACCES ? "; run this as root" : "");
	return STATUS_OK;
}

int open_config(struct admin *admin, struct config **ret)
{
	int fd cleanup(close_fd) = -1;
	int status = open_state(admin, "config", &fd);
	if (status != STATUS_OK)
		return status;
	int rc = config_open(fd, ret);
	return rc < 0 ? problem_config(admin, rc) : STATUS_OK;
}

int problem_config(struct admin *admin, int error)
{
	if (is_damage(error) || error == -ENOENT)
		return problem(STATUS_CONFIGURATION,
		    "%s/config/config.tdb is %s; run `postern config apply`", admin->paths.state,
		    is_damage(error) ? "damaged or of another version" : "not there");
	return problem(status_of(error), "%s/config/config.tdb cannot be read: %s",
	    admin->paths.state, strerror(-error));
}

void print_text(struct span s)
{
	struct str shown cleanup(str_clear) = STR_INIT(ESCAPE_BYTES * SHOWN_MAX_BYTES + 3);
	log_quote(s, SHOWN_MAX_BYTES, &shown);
	printf("%s", shown.data);
}

void print_quoted(struct span s)
{
	printf("\"");
	print_text(s);
	printf("\"");
}

void print_word(struct span s)
{
	struct str shown cleanup(str_clear) = STR_INIT(ESCAPE_BYTES * SHOWN_MAX_BYTES + 3);
	log_quote_word(s, SHOWN_MAX_BYTES, &shown);
	printf("%s", shown.data);
}

void print_json_string(struct span s)
{
	putchar('"');
	while (s.n > 0) {
		uint32_t point = UNICODE_REPLACEMENT;
		size_t n = utf8_decode(s, &point);
		if (n == 0 || utf8_is_control(point))
			printf("\\u%04x", point);
		else if (point == '"' || point == '\\')
			printf("\\%c", (char)point);
		else
			printf("%.*s", (int)n, s.p);
		s = span_from(s, MAX(n, (size_t)1));
	}
	putchar('"');
}

int apply_written(struct admin *admin, struct span file)
{
	int rc = apply_config(admin);
	if (rc < 0)
		return problem(rc == -EINVAL ? STATUS_PROBLEM : status_of(rc),
		    "%.*s is written, but not in effect; when the above is mended, run `postern "
		    "config apply`",
		    SPAN_ARG(file));
	return STATUS_OK;
}

int confirm(struct admin *admin, const char *question)
{
	if (admin->yes)
		return STATUS_OK;
	if (!isatty(STDIN_FILENO))
		return problem(STATUS_USAGE,
		    "%s There is no terminal to ask on: give --yes; nothing was changed", question);
	fprintf(stderr, "%s [y/N] ", question);
	int first = getchar();
	for (int c = first; c != '\n' && c != EOF;)
		c = getchar();
	return first == 'y' || first == 'Y' ? STATUS_OK
					    : problem(STATUS_PROBLEM, "nothing was changed");
}

/*
 * Of all accounts, and of attempts that name none: the first attempt would else take longer where
 * there is an account.
 */
static int make_histories(struct admin *admin, const struct config_draft *draft)
{
	int fd cleanup(close_fd) = -1;
	struct span path = arena_format(&admin->arena, "%s/history", admin->paths.state);
	int rc = folder_open(AT_FDCWD, path.p, &fd);
	for (size_t i = 0; rc == 0 && i <= draft->account_count; i++) {
		const char *name = i == draft->account_count
				       ? LOGIN_HISTORY_OF_NOBODY
				       : arena_cstr(&admin->arena, draft->accounts[i].account.name);
		struct login_history *h = NULL;
		int folder cleanup(close_fd) = -1;
		rc = folder_make(fd, name, 0700, &folder);
		if (rc == 0)
			rc = login_history_open(folder, &h);
		login_history_close(h);
	}
	if (rc < 0)
		(void)problem(status_of(rc), "%s: %s", path.p, strerror(-rc)); /* told */
	return rc;
}

int apply_config(struct admin *admin)
{
	struct config_report report = {.arena = &admin->arena};
	struct config_draft draft;
	int rc = config_apply(&admin->paths, &admin->arena, &report, &draft);
	print_report(&report);
	if (rc < 0)
		return rc;
	if (make_secret(admin, draft.global.scram_iterations) != STATUS_OK)
		return -EIO;
	rc = make_histories(admin, &draft);
	if (rc < 0)
		return rc;
	warn_of_iterations(admin, &draft, draft.global.scram_iterations);
	return 0;
}

struct span format_time(struct arena *a, int64_t seconds)
{
	struct date_civil d;
	if (seconds == 0)
		return SPAN("never");
	date_civil_of(seconds, &d);
	return arena_format(
	    a, "%04d-%02d-%02d %02d:%02d:%02d", d.year, d.month, d.day, d.hour, d.minute, d.second);
}
