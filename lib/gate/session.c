#include "gate/session.h"

#include <sysexits.h>
#include <unistd.h>

#include "base/fault.h"
#include "tls/proof.h"

static int start(struct decision *d);
static enum step decide(struct decision *d);
static enum step handle_facts(struct decision *d);
static int judge_key(struct decision *d, const struct message_facts *f);
static unsigned offered_mechanisms(const struct decision *d, const struct message_facts *f);

int session_run(const struct session_setup *setup, struct stream *gate)
{
	struct decision d = {.setup = setup, .handler = setup->handler, .gate = gate};

	str_init(&d.body, MESSAGE_MAX_BYTES);
	stream_set_timeout(
	    gate, -1, SESSION_WRITE_MS); /* how slow a client may be, the gate knows */
	int status = start(&d) < 0 ? EX_TEMPFAIL : EX_OK;
	if (status == EX_OK) {
		switch (decide(&d)) {
		case STEP_YES: status = session_serve(&d); break;
		case STEP_NONSENSE:
			d.handler->log(LOG_LEVEL_ERROR, "the gate broke off, or broke the rules");
			status = EX_SOFTWARE;
			break;
		case STEP_GO_ON:
		case STEP_END: break;
		}
	}
	/* The gate is the last to go: without it, it was killed (perhaps by its cage). */
	if (getppid() != setup->gate_pid)
		d.handler->log(LOG_LEVEL_ERROR, "the gate died before its session");
	limits_close(d.limits);
	str_clear(&d.body);
	stream_free(gate);
	return status;
}

int session_run_tunnel(const struct session_setup *setup, struct span account, struct stream *peer)
{
	struct decision d = {.setup = setup, .handler = setup->handler, .gate = peer};
	struct session *s = &d.session;
	struct session_login *login = &s->login;
	int status = EX_TEMPFAIL;

	if (start(&d) < 0)
		return EX_TEMPFAIL;
	int rc = session_open_account(&d, account);
	if (rc == -ENOENT) {
		d.handler->log(LOG_LEVEL_ERROR, "no such account: %.*s", SPAN_ARG(account));
		status = EX_NOUSER;
	} else if (rc == 0 && s->account.disabled) {
		d.handler->log(LOG_LEVEL_NOTICE, "account %.*s is disabled", SPAN_ARG(account));
		status = EX_NOPERM;
	} else if (rc == 0) {
		login->account = s->account.name;
		login->address =
		    s->account.address_count ? s->account.addresses[0] : s->account.name;
		login->mechanism = SPAN("LOCAL");
		if (session_enter_account_cage(&d) == 0)
			status = session_serve(&d);
	}
	limits_close(d.limits);
	stream_free(peer);
	return status;
}

/* The first cage, and what is read once. */
static int start(struct decision *d)
{
	const struct session_setup *u = d->setup;
	struct session *s = &d->session;
	struct str missing cleanup(str_clear) = STR_INIT(100);
	/*
	 * Landlock's second layer can only take away: what the account's own folders need then is
	 * granted here for the folders of all accounts, because nobody knows yet which one it is.
	 */
	const unsigned make = SANDBOX_READ | SANDBOX_WRITE | SANDBOX_CREATE;
	const struct sandbox_rule rules[] = {
	    {u->config_fd, SANDBOX_READ},
	    {u->keys_fd, SANDBOX_READ},
	    {u->accounts_fd, SANDBOX_READ},
	    {u->history_fd, make | SANDBOX_REMOVE | SANDBOX_FOLDERS},
	    {u->limits_fd, make | SANDBOX_REMOVE},
	    {u->mail_fd, make | SANDBOX_REMOVE | SANDBOX_FOLDERS},
	    {u->incoming_fd, make | SANDBOX_FOLDERS},
	    {u->wake_fd, make},
	    {u->gconv_fd, SANDBOX_READ},
	};
	int rc = sandbox_session(rules, ARRAY_SIZE(rules), &missing);
	if (rc < 0) {
		d->handler->log(LOG_LEVEL_ERROR, "the session has no cage: %s", strerror(-rc));
		return rc;
	}
	session_report_missing(d, &missing);
#ifdef FAULT_POINTS
	if (fault("probe-session-before"))
		sandbox_probe("session-before", STDERR_FILENO);
#endif
	*s = (struct session){.protocol = u->handler->protocol,
	    .peer = d->gate,
	    .config = u->config,
	    .global = u->global,
	    .arena = u->arena,
	    .account_fd = -1,
	    .mail_fd = -1,
	    .incoming_fd = -1,
	    .wake_fd = -1,
	    .changes_fd = -1,
	    .guard = &d->guard};
	d->guard.plus_mark.fd = -1;
	s->facts.peer_address = u->peer_address;
	s->facts.local_address = u->local_address;
	d->guard.handler = u->handler;
	d->guard.enabled = u->global.sasl_mechanisms & u->mechanisms;
	d->guard.config_fd = u->config_fd;
	d->guard.lookup.config = u->config;
	d->guard.lookup.accounts_dirfd = u->accounts_fd;
	d->guard.lookup.keys_dirfd = u->keys_fd;
	rc = limits_open(u->limits_fd, &d->limits);
	if (rc < 0)
		d->handler->log(
		    LOG_LEVEL_WARNING, "limits.tdb: %s: logins are not limited", strerror(-rc));
	rc = keys_secret(u->keys_fd, d->guard.lookup.secret, &d->guard.lookup.iterations);
	if (rc < 0)
		d->handler->log(LOG_LEVEL_ERROR, "keys/secret: %s", strerror(-rc));
	return rc;
}

static enum step decide(struct decision *d)
{
	enum step step = STEP_GO_ON;

	while (step == STEP_GO_ON) {
		enum message_type type;
		if (message_receive(d->gate, SENDER_GATE, &type, &d->body) < 0)
			return STEP_NONSENSE;
		switch (type) {
		case MESSAGE_FACTS: step = handle_facts(d); break;
		case MESSAGE_AUTH: step = session_handle_auth(d); break;
		case MESSAGE_GOODBYE: step = STEP_END; break;
		default: step = STEP_NONSENSE; break;
		}
	}
	return step;
}

static struct span keep(const struct decision *d, struct span s)
{
	return arena_span(d->session.arena, s);
}

/*
 * The facts of the connection: what follows for the greeting, by protocol, key and its mode.
 *
 *	               key known: yes    tolerant   no      disabled          unknown, none
 *	IMAP, TLS      PREAUTH           PREAUTH    greet   BYE (yes), greet  greet
 *	IMAP, STARTTLS greet             greet      greet   greet             greet
 *	submission     serve             serve      serve   greet (525)       greet
 */
static enum step handle_facts(struct decision *d)
{
	struct session *s = &d->session;
	struct message_facts f;
	bool is_imap = s->protocol == PROTOCOL_IMAP;

	if (message_get_facts(str_span(&d->body), &f) < 0 || ++d->facts_count > 2 ||
	    (d->facts_count == 2 && (s->facts.tls || !f.tls)))
		return STEP_NONSENSE;
	s->facts.tls = f.tls;
	s->facts.implicit_tls = f.implicit_tls;
	s->facts.tls_version = f.tls_version;
	s->facts.cipher = keep(d, f.cipher);
	s->facts.client_certificate = f.client_certificate;
	s->facts.binding = (struct sasl_binding){.tls = f.binding.tls,
	    .exporter = keep(d, f.binding.exporter),
	    .unique = keep(d, f.binding.unique),
	    .server_end_point = keep(d, f.binding.server_end_point)};
	int rc = judge_key(d, &f);
	s->mechanisms = offered_mechanisms(d, &f);
	if (rc < 0)
		return session_refuse(d, REFUSAL_UNAVAILABLE, true, SPAN_NONE);
	if (!session_within_limits(d)) {
		struct session_attempt a = {.result = LOGIN_LIMITED};
		session_log_attempt(s, &a);
		(void)session_refuse(d, REFUSAL_LIMITED, true, SPAN_NONE);
		return STEP_END;
	}
	bool is_ours = d->key.result != LOGIN_UNKNOWN_KEY && d->key.result != LOGIN_UNAVAILABLE;
	enum preauth preauth = is_ours ? d->key.key.preauth : PREAUTH_NO;
	bool suffices = is_ours && (!is_imap || (f.implicit_tls && preauth != PREAUTH_NO));
	if (suffices && !d->key_is_known)
		session_record(d, &(struct session_attempt){.result = d->key.result,
				      .account = d->key.key.account,
				      .user = d->key.key.address,
				      .mechanism = SPAN("TLS-KEY"),
				      .fingerprint = d->fingerprint});
	if (is_imap && suffices && d->key.result == LOGIN_DISABLED && preauth == PREAUTH_YES) {
		(void)session_refuse(d, REFUSAL_DISABLED, true, d->key.text);
		return STEP_END;
	}
	if (d->key_is_known && suffices) {
		s->start = f.implicit_tls ? SESSION_GREET : SESSION_AFTER_STARTTLS;
		s->login = (struct session_login){.account = d->key.key.account,
		    .address = d->key.key.address,
		    .mechanism = SPAN("TLS-KEY"),
		    .fingerprint = d->fingerprint,
		    .preauth = preauth,
		    .expires_s = d->key.key.expires};
		return session_say_yes(d, d->key.key.address);
	}
	const struct message_welcome w = {
	    .mechanisms = s->mechanisms,
	    .disabled = d->key.result == LOGIN_DISABLED,
	    .text = span_is_set(d->fingerprint) && !d->key_is_known ? d->key.text : SPAN_NONE,
	};
	str_reset(&d->body);
	message_put_welcome(&d->body, &w);
	return session_send_body(d, MESSAGE_WELCOME);
}

/*
 * Whose key the client proved to hold. In TLS 1.3 the gate's word counts for nothing: the
 * transcript must hold our nonce and the client's signature. A proof that fails is a gate that
 * lies, or a client whose certificate is then as good as none.
 */
static int judge_key(struct decision *d, const struct message_facts *f)
{
	struct span spki = f->client_spki;
	char fingerprint[FINGERPRINT_CHARS + 1];
	bool is_tls12 = f->tls_version != SESSION_TLS_1_3;
	unsigned scope = d->session.protocol == PROTOCOL_IMAP ? SCOPE_IMAP : SCOPE_SUBMISSION;

	d->key = (struct login_key){.result = LOGIN_UNKNOWN_KEY};
	if (!f->tls || !span_is_set(spki))
		return 0;
	if (!is_tls12 && proof_verify(f->transcript, d->setup->nonce, &spki) != PROOF_GOOD) {
		d->handler->log(LOG_LEVEL_ERROR,
		    "the proof of possession of a TLS key does not verify: taken as none");
		d->session.facts.client_certificate = false;
		return 0;
	}
	key_fingerprint(spki, fingerprint);
	d->fingerprint = keep(d, span_cstr(fingerprint));
	d->spki = keep(d, spki);
	int rc = login_key(d->session.config, d->setup->keys_fd, d->setup->accounts_fd, spki,
	    is_tls12, scope, wall_ms() / 1000, d->session.arena, &d->key);
	if (rc < 0) {
		d->handler->log(LOG_LEVEL_ERROR, "TLS key %s: %s", fingerprint, strerror(-rc));
		session_log_attempt(&d->session, &(struct session_attempt){.result = d->key.result,
						     .mechanism = SPAN("TLS-KEY"),
						     .fingerprint = d->fingerprint});
		return rc;
	}
	d->key_is_known = d->key.result == LOGIN_OK;
	return 0;
}

/* Spec: none without TLS (the gate asks only where the listener allows it); see each line. */
static unsigned offered_mechanisms(const struct decision *d, const struct message_facts *f)
{
	unsigned set = d->guard.enabled;
	const struct sasl_binding *b = &f->binding;
	bool can_bind = f->tls && (span_is_set(b->exporter) || span_is_set(b->unique) ||
				      span_is_set(b->server_end_point));
	bool hidden = can_bind && d->session.global.hide_plus_after_abort &&
		      limits_plus_is_hidden(d->limits, d->session.facts.peer_address,
			  session_listener(&d->session), wall_ms() / 1000);

	if (!f->tls || !d->session.facts.client_certificate)
		set &= ~(1U << SASL_EXTERNAL);
	for (enum sasl_mechanism m = 0; m < SASL_MECHANISM_COUNT; m++) {
		if (sasl_is_plus(m) && (!can_bind || hidden))
			set &= ~(1U << m);
	}
	return set;
}

enum step session_refuse(struct decision *d, enum refusal refusal, bool close, struct span text)
{
	const struct message_refused refused = {.refusal = refusal, .close = close, .text = text};

	str_reset(&d->body);
	message_put_refused(&d->body, &refused);
	enum step step = session_send_body(d, MESSAGE_REFUSED);
	return step == STEP_GO_ON && close ? STEP_END : step;
}

enum step session_send_body(struct decision *d, enum message_type type)
{
	if (str_error(&d->body) < 0 || message_send(d->gate, type, str_span(&d->body)) < 0)
		return STEP_NONSENSE;
	return STEP_GO_ON;
}

void session_report_missing(const struct decision *d, const struct str *missing)
{
	if (missing->n)
		d->handler->log(LOG_LEVEL_WARNING, "sandbox: the kernel has no %s", missing->data);
}
