#include "gate/session.h"

#include "base/encode.h"

/* The SASL conversation before the yes, as the gate carries it. */

static struct sasl_server *new_server(struct decision *d, enum sasl_mechanism m);
static int limited_credentials(void *context, struct span user, enum hash h, struct arena *arena,
    struct sasl_credentials *ret);
static struct span unknown_name(struct arena *arena, struct span salt);
static int settle(void *context, bool good);
static int may_act_as(void *context, struct span account, struct span address, struct arena *arena,
    struct span *ret_address);
static enum step converse(struct decision *d, struct sasl_server *sasl, struct span initial,
    enum sasl_outcome *ret_outcome, enum refusal *ret_refusal);
static void note_given_up(struct decision *d, enum sasl_mechanism m);
static enum step judge(struct decision *d, const struct sasl_result *r, enum sasl_outcome outcome);
static enum step accept_login(struct decision *d, const struct sasl_result *r);
static enum step fail_login(struct decision *d, const struct sasl_result *r,
    enum login_result result, enum refusal refusal, struct span text);
static void note_failure(struct decision *d, const struct sasl_result *r, enum login_result result);

static void sleep_ms(int64_t ms)
{
	struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
	while (clock_nanosleep(CLOCK_MONOTONIC, 0, &t, &t) == EINTR)
		;
}

void session_delay_after(unsigned failures)
{
	if (failures > SESSION_FAILURES_FREE)
		sleep_ms(MIN((failures - SESSION_FAILURES_FREE) * 1000U, SESSION_DELAY_MAX_MS));
}

int64_t session_earlier(int64_t one_s, int64_t other_s)
{
	return !one_s ? other_s : !other_s ? one_s : MIN(one_s, other_s);
}

static void report_damage(const struct decision *d)
{
	if (limits_was_made_anew(d->limits))
		d->handler->log(LOG_LEVEL_WARNING, "limits.tdb was damaged, and is made anew");
}

bool session_within_limits(struct decision *d)
{
	int delay_ms = 0;
	struct span address = d->key_is_known ? SPAN_NONE : d->session.facts.peer_address;

	if (!d->limits)
		return true;
	int rc = limits_check(d->limits, address, SPAN(""), wall_ms() / 1000, &delay_ms);
	report_damage(d);
	sleep_ms(rc == 0 ? delay_ms : LIMITS_REFUSAL_MS);
	return rc == 0;
}

static bool is_refused_for(struct decision *d, struct span account)
{
	int delay_ms = 0;
	struct span address = d->key_is_known ? SPAN_NONE : d->session.facts.peer_address;

	if (!d->limits || !account.n)
		return false;
	int rc = limits_check(d->limits, address, account, wall_ms() / 1000, &delay_ms);
	report_damage(d);
	if (rc == 0 || rc == -EACCES)
		sleep_ms(rc == 0 ? delay_ms : LIMITS_REFUSAL_MS);
	return rc == -EACCES;
}

enum step session_handle_auth(struct decision *d)
{
	struct session *s = &d->session;
	struct message_auth a;
	enum sasl_outcome outcome = SASL_UNAVAILABLE;
	enum refusal aborted = REFUSAL_COUNT;

	d->limited = d->counted = false;
	d->counted_as = SPAN_NONE;
	if (message_get_auth(str_span(&d->body), &a) < 0 || d->facts_count == 0)
		return STEP_NONSENSE;
	if (!(s->mechanisms & 1U << a.mechanism))
		return session_refuse(d, REFUSAL_NOT_OFFERED, false, SPAN_NONE);
	s->start = SESSION_AFTER_SASL;
	s->tag = arena_span(s->arena, a.tag);
	s->facts.helo = arena_span(s->arena, a.helo);
	s->facts.esmtp = a.esmtp;
	s->facts.client_id = arena_span(s->arena, a.client_id.n ? a.client_id : a.helo);
	if (!session_within_limits(d)) {
		session_log_attempt(s, &(struct session_attempt){.result = LOGIN_LIMITED,
					   .mechanism = sasl_name(a.mechanism)});
		return session_refuse(d, REFUSAL_LIMITED, true, SPAN_NONE);
	}
	if (s->protocol == PROTOCOL_SUBMISSION && d->key.result == LOGIN_DISABLED) {
		/* the key has proven whose connection this is: the same text whatever mechanism */
		const struct sasl_result none = {
		    .mechanism = a.mechanism, .named_account = d->key.key.account};
		return fail_login(d, &none, LOGIN_DISABLED, REFUSAL_DISABLED, d->key.text);
	}
	struct sasl_server *sasl = new_server(d, a.mechanism);
	if (!sasl)
		return session_refuse(d, REFUSAL_NOT_OFFERED, false, SPAN_NONE);
	enum step step = converse(d, sasl, a.initial, &outcome, &aborted);
	if (step == STEP_END) /* hung up */
		note_failure(d, sasl_server_result(sasl),
		    session_result_of(outcome, sasl_server_result(sasl)));
	else if (step == STEP_GO_ON && aborted != REFUSAL_COUNT)
		step = fail_login(d, sasl_server_result(sasl), LOGIN_ABORTED, aborted, SPAN_NONE);
	else if (step == STEP_GO_ON)
		step = judge(d, sasl_server_result(sasl), outcome);
	d->counted_as = SPAN_NONE; /* in the mechanism's memory */
	sasl_server_free(sasl);
	return step;
}

static struct sasl_server *new_server(struct decision *d, enum sasl_mechanism m)
{
	d->guard.inner = login_sasl_lookup(&d->guard.lookup);
	/* A disabled account's key lets nobody in, but is its account's all the same. */
	bool binds = d->key_is_known || d->key.result == LOGIN_DISABLED;
	const struct sasl_server_options options = {
	    .lookup = {limited_credentials, may_act_as, settle, d},
	    .binding = d->session.facts.binding,
	    .key_account = binds ? d->key.key.account : SPAN_NONE,
	    .key_address = d->key_is_known ? d->key.key.address : SPAN_NONE,
	    .enabled = d->guard.enabled,
	};
	return sasl_server_new(m, &options);
}

/*
 * An account whose bucket is full is refused before its verifiers are used. Unknown users have
 * buckets as well, or else it could be seen who has none: named by the fake salt, which is the
 * name's.
 */
static int limited_credentials(
    void *context, struct span user, enum hash h, struct arena *arena, struct sasl_credentials *ret)
{
	struct decision *d = context;
	int rc = d->guard.inner.credentials(d->guard.inner.context, user, h, arena, ret);

	if (rc < 0)
		session_log_lookup(&d->session, rc);
	if (rc == 0)
		d->counted_as = ret->account.n ? arena_span(arena, ret->account)
					       : unknown_name(arena, ret->salt);
	if (rc == 0 && is_refused_for(d, d->counted_as)) {
		d->limited = true;
		return -EBUSY;
	}
	return rc;
}

/*
 * Before a verdict is told. The holder of a proven key is not limited by address; what bounds
 * guesses then is kept for that key, with the account's history.
 */
static int settle(void *context, bool good)
{
	struct decision *d = context;
	int64_t now_s = wall_ms() / 1000;
	struct span address = d->key_is_known ? SPAN_NONE : d->session.facts.peer_address;
	int rc = 0;

	/* First: what the key's bucket refuses must not fill the account's. */
	if (d->key_is_known) {
		struct login_history *h = session_open_history(d, d->key.key.account);
		rc = login_history_settle_guess(h, d->fingerprint, good, now_s);
		login_history_close(h);
	}
	if (rc == 0)
		rc = limits_settle(d->limits, address, d->counted_as, good, now_s);
	report_damage(d);
	d->counted = !good;
	d->limited = rc == -EACCES;
	return rc;
}

/* ".SALT": no account is called so. */
static struct span unknown_name(struct arena *arena, struct span salt)
{
	struct str name cleanup(str_clear) = STR_INIT(2 * SALT_BYTES);
	str_append_char(&name, '.');
	base64url_encode(salt, &name);
	return arena_span(arena, str_span(&name));
}

static int may_act_as(void *context, struct span account, struct span address, struct arena *arena,
    struct span *ret_address)
{
	struct decision *d = context;
	return d->guard.inner.may_act_as(
	    d->guard.inner.context, account, address, arena, ret_address);
}

/* Until the mechanism has an outcome, or *ret_refusal says how the client broke off. */
static enum step converse(struct decision *d, struct sasl_server *sasl, struct span initial,
    enum sasl_outcome *ret_outcome, enum refusal *ret_refusal)
{
	static const enum refusal refusals[] = {[ABORT_BY_CLIENT] = REFUSAL_ABORTED,
	    [ABORT_MALFORMED] = REFUSAL_MALFORMED,
	    [ABORT_TOO_LONG] = REFUSAL_TOO_LONG};
	struct str challenge cleanup(str_clear_secret) = STR_INIT(MESSAGE_RESPONSE_MAX_BYTES);
	struct span response = initial;

	for (;;) {
		enum message_type type;
		enum sasl_outcome outcome = sasl_server_step(sasl, response, &challenge);
		if (outcome != SASL_CONTINUE) {
			*ret_outcome = outcome;
			return STEP_GO_ON;
		}
		if (message_send(d->gate, MESSAGE_CHALLENGE, str_span(&challenge)) < 0 ||
		    message_receive(d->gate, SENDER_GATE, &type, &d->body) < 0)
			return STEP_NONSENSE;
		struct span body = str_span(&d->body);
		if ((type == MESSAGE_GOODBYE || type == MESSAGE_ABORT) &&
		    !sasl_server_result(sasl)->was_answered)
			note_given_up(d, sasl_server_result(sasl)->mechanism);
		*ret_outcome = sasl_server_abandoned(sasl);
		if (type == MESSAGE_GOODBYE)
			return STEP_END;
		if (type == MESSAGE_ABORT && body.n == 1 &&
		    (unsigned char)body.p[0] < ARRAY_SIZE(refusals)) {
			if (*ret_outcome == SASL_MALFORMED) /* else it has failed before */
				*ret_refusal = refusals[(unsigned char)body.p[0]];
			return STEP_GO_ON;
		}
		if (type != MESSAGE_RESPONSE)
			return STEP_NONSENSE;
		response = body;
	}
}

/* A client that began a -PLUS exchange and left before it said anything could not bind. */
static void note_given_up(struct decision *d, enum sasl_mechanism m)
{
	const struct session *s = &d->session;
	struct span listener = session_listener(s);

	if (!sasl_is_plus(m) || !s->global.hide_plus_after_abort)
		return;
	if (limits_plus_given_up(d->limits, s->facts.peer_address, listener, wall_ms() / 1000))
		session_log_plus_hidden(s, sasl_name(m));
}

enum login_result session_result_of(enum sasl_outcome o, const struct sasl_result *r)
{
	switch (o) {
	case SASL_OK: return LOGIN_OK;
	case SASL_BAD_CREDENTIALS:
		return r->wrong_account ? LOGIN_WRONG_ACCOUNT : LOGIN_BAD_CREDENTIALS;
	case SASL_BAD_BINDING: return LOGIN_BAD_BINDING;
	case SASL_NO_KEY: return LOGIN_UNKNOWN_KEY;
	case SASL_CONTINUE:
	case SASL_MALFORMED: return LOGIN_ABORTED;
	case SASL_UNAVAILABLE: return LOGIN_UNAVAILABLE;
	}
	return LOGIN_UNAVAILABLE;
}

enum refusal session_refusal_of(enum login_result result)
{
	switch (result) {
	case LOGIN_DISABLED: return REFUSAL_DISABLED;
	case LOGIN_EXPIRED: return REFUSAL_EXPIRED;
	case LOGIN_OUT_OF_SCOPE: return REFUSAL_SCOPE;
	case LOGIN_UNKNOWN_KEY: return REFUSAL_KEY;
	case LOGIN_LIMITED: return REFUSAL_LIMITED;
	case LOGIN_ABORTED: return REFUSAL_MALFORMED;
	case LOGIN_UNAVAILABLE: return REFUSAL_UNAVAILABLE;
	default: return REFUSAL_CREDENTIALS;
	}
}

static enum step judge(struct decision *d, const struct sasl_result *r, enum sasl_outcome outcome)
{
	enum login_result result = session_result_of(outcome, r);

	if (result == LOGIN_OK)
		return accept_login(d, r);
	if (result == LOGIN_UNKNOWN_KEY) /* or a known one that may not log in: that says more */
		result = d->key.result;
	if (d->limited)
		result = LOGIN_LIMITED;
	struct span text = outcome == SASL_NO_KEY ? d->key.text : SPAN_NONE;
	return fail_login(d, r, result, session_refusal_of(result), text);
}

static enum step accept_login(struct decision *d, const struct sasl_result *r)
{
	struct session *s = &d->session;
	bool by_key = r->mechanism == SASL_EXTERNAL;

	s->login = (struct session_login){
	    .account = arena_span(s->arena, r->account),
	    .address = arena_span(s->arena, r->address),
	    .mechanism = sasl_name(r->mechanism),
	    /* the session ends with each of the two that opened it */
	    .fingerprint = d->key_is_known ? d->fingerprint : SPAN_NONE,
	    .password_name = by_key ? SPAN_NONE : arena_span(s->arena, r->password_name),
	    .preauth = PREAUTH_NO,
	    .expires_s = d->key_is_known ? d->key.key.expires : 0,
	};
	if (!by_key) {
		struct login_password password;
		unsigned scope = s->protocol == PROTOCOL_IMAP ? SCOPE_IMAP : SCOPE_SUBMISSION;
		login_password(s->config, d->setup->accounts_fd, r, scope, wall_ms() / 1000,
		    s->arena, &password);
		if (password.result != LOGIN_OK)
			return fail_login(d, r, password.result,
			    session_refusal_of(password.result), password.text);
		s->login.expires_s = session_earlier(s->login.expires_s, password.password.expires);
		d->guard.password_version = r->password_version;
	}
	return session_say_yes(d, r->authcid);
}

static enum step fail_login(struct decision *d, const struct sasl_result *r,
    enum login_result result, enum refusal refusal, struct span text)
{
	bool is_free = result == LOGIN_UNKNOWN_KEY && !d->unknown_key_tried;

	note_failure(d, r, result);
	if (result == LOGIN_UNKNOWN_KEY)
		d->unknown_key_tried = true;
	if (!is_free)
		session_delay_after(++d->failures);
	return session_refuse(
	    d, refusal, refusal == REFUSAL_LIMITED || d->failures >= SESSION_FAILURES_MAX, text);
}

/* In history, log and limits. */
static void note_failure(struct decision *d, const struct sasl_result *r, enum login_result result)
{
	bool is_guess = result == LOGIN_BAD_CREDENTIALS || result == LOGIN_WRONG_ACCOUNT ||
			result == LOGIN_BAD_BINDING;
	bool key_is_ours = d->key.result != LOGIN_UNKNOWN_KEY && d->key.result != LOGIN_UNAVAILABLE;
	bool is_counted_as_account =
	    span_is_set(d->counted_as) && !span_starts_with(d->counted_as, SPAN("."));
	struct session_attempt attempt = {.result = result,
	    .account = r->named_account,
	    .user = r->authcid,
	    .mechanism = sasl_name(r->mechanism),
	    .fingerprint = d->fingerprint,
	    .password_name = r->password_name};

	if (!span_is_set(attempt.account) && is_counted_as_account) /* refused at the look-up */
		attempt.account = d->counted_as;
	if (!span_is_set(attempt.account) && key_is_ours)
		attempt.account = d->key.key.account;
	session_record(d, &attempt);
	if (is_guess && !d->counted) {
		d->counted_as = span_is_set(d->counted_as) ? d->counted_as : r->named_account;
		(void)settle(d, false); /* it is refused in any case */
	}
}
