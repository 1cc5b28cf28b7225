#include "gate/session.h"

#include <assert.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <sys/inotify.h>
#include <sysexits.h>
#include <unistd.h>

#include "account/pending.h"
#include "base/fault.h"
#include "io/file.h"

/* From the yes to serve(), and what serve() asks of the login later. */

static void note_success(struct decision *d);
static void remember_pending(const struct decision *d);
static int open_history_folder(const struct decision *d, struct span account, int *ret);
static void add_to_history(
    const struct session *s, struct login_history *h, const struct session_attempt *a);
static enum step refuse_login(
    struct decision *d, enum login_result result, struct session_attempt *attempt);
static void forget_secret(struct decision *d);
static int open_folder(const struct decision *d, int parent, int *ret);
static int open_changes(const struct session *s);
static int watch(int inotify, int fd, uint32_t mask);
static int session_credentials(void *context, struct span user, enum hash h, struct arena *arena,
    struct sasl_credentials *ret);
static int session_may_act_as(void *context, struct span account, struct span address,
    struct arena *arena, struct span *ret_address);
static int session_verdict(void *context, bool good);
static enum login_result check_password(
    const struct session *s, struct credentials *c, int64_t *expires_s);
static enum login_result check_key(
    const struct session *s, struct credentials *c, int64_t *expires_s);
static enum login_result check_account(struct session *s);
static int renew_config(struct session *s);
static void note_plus_end(
    const struct session *s, const struct sasl_result *r, enum login_result result);

enum step session_say_yes(struct decision *d, struct span user)
{
	struct session *s = &d->session;
	struct session_attempt attempt = {.result = LOGIN_OK,
	    .account = s->login.account,
	    .user = user.n ? user : s->login.address, /* EXTERNAL names none */
	    .mechanism = s->login.mechanism,
	    .fingerprint = d->fingerprint,
	    .password_name = s->login.password_name};

	int rc = renew_config(s);
	if (rc == 0)
		rc = session_open_account(d, s->login.account);
	if (rc < 0) {
		d->handler->log(
		    LOG_LEVEL_ERROR, "account %.*s: %s", SPAN_ARG(s->login.account), strerror(-rc));
		return refuse_login(d, LOGIN_UNAVAILABLE, &attempt);
	}
	/*
	 * What was found out before is up to GATE_TOTAL_MS old. Withdrawn from now on, it is
	 * noticed by the watch that session_open_account() has placed.
	 */
	enum login_result result = session_still_valid(s);
	if (result != LOGIN_OK)
		return refuse_login(d, result, &attempt);
	session_record(d, &attempt);
	remember_pending(d);
	note_success(d);
	rc = session_enter_account_cage(d);
	if (rc < 0) {
		d->handler->log(
		    LOG_LEVEL_ERROR, "the session has no second cage: %s", strerror(-rc));
		return session_refuse(d, REFUSAL_UNAVAILABLE, true, SPAN_NONE);
	}
	return message_send(d->gate, MESSAGE_HANDOVER, SPAN_NONE) < 0 ? STEP_NONSENSE : STEP_YES;
}

static enum step refuse_login(
    struct decision *d, enum login_result result, struct session_attempt *attempt)
{
	struct config_account account = {0};
	struct span text = SPAN("This credential was withdrawn");

	if (result == LOGIN_DISABLED &&
	    config_account(
		d->session.config, d->session.login.account, d->session.arena, &account) == 0 &&
	    account.disabled_text.n > 0)
		text = account.disabled_text;
	else if (result != LOGIN_UNKNOWN_KEY && result != LOGIN_BAD_CREDENTIALS)
		text = SPAN_NONE; /* the gate's own words say it */
	/* a removed key is no key that could be approved */
	enum refusal refusal =
	    result == LOGIN_UNKNOWN_KEY ? REFUSAL_CREDENTIALS : session_refusal_of(result);

	attempt->result = result;
	session_record(d, attempt);
	return session_refuse(d, refusal, true, text);
}

/* In limits.tdb, which is behind the second cage. */
static void note_success(struct decision *d)
{
	struct session *s = &d->session;
	struct span address = s->facts.peer_address;
	int64_t now_s = wall_ms() / 1000;

	if (!d->limits)
		return;
	limits_succeeded(d->limits, address, s->login.account, now_s);
	enum sasl_mechanism m = sasl_by_name(s->login.mechanism);
	if (m < SASL_MECHANISM_COUNT && sasl_is_plus(m))
		limits_plus_used(d->limits, address, now_s);
	/* AUTH may come on top of a key: then its end is seen in there. */
	if (span_is_set(s->login.fingerprint) && s->global.hide_plus_after_abort)
		d->guard.plus_mark =
		    limits_plus_mark_open(d->limits, address, session_listener(s), now_s);
}

int session_open_account(struct decision *d, struct span account)
{
	const struct session_setup *u = d->setup;
	struct session *s = &d->session;
	char name[NAME_MAX + 1];

	if (!account_name_is_valid(account) || account.n >= sizeof(name))
		return -ENOENT;
	memcpy(name, account.p, account.n);
	name[account.n] = '\0';
	int rc = config_account(s->config, account, s->arena, &s->account);
	if (rc < 0)
		return rc;
	rc = folder_open(u->accounts_fd, name, &s->account_fd);
	if (rc == 0)
		rc = open_folder(d, u->mail_fd, &s->mail_fd);
	if (rc == 0)
		rc = open_folder(d, u->incoming_fd, &s->incoming_fd);
	if (rc < 0)
		return rc;
	s->wake_fd = u->wake_fd;
	s->changes_fd = open_changes(s);
	if (s->changes_fd < 0)
		d->handler->log(LOG_LEVEL_WARNING,
		    "inotify: %s: looking for changes every second instead "
		    "(raise fs.inotify.max_user_instances)",
		    strerror(-s->changes_fd));
	s->changes_fd = MAX(s->changes_fd, -1);
	return 0;
}

/*
 * The account's own folder below `parent`, made at its first use; *ret stays where there is none.
 */
static int open_folder(const struct decision *d, int parent, int *ret)
{
	char name[NAME_MAX + 1];
	struct span account = d->session.account.name;

	if (parent < 0)
		return 0;
	memcpy(name, account.p, account.n);
	name[account.n] = '\0';
	return folder_make(parent, name, 0700, ret);
}

/*
 * One inotify instance: on the account's folder (its `changes` may come into being later) and on
 * mail/NAME/changes, which commits write to. All sessions are one user, who has few instances.
 */
static int open_changes(const struct session *s)
{
	int inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	int rc =
	    inotify < 0 ? -errno : watch(inotify, s->account_fd, IN_ATTRIB | IN_MODIFY | IN_CREATE);

	if (rc == 0 && s->mail_fd >= 0) {
		int file =
		    openat(s->mail_fd, "changes", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
		rc = file < 0 ? -errno : watch(inotify, file, IN_ATTRIB | IN_MODIFY);
		close_fd(&file);
	}
	if (rc < 0)
		close_fd(&inotify);
	return rc < 0 ? rc : inotify;
}

static int watch(int inotify, int fd, uint32_t mask)
{
	char path[sizeof("/proc/self/fd/") + 3 * sizeof(int)];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd); /* always fits */
	return inotify_add_watch(inotify, path, mask) < 0 ? -errno : 0;
}

/* What remains is this account, its configuration, and glibc's charsets. */
int session_enter_account_cage(struct decision *d)
{
	const struct session_setup *u = d->setup;
	struct session *s = &d->session;
	struct str missing cleanup(str_clear) = STR_INIT(100);
	const unsigned make = SANDBOX_READ | SANDBOX_WRITE | SANDBOX_CREATE;
	int closed[] = {u->keys_fd, u->history_fd, u->limits_fd, u->mail_fd, u->incoming_fd};
	const struct sandbox_rule rules[] = {
	    {u->config_fd, SANDBOX_READ},
	    {s->account_fd, SANDBOX_READ},
	    {s->mail_fd, make | SANDBOX_REMOVE | SANDBOX_FOLDERS},
	    {s->incoming_fd, make},
	    {s->wake_fd, make},
	    {u->gconv_fd, SANDBOX_READ},
	};

	limits_close(d->limits);
	d->limits = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(closed); i++)
		close_fd(&closed[i]);
	int rc = sandbox_account(rules, ARRAY_SIZE(rules), &missing);
	if (rc < 0)
		return rc;
	session_report_missing(d, &missing);
	forget_secret(d);
#ifdef FAULT_POINTS
	if (fault("probe-session"))
		sandbox_probe("session", STDERR_FILENO);
#endif
	return 0;
}

/*
 * keys/secret, of which salts of unknown names are made, must not stay. One made of it does, so
 * that in each session of this account such a name has one salt, and tells nothing of the others'.
 * The label is no name that a client can ask about: those have no NUL.
 */
static void forget_secret(struct decision *d)
{
	struct str label cleanup(str_clear) = STR_INIT(NAME_MAX + 10);
	uint8_t *secret = d->guard.lookup.secret, made[HASH_MAX_BYTES];

	static_assert(KEYS_SECRET_BYTES <= 32, "of SHA-256");
	str_append(&label, SPAN("\0session\0"));
	str_append(&label, d->session.account.name);
	hash_hmac(HASH_SHA256, span_of((char *)secret, KEYS_SECRET_BYTES), str_span(&label), made);
	memcpy(secret, made, KEYS_SECRET_BYTES);
	explicit_bzero(made, sizeof(made));
}

int session_serve(struct decision *d)
{
	struct session *s = &d->session;
	struct str context cleanup(str_clear) = STR_INIT(LOG_CONTEXT_MAX_BYTES);

	str_append(&context, s->facts.peer_address);
	str_append_char(&context, ' ');
	log_quote(s->login.address, LOG_CONTEXT_MAX_BYTES / 3, &context);
	log_set_context(str_span(&context));
	str_clear_secret(&d->body);
	stream_set_timeout(s->peer, SESSION_READ_MS, SESSION_WRITE_MS);
	(void)malloc_trim(0); /* the login's memory is not needed while the client idles */
	int status = d->handler->serve(s);
	session_forget_attempts(s);
	return status;
}

static const char *tls_name(const struct session_facts *f)
{
	return !f->tls ? "none" : f->tls_version == SESSION_TLS_1_3 ? "TLSv1.3" : "TLSv1.2";
}

struct span session_listener(const struct session *s)
{
	return s->protocol == PROTOCOL_IMAP ? SPAN("imap") : SPAN("submission");
}

void session_log_lookup(const struct session *s, int error)
{
	if (error != -EILSEQ) /* that is the client's failure: no UTF-8 */
		s->guard->handler->log(
		    LOG_LEVEL_ERROR, "the user's credentials: %s", strerror(-error));
}

void session_log_plus_hidden(const struct session *s, struct span mechanism)
{
	s->guard->handler->log(LOG_LEVEL_NOTICE,
	    "the client began %.*s and gave up: -PLUS is hidden from %.*s on %.*s for %d minutes; "
	    "if its user cannot choose another mechanism, take -PLUS out of sasl-mechanisms",
	    SPAN_ARG(mechanism), SPAN_ARG(s->facts.peer_address), SPAN_ARG(session_listener(s)),
	    LIMITS_PLUS_HIDDEN_S / 60);
}

/*
 * login result=bad-credentials protocol=imap address=192.0.2.1 account=- user="a@b" mechanism=PLAIN
 * key=- password="" tls=TLSv1.3 client="..."
 *
 * units/fail2ban-postern.conf matches it: what comes before user= is ours, and what is quoted has
 * no quotes or line ends of the client's in it.
 */
void session_log_attempt(const struct session *s, const struct session_attempt *a)
{
	enum { FIELD_MAX = 100 };
	struct str user cleanup(str_clear) = STR_INIT(4 * FIELD_MAX + 8);
	struct str password cleanup(str_clear) = STR_INIT(4 * FIELD_MAX + 8);
	struct str client cleanup(str_clear) = STR_INIT(4 * FIELD_MAX + 8);
	struct span none = SPAN("-");

	log_quote(a->user, FIELD_MAX, &user);
	log_quote(a->password_name, FIELD_MAX, &password);
	log_quote(s->facts.client_id, FIELD_MAX, &client);
	s->guard->handler->log(a->result == LOGIN_UNAVAILABLE ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO,
	    "login result=%s protocol=%.*s address=%.*s account=%.*s user=\"%s\" mechanism=%.*s "
	    "key=%.*s password=\"%s\" tls=%s client=\"%s\"",
	    login_result_name(a->result), SPAN_ARG(session_listener(s)),
	    SPAN_ARG(s->facts.peer_address), SPAN_ARG(a->account.n ? a->account : none), user.data,
	    SPAN_ARG(a->mechanism.n ? a->mechanism : none),
	    SPAN_ARG(a->fingerprint.n ? a->fingerprint : none), password.data, tls_name(&s->facts),
	    client.data);
}

/*
 * A login by a key alone keeps the history open: an authentication may come on top of it, behind
 * the second cage.
 */
void session_record(struct decision *d, const struct session_attempt *a)
{
	session_log_attempt(&d->session, a);
	struct login_history *h = session_open_history(d, a->account);
	add_to_history(&d->session, h, a);
	if (a->result == LOGIN_OK && span_equal(a->mechanism, SPAN("TLS-KEY")))
		d->guard.history = h;
	else
		login_history_close(h);
}

static void add_to_history(
    const struct session *s, struct login_history *h, const struct session_attempt *a)
{
	struct str tls cleanup(str_clear) = STR_INIT(200);
	struct login_record record = {.when_s = wall_ms() / 1000,
	    .address = s->facts.peer_address,
	    .protocol = session_listener(s),
	    .mechanism = a->mechanism,
	    .client = s->facts.client_id,
	    .result = a->result};

	str_format(&tls, "%s %.*s", tls_name(&s->facts), SPAN_ARG(s->facts.cipher));
	record.tls = str_span(&tls);
	/* what was to open the door: not a key that was only there */
	record.credential = login_record_is_by_key(&record) ? a->fingerprint : a->password_name;
	login_history_add(h, &record);
}

struct login_history *session_open_history(const struct decision *d, struct span account)
{
	struct login_history *h = NULL;
	int folder;

	if (open_history_folder(d, account, &folder) < 0)
		return NULL; /* history may be lost */
	if (login_history_open(folder, &h) < 0)
		h = NULL;
	close_fd(&folder);
	return h;
}

/*
 * Attempts that name no account are written, too, to a place of their own that nobody reads: else
 * the time of the answer would tell who exists.
 */
static int open_history_folder(const struct decision *d, struct span account, int *ret)
{
	char name[NAME_MAX + 1];

	if (d->setup->history_fd < 0)
		return -ENOENT;
	if (!span_is_set(account))
		return folder_make(d->setup->history_fd, LOGIN_HISTORY_OF_NOBODY, 0700, ret);
	if (!account_name_is_valid(account) || account.n >= sizeof(name))
		return -ENOENT;
	memcpy(name, account.p, account.n);
	name[account.n] = '\0';
	return folder_make(d->setup->history_fd, name, 0700, ret);
}

/*
 * After a login by password: the connection's key, if nobody has registered it. A key that is in
 * the table is somebody's, though it did not log in here.
 */
static void remember_pending(const struct decision *d)
{
	const struct session *s = &d->session;
	struct arena scratch cleanup(arena_clear) = {0};
	struct keys *keys = NULL;
	struct span owner;
	bool is_new = false;
	int folder;

	if (d->key.result != LOGIN_UNKNOWN_KEY || !span_is_set(d->fingerprint))
		return;
	int rc = keys_open(d->setup->keys_fd, false, &keys);
	if (rc == 0)
		rc = keys_find(keys, d->fingerprint, &scratch, &owner);
	keys_close(keys);
	if (rc != -ENOENT || open_history_folder(d, s->login.account, &folder) < 0)
		return;
	const struct pending_key key = {.spki = d->spki,
	    .login_address = s->login.address,
	    .peer_address = s->facts.peer_address,
	    .client = s->facts.client_id,
	    .tls12 = s->facts.tls_version < SESSION_TLS_1_3,
	    .last_s = wall_ms() / 1000};
	rc = pending_remember(folder, &key, &is_new);
	close_fd(&folder);
	if (rc == 0 && is_new)
		d->handler->log(LOG_LEVEL_NOTICE,
		    "account %.*s: the TLS key %.*s may be approved: postern tlspubkey approve",
		    SPAN_ARG(s->login.account), SPAN_ARG(d->fingerprint));
}

enum login_result session_still_valid(struct session *s)
{
	struct credentials *c;
	enum login_result result = check_account(s);

	if (result != LOGIN_OK)
		return result;
	if (!span_is_set(s->login.fingerprint) && !span_is_set(s->login.password_name))
		return LOGIN_OK; /* a tunnel: whoever started it needs no credential */
	int rc = credentials_open(s->account_fd, false, &c);
	if (rc < 0)
		return rc == -ENOENT ? LOGIN_BAD_CREDENTIALS : LOGIN_UNAVAILABLE;
	int64_t expires_s = 0;
	result = check_key(s, c, &expires_s);
	if (result == LOGIN_OK)
		result = check_password(s, c, &expires_s);
	credentials_close(c);
	if (result == LOGIN_OK)
		s->login.expires_s = expires_s;
	return result;
}

/* From the configuration as it is now, not as it was at the login. */
static enum login_result check_account(struct session *s)
{
	struct arena scratch cleanup(arena_clear) = {0};
	struct config_account account;
	struct span owner, canonical;

	if (renew_config(s) < 0)
		return LOGIN_UNAVAILABLE;
	int rc = config_account(s->config, s->login.account, &scratch, &account);
	if (rc < 0)
		return rc == -ENOENT ? LOGIN_DISABLED : LOGIN_UNAVAILABLE;
	if (account.disabled)
		return LOGIN_DISABLED;
	if (!span_is_set(s->login.fingerprint))
		return LOGIN_OK;
	rc = config_find_address(s->config, s->login.address, &scratch, &owner, &canonical, NULL);
	if (rc < 0)
		return rc == -ENOENT ? LOGIN_WRONG_ACCOUNT : LOGIN_UNAVAILABLE;
	return span_equal(owner, s->login.account) ? LOGIN_OK : LOGIN_WRONG_ACCOUNT;
}

/*
 * `config apply` replaces the file. While it is still the one that is open, opening it says -EBUSY:
 * a database is opened once in a process.
 */
static int renew_config(struct session *s)
{
	struct config *config;
	int rc = config_open(s->guard->config_fd, &config);

	if (rc == -EBUSY)
		return 0;
	if (rc < 0)
		return rc;
	config_close(s->config);
	s->config = s->guard->lookup.config = config;
	return 0;
}

/* *expires_s becomes the earlier of what it was and of what the record says now. */
static enum login_result check_key(
    const struct session *s, struct credentials *c, int64_t *expires_s)
{
	struct arena scratch cleanup(arena_clear) = {0};
	struct tls_key key;
	unsigned scope = s->protocol == PROTOCOL_IMAP ? SCOPE_IMAP : SCOPE_SUBMISSION;

	if (!span_is_set(s->login.fingerprint))
		return LOGIN_OK;
	int rc = credentials_get_key(c, s->login.fingerprint, &scratch, &key);
	if (rc < 0)
		return rc == -ENOENT ? LOGIN_UNKNOWN_KEY : LOGIN_UNAVAILABLE;
	if (s->facts.tls_version != SESSION_TLS_1_3 && !key.allow_tls12)
		return LOGIN_UNKNOWN_KEY; /* as at the login */
	if (!(key.scope & scope))
		return LOGIN_OUT_OF_SCOPE;
	*expires_s = session_earlier(*expires_s, key.expires);
	return key.expires && wall_ms() / 1000 >= key.expires ? LOGIN_EXPIRED : LOGIN_OK;
}

static enum login_result check_password(
    const struct session *s, struct credentials *c, int64_t *expires_s)
{
	struct arena scratch cleanup(arena_clear) = {0};
	struct password p;
	unsigned scope = s->protocol == PROTOCOL_IMAP ? SCOPE_IMAP : SCOPE_SUBMISSION;

	if (!span_is_set(s->login.password_name))
		return LOGIN_OK;
	int rc = credentials_get_password(c, s->login.password_name, &scratch, &p);
	if (rc < 0)
		return rc == -ENOENT ? LOGIN_BAD_CREDENTIALS : LOGIN_UNAVAILABLE;
	if (p.version != s->guard->password_version)
		return LOGIN_BAD_CREDENTIALS;
	if (!(p.scope & scope))
		return LOGIN_OUT_OF_SCOPE;
	*expires_s = session_earlier(*expires_s, p.expires);
	return p.expires && wall_ms() / 1000 >= p.expires ? LOGIN_EXPIRED : LOGIN_OK;
}

struct sasl_server *session_sasl(struct session *s, enum sasl_mechanism m)
{
	if (m >= SASL_MECHANISM_COUNT || !(s->mechanisms & 1U << m))
		return NULL;
	s->guard->inner = login_sasl_lookup(&s->guard->lookup);
	const struct sasl_server_options options = {
	    .lookup = {session_credentials, session_may_act_as, session_verdict, s},
	    .binding = s->facts.binding,
	    .key_account = s->login.account,
	    .key_address = s->login.address,
	    .enabled = s->guard->enabled,
	};
	return sasl_server_new(m, &options);
}

/* Other accounts are behind the cage: to this session their names are unknown ones. */
static int session_credentials(
    void *context, struct span user, enum hash h, struct arena *arena, struct sasl_credentials *ret)
{
	struct session_guard *guard = ((struct session *)context)->guard;
	int rc = guard->inner.credentials(guard->inner.context, user, h, arena, ret);

	if (rc < 0 && rc != -EACCES)
		session_log_lookup(context, rc);
	if (rc != -EACCES)
		return rc;
	login_unknown_credentials(&guard->lookup, user, arena, ret);
	return 0;
}

static int session_may_act_as(void *context, struct span account, struct span address,
    struct arena *arena, struct span *ret_address)
{
	struct session_guard *guard = ((struct session *)context)->guard;
	return guard->inner.may_act_as(guard->inner.context, account, address, arena, ret_address);
}

static int session_verdict(void *context, bool good)
{
	struct session *s = context;
	int rc = login_history_settle_guess(
	    s->guard->history, s->login.fingerprint, good, wall_ms() / 1000);
	s->guard->limited = rc == -EACCES;
	return rc;
}

enum login_result session_sasl_end(
    struct session *s, const struct sasl_server *sasl, enum sasl_outcome o)
{
	const struct sasl_result *r = sasl_server_result(sasl);
	bool is_broken_off = o == SASL_CONTINUE || o == SASL_MALFORMED;
	enum login_result result =
	    session_result_of(is_broken_off ? sasl_server_abandoned(sasl) : o, r);
	struct login_password password = {0};
	unsigned scope = s->protocol == PROTOCOL_IMAP ? SCOPE_IMAP : SCOPE_SUBMISSION;

	if (result == LOGIN_UNAVAILABLE && s->guard->limited)
		result = LOGIN_LIMITED;
	if (result == LOGIN_OK && r->mechanism != SASL_EXTERNAL) {
		login_password(s->config, s->guard->lookup.accounts_dirfd, r, scope,
		    wall_ms() / 1000, s->arena, &password);
		result = password.result;
	}
	if (result == LOGIN_OK) {
		s->login.mechanism = sasl_name(r->mechanism);
		s->login.address = arena_span(s->arena, r->address);
		if (r->mechanism != SASL_EXTERNAL) {
			s->login.password_name = arena_span(s->arena, r->password_name);
			s->login.expires_s =
			    session_earlier(s->login.expires_s, password.password.expires);
			s->guard->password_version = r->password_version;
		}
	}
	if (sasl_is_plus(r->mechanism))
		note_plus_end(s, r, result);
	const struct session_attempt attempt = {.result = result,
	    .account = s->login.account,
	    .user = r->authcid.n || result != LOGIN_OK ? r->authcid : s->login.address,
	    .mechanism = sasl_name(r->mechanism),
	    .fingerprint = s->login.fingerprint,
	    .password_name = r->password_name};
	session_log_attempt(s, &attempt);
	add_to_history(s, s->guard->history, &attempt);
	if (result == LOGIN_OK)
		return result;
	session_delay_after(++s->guard->failures);
	return s->guard->failures >= SESSION_FAILURES_MAX ? LOGIN_LIMITED : result;
}

void session_name_client(struct session *s, struct span client)
{
	if (s->facts.client_id.n || !client.n)
		return;
	s->facts.client_id = arena_span(s->arena, span_sub(client, 0, MESSAGE_NAME_MAX_BYTES));
	login_history_name_client(s->guard->history, s->facts.client_id);
}

void session_forget_attempts(struct session *s)
{
	login_history_close(s->guard->history);
	s->guard->history = NULL;
	close_fd(&s->guard->plus_mark.fd);
}

/* As before the handover, but all that can still be written is the mark. */
static void note_plus_end(
    const struct session *s, const struct sasl_result *r, enum login_result result)
{
	const struct limits_plus_mark *mark = &s->guard->plus_mark;
	if (result == LOGIN_OK)
		limits_plus_mark_used(mark, wall_ms() / 1000);
	if (result != LOGIN_ABORTED || r->was_answered || mark->fd < 0)
		return;
	limits_plus_mark_given_up(mark, wall_ms() / 1000);
	session_log_plus_hidden(s, sasl_name(r->mechanism));
}
