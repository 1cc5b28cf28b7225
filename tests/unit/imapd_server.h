#ifndef POSTERN_TESTS_IMAPD_SERVER_H
#define POSTERN_TESTS_IMAPD_SERVER_H
/*
 * An IMAP session for tests: a child that serves one end of a socketpair, on a real store in a
 * temporary folder. Stands in for the gate: session_still_valid() and the SASL entries are here.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "imapd/imapd.h"
#include "sasl/server.h"
#include "tap.h"

struct test_folder {
	char path[64];
	int mail_fd, account_fd;
};
struct test_server {
	pid_t pid;
	int fd; /* the client's end */
};
struct test_options {
	bool tolerant, after_sasl;
	uint64_t message_size_max, quota_messages;
	int64_t expires_s;
	bool no_inotify;
};

static struct span test_key_account = {"user", 4}, test_key_address = {"user@localhost", 14};

/* The credential is good until the test puts a file "revoked" into accounts/NAME/. */
enum login_result session_still_valid(struct session *s)
{
	return faccessat(s->account_fd, "revoked", F_OK, 0) ? LOGIN_OK : LOGIN_BAD_CREDENTIALS;
}

static int test_may_act_as(
    void *context, struct span account, struct span address, struct arena *arena, struct span *ret)
{
	(void)context;
	(void)account;
	(void)arena;
	if (address.n && !span_equal(address, test_key_address))
		return -EACCES;
	*ret = test_key_address;
	return 0;
}

struct sasl_server *session_sasl(struct session *s, enum sasl_mechanism m)
{
	if (!(s->mechanisms & 1u << m))
		return NULL;
	struct sasl_server_options options = {
	    .lookup = {.may_act_as = test_may_act_as},
	    .key_account = test_key_account,
	    .key_address = test_key_address,
	    .enabled = s->mechanisms,
	};
	return sasl_server_new(m, &options);
}

enum login_result session_sasl_end(
    struct session *s, const struct sasl_server *sasl, enum sasl_outcome outcome)
{
	(void)s;
	(void)sasl;
	bool is_broken_off = outcome == SASL_MALFORMED || outcome == SASL_CONTINUE;
	return outcome == SASL_OK ? LOGIN_OK
	       : is_broken_off	  ? LOGIN_ABORTED
				  : LOGIN_BAD_CREDENTIALS;
}

void session_name_client(struct session *s, struct span client)
{
	(void)s, (void)client;
}

void session_forget_attempts(struct session *s)
{
	(void)s;
}

static inline void test_folder_make(struct test_folder *f)
{
	if (crypto_init()) /* the store digests what comes in */
		abort();
	memcpy(f->path, "/tmp/test_imapd.XXXXXX", 23);
	if (!mkdtemp(f->path))
		abort();
	int top = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (mkdirat(top, "mail", 0700) || mkdirat(top, "account", 0700))
		abort();
	f->mail_fd = openat(top, "mail", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	f->account_fd = openat(top, "account", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	close(top);
}

static inline void test_folder_remove(struct test_folder *f)
{
	pid_t pid = fork();
	if (pid == 0) {
		execlp("rm", "rm", "-rf", f->path, (char *)NULL);
		_exit(127);
	}
	waitpid(pid, NULL, 0);
	close(f->mail_fd);
	close(f->account_fd);
}

static inline int test_watch(const struct test_folder *f)
{
	static const char *const parts[] = {"mail", "account"};
	int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		struct str path cleanup(str_clear) = STR_INIT(200);
		str_format(&path, "%s/%s/changes", f->path, parts[i]);
		close(open(path.data, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
		if (inotify_add_watch(fd, path.data, IN_ATTRIB | IN_MODIFY | IN_CLOSE_WRITE) < 0)
			abort();
	}
	return fd;
}

static inline int test_serve(const struct test_folder *f, int fd, const struct test_options *o)
{
	struct arena arena cleanup(arena_clear) = {0};
	struct session s = {
	    .protocol = PROTOCOL_IMAP,
	    .start = o->after_sasl ? SESSION_AFTER_SASL : SESSION_GREET,
	    .tag = SPAN("t0"),
	    .peer = stream_new(channel_fd(fd)),
	    .login = {.account = test_key_account,
		.address = test_key_address,
		.preauth = o->tolerant ? PREAUTH_TOLERANT : PREAUTH_YES,
		.expires_s = o->expires_s},
	    .global = {.message_size_max = o->message_size_max ? o->message_size_max : 200 << 20},
	    .account = {.quota_messages = o->quota_messages},
	    .arena = &arena,
	    .mechanisms = 1u << SASL_EXTERNAL | 1u << SASL_PLAIN,
	    .account_fd = f->account_fd,
	    .mail_fd = f->mail_fd,
	    .incoming_fd = -1,
	    .wake_fd = -1,
	    .changes_fd = o->no_inotify ? -1 : test_watch(f),
	};
	signal(SIGPIPE, SIG_IGN);
	int status = imapd_serve(&s);
	stream_free(s.peer);
	close_fd(&s.changes_fd);
	return status;
}

static inline struct test_server test_server_start(
    const struct test_folder *f, const struct test_options *o)
{
	int ends[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		abort();
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		/* other sessions' ends, too: they would keep their clients from ending */
		for (int fd = 3; fd < 256; fd++)
			if (fd != ends[1] && fd != f->mail_fd && fd != f->account_fd)
				close(fd);
		exit(test_serve(f, ends[1], o));
	}
	close(ends[1]);
	return (struct test_server){pid, ends[0]};
}

/* Closes the client's end; answers the exit status, -1 when it was killed. */
static inline int test_server_end(struct test_server *server)
{
	int status = -1;
	close_fd(&server->fd);
	if (server->pid > 0)
		waitpid(server->pid, &status, 0);
	server->pid = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
#endif
