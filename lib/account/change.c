#include "account/change.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/utf8.h"
#include "text/text.h"

/* The commonest of those long enough, as they are typed; letters of any case count. */
static const struct span common_passwords[] = {
    {"00000000", 8},
    {"11111111", 8},
    {"12341234", 8},
    {"12345678", 8},
    {"123456789", 9},
    {"1234567890", 10},
    {"1q2w3e4r", 8},
    {"1q2w3e4r5t", 10},
    {"1qaz2wsx", 8},
    {"87654321", 8},
    {"88888888", 8},
    {"987654321", 9},
    {"abcd1234", 8},
    {"admin123", 8},
    {"asdfasdf", 8},
    {"asdfghjkl", 9},
    {"baseball", 8},
    {"changeme", 8},
    {"computer", 8},
    {"football", 8},
    {"iloveyou", 8},
    {"internet", 8},
    {"letmein1", 8},
    {"liverpool", 9},
    {"michelle", 8},
    {"passw0rd", 8},
    {"password", 8},
    {"password1", 9},
    {"password12", 10},
    {"password123", 11},
    {"princess", 8},
    {"qwer1234", 8},
    {"qwerty12", 8},
    {"qwerty123", 9},
    {"qwertyui", 8},
    {"qwertyuiop", 10},
    {"starwars", 8},
    {"sunshine", 8},
    {"superman", 8},
    {"trustno1", 8},
    {"welcome1", 8},
    {"whatever", 8},
};

static bool is_name(struct span name, size_t max);
static bool is_one_character(struct span s);
static int find_registered(struct keys *keys, int account_dirfd, const struct tls_key *wanted,
    struct arena *a, struct tls_key *ret, struct str *ret_error);
static bool has_same_settings(const struct tls_key *a, const struct tls_key *b);
static int put_key(int account_dirfd, const struct tls_key *key);
static int remove_from_table(int keys_dirfd, struct span account, struct span fingerprint);
static int remove_key(int account_dirfd, struct span fingerprint);

int account_set_password(int account_dirfd, const struct password *p, struct span password,
    uint32_t iterations, bool rehash, struct str *ret_error)
{
	if (p->name.n > 0 && !account_password_name_is_valid(p->name)) {
		str_format(ret_error,
		    "the name of a password has 1 to %d bytes of UTF-8, and no control characters",
		    PASSWORD_NAME_MAX_BYTES);
		return -EINVAL;
	}
	struct str prepared cleanup(str_clear_secret) = STR_INIT(3 * PASSWORD_MAX_BYTES);
	int rc = account_check_password(password, &prepared, ret_error);
	if (rc < 0)
		return rc;
	struct credentials *c;
	const char *file = "credentials.tdb"; /* that was used last */
	rc = credentials_open(account_dirfd, true, &c);
	if (rc == 0) {
		struct password made = *p;
		made.created = wall_ms() / 1000;
		rc = credentials_put_password(c, &made, str_span(&prepared), iterations, rehash);
		credentials_close(c);
	}
	if (rc == 0) {
		file = "changes";
		rc = account_notify(account_dirfd);
	}
	if (rc == -E2BIG)
		str_format(
		    ret_error, "the account has %d passwords, and cannot have more", PASSWORDS_MAX);
	else if (rc < 0)
		str_format(ret_error, "%s could not be changed: %s", file, strerror(-rc));
	return rc;
}

bool account_password_name_is_valid(struct span name)
{
	return is_name(name, PASSWORD_NAME_MAX_BYTES);
}

bool account_key_name_is_valid(struct span name)
{
	return is_name(name, KEY_NAME_MAX_BYTES);
}

static bool is_name(struct span name, size_t max)
{
	if (name.n == 0 || name.n > max)
		return false;
	while (name.n > 0) {
		uint32_t point;
		size_t n = utf8_decode(name, &point);
		if (n == 0 || utf8_is_control(point))
			return false;
		name = span_from(name, n);
	}
	return true;
}

int account_remove_password(int account_dirfd, struct span name, struct str *ret_error)
{
	struct credentials *c;
	const char *file = "credentials.tdb";
	int rc = credentials_open(account_dirfd, true, &c);
	if (rc == 0) {
		rc = credentials_remove_password(c, name);
		credentials_close(c);
	}
	if (rc == 0) {
		file = "changes";
		rc = account_notify(account_dirfd);
	}
	if (rc == -ENOENT)
		str_append_cstr(ret_error, "the account has no such app password");
	else if (rc < 0)
		str_format(ret_error, "%s could not be changed: %s", file, strerror(-rc));
	return rc;
}

int account_check_password(struct span password, struct str *prepared, struct str *ret_error)
{
	if (password.n > PASSWORD_MAX_BYTES) {
		str_format(ret_error, "the password is longer than %d bytes", PASSWORD_MAX_BYTES);
		return -EINVAL;
	}
	uint32_t bad;
	int rc = text_opaque_string(password, prepared, &bad);
	if (rc == -EILSEQ) {
		str_append_cstr(ret_error, "the password is not UTF-8");
		return -EINVAL;
	}
	if (rc == -EINVAL && password.n == 0) {
		str_append_cstr(ret_error, "the password is empty");
		return rc;
	}
	if (rc == -EINVAL) {
		str_format(ret_error,
		    "the password contains U+%04X, which passwords may not (RFC 8265)", bad);
		return rc;
	}
	if (rc < 0)
		return rc;
	if (utf8_count(str_span(prepared)) < PASSWORD_MIN_CODE_POINTS) {
		str_format(ret_error, "the password is shorter than %d characters",
		    PASSWORD_MIN_CODE_POINTS);
		return -EINVAL;
	}
	bool common = is_one_character(str_span(prepared));
	for (size_t i = 0; i < ARRAY_SIZE(common_passwords); i++)
		common = common || span_equal_nocase(str_span(prepared), common_passwords[i]);
	if (common) {
		str_append_cstr(ret_error, "the password is one of those that are tried first");
		return -EINVAL;
	}
	return 0;
}

static bool is_one_character(struct span s)
{
	for (size_t i = 1; i < s.n; i++) {
		if (s.p[i] != s.p[0])
			return false;
	}
	return true;
}

int account_add_key(int keys_dirfd, int account_dirfd, const struct tls_key *key,
    enum key_change change, struct str *ret_error)
{
	struct arena arena cleanup(arena_clear) = {0};
	char fingerprint[FINGERPRINT_CHARS + 1];
	struct str type cleanup(str_clear) = STR_INIT(64);
	if (span_is_set(key->name) && !account_key_name_is_valid(key->name)) {
		str_format(ret_error,
		    "the name of a key has 1 to %d bytes of UTF-8, and no control characters",
		    KEY_NAME_MAX_BYTES);
		return -EINVAL;
	}
	int rc = key_type(key->spki, &type);
	if (rc < 0) {
		str_append_cstr(ret_error,
		    "keys of this type or size are not accepted: use Ed25519, "
		    "Ed448, ECDSA P-256, P-384 or P-521, or RSA from 2048 bits");
		return rc;
	}
	key_fingerprint(key->spki, fingerprint);
	struct tls_key record = *key;
	record.type = str_span(&type);
	record.fingerprint = span_cstr(fingerprint);
	struct keys *keys;
	struct tls_key old;
	const char *file = "keys.tdb"; /* that was used last */
	rc = keys_open(keys_dirfd, true, &keys);
	if (rc == 0) {
		file = "credentials.tdb";
		rc = find_registered(keys, account_dirfd, &record, &arena, &old, ret_error);
		if (rc == 0 && change == KEY_ADD && !has_same_settings(&old, &record)) {
			str_format(ret_error,
			    "the key %s is registered already, with other settings", fingerprint);
			rc = -EALREADY;
		}
		if (rc == 0)
			record.created = old.created;
		if (rc == 0 || rc == -ENOENT)
			rc = put_key(account_dirfd, &record);
		if (rc == 0) {
			file = "keys.tdb";
			rc = keys_add(keys, record.fingerprint, record.account);
		}
		if (rc == -EEXIST) /* somebody was quicker: leave no half of a registration */
			(void)remove_key(account_dirfd, record.fingerprint);
		keys_close(keys);
	}
	if (rc == 0) {
		file = "changes";
		rc = account_notify(account_dirfd);
	}
	if (rc == -E2BIG)
		str_format(ret_error, "the account has %d keys, and cannot have more", KEYS_MAX);
	else if (rc < 0 && ret_error->n == 0)
		str_format(ret_error, "%s could not be changed: %s", file, strerror(-rc));
	return rc;
}

/*
 * Both records are there. -ENOENT: not both, and none is another account's; else -EEXIST, and says
 * so.
 */
static int find_registered(struct keys *keys, int account_dirfd, const struct tls_key *wanted,
    struct arena *a, struct tls_key *ret, struct str *ret_error)
{
	struct span owner;
	struct credentials *c = NULL;
	int rc = keys_find(keys, wanted->fingerprint, a, &owner);
	if (rc == 0 && !span_equal(owner, wanted->account)) {
		str_format(ret_error, "the key %.*s is registered for another account",
		    SPAN_ARG(wanted->fingerprint));
		return -EEXIST;
	}
	if (rc == 0)
		rc = credentials_open(account_dirfd, false, &c);
	if (rc == 0)
		rc = credentials_get_key(c, wanted->fingerprint, a, ret);
	credentials_close(c);
	return rc;
}

static bool has_same_settings(const struct tls_key *a, const struct tls_key *b)
{
	return span_equal(a->name, b->name) && span_equal(a->address, b->address) &&
	       a->preauth == b->preauth && a->scope == b->scope &&
	       a->allow_tls12 == b->allow_tls12 && a->expires == b->expires;
}

static int put_key(int account_dirfd, const struct tls_key *key)
{
	struct credentials *c;
	int rc = credentials_open(account_dirfd, true, &c);
	if (rc < 0)
		return rc;
	rc = credentials_put_key(c, key);
	credentials_close(c);
	return rc;
}

int account_remove_key(int keys_dirfd, int account_dirfd, struct span account,
    struct span fingerprint, struct str *ret_error)
{
	const char *file = "keys.tdb"; /* that was used last */
	int rc = remove_from_table(keys_dirfd, account, fingerprint);
	bool in_table = rc == 0;
	if (rc == 0 || rc == -ENOENT) {
		file = "credentials.tdb";
		rc = remove_key(account_dirfd, fingerprint);
	}
	if (rc == -ENOENT && in_table)
		rc = 0; /* only half of it was there */
	if (rc == 0) {
		file = "changes";
		rc = account_notify(account_dirfd);
	}
	if (rc == -ENOENT || rc == -EINVAL)
		str_append_cstr(ret_error, "the account has no such key");
	else if (rc < 0)
		str_format(ret_error, "%s could not be changed: %s", file, strerror(-rc));
	return rc;
}

/* -ENOENT also when the table has it for another account, which keeps it. */
static int remove_from_table(int keys_dirfd, struct span account, struct span fingerprint)
{
	struct arena arena cleanup(arena_clear) = {0};
	struct keys *keys;
	struct span owner;
	int rc = keys_open(keys_dirfd, true, &keys);
	if (rc < 0)
		return rc;
	rc = keys_find(keys, fingerprint, &arena, &owner);
	if (rc == 0)
		rc = span_equal(owner, account) ? keys_remove(keys, fingerprint) : -ENOENT;
	keys_close(keys);
	return rc;
}

static int remove_key(int account_dirfd, struct span fingerprint)
{
	struct credentials *c;
	int rc = credentials_open(account_dirfd, true, &c);
	if (rc < 0)
		return rc;
	rc = credentials_remove_key(c, fingerprint);
	credentials_close(c);
	return rc;
}

int account_notify(int account_dirfd)
{
	int fd =
	    openat(account_dirfd, "changes", O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	int rc = futimens(fd, NULL) < 0 ? -errno : 0; /* IN_ATTRIB for those who watch */
	close_fd(&fd);
	return rc;
}
