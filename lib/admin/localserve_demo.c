/*
 * The demo: submission by client key with no AUTH → queue → queue-runner → mailbox → IMAP PREAUTH →
 * the message printed. Runs in a child; what goes wrong is said, and ends it.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "admin/localserve.h"
#include "base/date.h"
#include "crypto/crypto.h"
#include "io/file.h"
#include "io/stream.h"
#include "smtp/client.h"
#include "tls/tls.h"

enum {
	PEM_BYTES = 65536,
	LINE_BYTES = 8192,
	TOKEN_CHARACTERS = 16,
	STEP_MS = 15000,
	ARRIVAL_MS = 25000,
	LOOK_AGAIN_MS = 100,
	MESSAGE_BYTES_MAX = 1 << 20,
};

struct demo {
	const struct localserve *serve;
	struct str server_pem, client_pem, message;
	char token[TOKEN_CHARACTERS + 1];
	unsigned tag;
};
struct source {
	struct span rest;
};

static int submit(struct demo *d);
static int send_message(struct demo *d, struct stream *stream);
static int read_back(struct demo *d);
static int wait_for_message(struct demo *d, struct stream *stream, int64_t deadline_ms);
static int command(struct demo *d, struct stream *stream, const char *text, uint64_t *ret_exists,
    struct str *literal);
static int read_literal(struct stream *stream, struct span line, struct str *literal);
static int connect_tls(struct demo *d, enum localserve_service service, struct stream **ret);
static void write_message(struct demo *d);
static ssize_t read_source(void *context, void *buffer, size_t n);
static void step(const char *format, ...) printf_like(1, 2);

int localserve_demo(const struct localserve *s)
{
	struct demo d = {.serve = s,
	    .server_pem = STR_INIT(PEM_BYTES),
	    .client_pem = STR_INIT(PEM_BYTES),
	    .message = STR_INIT(PEM_BYTES)};
	int clients_fd cleanup(close_fd) = -1;
	random_name(d.token, TOKEN_CHARACTERS);
	int status = STATUS_OK;
	if (file_read(s->dir_fd, "server.pem", &d.server_pem) < 0 ||
	    folder_open(s->dir_fd, "clients", &clients_fd) < 0 ||
	    file_read(clients_fd, "user.pem", &d.client_pem) < 0)
		status = problem(
		    STATUS_NO_INPUT, "%s: server.pem or clients/user.pem cannot be read", s->dir);
	if (status == STATUS_OK)
		status = submit(&d);
	if (status == STATUS_OK)
		status = read_back(&d);
	str_clear(&d.server_pem);
	str_clear_secret(&d.client_pem);
	str_clear(&d.message);
	return status;
}

static int submit(struct demo *d)
{
	struct stream *stream = NULL;
	step("submission: connecting to localhost port %u over TLS, with the key clients/user.pem",
	    d->serve->ports[LOCALSERVE_SUBMISSIONS]);
	int status = connect_tls(d, LOCALSERVE_SUBMISSIONS, &stream);
	if (status == STATUS_OK)
		status = send_message(d, stream);
	stream_free(stream);
	return status;
}

static int send_message(struct demo *d, struct stream *stream)
{
	const struct smtp_client_options options = {
	    .ehlo_name = SPAN("localhost"), .timeout_ms = STEP_MS};
	const struct smtp_recipient recipient = {.address = SPAN("user@localhost")};
	struct smtp_outcome outcome = {.result = SMTP_RESULT_SESSION};
	write_message(d);
	struct source source = {str_span(&d->message)};
	const struct smtp_message message = {
	    .sender = SPAN("user@localhost"),
	    .recipients = &recipient,
	    .recipient_count = 1,
	    .bytes = d->message.n,
	    .read = read_source,
	    .context = &source,
	};
	struct smtp_client *client = smtp_client_new(stream, &options);
	int rc = smtp_client_greet(client, &outcome);
	if (rc == 0) {
		step("submission: sending from and to user@localhost, without AUTH");
		rc = smtp_client_send(client, &message, &outcome);
	}
	if (rc == 0 && outcome.result == SMTP_RESULT_OK)
		smtp_client_quit(client);
	smtp_client_free(client);
	if (rc < 0 || outcome.result != SMTP_RESULT_OK)
		return problem(STATUS_PROBLEM, "submission failed: %u %s %s", outcome.code,
		    outcome.enhanced, outcome.text);
	step("submission: accepted: %u %s %s", outcome.code, outcome.enhanced, outcome.text);
	return STATUS_OK;
}

static int read_back(struct demo *d)
{
	struct stream *stream = NULL;
	struct str line cleanup(str_clear) = STR_INIT(LINE_BYTES);
	step("imap: connecting to localhost port %u over TLS, with the same key",
	    d->serve->ports[LOCALSERVE_IMAPS]);
	int status = connect_tls(d, LOCALSERVE_IMAPS, &stream);
	if (status != STATUS_OK)
		return status;
	enum line_result result = stream_read_line(stream, LINE_BYTES, &line);
	if (result != LINE_OK || !span_starts_with(str_span(&line), SPAN("* PREAUTH"))) {
		status =
		    problem(STATUS_PROBLEM, "imap: the greeting is not PREAUTH: \"%s\"", line.data);
	} else {
		step("imap: %s", line.data);
		status = command(d, stream, "SELECT INBOX", NULL, NULL);
	}
	if (status == STATUS_OK)
		status = wait_for_message(d, stream, monotonic_ms() + ARRIVAL_MS);
	if (status == STATUS_OK)
		status = command(d, stream, "LOGOUT", NULL, NULL);
	stream_free(stream);
	return status;
}

static int wait_for_message(struct demo *d, struct stream *stream, int64_t deadline_ms)
{
	struct str text cleanup(str_clear) = STR_INIT(MESSAGE_BYTES_MAX);
	step("imap: waiting until the queue-runner has put the message into INBOX");
	while (monotonic_ms() < deadline_ms) {
		uint64_t exists = 0;
		int status = command(d, stream, "STATUS INBOX (MESSAGES)", &exists, NULL);
		if (status == STATUS_OK)
			status = command(d, stream, "NOOP", NULL, NULL);
		if (status == STATUS_OK && exists > 0)
			status = command(d, stream, "FETCH * BODY.PEEK[]", NULL, &text);
		if (status != STATUS_OK)
			return status;
		if (span_find(str_span(&text), span_cstr(d->token)) != SIZE_MAX) {
			step("imap: here it is:\n");
			(void)fwrite(text.data, 1, text.n, stdout);
			printf("\n");
			return STATUS_OK;
		}
		(void)poll(NULL, 0, LOOK_AGAIN_MS);
	}
	return problem(STATUS_PROBLEM, "the message did not arrive in %d s; see %s/log",
	    ARRIVAL_MS / 1000, d->serve->dir);
}

/* One command to its tagged OK. */
static int command(struct demo *d, struct stream *stream, const char *text, uint64_t *ret_exists,
    struct str *literal)
{
	struct str line cleanup(str_clear) = STR_INIT(LINE_BYTES);
	char tag[16];
	snprintf(tag, sizeof(tag), "d%u ", ++d->tag);
	stream_format(stream, "%s%s\r\n", tag, text);
	while (stream_read_line(stream, LINE_BYTES, &line) == LINE_OK) {
		struct span s = str_span(&line);
		size_t messages = span_find(s, SPAN("(MESSAGES "));
		if (span_starts_with(s, span_cstr(tag))) {
			if (span_starts_with(span_from(s, strlen(tag)), SPAN("OK")))
				return STATUS_OK;
			return problem(STATUS_PROBLEM, "imap: %s: \"%s\"", text, line.data);
		}
		if (ret_exists && messages != SIZE_MAX) {
			struct span number = span_from(s, messages + strlen("(MESSAGES "));
			if (span_to_u64(span_sub(number, 0, span_index(number, ')')), UINT32_MAX,
				ret_exists) < 0)
				return problem(
				    STATUS_PROBLEM, "imap: not understood: \"%s\"", line.data);
		}
		if (literal && s.n > 0 && s.p[s.n - 1] == '}' &&
		    read_literal(stream, s, literal) < 0)
			return problem(STATUS_PROBLEM, "imap: the message cannot be read");
	}
	return problem(STATUS_PROBLEM, "imap: %s: the connection ended: %s", text,
	    strerror(-stream_error(stream)));
}

/* "… BODY[] {1234}", then so many bytes. */
static int read_literal(struct stream *stream, struct span line, struct str *literal)
{
	size_t brace = span_last_index(line, '{');
	uint64_t n;
	if (brace == SIZE_MAX ||
	    span_to_u64(span_sub(line, brace + 1, line.n - brace - 2), MESSAGE_BYTES_MAX, &n) < 0)
		return -EPROTO;
	str_reset(literal);
	char *room = str_extend(literal, (size_t)n);
	return room ? stream_read_all(stream, room, (size_t)n) : -EMSGSIZE;
}

static int connect_tls(struct demo *d, enum localserve_service service, struct stream **ret)
{
	struct sockaddr_in address = {
	    .sin_family = AF_INET, .sin_port = htons(d->serve->ports[service])};
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	struct str why cleanup(str_clear) = STR_INIT(LINE_BYTES);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		int status = problem(STATUS_TEMPORARY, "cannot connect: %s", strerror(errno));
		close_fd(&fd);
		return status;
	}
	const struct tls_client_options options = {
	    .server_name = "localhost",
	    .verify = TLS_VERIFY_PKIX,
	    .ca_pem = str_span(&d->server_pem),
	    .client = {str_span(&d->client_pem), str_span(&d->client_pem)},
	};
	struct tls *tls;
	int rc = tls_connect(&options, channel_fd(fd), monotonic_ms() + STEP_MS, &tls, &why);
	if (rc < 0)
		return problem(STATUS_PROBLEM, "the TLS handshake failed: %s",
		    why.n ? why.data : strerror(-rc));
	*ret = stream_new(tls_channel(tls));
	stream_set_timeout(*ret, STEP_MS, STEP_MS);
	return STATUS_OK;
}

static void write_message(struct demo *d)
{
	struct str *m = &d->message;
	str_append_cstr(m, "From: user@localhost\r\nTo: user@localhost\r\nDate: ");
	date_put_mail(m, wall_ms() / 1000, 0);
	str_format(m,
	    "\r\nMessage-ID: <%s@localhost>\r\nSubject: There and back\r\n"
	    "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n"
	    "This message was submitted over TLS with a client key and no password, queued,\r\n"
	    "delivered by the queue-runner, and read by IMAP, logged in by the same key.\r\n",
	    d->token);
}

static ssize_t read_source(void *context, void *buffer, size_t n)
{
	struct source *s = context;
	n = MIN(n, s->rest.n);
	if (n > 0)
		memcpy(buffer, s->rest.p, n);
	s->rest = span_from(s->rest, n);
	return (ssize_t)n;
}

static void step(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	printf("demo: ");
	vprintf(format, args);
	printf("\n");
	va_end(args);
	(void)fflush(stdout); /* seen as it happens; checked nowhere, it is a demo */
}
