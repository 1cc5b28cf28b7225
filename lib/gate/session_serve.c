#include "gate/session.h"

#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <sys/inotify.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/fault.h"
#include "io/file.h"

/* From the yes to serve(), and what serve() asks of the login later. */

static int open_folder(const struct decision *d, int parent, int *ret);
static int open_changes(const struct session *s);
static int watch(int inotify, int fd, uint32_t mask);
static int session_credentials(void *context, struct span user, enum hash h, struct arena *arena,
    struct sasl_credentials *ret);
static enum login_result check_password(const struct session *s, struct credentials *c);
static enum login_result check_key(const struct session *s, struct credentials *c);
static enum login_result check_account(struct session *s);
static int renew_config(struct session *s);
static int note_password_version(struct session *s);

enum step session_say_yes(struct decision *d, struct span user)
{
	struct session *s = &d->session;
	struct session_attempt attempt = {.result = LOGIN_OK,
	    .account = s->login.account,
	    .user = user,
	    .mechanism = s->login.mechanism,
	    .fingerprint = d->fingerprint,
	    .password_name = s->login.password_name};

	int rc = session_open_account(d, s->login.account);
	if (rc == 0)
		rc = note_password_version(s);
	if (rc < 0) {
		d->handler->log(
		    LOG_LEVEL_ERROR, "account %.*s: %s", SPAN_ARG(s->login.account), strerror(-rc));
		return session_refuse(d, REFUSAL_UNAVAILABLE, true, SPAN_NONE);
	}
	session_record(d, &attempt);
	if (d->limits)
		limits_succeeded(
		    d->limits, s->facts.peer_address, s->login.account, wall_ms() / 1000);
	rc = session_enter_account_cage(d);
	if (rc < 0) {
		d->handler->log(
		    LOG_LEVEL_ERROR, "the session has no second cage: %s", strerror(-rc));
		return session_refuse(d, REFUSAL_UNAVAILABLE, true, SPAN_NONE);
	}
	return message_send(d->gate, MESSAGE_HANDOVER, SPAN_NONE) < 0 ? STEP_NONSENSE : STEP_YES;
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

/* The account's own folder below `parent`, made at its first use; *ret stays where there is none. */
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
	/* It made salts of unknown names; what a session asks about from now on is itself. */
	explicit_bzero(d->guard.lookup.secret, sizeof(d->guard.lookup.secret));
	random_bytes(d->guard.lookup.secret, sizeof(d->guard.lookup.secret));
#ifdef FAULT_POINTS
	if (fault("probe-session"))
		sandbox_probe("session", STDERR_FILENO);
#endif
	return 0;
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
	return d->handler->serve(s);
}

static const char *tls_name(const struct session_facts *f)
{
	return !f->tls ? "none" : f->tls_version == 0x0304 ? "TLSv1.3" : "TLSv1.2";
}

static const char *protocol_name(enum protocol p)
{
	return p == PROTOCOL_IMAP ? "imap" : "submission";
}

/*
 * login result=bad-credentials protocol=imap address=192.0.2.1 account=- user="a@b" mechanism=PLAIN
 * key=- password="" tls=TLSv1.3 client="..."
 */
void session_log_attempt(const struct session *s, const struct session_attempt *a)
{
	enum { FIELD_MAX = 100 };
	struct str user cleanup(str_clear) = STR_INIT(4 * FIELD_MAX + 8);
	struct str client cleanup(str_clear) = STR_INIT(4 * FIELD_MAX + 8);
	struct span none = SPAN("-");

	log_quote(a->user, FIELD_MAX, &user);
	log_quote(s->facts.client_id, FIELD_MAX, &client);
	s->guard->handler->log(a->result == LOGIN_UNAVAILABLE ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO,
	    "login result=%s protocol=%s address=%.*s account=%.*s user=\"%s\" mechanism=%.*s "
	    "key=%.*s "
	    "password=%.*s tls=%s client=\"%s\"",
	    login_result_name(a->result), protocol_name(s->protocol),
	    SPAN_ARG(s->facts.peer_address), SPAN_ARG(a->account.n ? a->account : none), user.data,
	    SPAN_ARG(a->mechanism.n ? a->mechanism : none),
	    SPAN_ARG(a->fingerprint.n ? a->fingerprint : none),
	    SPAN_ARG(a->password_name.n ? a->password_name : none), tls_name(&s->facts),
	    client.data);
}

void session_record(const struct decision *d, const struct session_attempt *a)
{
	const struct session *s = &d->session;
	char name[NAME_MAX + 1];
	struct str tls cleanup(str_clear) = STR_INIT(200);
	int folder;

	session_log_attempt(s, a);
	if (!span_is_set(a->account) || !account_name_is_valid(a->account) ||
	    a->account.n >= sizeof(name) || d->setup->history_fd < 0)
		return;
	memcpy(name, a->account.p, a->account.n);
	name[a->account.n] = '\0';
	if (folder_make(d->setup->history_fd, name, 0700, &folder) < 0)
		return; /* history may be lost */
	str_format(&tls, "%s %.*s", tls_name(&s->facts), SPAN_ARG(s->facts.cipher));
	const struct login_record record = {.when_s = wall_ms() / 1000,
	    .address = s->facts.peer_address,
	    .protocol = span_cstr(protocol_name(s->protocol)),
	    .mechanism = a->mechanism,
	    .credential = span_is_set(a->fingerprint) ? a->fingerprint : a->password_name,
	    .tls = str_span(&tls),
	    .client = span_sub(s->facts.client_id, 0, 200),
	    .result = a->result};
	login_record_add(folder, &record);
	close_fd(&folder);
}

enum login_result session_still_valid(struct session *s)
{
	struct credentials *c;
	enum login_result result = check_account(s);

	if (result != LOGIN_OK)
		return result;
	if (s->login.expires_s && wall_ms() / 1000 >= s->login.expires_s)
		return LOGIN_EXPIRED;
	if (!span_is_set(s->login.fingerprint) && !span_is_set(s->login.password_name))
		return LOGIN_OK; /* a tunnel: whoever started it needs no credential */
	int rc = credentials_open(s->account_fd, false, &c);
	if (rc < 0)
		return rc == -ENOENT ? LOGIN_BAD_CREDENTIALS : LOGIN_UNAVAILABLE;
	result = check_key(s, c);
	if (result == LOGIN_OK)
		result = check_password(s, c);
	credentials_close(c);
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
 * `config apply` replaces the file. While it is still the one that is open, opening it says -EBUSY: a
 * database is opened once in a process.
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

static enum login_result check_key(const struct session *s, struct credentials *c)
{
	struct arena scratch cleanup(arena_clear) = {0};
	struct tls_key key;
	unsigned scope = s->protocol == PROTOCOL_IMAP ? SCOPE_IMAP : SCOPE_SUBMISSION;

	if (!span_is_set(s->login.fingerprint))
		return LOGIN_OK;
	int rc = credentials_get_key(c, s->login.fingerprint, &scratch, &key);
	if (rc < 0)
		return rc == -ENOENT ? LOGIN_UNKNOWN_KEY : LOGIN_UNAVAILABLE;
	if (!(key.scope & scope))
		return LOGIN_OUT_OF_SCOPE;
	return key.expires && wall_ms() / 1000 >= key.expires ? LOGIN_EXPIRED : LOGIN_OK;
}

static enum login_result check_password(const struct session *s, struct credentials *c)
{
	uint64_t version;

	if (!span_is_set(s->login.password_name))
		return LOGIN_OK;
	int rc = credentials_password_version(c, s->login.password_name, &version);
	if (rc < 0)
		return rc == -ENOENT ? LOGIN_BAD_CREDENTIALS : LOGIN_UNAVAILABLE;
	return version == s->guard->password_version ? LOGIN_OK : LOGIN_BAD_CREDENTIALS;
}

static int note_password_version(struct session *s)
{
	struct credentials *c;

	if (!span_is_set(s->login.password_name))
		return 0;
	int rc = credentials_open(s->account_fd, false, &c);
	if (rc < 0)
		return rc;
	rc = credentials_password_version(c, s->login.password_name, &s->guard->password_version);
	credentials_close(c);
	return rc;
}

struct sasl_server *session_sasl(struct session *s, enum sasl_mechanism m)
{
	if (m >= SASL_MECHANISM_COUNT || !(s->mechanisms & 1U << m))
		return NULL;
	s->guard->inner = login_sasl_lookup(&s->guard->lookup);
	const struct sasl_server_options options = {
	    .lookup = {session_credentials, s->guard->inner.may_act_as, s->guard->inner.context},
	    .binding = s->facts.binding,
	    .key_account = s->login.account,
	    .key_address = s->login.address,
	    .enabled = s->global.sasl_mechanisms,
	};
	return sasl_server_new(m, &options);
}

/* Other accounts are behind the cage: to this session their names are unknown ones. */
static int session_credentials(
    void *context, struct span user, enum hash h, struct arena *arena, struct sasl_credentials *ret)
{
	struct login_lookup *lookup = context;
	struct sasl_lookup inner = login_sasl_lookup(lookup);
	int rc = inner.credentials(inner.context, user, h, arena, ret);

	if (rc != -EACCES)
		return rc;
	uint8_t *salt = arena_alloc(arena, SALT_BYTES);
	keys_fake_salt(lookup->secret, user, salt);
	*ret = (struct sasl_credentials){
	    .salt = span_of(salt, SALT_BYTES), .iterations = lookup->iterations};
	return 0;
}

enum login_result session_sasl_end(
    struct session *s, const struct sasl_server *sasl, enum sasl_outcome o)
{
	const struct sasl_result *r = sasl_server_result(sasl);
	enum login_result result = session_result_of(o, r);
	unsigned scope = s->protocol == PROTOCOL_IMAP ? SCOPE_IMAP : SCOPE_SUBMISSION;

	if (result == LOGIN_OK && r->mechanism != SASL_EXTERNAL) {
		struct login_password password;
		login_password(s->config, s->guard->lookup.accounts_dirfd, r, scope,
		    wall_ms() / 1000, s->arena, &password);
		result = password.result;
	}
	if (result == LOGIN_OK) {
		s->login.mechanism = sasl_name(r->mechanism);
		s->login.address = arena_span(s->arena, r->address);
		if (r->mechanism != SASL_EXTERNAL) {
			s->login.password_name = arena_span(s->arena, r->password_name);
			if (note_password_version(s) < 0)
				result = LOGIN_UNAVAILABLE;
		}
	}
	session_log_attempt(s, &(struct session_attempt){.result = result,
				   .account = s->login.account,
				   .user = r->authcid,
				   .mechanism = sasl_name(r->mechanism),
				   .fingerprint = s->login.fingerprint,
				   .password_name = s->login.password_name});
	return result;
}
