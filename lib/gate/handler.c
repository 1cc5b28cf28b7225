#include "gate/handler.h"

#include <fcntl.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/fault.h"
#include "crypto/crypto.h"
#include "gate/gate.h"
#include "gate/session.h"
#include "io/file.h"
#include "sys/acceptor.h"
#include "sys/sandbox.h"
#include "sys/stop.h"
#include "tls/proof.h"

/*
 * Which of the two is the parent? The gate: systemd and inetd watch the process that they started,
 * and systemd ends what is left of the unit when that one is gone. The gate is the last to have
 * something to do, giving the client what the session said, so it must be that process. The session
 * is an orphan at worst for the moment between its last word and its exit; the gate waits for it.
 */

enum { CERTIFICATE_FILE_MAX_BYTES = 1 << 20, CERTIFICATES_MAX = 32 };

struct options {
	const char *instance, *account;
	bool implicit_tls, allow_plaintext, no_client_certificates, log_to_stderr, accept;
	unsigned mechanisms;
};
struct start {
	const struct handler *handler;
	struct options options;
	struct activation connection;
	struct paths paths;
	struct arena arena;
	struct str peer, local;
	struct session_setup setup;
};

static bool accept_connections(
    char **argv, const struct handler *h, const struct options *o, int *ret_status);
static int parse_options(int argc, char **argv, const struct handler *h, struct options *ret);
static int parse_mechanisms(const char *list, unsigned *ret);
static void show_usage(FILE *out, const struct handler *h);
static int prepare(struct start *s);
static void forget(struct start *s);
static int open_folders(struct start *s);
static int run_pair(struct start *s);
static int run_tunnel(struct start *s);
static int run_gate(struct start *s, int session_fd, pid_t session_pid);
static int load_certificates(struct start *s, struct tls_server **ret);
static int read_pem(struct span path, struct str *out);
static void close_session_folders(struct session_setup *u);
static void log_session_end(const struct start *s, int status);

int handler_main(int argc, char **argv, const struct handler *h)
{
	struct start s = {.handler = h};
	int status = parse_options(argc, argv, h, &s.options);

	if (status >= 0)
		return status;
	(void)signal(SIGPIPE, SIG_IGN); /* cannot fail for it */
	if (s.options.accept && !accept_connections(argv, h, &s.options, &status))
		return status;
	if (activation_adopt(&s.connection) < 0) {
		fprintf(stderr,
		    "%s: no connection on fd 0: it is started by systemd, inetd or xinetd, for "
		    "each "
		    "connection\n",
		    h->program);
		return EX_UNAVAILABLE;
	}
	log_open(h->program, s.options.log_to_stderr && s.connection.stderr_is_log);
	if (log_fd() < 0 && s.connection.stderr_is_log)
		log_open(h->program, true);
	if (prepare(&s) < 0) {
		forget(&s);
		return EX_TEMPFAIL;
	}
	return s.options.account ? run_tunnel(&s) : run_pair(&s);
}

/* What all connections of an acceptor share; each does it for itself else, in prepare(). */
static int warm_up(void)
{
	int rc = crypto_init_lean();
	if (rc == 0) {
		tls_prepare();
		proof_prepare();
	}
	return rc;
}

/*
 * True in a process that has a connection to serve, as fd 0; else *ret_status is the exit status.
 */
static bool accept_connections(
    char **argv, const struct handler *h, const struct options *o, int *ret_status)
{
	struct acceptor a = {argv, warm_up, h->log};
	enum acceptor_outcome outcome;

	log_open(h->program, o->log_to_stderr);
	int rc = acceptor_run(&a, &outcome);
	*ret_status = rc == -ENOTCONN ? EX_UNAVAILABLE : rc < 0 ? EX_TEMPFAIL : EX_OK;
	if (rc == -ENOTCONN)
		fprintf(stderr, "%s: --accept: no listening sockets (LISTEN_FDS) were passed\n",
		    h->program);
	return rc == 0 && outcome == ACCEPTOR_CONNECTION;
}

static const struct option long_options[] = {
    {"instance", required_argument, NULL, 'i'},
    {"accept", no_argument, NULL, 'A'},
    {"account", required_argument, NULL, 'a'},
    {"implicit-tls", no_argument, NULL, 't'},
    {"allow-plaintext", no_argument, NULL, 'p'},
    {"no-client-certificates", no_argument, NULL, 'n'},
    {"sasl-mechanisms", required_argument, NULL, 's'},
    {"log", required_argument, NULL, 'l'},
    {"version", no_argument, NULL, 'V'},
    {"help", no_argument, NULL, 'h'},
    {0},
};

/* -1: go on; else the exit status. */
static int parse_options(int argc, char **argv, const struct handler *h, struct options *ret)
{
	struct options o = {.mechanisms = ~0U};
	int c;

	while ((c = getopt_long(argc, argv, "", long_options, NULL)) >= 0) {
		switch (c) {
		case 'i': o.instance = optarg; break;
		case 'A': o.accept = true; break;
		case 'a': o.account = optarg; break;
		case 't': o.implicit_tls = true; break;
		case 'p': o.allow_plaintext = true; break;
		case 'n': o.no_client_certificates = true; break;
		case 's':
			if (parse_mechanisms(optarg, &o.mechanisms) == 0)
				break;
			fprintf(stderr, "%s: unknown mechanism in \"%s\"\n", h->program, optarg);
			return EX_USAGE;
		case 'l':
			if (strcmp(optarg, "stderr") == 0) {
				o.log_to_stderr = true;
				break;
			}
			fprintf(stderr, "%s: --log takes \"stderr\"\n", h->program);
			return EX_USAGE;
		case 'V': printf("%s (Postern)\n", h->program); return EX_OK;
		case 'h': show_usage(stdout, h); return EX_OK;
		default: show_usage(stderr, h); return EX_USAGE;
		}
	}
	if (optind < argc || (o.account && h->protocol != PROTOCOL_IMAP)) {
		show_usage(stderr, h);
		return EX_USAGE;
	}
	*ret = o;
	return -1;
}

/* "SCRAM-SHA-256-PLUS,SCRAM-SHA-256,PLAIN" */
static int parse_mechanisms(const char *list, unsigned *ret)
{
	struct span rest = span_cstr(list), word;
	unsigned set = 0;

	while (span_next_word(&rest, ", ", &word)) {
		enum sasl_mechanism m = sasl_by_name(word);
		if (m == SASL_MECHANISM_COUNT)
			return -EINVAL;
		set |= 1U << m;
	}
	*ret = set;
	return 0;
}

static void show_usage(FILE *out, const struct handler *h)
{
	fprintf(out,
	    "usage: %s [options], with a connection on fd 0\n"
	    "  --instance DIR            configuration, state and sockets below DIR\n"
	    "  --accept                  accept on the listening sockets of systemd, fork for "
	    "each\n"
	    "  --implicit-tls            TLS from the first byte (default: STARTTLS)\n"
	    "  --allow-plaintext         logins without TLS, for tests and tunnels\n"
	    "  --no-client-certificates  do not ask clients for one\n"
	    "  --sasl-mechanisms LIST    only these of the configured ones\n"
	    "%s"
	    "  --log=stderr              log there, not to syslog\n"
	    "  --version, --help\n",
	    h->program,
	    h->protocol == PROTOCOL_IMAP
		? "  --account NAME            serve NAME on a pipe, without login\n"
		: "");
}

/* Where there will be no session: one owns these things else, until it exits. */
static void forget(struct start *s)
{
	close_session_folders(&s->setup);
	arena_clear(&s->arena);
	paths_clear(&s->paths);
	str_clear(&s->peer);
	str_clear(&s->local);
}

/* What both processes need, and what must be done before there are two. */
static int prepare(struct start *s)
{
	struct session_setup *u = &s->setup;

	paths_init(&s->paths, s->options.instance);
	str_init(&s->peer, LOG_CONTEXT_MAX_BYTES);
	str_init(&s->local, LOG_CONTEXT_MAX_BYTES);
	if (s->connection.kind != ACTIVATION_SOCKET) {
		str_append_cstr(&s->peer, "pipe");
		str_append_cstr(&s->local, "pipe");
	} else {
		address_format(&s->connection.peer, &s->peer);
		address_format(&s->connection.local, &s->local);
	}
	log_set_context(str_span(&s->peer));
	*u = (struct session_setup){.handler = s->handler,
	    .peer_address = str_span(&s->peer),
	    .local_address = str_span(&s->local),
	    .mechanisms = s->options.mechanisms,
	    .arena = &s->arena,
	    .config_fd = -1,
	    .keys_fd = -1,
	    .accounts_fd = -1,
	    .history_fd = -1,
	    .limits_fd = -1,
	    .mail_fd = -1,
	    .incoming_fd = -1,
	    .wake_fd = -1,
	    .gconv_fd = -1};
	int rc = open_folders(s);
	if (rc < 0)
		return rc;
	rc = config_open(u->config_fd, &u->config);
	if (rc == 0)
		rc = config_global(u->config, &s->arena, &u->global);
	if (rc < 0) {
		s->handler->log(
		    LOG_LEVEL_ERROR, "configuration: %s (postern config apply)", strerror(-rc));
		return rc;
	}
	rc = crypto_init_lean();
	if (rc < 0)
		s->handler->log(LOG_LEVEL_ERROR, "OpenSSL cannot be initialised");
	random_bytes(u->nonce, sizeof(u->nonce));
	/* Before the fork, so that the two share the memory; the gate needs it at once anyway. */
	if (rc == 0 && !s->options.account) {
		tls_prepare();
		proof_prepare();
	}
	return rc;
}

static int open_gconv(void)
{
	static const char *const paths[] = {
#ifdef __x86_64__
	    "/usr/lib/x86_64-linux-gnu/gconv",
#elif defined(__aarch64__)
	    "/usr/lib/aarch64-linux-gnu/gconv",
#endif
	    "/usr/lib64/gconv", "/usr/lib/gconv"};
	int fd = -1;

	for (size_t i = 0; i < ARRAY_SIZE(paths) && fd < 0; i++)
		fd = open(paths[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd; /* none: charsets beyond UTF-8 and Latin 1 are then not known */
}

static int open_folders(struct start *s)
{
	struct session_setup *u = &s->setup;
	int state = -1, run = -1;
	const char *missing = s->paths.state;
	int rc = paths_open_state(&s->paths, &state);

	if (rc == 0 && (rc = folder_open(state, "config", &u->config_fd)) < 0)
		missing = "config";
	if (rc == 0 && (rc = folder_open(state, "keys", &u->keys_fd)) < 0)
		missing = "keys";
	if (rc == 0) {
		missing = "accounts";
		u->accounts_fd = openat(state, "accounts", O_PATH | O_DIRECTORY | O_CLOEXEC);
		rc = u->accounts_fd < 0 ? -errno : 0;
	}
	if (rc == 0 && (rc = folder_make(state, "history", 0700, &u->history_fd)) < 0)
		missing = "history";
	if (s->handler->protocol == PROTOCOL_IMAP) {
		if (rc == 0 && (rc = folder_open(state, "mail", &u->mail_fd)) < 0)
			missing = "mail";
	} else {
		if (rc == 0 && (rc = folder_open(state, "queue/incoming", &u->incoming_fd)) < 0)
			missing = "queue/incoming";
		if (rc == 0 && (rc = folder_open(state, "queue/wake", &u->wake_fd)) < 0)
			missing = "queue/wake";
	}
	if (rc == 0 && (rc = folder_open(AT_FDCWD, s->paths.run, &run)) < 0)
		missing = s->paths.run;
	if (rc == 0 && (rc = folder_make(run, "state", 0700, &u->limits_fd)) < 0)
		missing = "state, of the run folder";
	if (rc < 0)
		s->handler->log(LOG_LEVEL_ERROR, "folder %s: %s", missing, strerror(-rc));
	u->gconv_fd = open_gconv();
	close_fd(&state);
	close_fd(&run);
	return rc;
}

/*
 * Whoever reaches it is logged in: by a pipe or a Unix socket of this host's, never from the
 * network.
 */
static int run_tunnel(struct start *s)
{
	if (s->connection.kind == ACTIVATION_SOCKET) {
		s->handler->log(
		    LOG_LEVEL_ERROR, "--account is for pipes, not for network connections");
		forget(s);
		return EX_USAGE;
	}
	struct stream *peer = stream_new(channel_fds(s->connection.fd_in, s->connection.fd_out));
	return session_run_tunnel(&s->setup, span_cstr(s->options.account), peer);
}

static int run_pair(struct start *s)
{
	int pair[2];

	if (s->connection.kind == ACTIVATION_PIPE && !s->options.allow_plaintext) {
		s->handler->log(LOG_LEVEL_ERROR, "a pipe needs --account or --allow-plaintext");
		return EX_USAGE;
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
		s->handler->log(LOG_LEVEL_ERROR, "socketpair: %s", strerror(errno));
		return EX_TEMPFAIL;
	}
	s->setup.gate_pid = getpid(); /* before the fork: the gate may be gone after it */
	pid_t pid = fork();
	if (pid < 0) {
		s->handler->log(LOG_LEVEL_ERROR, "fork: %s", strerror(errno));
		return EX_TEMPFAIL;
	}
	if (pid == 0) {
		(void)close(pair[0]);
		(void)close(s->connection.fd_in);
		if (s->connection.fd_out != s->connection.fd_in)
			(void)close(s->connection.fd_out);
		_exit(session_run(&s->setup, stream_new(channel_fd(pair[1]))));
	}
	(void)close(pair[1]);
	return run_gate(s, pair[0], pid);
}

static int run_gate(struct start *s, int session_fd, pid_t session_pid)
{
	struct str missing cleanup(str_clear) = STR_INIT(100);
	struct gate g = {.protocol = s->handler->protocol,
	    .implicit_tls = s->options.implicit_tls,
	    .allow_plaintext = s->options.allow_plaintext,
	    .hostname = s->setup.global.hostname,
	    .message_size_max = s->setup.global.message_size_max};
	enum gate_end end = GATE_LOST;
	int status = 0;

	close_session_folders(&s->setup);
	g.channel = channel_fds(s->connection.fd_in, s->connection.fd_out);
	g.client = stream_new(g.channel);
	g.session = stream_new(channel_fd(session_fd));
	str_init(&g.welcome_text, MESSAGE_TEXT_MAX_BYTES);
	str_init(&g.body, MESSAGE_MAX_BYTES);
	str_init(&g.helo, MESSAGE_NAME_MAX_BYTES);
	str_init(&g.client_id, MESSAGE_NAME_MAX_BYTES);
	str_init(&g.tls_error, MESSAGE_TEXT_MAX_BYTES);
	int rc = load_certificates(s, &g.tls_server);
	if (rc == 0) {
		rc = sandbox_gate(&missing);
		if (rc < 0)
			s->handler->log(LOG_LEVEL_ERROR, "the gate has no cage: %s", strerror(-rc));
	}
	if (rc == 0) {
		if (missing.n)
			s->handler->log(
			    LOG_LEVEL_WARNING, "sandbox: the kernel has no %s", missing.data);
#ifdef FAULT_POINTS
		if (fault("probe-gate"))
			sandbox_probe("gate", STDERR_FILENO);
#endif
		(void)gate_run(&g, &end);
	}
	if (g.tls_error.n) {
		struct str quoted cleanup(str_clear) = STR_INIT(LOG_LINE_MAX_BYTES);
		log_quote(str_span(&g.tls_error), LOG_LINE_MAX_BYTES / 4, &quoted);
		s->handler->log(LOG_LEVEL_NOTICE, "tls: %s", quoted.data);
	}
	gate_clear(&g);
	/* The last to go: now the session has seen our end, and finishes what it has begun. */
	while (waitpid(session_pid, &status, 0) < 0 && errno == EINTR)
		;
	log_session_end(s, status);
	return rc < 0 ? EX_TEMPFAIL : WIFEXITED(status) ? WEXITSTATUS(status) : EX_SOFTWARE;
}

/* The gate has no use for them; most are behind its cage, but an open fd is open. */
static void close_session_folders(struct session_setup *u)
{
	int *fds[] = {&u->config_fd, &u->keys_fd, &u->accounts_fd, &u->history_fd, &u->limits_fd,
	    &u->mail_fd, &u->incoming_fd, &u->wake_fd, &u->gconv_fd};

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close_fd(fds[i]);
	config_close(u->config);
	u->config = NULL;
}

/* Certificates and keys, after the fork: the session never has them in its memory. */
static int load_certificates(struct start *s, struct tls_server **ret)
{
	const struct config_global *global = &s->setup.global;
	struct tls_identity identities[CERTIFICATES_MAX];
	struct str pems[2 * CERTIFICATES_MAX];
	size_t n = 0;
	int rc = 0;

	if (global->certificate_count == 0 && s->options.allow_plaintext &&
	    !s->options.implicit_tls)
		return 0;
	for (; n < MIN(global->certificate_count, (size_t)CERTIFICATES_MAX) && rc == 0; n++) {
		const struct config_certificate *c = &global->certificates[n];
		struct str *certificate = &pems[2 * n], *key = &pems[2 * n + 1];
		struct span path = c->certificate_file;
		str_init(certificate, CERTIFICATE_FILE_MAX_BYTES);
		str_init(key, CERTIFICATE_FILE_MAX_BYTES);
		rc = read_pem(path, certificate);
		if (rc == 0) {
			path = c->key_file;
			rc = read_pem(path, key);
		}
		if (rc < 0)
			s->handler->log(LOG_LEVEL_ERROR, "%.*s: %s", SPAN_ARG(path), strerror(-rc));
		identities[n] = (struct tls_identity){str_span(certificate), str_span(key)};
	}
	if (rc == 0) {
		struct str error cleanup(str_clear) = STR_INIT(MESSAGE_TEXT_MAX_BYTES);
		rc = tls_server_new(
		    identities, n, !s->options.no_client_certificates, s->setup.nonce, ret, &error);
		if (rc < 0)
			s->handler->log(LOG_LEVEL_ERROR, "certificate: %s", error.data);
	}
	for (size_t i = 0; i < 2 * n; i++)
		str_clear_secret(&pems[i]);
	return rc;
}

/* Follows links, as certificate tools make them; the path is the administrator's. */
static int read_pem(struct span path, struct str *out)
{
	struct arena scratch cleanup(arena_clear) = {0};
	int fd = open(arena_cstr(&scratch, path), O_RDONLY | O_NOCTTY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : 1;

	while (n > 0) {
		char piece[4096];
		n = read(fd, piece, sizeof(piece));
		str_append(out, span_of(piece, (size_t)MAX(n, 0)));
		explicit_bzero(piece, sizeof(piece));
	}
	int rc = n < 0 ? -errno : str_error(out);
	close_fd(&fd);
	return rc;
}

static void log_session_end(const struct start *s, int status)
{
	if (WIFSIGNALED(status) && !(WTERMSIG(status) == SIGTERM && stop_requested()))
		s->handler->log(LOG_LEVEL_ERROR, "the session was ended by signal %d%s",
		    WTERMSIG(status),
		    WTERMSIG(status) == SIGSYS ? " (a call that its cage forbids)" : "");
}
