#include "account/login.h"

#include "base/ascii.h"
#include "conf/address.h"
#include "conf/paths.h"
#include "io/file.h"
#include "text/text.h"

enum { KEY_TYPE_MAX_BYTES = 40 };

static struct span describe_unknown(
    struct config *config, struct span spki, struct span fingerprint, struct arena *a);
static struct span describe_stale(struct span fingerprint, struct arena *a);
static int find_key(int keys_dirfd, int accounts_dirfd, struct span fingerprint, struct arena *a,
    struct tls_key *ret);
static void judge_key(struct config *config, const struct config_account *account, bool tls12,
    unsigned scope, int64_t now_s, struct arena *a, struct login_key *ret);
static bool is_address_of(
    struct config *config, struct span account, struct span address, struct arena *a);
static int find_credentials(void *context, struct span user, enum hash h, struct arena *arena,
    struct sasl_credentials *ret);
static bool may_use(struct config *config, struct span account, enum hash h, struct arena *a);
static int read_verifiers(int accounts_dirfd, struct span account, enum hash h, struct arena *arena,
    struct sasl_credentials *ret);
static void put_fake_salt(const struct login_lookup *l, struct span name, struct arena *arena,
    struct sasl_credentials *ret);
static void read_nobody(int keys_dirfd, enum hash h, struct arena *arena);
static void canonical_unknown(
    struct config *config, struct span user, struct arena *arena, struct str *ret);
static int may_act_as(void *context, struct span account, struct span address, struct arena *arena,
    struct span *ret_address);
static int open_credentials(int accounts_dirfd, struct span account, struct credentials **ret);
static struct span disabled_text(const struct config_account *account);

const char *login_result_name(enum login_result r)
{
	static const char *const names[LOGIN_RESULT_COUNT] = {
	    [LOGIN_OK] = "ok",
	    [LOGIN_BAD_CREDENTIALS] = "bad-credentials",
	    [LOGIN_WRONG_ACCOUNT] = "wrong-account",
	    [LOGIN_DISABLED] = "disabled",
	    [LOGIN_ABORTED] = "aborted",
	    [LOGIN_BAD_BINDING] = "bad-binding",
	    [LOGIN_EXPIRED] = "expired",
	    [LOGIN_OUT_OF_SCOPE] = "out-of-scope",
	    [LOGIN_UNKNOWN_KEY] = "unknown-key",
	    [LOGIN_LIMITED] = "limited",
	    [LOGIN_UNAVAILABLE] = "unavailable",
	};
	return r < LOGIN_RESULT_COUNT ? names[r] : "unknown";
}

int login_key(struct config *config, int keys_dirfd, int accounts_dirfd, struct span spki,
    bool tls12, unsigned scope, int64_t now_s, struct arena *a, struct login_key *ret)
{
	char fingerprint[FINGERPRINT_CHARS + 1];
	key_fingerprint(spki, fingerprint);
	struct config_account account;
	int rc = find_key(keys_dirfd, accounts_dirfd, span_cstr(fingerprint), a, &ret->key);
	bool is_registered = rc == 0;
	if (rc == 0)
		rc = config_account(config, ret->key.account, a, &account);
	if (rc == -ENOENT) {
		*ret = (struct login_key){.result = LOGIN_UNKNOWN_KEY,
		    .text = is_registered
				? describe_stale(span_cstr(fingerprint), a)
				: describe_unknown(config, spki, span_cstr(fingerprint), a)};
		return 0;
	}
	if (rc < 0) {
		*ret = (struct login_key){.result = LOGIN_UNAVAILABLE,
		    .text = SPAN("the keys cannot be read at the moment")};
		return rc;
	}
	judge_key(config, &account, tls12, scope, now_s, a, ret);
	return 0;
}

/* Both must have it: the global table and the account that it names. */
static int find_key(int keys_dirfd, int accounts_dirfd, struct span fingerprint, struct arena *a,
    struct tls_key *ret)
{
	struct keys *keys;
	int rc = keys_open(keys_dirfd, false, &keys);
	if (rc < 0)
		return rc;
	struct span account;
	rc = keys_find(keys, fingerprint, a, &account);
	keys_close(keys);
	struct credentials *c = NULL;
	if (rc == 0)
		rc = open_credentials(accounts_dirfd, account, &c);
	if (rc == 0)
		rc = credentials_get_key(c, fingerprint, a, ret);
	credentials_close(c);
	if (rc == 0 && !span_equal(ret->account, account))
		rc = -ENOENT;
	return rc;
}

static void judge_key(struct config *config, const struct config_account *account, bool tls12,
    unsigned scope, int64_t now_s, struct arena *a, struct login_key *ret)
{
	struct span fingerprint = ret->key.fingerprint;
	/*
	 * First, for over TLS 1.2 possession is not proven to us: tell nothing about the account.
	 */
	if (tls12 && !ret->key.allow_tls12) {
		ret->result = LOGIN_UNKNOWN_KEY;
		ret->text = arena_format(a,
		    "The TLS key %.*s is not accepted over TLS 1.2. Use TLS 1.3, or ask the "
		    "administrator to remove it and add it with --allow-tls12: postern tlspubkey",
		    SPAN_ARG(fingerprint));
	} else if (!is_address_of(config, account->name, ret->key.address, a)) {
		*ret = (struct login_key){
		    .result = LOGIN_UNKNOWN_KEY, .text = describe_stale(fingerprint, a)};
	} else if (ret->key.expires != 0 && now_s >= ret->key.expires) {
		ret->result = LOGIN_EXPIRED;
		ret->text = arena_format(a, "The TLS key %.*s has expired.", SPAN_ARG(fingerprint));
	} else if (!(ret->key.scope & scope)) {
		ret->result = LOGIN_OUT_OF_SCOPE;
		ret->text = arena_format(
		    a, "The TLS key %.*s may not be used for this service.", SPAN_ARG(fingerprint));
	} else if (account->disabled) {
		ret->result = LOGIN_DISABLED;
		ret->text = disabled_text(account);
	} else {
		ret->result = LOGIN_OK;
		ret->text = SPAN("");
	}
}

/* Nobody has registered it: what to do about that, if it can be done. */
static struct span describe_unknown(
    struct config *config, struct span spki, struct span fingerprint, struct arena *a)
{
	struct str type cleanup(str_clear) = STR_INIT(KEY_TYPE_MAX_BYTES);
	struct config_global global = {0};
	if (key_type(spki, &type) < 0)
		return arena_format(a,
		    "The TLS key %.*s cannot be registered here: use RSA of %d bits or more, ECDSA "
		    "(P-256, P-384, P-521), Ed25519 or Ed448.",
		    SPAN_ARG(fingerprint), KEY_RSA_MIN_BITS);
	if (config_global(config, a, &global) == 0 && global.account_pages_url.n > 0)
		return arena_format(a,
		    "The TLS key %.*s is not registered here. Approve it at %.*s",
		    SPAN_ARG(fingerprint), SPAN_ARG(global.account_pages_url));
	return arena_format(a,
	    "The TLS key %.*s is not registered here. Ask the administrator to approve it: "
	    "postern tlspubkey",
	    SPAN_ARG(fingerprint));
}

/* It is registered, so there is nothing to approve. */
static struct span describe_stale(struct span fingerprint, struct arena *a)
{
	return arena_format(a,
	    "The TLS key %.*s has a login address that is not its account's. Ask the "
	    "administrator to register it again: postern tlspubkey add",
	    SPAN_ARG(fingerprint));
}

static bool is_address_of(
    struct config *config, struct span account, struct span address, struct arena *a)
{
	struct span owner, canonical;
	return config_find_address(config, address, a, &owner, &canonical, NULL) == 0 &&
	       span_equal(owner, account);
}

struct sasl_lookup login_sasl_lookup(struct login_lookup *l)
{
	return (struct sasl_lookup){
	    .credentials = find_credentials, .may_act_as = may_act_as, .context = l};
}

/*
 * Salt and count of an unknown user must look like a known one's: the same for every spelling of
 * the name, and at each attempt.
 */
static int find_credentials(
    void *context, struct span user, enum hash h, struct arena *arena, struct sasl_credentials *ret)
{
	const struct login_lookup *l = context;
	if (!utf8_is_valid(user))
		return -EILSEQ;
	if (l->iterations == 0)
		return -EIO; /* without keys/secret, unknown users would be told from known ones */
	struct span account = SPAN_NONE, canonical = SPAN_NONE;
	struct sasl_credentials found = {0};
	int rc = config_find_user(l->config, user, arena, &account, &canonical);
	bool known = rc == 0;
	if (known && may_use(l->config, account, h, arena))
		rc = read_verifiers(l->accounts_dirfd, account, h, arena, &found);
	else
		read_nobody(l->keys_dirfd, h, arena);
	if (rc < 0 && rc != -ENOENT && rc != -EINVAL)
		return rc;
	if (found.verifier_count == 0) {
		if (known)
			put_fake_salt(l, account, arena, &found);
		else
			login_unknown_credentials(l, user, arena, &found);
	}
	if (known) {
		found.account = account;
		found.address = canonical;
	}
	*ret = found;
	return 0;
}

/* CRAM-MD5 is for the accounts that are configured so, whatever was stored once. */
static bool may_use(struct config *config, struct span account, enum hash h, struct arena *a)
{
	struct config_account c;
	return h != HASH_MD5 || (config_account(config, account, a, &c) == 0 && c.cram_md5);
}

void login_unknown_credentials(const struct login_lookup *l, struct span user, struct arena *arena,
    struct sasl_credentials *ret)
{
	struct str name cleanup(str_clear) = STR_INIT(SASL_MESSAGE_MAX_BYTES);

	*ret = (struct sasl_credentials){0};
	canonical_unknown(l->config, user, arena, &name);
	put_fake_salt(l, str_span(&name), arena, ret);
}

static void put_fake_salt(const struct login_lookup *l, struct span name, struct arena *arena,
    struct sasl_credentials *ret)
{
	uint8_t salt[SALT_BYTES];

	keys_fake_salt(l->secret, name, salt);
	ret->salt = arena_span(arena, span_of(salt, sizeof(salt)));
	ret->iterations = l->iterations;
}

/* For time only: what reading an account's verifiers costs, an unknown user costs, too. */
static void read_nobody(int keys_dirfd, enum hash h, struct arena *arena)
{
	struct credentials *c;
	struct sasl_credentials ignored;
	if (keys_dirfd < 0 || keys_nobody_open(keys_dirfd, &c) < 0)
		return;
	(void)!credentials_verifiers(c, h, arena, &ignored); /* nobody's */
	credentials_close(c);
}

static int read_verifiers(int accounts_dirfd, struct span account, enum hash h, struct arena *arena,
    struct sasl_credentials *ret)
{
	struct credentials *c;
	int rc = open_credentials(accounts_dirfd, account, &c);
	if (rc < 0)
		return rc;
	rc = credentials_verifiers(c, h, arena, ret);
	credentials_close(c);
	return rc;
}

/* By the domain's rules, as a known one's would be. */
static void canonical_unknown(
    struct config *config, struct span user, struct arena *arena, struct str *ret)
{
	struct str local cleanup(str_clear) = STR_INIT(ADDRESS_MAX_BYTES);
	struct str domain cleanup(str_clear) = STR_INIT(ADDRESS_MAX_BYTES);
	struct config_domain rules = {0}; /* of a domain that is not ours: nobody knows */
	bool is_address = address_split(user, &local, &domain) == 0;
	if (is_address && config_domain(config, str_span(&domain), arena, &rules) < 0)
		rules = (struct config_domain){0};
	if (is_address && address_fold_local(address_without_tag(str_span(&local)),
			      rules.case_sensitive, ret) == 0) {
		str_append_char(ret, '@');
		str_append(ret, str_span(&domain));
	} else {
		str_reset(ret);
		if (text_fold(user, ret) < 0)
			str_reset(ret); /* too long: a salt all the same */
	}
}

static int may_act_as(void *context, struct span account, struct span address, struct arena *arena,
    struct span *ret_address)
{
	const struct login_lookup *l = context;
	struct span owner, canonical;
	int rc = config_find_address(l->config, address, arena, &owner, &canonical, NULL);
	if (rc == -ENOENT || rc == -EINVAL || rc == -EILSEQ ||
	    (rc == 0 && !span_equal(owner, account)))
		return -EACCES;
	if (rc == 0)
		*ret_address = canonical;
	return rc;
}

void login_password(struct config *config, int accounts_dirfd, const struct sasl_result *sasl,
    unsigned scope, int64_t now_s, struct arena *a, struct login_password *ret)
{
	*ret = (struct login_password){
	    .result = LOGIN_UNAVAILABLE, .text = SPAN("the account cannot be read at the moment")};
	struct config_account account;
	struct credentials *c = NULL;
	int rc = config_account(config, sasl->account, a, &account);
	if (rc == 0)
		rc = open_credentials(accounts_dirfd, sasl->account, &c);
	if (rc == 0)
		rc = credentials_get_password(c, sasl->password_name, a, &ret->password);
	credentials_close(c);
	if (rc == 0 && ret->password.version != sasl->password_version)
		rc = -ENOENT;
	if (rc == -ENOENT) {
		ret->result = LOGIN_BAD_CREDENTIALS;
		ret->text = SPAN("wrong user name or password");
	}
	if (rc < 0)
		return;
	ret->result = LOGIN_OK;
	ret->text = SPAN("");
	if (ret->password.expires != 0 && now_s >= ret->password.expires) {
		ret->result = LOGIN_EXPIRED;
		ret->text = SPAN("this password has expired");
	} else if (!(ret->password.scope & scope)) {
		ret->result = LOGIN_OUT_OF_SCOPE;
		ret->text = SPAN("this password may not be used for this service");
	} else if (account.disabled) {
		ret->result = LOGIN_DISABLED;
		ret->text = disabled_text(&account);
	}
}

static int open_credentials(int accounts_dirfd, struct span account, struct credentials **ret)
{
	if (!account_name_is_valid(account))
		return -EBADMSG;
	struct str name cleanup(str_clear) = STR_INIT(account.n);
	str_append(&name, account);
	int dirfd cleanup(close_fd) = -1;
	int rc = folder_open(accounts_dirfd, name.data, &dirfd);
	if (rc < 0)
		return rc;
	return credentials_open(dirfd, false, ret);
}

static struct span disabled_text(const struct config_account *account)
{
	return account->disabled_text.n > 0 ? account->disabled_text
					    : SPAN("This account is disabled.");
}
