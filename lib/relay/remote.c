#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "dns/dns.h"
#include "base/encode.h"
#include "io/file.h"
#include "relay/worker.h"
#include "smtp/client.h"
#include "sys/activation.h"
#include "sys/sandbox.h"
#include "tls/tls.h"

enum {
	CONNECT_TIMEOUT_MS = 30000,
	HANDSHAKE_TIMEOUT_MS = 60000,
	SECRET_MAX_BYTES = 64 << 10,
	CA_MAX_BYTES = 4 << 20,
	MX_TRIED_MAX = 10,
};

/* One server, and how to talk to it; everything from files is read before the cage. */
struct peer {
	struct span host;
	uint16_t port;
	enum transport_tls tls;
	bool opportunistic; /* STARTTLS if offered, unverified, with fallback (direct delivery) */
	enum tls_verify verify;
	uint8_t pin[32];
	struct str ca, password, client_key; /* secrets: cleared */
	struct span username;
	unsigned mechanisms;
};
struct connection {
	struct stream *stream;
	struct smtp_client *client;
	struct span host; /* for records: "name[address]" */
	struct tls_facts facts;
	bool tls, verified;
};

static struct queue_attempt failure(struct span host, struct span text)
{
	return (struct queue_attempt){.host = host, .enhanced = SPAN("4.4.1"), .text = text};
}

/*
 * -- connecting ---------------------------------------------------------------------------------
 */

static int connect_to(const struct sockaddr_storage *to, int *ret_fd)
{
	socklen_t n =
	    to->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
	int fd = socket(to->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	int error = 0;
	if (connect(fd, (const struct sockaddr *)to, n) < 0 && errno != EINPROGRESS)
		error = -errno;
	struct pollfd p = {fd, POLLOUT, 0};
	if (!error && poll(&p, 1, CONNECT_TIMEOUT_MS) <= 0)
		error = -ETIMEDOUT;
	socklen_t length = sizeof(int);
	int pending = 0;
	if (!error && getsockopt(fd, SOL_SOCKET, SO_ERROR, &pending, &length) < 0)
		error = -errno;
	if (!error)
		error = -pending;
	if (error) {
		close_fd(&fd);
		return error;
	}
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)); /* only speed */
	*ret_fd = fd;
	return 0;
}

/* Takes the channel out of the stream, does TLS, puts it back. */
static int start_tls(struct connection *c, const struct peer *p, struct str *why)
{
	struct channel below, none = {.fd_in = -1, .fd_out = -1};
	struct tls *tls = NULL;
	char name[256];
	if (p->host.n >= sizeof(name))
		return -EINVAL;
	memcpy(name, p->host.p, p->host.n);
	name[p->host.n] = '\0';
	struct tls_client_options o = {
	    .server_name = name,
	    .verify = p->verify,
	    .ca_pem = p->ca.n ? str_span(&p->ca) : SPAN_NONE,
	    .client = {str_span(&p->client_key),
		p->client_key.n ? str_span(&p->client_key) : SPAN_NONE},
	};
	memcpy(o.pin, p->pin, sizeof(o.pin));
	int error = stream_swap(c->stream, none, &below);
	if (!error)
		error = tls_connect(&o, below, monotonic_ms() + HANDSHAKE_TIMEOUT_MS, &tls, why);
	if (!error)
		error = stream_swap(c->stream, tls_channel(tls), &none);
	if (!error) {
		tls_get_facts(tls, &c->facts);
		c->tls = true;
		c->verified = p->verify != TLS_VERIFY_NONE;
	}
	return error;
}

static int authenticate(struct connection *c, const struct peer *p, struct smtp_outcome *outcome)
{
	bool has_key = p->client_key.n > 0;
	if (!p->username.n && !has_key)
		return 0;
	if (smtp_client_mechanisms(c->client) == 0 && has_key)
		return 0; /* a server that knows the key needs no AUTH */
	struct sasl_client_options o = {
	    .username = p->username,
	    .password = p->password.n ? str_span(&p->password) : SPAN_NONE,
	    .has_client_key = has_key,
	    .tls = c->tls,
	    .tls_verified = c->verified,
	    .binding = {c->tls, c->facts.exporter, c->facts.unique, c->facts.server_end_point},
	    .allowed = p->mechanisms ? p->mechanisms : SASL_WITHOUT_CLEAR_PASSWORD,
	};
	return smtp_client_auth(c->client, &o, outcome);
}

static void disconnect(struct connection *c)
{
	smtp_client_free(c->client);
	stream_free(c->stream);
	*c = (struct connection){0};
}

/* Greeting to AUTH over a connected socket; *ret: why not. */
static int converse(struct worker *w, struct connection *c, const struct peer *p, bool try_starttls,
    struct smtp_outcome *outcome)
{
	struct str why cleanup(str_clear) = STR_INIT(SMTP_ANSWER_TEXT_MAX_BYTES);
	struct smtp_client_options o = {.ehlo_name = w->environment->hostname};
	int error = p->tls == TRANSPORT_TLS_IMPLICIT ? start_tls(c, p, &why) : 0;
	if (!error) {
		c->client = smtp_client_new(c->stream, &o);
		error = smtp_client_greet(c->client, outcome);
		if (error)
			return error;
		bool offered = smtp_client_extensions(c->client) & SMTP_STARTTLS;
		if (p->tls == TRANSPORT_TLS_STARTTLS && (offered || !p->opportunistic) &&
		    try_starttls) {
			error = smtp_client_starttls(c->client, outcome);
			if (error)
				return error;
			error = start_tls(c, p, &why);
			if (!error) {
				error = smtp_client_hello(c->client, outcome);
				if (error)
					return error;
			}
		}
	}
	if (error) {
		*outcome = (struct smtp_outcome){.result = SMTP_RESULT_SESSION};
		(void)snprintf(outcome->text, sizeof(outcome->text), "TLS: %s",
		    why.n ? why.data : strerror(-error)); /* cut to fit */
		return -EIO;
	}
	return authenticate(c, p, outcome);
}

static struct span describe(
    struct worker *w, struct span host, const struct sockaddr_storage *address)
{
	struct str text cleanup(str_clear) = STR_INIT(100);
	address_format(address, &text);
	return arena_format(&w->arena, "%.*s[%s]", SPAN_ARG(host), text.data);
}

/* Tries the addresses of the host until a session stands. *ret_failure: the last reason. */
static int open_session(struct worker *w, struct dns *dns, const struct peer *p,
    struct connection *c, struct queue_attempt *ret_failure)
{
	struct sockaddr_storage *addresses;
	size_t count;
	bool authentic;
	if (dns_addresses(dns, p->host, p->port, &w->arena, &addresses, &count, &authentic) !=
	    DNS_FOUND) {
		*ret_failure = failure(p->host, SPAN("its address cannot be found"));
		ret_failure->enhanced = SPAN("4.4.3");
		return -EIO;
	}
	/* each address at most twice: a second time in clear, where TLS is only opportunistic */
	for (size_t i = 0; i < count * 2; i++) {
		struct smtp_outcome outcome = {0};
		bool in_clear = i >= count;
		int fd = -1;
		if (in_clear && !p->opportunistic)
			break;
		struct span host = describe(w, p->host, &addresses[i % count]);
		int error = connect_to(&addresses[i % count], &fd);
		if (error) {
			*ret_failure =
			    failure(host, arena_format(&w->arena, "connect: %s", strerror(-error)));
			continue;
		}
		*c = (struct connection){.stream = stream_new(channel_fd(fd)), .host = host};
		if (converse(w, c, p, !in_clear, &outcome) == 0)
			return 0;
		disconnect(c);
		*ret_failure = failure(host, arena_span(&w->arena, span_cstr(outcome.text)));
		ret_failure->code = outcome.code;
	}
	return -EIO;
}

/*
 * -- sending ------------------------------------------------------------------------------------
 */

struct message_reader {
	int fd;
	uint64_t offset, left;
};

static ssize_t read_message(void *context, void *buffer, size_t n)
{
	struct message_reader *r = context;
	n = (size_t)MIN((uint64_t)n, r->left);
	int error = n ? fd_pread_all(r->fd, buffer, n, r->offset) : 0;
	if (error)
		return error;
	r->offset += n;
	r->left -= n;
	return (ssize_t)n;
}

static enum queue_result result_of(const struct smtp_outcome *o)
{
	switch (o->result) {
	case SMTP_RESULT_OK: return QUEUE_RELAYED;
	case SMTP_RESULT_PERMANENT: return QUEUE_FAILED;
	case SMTP_RESULT_TRANSIENT:
	case SMTP_RESULT_SESSION: break;
	}
	return QUEUE_DEFERRED;
}

/* One message: -EIO when the session is over. */
static int send_message(struct worker *w, struct connection *c, size_t index)
{
	struct job_message *m = w->job->messages[index];
	struct message_reader reader = {m->fd, m->message.offset, m->message.bytes};
	struct smtp_recipient *to =
	    ARENA_ARRAY(&w->arena, struct smtp_recipient, m->recipient_count);
	struct smtp_outcome *outcomes =
	    ARENA_ARRAY(&w->arena, struct smtp_outcome, m->recipient_count);
	for (size_t i = 0; i < m->recipient_count; i++)
		to[i] = (struct smtp_recipient){.address = m->recipients[i]->recipient.address,
		    .notify = m->recipients[i]->recipient.notify,
		    .original = m->recipients[i]->recipient.original};
	struct smtp_message message = {
	    .sender = m->message.sender,
	    .recipients = to,
	    .recipient_count = m->recipient_count,
	    .bytes = m->message.bytes,
	    .eight_bit = m->message.body != QUEUE_BODY_7BIT,
	    .smtputf8 = m->message.smtputf8,
	    .return_full = m->message.return_full,
	    .return_headers = m->message.return_headers,
	    .envid = m->message.envid,
	    .read = read_message,
	    .context = &reader,
	};
	int error = smtp_client_send(c->client, &message, outcomes);
	for (size_t i = 0; i < m->recipient_count; i++) {
		struct queue_attempt a = {
		    .host = c->host,
		    .code = outcomes[i].code,
		    .enhanced = span_cstr(outcomes[i].enhanced),
		    .text = span_cstr(outcomes[i].text),
		};
		worker_report(w, index, i, result_of(&outcomes[i]), &a);
	}
	return error;
}

/* Sends from *index on until the session ends. */
static void send_messages(struct worker *w, struct connection *c, size_t *index)
{
	int error = 0;
	while (!error && *index < w->job->message_count)
		error = send_message(w, c, (*index)++);
	if (!error)
		smtp_client_quit(c->client);
}

/* The cage: the network, DNS on a prepared resolver, and the CA folder. */
static int enter_cage(struct worker *w)
{
	struct str missing cleanup(str_clear) = STR_INIT(200);
	int certificates cleanup(close_fd) =
	    open("/etc/ssl/certs", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct sandbox_rule rules[] = {{certificates, SANDBOX_READ}};
	(void)w; /* what is missing was logged by the runner's start */
	return sandbox_worker(rules, certificates >= 0 ? 1 : 0, &missing);
}

static int read_secret(struct span path, struct arena *a, struct str *out)
{
	str_init(out, SECRET_MAX_BYTES);
	return path.n ? file_read(AT_FDCWD, arena_cstr(a, path), out) : 0;
}

static int peer_of_transport(struct worker *w, struct peer *p, struct queue_attempt *ret_failure)
{
	const struct config_transport *t = &w->job->plan.transport;
	struct str pin cleanup(str_clear) = STR_INIT(sizeof(p->pin));
	*p = (struct peer){
	    .host = t->host,
	    .port = t->port,
	    .tls = t->tls,
	    .verify =
		t->verify == TRANSPORT_VERIFY_PINNED
		    ? TLS_VERIFY_PIN
		    : (t->verify == TRANSPORT_VERIFY_NONE ? TLS_VERIFY_NONE : TLS_VERIFY_PKIX),
	    .username = t->username,
	    .mechanisms = t->mechanisms,
	};
	int error = read_secret(t->password_file, &w->arena, &p->password);
	struct span failed = t->password_file;
	struct span line = str_span(&p->password), rest;
	(void)span_cut(line, '\n', &line, &rest); /* the last line may have no end */
	if (line.n && line.p[line.n - 1] == '\r')
		line.n--;
	str_truncate(&p->password, line.n);
	if (!error) {
		failed = t->client_key_file;
		error = read_secret(failed, &w->arena, &p->client_key);
	}
	if (!error) {
		failed = t->ca_file;
		str_init(&p->ca, CA_MAX_BYTES);
		error = failed.n ? file_read(AT_FDCWD, arena_cstr(&w->arena, failed), &p->ca) : 0;
	}
	if (!error && t->pin.n) {
		failed = SPAN("pin");
		error = base64url_decode(t->pin, &pin);
		if (!error && pin.n == sizeof(p->pin))
			memcpy(p->pin, pin.data, pin.n);
	}
	if (error)
		*ret_failure = failure(SPAN(""),
		    arena_format(&w->arena, "%.*s: %s", SPAN_ARG(failed), strerror(-error)));
	return error;
}

static void peer_clear(struct peer *p)
{
	str_clear_secret(&p->password);
	str_clear_secret(&p->client_key);
	str_clear(&p->ca);
}

void deliver_transport(struct worker *w)
{
	struct peer p;
	struct dns *dns = NULL;
	struct queue_attempt why = failure(SPAN(""), SPAN("our own failure"));
	size_t index = 0;
	int error = peer_of_transport(w, &p, &why);
	if (!error)
		error = dns_open(&dns);
	if (!error)
		error = enter_cage(w);
	while (!error && index < w->job->message_count) {
		struct connection c = {0};
		error = open_session(w, dns, &p, &c, &why);
		if (!error)
			send_messages(w, &c, &index);
		disconnect(&c);
	}
	/* a failure of the session says nothing about the messages */
	worker_report_rest(w, index, QUEUE_DEFERRED, &why);
	dns_close(dns);
	peer_clear(&p);
}

/* The hosts of a domain: MX, or the domain itself where it has none (RFC 5321 §5.1). */
static enum dns_status exchangers(
    struct worker *w, struct dns *dns, struct dns_mx **ret, size_t *ret_count)
{
	bool authentic;
	struct span domain = w->job->plan.domain;
	if (domain.n && domain.p[0] != '[') {
		enum dns_status s = dns_mx(dns, domain, &w->arena, ret, ret_count, &authentic);
		if (s != DNS_NO_DATA)
			return s;
	}
	*ret = ARENA_NEW(&w->arena, struct dns_mx);
	(*ret)->host = domain;
	*ret_count = 1;
	return DNS_FOUND;
}

/* Opportunistic TLS to the MX hosts in order; DANE, MTA-STS and SOCKS are not part of this yet. */
void deliver_direct(struct worker *w)
{
	struct queue_attempt why = failure(SPAN(""), SPAN("our own failure"));
	struct dns *dns = NULL;
	struct dns_mx *mx = NULL;
	size_t count = 0, index = 0;
	int error = dns_open(&dns);
	if (!error)
		error = enter_cage(w);
	enum dns_status s = error ? DNS_TEMPORARY : exchangers(w, dns, &mx, &count);
	if (s == DNS_NO_NAME || (s == DNS_FOUND && mx[0].host.n == 0)) {
		bool null_mx = s == DNS_FOUND; /* RFC 7505 §3 */
		why = (struct queue_attempt){.code = null_mx ? 556 : 550,
		    .enhanced = null_mx ? SPAN("5.1.10") : SPAN("5.1.2"),
		    .text = null_mx ? SPAN("the domain accepts no mail")
				    : SPAN("there is no such domain")};
		worker_report_rest(w, 0, QUEUE_FAILED, &why);
	} else if (s == DNS_TEMPORARY) {
		why.enhanced = SPAN("4.4.3");
		why.text = SPAN("the domain's mail servers cannot be looked up now");
	}
	for (size_t i = 0; s == DNS_FOUND && i < MIN(count, MX_TRIED_MAX); i++) {
		struct connection c = {0};
		struct peer p = {.host = mx[i].host,
		    .port = 25,
		    .tls = TRANSPORT_TLS_STARTTLS,
		    .opportunistic = true,
		    .verify = TLS_VERIFY_NONE};
		if (index < w->job->message_count && p.host.n &&
		    open_session(w, dns, &p, &c, &why) == 0)
			send_messages(w, &c, &index);
		disconnect(&c);
	}
	worker_report_rest(w, index, QUEUE_DEFERRED, &why);
	dns_close(dns);
}
