#include "admin/secret.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "crypto/crypto.h"

enum { SENTENCE_MAX_BYTES = 500 };

static int read_hidden(const char *prompt, struct str *line);
static int read_without_echo(const char *prompt, int signal_fd, struct str *line, bool *ret_done);
static int read_line(int signal_fd, struct str *line, bool *ret_done);

int secret_read(struct str *password)
{
	bool done = false;
	if (!isatty(STDIN_FILENO))
		return read_line(-1, password, &done);
	struct str again cleanup(str_clear_secret) = STR_INIT(PASSWORD_MAX_BYTES);
	int status = read_hidden("New password: ", password);
	if (status == STATUS_OK)
		status = read_hidden("Once more: ", &again);
	if (status == STATUS_OK && !secret_equal(str_span(password), str_span(&again)))
		return problem(STATUS_PROBLEM, "the two differ; nothing was changed");
	return status;
}

void secret_generate(struct str *password)
{
	char name[GENERATED_CHARACTERS + 1];
	do /* a "-" in front would be taken for an option where it is an argument */
		random_name(name, GENERATED_CHARACTERS);
	while (name[0] == '-');
	str_append_cstr(password, name);
	explicit_bzero(name, sizeof(name));
}

int secret_store(struct admin *admin, const char *account, const struct password *p,
    struct span password, bool rehash)
{
	int fd cleanup(close_fd) = -1;
	struct str why cleanup(str_clear) = STR_INIT(SENTENCE_MAX_BYTES);
	uint32_t iterations = SCRAM_ITERATIONS_DEFAULT;
	int status = make_secret(admin, 0);
	if (status == STATUS_OK)
		status = installed_iterations(admin, &iterations);
	if (status == STATUS_OK)
		status = open_account(admin, account, &fd);
	if (status != STATUS_OK)
		return status;
	int rc = account_set_password(fd, p, password, iterations, rehash, &why);
	if (is_damage(rc))
		return problem_credentials(admin, account, rc);
	if (rc < 0)
		return problem(rc == -EINVAL ? STATUS_PROBLEM : status_of(rc), "account %s: %s",
		    account, why.data);
	return STATUS_OK;
}

/*
 * Whatever would end or stop the program meanwhile waits until the terminal echoes again, and then
 * does: the signals are blocked, and looked for beside the input. Being continued, it asks anew.
 */
static int read_hidden(const char *prompt, struct str *line)
{
	static const int deadly[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};
	sigset_t signals, before;
	(void)sigemptyset(&signals); /* these do not fail for a valid signal */
	for (size_t i = 0; i < ARRAY_SIZE(deadly); i++)
		(void)sigaddset(&signals, deadly[i]);
	int signal_fd cleanup(close_fd) = signalfd(-1, &signals, SFD_CLOEXEC);
	if (signal_fd < 0)
		return problem(STATUS_IO, "signals cannot be waited for: %s", strerror(errno));
	int status = STATUS_OK;
	for (bool done = false; !done && status == STATUS_OK;) {
		str_clear_secret(line);
		(void)sigprocmask(SIG_BLOCK, &signals, &before);
		status = read_without_echo(prompt, signal_fd, line, &done);
		(void)sigprocmask(SIG_SETMASK, &before, NULL); /* here it ends, or stops */
	}
	return status;
}

/* *ret_done: false when a signal came first. */
static int read_without_echo(const char *prompt, int signal_fd, struct str *line, bool *ret_done)
{
	struct termios before, hidden;
	if (tcgetattr(STDIN_FILENO, &before) < 0)
		return problem(STATUS_IO, "the terminal cannot be asked: %s", strerror(errno));
	hidden = before;
	hidden.c_lflag &= ~(tcflag_t)ECHO;
	hidden.c_lflag |= ECHONL;
	if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden) < 0)
		return problem(
		    STATUS_IO, "the terminal cannot be told not to echo: %s", strerror(errno));
	fputs(prompt, stderr); /* not before: who is quick would be seen, and not be read */
	int status = read_line(signal_fd, line, ret_done);
	(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &before); /* nothing better can be done */
	if (!*ret_done)
		fputc('\n', stderr); /* the one that was not typed */
	return status;
}

/*
 * Byte by byte: nothing behind the line is taken from whoever reads on. With a signal_fd, which
 * else is -1, it ends when that has a signal, and *ret_done stays false.
 */
static int read_line(int signal_fd, struct str *line, bool *ret_done)
{
	struct pollfd fds[] = {
	    {.fd = STDIN_FILENO, .events = POLLIN}, {.fd = signal_fd, .events = POLLIN}};
	for (;;) {
		char c;
		int ready = poll(fds, ARRAY_SIZE(fds), -1);
		if (ready < 0 && errno == EINTR)
			continue;
		if (ready > 0 && fds[1].revents)
			return STATUS_OK;
		ssize_t n = read(STDIN_FILENO, &c, 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return problem(
			    STATUS_IO, "standard input cannot be read: %s", strerror(errno));
		if (n == 0 || c == '\n')
			break;
		str_append_char(line, c);
	}
	*ret_done = true;
	if (line->n > 0 && line->data[line->n - 1] == '\r')
		str_truncate(line, line->n - 1);
	if (line->failed)
		return problem(STATUS_PROBLEM, "the password is too long");
	return STATUS_OK;
}
