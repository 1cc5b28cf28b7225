#include "smtp/client.h"

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/encode.h"
#include "crypto/crypto.h"
#include "sasl_directory.h"
#include "smtp/command.h"
#include "tap.h"

/*
 * A scripted server: lines "C:…" are read and compared, "S:…" written (with CRLF), "R:…" written as
 * they are, "P:n" pauses n ms, "H:" shuts its sending side down, "X:" closes, "D:" reads up to a
 * lone dot, "G:" reads any line, "A:" plays the server of AUTH SCRAM-SHA-256, "F:" floods with
 * reply lines until the client goes away. Exit 1 at a mismatch.
 */
static int read_a_line(int fd, char *line, size_t size)
{
	size_t n = 0;
	while (n + 1 < size && read(fd, line + n, 1) == 1) {
		n++;
		if (n >= 2 && line[n - 2] == '\r' && line[n - 1] == '\n') {
			line[n - 2] = '\0';
			return 0;
		}
	}
	return -1;
}

static void put(int fd, const char *text)
{
	size_t n = strlen(text);
	while (n) {
		ssize_t w = write(fd, text, n);
		if (w <= 0)
			_exit(0);
		text += w, n -= (size_t)w;
	}
}

/* RFC 4954 with the real server's side of SASL. */
static void play_scram(int fd)
{
	struct directory d = {.salt = SPAN("0123456789abcdef"), .iterations = 4096};
	struct sasl_server_options o = {.lookup = directory_lookup(&d)};
	struct sasl_server *sasl = sasl_server_new(SASL_SCRAM_SHA_256, &o);
	struct str response cleanup(str_clear) = STR_INIT(10000);
	struct str challenge cleanup(str_clear) = STR_INIT(10000);
	char line[8192];
	size_t skip = sizeof("AUTH SCRAM-SHA-256 ") - 1;
	enum sasl_outcome outcome = SASL_CONTINUE;
	while (outcome == SASL_CONTINUE) {
		if (read_a_line(fd, line, sizeof(line)) < 0)
			_exit(1);
		str_reset(&response);
		if (base64_decode(span_from(span_cstr(line), skip), &response) < 0)
			break;
		skip = 0;
		outcome = sasl_server_step(sasl, str_span(&response), &challenge);
		str_reset(&response);
		base64_encode(str_span(&challenge), &response);
		if (outcome == SASL_CONTINUE) {
			put(fd, "334 ");
			put(fd, response.data);
			put(fd, "\r\n");
		}
	}
	sasl_server_free(sasl);
	put(fd, outcome == SASL_OK ? "235 2.7.0 ok\r\n" : "535 5.7.8 no\r\n");
}

static void play(int fd, const char *const *script)
{
	char line[8192];
	for (; *script; script++) {
		const char *text = *script + 2;
		switch (**script) {
		case 'C':
			if (read_a_line(fd, line, sizeof(line)) < 0 || strcmp(line, text) != 0) {
				printf("# server wanted \"%s\", got \"%s\"\n", text, line);
				(void)fflush(stdout);
				_exit(1);
			}
			break;
		case 'D':
			do {
				if (read_a_line(fd, line, sizeof(line)) < 0)
					_exit(1);
			} while (strcmp(line, ".") != 0);
			break;
		case 'S':
			put(fd, text);
			put(fd, "\r\n");
			break;
		case 'R': put(fd, text); break;
		case 'P': (void)poll(NULL, 0, 50); break;
		case 'H': (void)shutdown(fd, SHUT_WR); break;
		case 'G':
			if (read_a_line(fd, line, sizeof(line)) < 0)
				_exit(1);
			break;
		case 'A': play_scram(fd); break;
		case 'F':
			for (;;)
				put(fd, "250-more\r\n");
		default: _exit(0);
		}
	}
	(void)shutdown(fd, SHUT_WR);
	while (read(fd, line, sizeof(line)) > 0)
		;
	_exit(0);
}

struct peer {
	pid_t pid;
	struct stream *stream;
	struct smtp_client *client;
};
static struct peer start(const char *const *script)
{
	int fds[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		abort();
	(void)fflush(stdout);
	struct peer p = {.pid = fork()};
	if (p.pid == 0) {
		(void)close(fds[0]);
		(void)alarm(20);
		play(fds[1], script);
	}
	(void)close(fds[1]);
	p.stream = stream_new(channel_fd(fds[0]));
	p.client = smtp_client_new(p.stream,
	    &(struct smtp_client_options){.ehlo_name = SPAN("me.example"), .timeout_ms = 1000});
	return p;
}
static void stop(struct peer *p)
{
	int status = 0;
	smtp_client_free(p->client);
	stream_free(p->stream);
	check(waitpid(p->pid, &status, 0) == p->pid);
	check_named(
	    WIFEXITED(status) && WEXITSTATUS(status) == 0, "the server saw what it expected");
}

struct text {
	struct span rest;
	int error; /* instead of the end */
};
static ssize_t read_text(void *context, void *buffer, size_t n)
{
	struct text *t = context;
	size_t piece = MIN(n, MIN(t->rest.n, (size_t)5));
	if (piece == 0)
		return t->error;
	memcpy(buffer, t->rest.p, piece);
	t->rest = span_from(t->rest, piece);
	return (ssize_t)piece;
}

static const struct smtp_recipient two[] = {
    {SPAN("b@b.example"), SMTP_NOTIFY_FAILURE | SMTP_NOTIFY_DELAY, SPAN("rfc822;b+40b")},
    {SPAN("c@c.example"), 0, SPAN("")},
};
static struct smtp_message message(struct text *t)
{
	return (struct smtp_message){.sender = SPAN("a@a.example"),
	    .recipients = two,
	    .recipient_count = 2,
	    .bytes = t->rest.n,
	    .envid = SPAN("e1"),
	    .return_headers = true,
	    .read = read_text,
	    .context = t};
}

static void test_pipelined(void)
{
	static const char *const script[] = {"S:220-mx.example hello", "S:220 there",
	    "C:EHLO me.example", "R:250-mx.example\r\n250-PIPELI",
	    "P:", "R:NING\r\n250-SIZE 1000\r", "P:",
	    "R:\n250-8BITMIME\r\n250-DSN\r\n250-AUTH PLAIN SCRAM-SHA-256 X\r\n250 SMTPUTF8\r\n",
	    "C:MAIL FROM:<a@a.example> SIZE=16 BODY=7BIT RET=HDRS ENVID=e1",
	    "C:RCPT TO:<b@b.example> NOTIFY=FAILURE,DELAY ORCPT=rfc822;b+40b",
	    "C:RCPT TO:<c@c.example>", "C:DATA", "S:250 2.1.0 ok", "S:250 ok",
	    "S:550-5.1.1 no such", "S:550 5.1.1 user here", "S:354 go", "C:A: b", "C:", "C:..x",
	    "C:.", "S:250 2.0.0 queued as 7",
	    /* a second message on the same connection */
	    "C:MAIL FROM:<> SIZE=16 BODY=7BIT",
	    "C:RCPT TO:<b@b.example> NOTIFY=FAILURE,DELAY "
	    "ORCPT=rfc822;b+40b",
	    "C:RCPT TO:<c@c.example>", "C:DATA", "S:250 ok", "S:450 later", "S:550 never",
	    "S:354 go", "C:.", "S:554 nobody", "C:QUIT", "S:221 bye", NULL};
	struct peer p = start(script);
	struct smtp_outcome o, each[2];
	check_int(smtp_client_greet(p.client, &o), 0);
	check(smtp_client_mechanisms(p.client) == (1u << SASL_PLAIN | 1u << SASL_SCRAM_SHA_256));
	struct text t = {SPAN("A: b\r\n\r\n.x\r\n"), 0};
	struct smtp_message m = message(&t);
	m.bytes = 16;
	check_int(smtp_client_send(p.client, &m, each), 0);
	check_int(each[0].result, SMTP_RESULT_OK);
	check_int(each[0].code, 250);
	check_span(span_cstr(each[0].text), SPAN("queued as 7"));
	check_int(each[1].result, SMTP_RESULT_PERMANENT);
	check_span(span_cstr(each[1].enhanced), SPAN("5.1.1"));
	check_span(span_cstr(each[1].text), SPAN("no such\nuser here"));
	m.sender = SPAN("");
	m.return_headers = false;
	m.envid = SPAN("");
	check_int(smtp_client_send(p.client, &m, each), 0);
	check_int(each[0].result, SMTP_RESULT_TRANSIENT);
	check_int(each[1].result, SMTP_RESULT_PERMANENT);
	smtp_client_quit(p.client);
	stop(&p);
}

static void test_plain_server(void)
{
	static const char *const script[] = {"S:220 old", "C:EHLO me.example", "S:502 what",
	    "C:HELO me.example", "S:250 old", "C:MAIL FROM:<a@a.example>", "S:250 ok",
	    "C:RCPT TO:<b@b.example>", "S:250 ok", "C:RCPT TO:<c@c.example>", "S:451 4.2.0 busy",
	    "C:DATA", "S:354 go", "C:x", "C:.", "S:452 4.3.1 full", "C:MAIL FROM:<a@a.example>",
	    "S:552 5.3.4 big", "C:RSET", "S:250 ok", NULL};
	struct peer p = start(script);
	struct smtp_outcome o, each[2];
	check_int(smtp_client_greet(p.client, &o), 0);
	check_int(smtp_client_extensions(p.client), 0);
	struct text t = {SPAN("x\r\n"), 0};
	struct smtp_message m = message(&t);
	check_int(smtp_client_send(p.client, &m, each), 0);
	check_int(each[0].result, SMTP_RESULT_TRANSIENT);
	check_span(span_cstr(each[0].enhanced), SPAN("4.3.1"));
	check_span(span_cstr(each[1].enhanced), SPAN("4.2.0"));
	check_int(smtp_client_send(p.client, &m, each), 0);
	check_int(each[0].result, SMTP_RESULT_PERMANENT);
	check_int(each[1].code, 552);
	/* What this server cannot take is refused without asking it. */
	m.eight_bit = true;
	check_int(smtp_client_send(p.client, &m, each), 0);
	check_span(span_cstr(each[1].enhanced), SPAN("5.6.3"));
	m.smtputf8 = true;
	check_int(smtp_client_send(p.client, &m, each), 0);
	check_span(span_cstr(each[0].enhanced), SPAN("5.6.7"));
	struct smtp_recipient bad = {.address = SPAN("a@b>\r\nDATA")};
	m.recipients = &bad;
	m.recipient_count = 1;
	check_int(smtp_client_send(p.client, &m, each), 0);
	check_span(span_cstr(each[0].enhanced), SPAN("5.1.3"));
	check_int(smtp_client_starttls(p.client, &o), -EIO);
	check_int(smtp_client_send(p.client, &m, each), -EIO); /* over now */
	check_int(each[0].result, SMTP_RESULT_SESSION);
	stop(&p);
}

/* Each ends the session before a message was asked about. */
static void test_bad_sessions(void)
{
	static const char *const scripts[][8] = {
	    {"S:554 go away"}, {"S:421 busy"}, {"X:"}, {"H:"}, {"R:220 half a line", "H:"},
	    {"S:HTTP/1.1 200 OK"}, {"S:22 x"}, {"S:220x"}, {"S:099 x"}, {"S:250 wrong code"},
	    {"R:220 bare\n"}, {"S:220-a", "S:250 b"}, {"F:"},
	    {"S:220 a", "C:EHLO me.example", "F:"}, {"S:220 a", "C:EHLO me.example", "S:421 no"},
	    {"S:220 a", "C:EHLO me.example", "S:450 no"},
	    {"S:220 a", "C:EHLO me.example", "S:550 no", "C:HELO me.example", "S:550 no"},
	    {"S:220 a", "C:EHLO me.example"}, /* half-closed then */
	};
	for (size_t i = 0; i < ARRAY_SIZE(scripts); i++) {
		struct peer p = start(scripts[i]);
		struct smtp_outcome o = {0};
		check_int(smtp_client_greet(p.client, &o), -EIO);
		check_int(o.result, SMTP_RESULT_SESSION);
		check(o.text[0] != '\0');
		stop(&p);
	}
}

static void test_silent(void)
{
	static const char *const script[] = {"S:220 a", "C:EHLO me.example", "C:never comes", NULL};
	struct peer p = start(script);
	struct smtp_outcome o = {0};
	int64_t begin_ms = monotonic_ms();
	check_int(smtp_client_greet(p.client, &o), -EIO);
	check_span(span_cstr(o.text), SPAN("EHLO: no answer in time"));
	check(monotonic_ms() - begin_ms < 5000);
	(void)kill(p.pid, SIGKILL);
	smtp_client_free(p.client);
	stream_free(p.stream);
	check(waitpid(p.pid, NULL, 0) == p.pid);
}

/* The session ends within a message: who is undecided, who was refused already? */
static void test_cut(void)
{
#define HELLO "S:220 a", "C:EHLO me.example", "S:250-a", "S:250 PIPELINING"
#define ENVELOPE \
	"C:MAIL FROM:<a@a.example>", "C:RCPT TO:<b@b.example>", "C:RCPT TO:<c@c.example>", "C:DATA"
	static const struct {
		const char *script[16];
		enum smtp_result results[2];
	} cases[] = {
	    {{HELLO, "X:"}, {SMTP_RESULT_SESSION, SMTP_RESULT_SESSION}},
	    {{HELLO, ENVELOPE, "S:421 no", "H:"}, {SMTP_RESULT_SESSION, SMTP_RESULT_SESSION}},
	    {{HELLO, ENVELOPE, "S:250 a", "S:550 b", "H:"},
		{SMTP_RESULT_PERMANENT, SMTP_RESULT_SESSION}},
	    {{HELLO, ENVELOPE, "S:250 a", "S:354 b", "H:"},
		{SMTP_RESULT_SESSION, SMTP_RESULT_SESSION}},
	    {{HELLO, ENVELOPE, "S:250 a", "S:250 b", "S:550 c", "S:250 strange", "H:"},
		{SMTP_RESULT_SESSION, SMTP_RESULT_PERMANENT}},
	    {{HELLO, ENVELOPE, "S:250 a", "S:250 b", "S:550 c", "S:354 d", "D:", "H:"},
		{SMTP_RESULT_SESSION, SMTP_RESULT_PERMANENT}},
	    {{HELLO, ENVELOPE, "S:250 a", "S:250 b", "S:550 c", "S:354 d", "D:", "S:421 e"},
		{SMTP_RESULT_SESSION, SMTP_RESULT_PERMANENT}},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct peer p = start(cases[i].script);
		struct smtp_outcome o, each[2];
		struct text t = {SPAN("x\r\n"), 0};
		struct smtp_message m = message(&t);
		check_int(smtp_client_greet(p.client, &o), 0);
		check_int(smtp_client_send(p.client, &m, each), -EIO);
		check_int(each[0].result, cases[i].results[0]);
		check_int(each[1].result, cases[i].results[1]);
		stop(&p);
	}
}

/* Nothing with a bare CR or LF leaves, and what cannot be read to its end is never ended. */
static void test_bad_text(void)
{
	static const char *const script[] = {
	    HELLO, ENVELOPE, "S:250 a", "S:250 b", "S:250 c", "S:354 d", NULL};
	static const struct {
		struct text text;
		enum smtp_result result;
	} cases[] = {
	    {{SPAN("a\r\nb\n.\r\nMAIL"), 0}, SMTP_RESULT_PERMANENT},
	    {{SPAN("a\r\nb\r.\r\nMAIL"), 0}, SMTP_RESULT_PERMANENT},
	    {{SPAN("a\r"), 0}, SMTP_RESULT_PERMANENT},
	    {{SPAN("a\r\n"), -EIO}, SMTP_RESULT_TRANSIENT},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct peer p = start(script);
		struct smtp_outcome o, each[2];
		struct text t = cases[i].text;
		struct smtp_message m = message(&t);
		check_int(smtp_client_greet(p.client, &o), 0);
		check_int(smtp_client_send(p.client, &m, each), -EIO);
		check_int(each[0].result, cases[i].result);
		stop(&p);
	}
}

/* Thousands of pipelined recipients must not make both sides wait for each other. */
static void test_many(void)
{
	enum { MANY = 1000 };
	static const char *script[4 + 2 * MANY + 8];
	static char rcpts[MANY][64];
	static struct smtp_recipient list[MANY];
	static struct smtp_outcome each[MANY];
	size_t n = 0;
	const char *const head[] = {HELLO, "C:MAIL FROM:<a@a.example>", "S:250 ok"};
	for (size_t i = 0; i < ARRAY_SIZE(head); i++)
		script[n++] = head[i];
	for (size_t i = 0; i < MANY; i++) {
		(void)snprintf(rcpts[i], sizeof(rcpts[i]), "C:RCPT TO:<user%zu@example.org>", i);
		list[i].address = span_cstr(rcpts[i] + sizeof("C:RCPT TO:<") - 1);
		list[i].address.n--;
		script[n++] = rcpts[i];
		script[n++] = i % 2 ? "S:250 ok" : "S:550 no";
	}
	const char *const tail[] = {"C:DATA", "S:354 go", "D:", "S:250 ok"};
	for (size_t i = 0; i < ARRAY_SIZE(tail); i++)
		script[n++] = tail[i];
	struct peer p = start(script);
	struct smtp_outcome o;
	struct text t = {SPAN("x\r\n"), 0};
	struct smtp_message m = message(&t);
	m.recipients = list;
	m.recipient_count = MANY;
	check_int(smtp_client_greet(p.client, &o), 0);
	check_int(smtp_client_send(p.client, &m, each), 0);
	unsigned wrong = 0;
	for (size_t i = 0; i < MANY; i++)
		wrong += each[i].result != (i % 2 ? SMTP_RESULT_OK : SMTP_RESULT_PERMANENT);
	check_int(wrong, 0);
	stop(&p);
}

static void test_starttls(void)
{
	static const char *const good[] = {"S:220 a", "C:EHLO me.example", "S:250-a",
	    "S:250 STARTTLS", "C:STARTTLS", "S:220 go", "C:EHLO me.example", "S:250 a", NULL};
	static const char *const injected[] = {"S:220 a", "C:EHLO me.example", "S:250-a",
	    "S:250 STARTTLS", "C:STARTTLS", "R:220 go\r\n250-AUTH PLAIN\r\n", NULL};
	struct smtp_outcome o;
	struct peer p = start(good);
	check_int(smtp_client_greet(p.client, &o), 0);
	check_int(smtp_client_starttls(p.client, &o), 0);
	check_int(smtp_client_extensions(p.client), 0);
	check_int(smtp_client_hello(p.client, &o), 0);
	stop(&p);
	p = start(injected);
	check_int(smtp_client_greet(p.client, &o), 0);
	check_int(smtp_client_starttls(p.client, &o), -EIO);
	check_int(o.result, SMTP_RESULT_SESSION);
	stop(&p);
}

static int authenticate(
    const char *const *script, struct sasl_client_options *o, struct smtp_outcome *ret)
{
	struct peer p = start(script);
	check_int(smtp_client_greet(p.client, ret), 0);
	int error = smtp_client_auth(p.client, o, ret);
	stop(&p);
	return error;
}

static void test_auth(void)
{
#define OFFER(words) "S:220 a", "C:EHLO me.example", "S:250-a", "S:250 AUTH " words
	static const char *const scripts[][9] = {
	    {OFFER("PLAIN LOGIN"), "C:AUTH PLAIN AHVzZXIAcGVuY2ls", "S:235 2.7.0 ok"},
	    {OFFER("PLAIN LOGIN")},
	    {OFFER("PLAIN SCRAM-SHA-256"), "A:"},
	    {OFFER("PLAIN SCRAM-SHA-256"), "A:"},
	    {OFFER("SCRAM-SHA-256"), "G:", "S:235 2.7.0 come in"},
	    {OFFER("SCRAM-SHA-256"), "G:", "S:334 !!!", "C:*", "S:501 cancelled"},
	    {OFFER("SCRAM-SHA-256"), "G:", "S:334 cj1h", "C:*", "S:235 cancelled"},
	    {OFFER("EXTERNAL"), "G:", "S:235 ok"},
	    {OFFER("PLAIN"), "G:", "H:"},
	};
	struct smtp_outcome o;
	struct sasl_client_options safe = {.username = SPAN("user"),
	    .password = SPAN("pencil"),
	    .tls = true,
	    .tls_verified = true};
	struct sasl_client_options clear = {.username = SPAN("user"),
	    .password = SPAN("pencil"),
	    .allowed = 1u << SASL_PLAIN | 1u << SASL_LOGIN};
	struct sasl_client_options wrong = safe;
	struct sasl_client_options key = {
	    .has_client_key = true, .tls = true, .tls_verified = true};
	wrong.password = SPAN("pen");
	check_int(authenticate(scripts[0], &safe, &o), 0);
	check_int(authenticate(scripts[1], &clear, &o), -EIO);
	check(strstr(o.text, "PLAIN LOGIN"));
	check_int(authenticate(scripts[2], &safe, &o), 0);
	check_int(authenticate(scripts[3], &wrong, &o), -EIO);
	check_int(o.result, SMTP_RESULT_SESSION);
	check_int(authenticate(scripts[4], &safe, &o), -EIO);
	check(strstr(o.text, "signature"));
	check_int(authenticate(scripts[5], &safe, &o), -EIO);
	check_int(authenticate(scripts[6], &safe, &o), -EIO);
	check_int(authenticate(scripts[7], &key, &o), 0);
	check_int(authenticate(scripts[8], &safe, &o), -EIO);
	check(strstr(o.text, "closed"));
}

int main(void)
{
	if (crypto_init() < 0)
		return 1;
	test_auth();
	(void)signal(SIGPIPE, SIG_IGN);
	test_pipelined();
	test_plain_server();
	test_bad_sessions();
	test_silent();
	test_cut();
	test_bad_text();
	test_many();
	test_starttls();
	return tap_end();
}
