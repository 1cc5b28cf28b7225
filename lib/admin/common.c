/* What verbs share: saying what is wrong, opening, becoming the right user. */
#include "admin/admin.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include "base/ascii.h"
#include "io/file.h"

#define SYSTEM_USER "postern"

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
	if (rc == -ENOENT || rc == -EUCLEAN)
		return problem(STATUS_CONFIGURATION,
		    "%s/config/config.tdb is %s; run `postern config apply`", admin->paths.state,
		    rc == -ENOENT ? "not there" : "damaged or of another version");
	if (rc < 0)
		return problem(status_of(rc), "%s/config/config.tdb cannot be opened: %s",
		    admin->paths.state, strerror(-rc));
	return STATUS_OK;
}

void print_json_string(struct span s)
{
	putchar('"');
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c == '"' || c == '\\')
			printf("\\%c", c);
		else if (ascii_is_control(c))
			printf("\\u%04x", c);
		else
			putchar(c);
	}
	putchar('"');
}
