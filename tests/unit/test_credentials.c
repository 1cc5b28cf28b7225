/* Passwords and TLS keys of an account, the global table, keys/secret. */
#include "account/change.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/file.h"
#include "folder.h"
#include "tap.h"

static char root[] = "/tmp/postern-credentials-XXXXXX";
static int account_fd = -1, keys_fd = -1;

/* SubjectPublicKeyInfo of the Ed25519 keys of the seeds 00…00 and 00 01 … 1f. */
static const struct span spki_one = SPAN("\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00"
					 "\x3b\x6a\x27\xbc\xce\xb6\xa4\x2d\x62\xa3\xa8\xd0\x2a\x6f"
					 "\x0d\x73\x65\x32\x15\x77\x1d\xe2\x43\xa6\x3a\xc0\x48\xa1"
					 "\x8b\x59\xda\x29");
static const struct span spki_two = SPAN("\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00"
					 "\x03\xa1\x07\xbf\xf3\xce\x10\xbe\x1d\x70\xdd\x18\xe7\x4b"
					 "\xc0\x99\x67\xe4\xd6\x30\x9b\xa5\x0d\x5f\x1d\xdc\x86\x64"
					 "\x12\x55\x31\xb8");
#define FINGERPRINT_ONE SPAN("M54v-RdjBQe2pCO1zghOKF0fpl2Ts-J6YZXTu-vJriM")
#define FINGERPRINT_TWO SPAN("oFCDfYUHBYLM9zlLCYiEfMMSy4glm4lImfbyOc8XkaU")

static const struct password own_password = {.name = SPAN(""), .scope = SCOPE_BOTH};

static int count_passwords(const struct password *p, void *context)
{
	(void)p;
	++*(int *)context;
	return 0;
}

static int count_keys(const struct tls_key *key, void *context)
{
	check(key->fingerprint.n == FINGERPRINT_CHARS);
	++*(int *)context;
	return 0;
}

/* Does the password fit one of the verifiers? Its name, or unset. */
static struct span who(struct credentials *c, enum hash h, struct span password, struct arena *a)
{
	struct sasl_credentials found;
	if (credentials_verifiers(c, h, a, &found) < 0)
		return SPAN_NONE;
	uint8_t stored[HASH_MAX_BYTES], server[HASH_MAX_BYTES];
	scram_derive(h, password, found.salt, found.iterations, stored, server);
	for (size_t i = 0; i < found.verifier_count; i++) {
		if (secret_equal(found.verifiers[i].stored_key, span_of(stored, hash_bytes(h))) &&
		    secret_equal(found.verifiers[i].server_key, span_of(server, hash_bytes(h))))
			return found.verifiers[i].password_name;
	}
	return SPAN_NONE;
}

/* Of a live session's view: 0 or -ENOENT. */
static int version_of(struct credentials *c, struct span name, uint64_t *ret)
{
	struct arena a cleanup(arena_clear) = {0};
	struct password p;
	int rc = credentials_get_password(c, name, &a, &p);
	if (rc == 0)
		*ret = p.version;
	return rc;
}

static void test_passwords(void)
{
	struct arena a cleanup(arena_clear) = {0};
	struct credentials *c;
	check_int(credentials_open(account_fd, false, &c), -ENOENT);
	if (!check_int(credentials_open(account_fd, true, &c), 0))
		return;
	struct sasl_credentials first, second;
	uint64_t version, later;
	check_int(credentials_verifiers(c, HASH_SHA256, &a, &first), -ENOENT);
	check_int(version_of(c, SPAN(""), &version), -ENOENT);
	check_int(credentials_set_password(c, SPAN(""), 20, false), -EINVAL);
	check_int(credentials_set_password(c, SPAN("pencil"), 20, false), 0);
	check_int(credentials_verifiers(c, HASH_SHA256, &a, &first), 0);
	check_int(first.iterations, 20);
	check_int(first.salt.n, SALT_BYTES);
	check_int(first.verifier_count, 1);
	check(!span_is_set(first.account));
	check_span(who(c, HASH_SHA1, SPAN("pencil"), &a), SPAN(""));
	check_span(who(c, HASH_SHA256, SPAN("pencil"), &a), SPAN(""));
	check_span(who(c, HASH_SHA512, SPAN("pencil"), &a), SPAN(""));
	check(!span_is_set(who(c, HASH_SHA256, SPAN("Pencil"), &a)));
	check(!span_is_set(who(c, HASH_MD5, SPAN("pencil"), &a)));
	check_int(version_of(c, SPAN(""), &version), 0);
	check(first.verifiers[0].password_version == version); /* of what was proven */

	/* The only password, set anew: a new salt. */
	check_int(credentials_set_password(c, SPAN("crayon"), 30, false), 0);
	check_int(credentials_verifiers(c, HASH_SHA256, &a, &second), 0);
	check(!span_equal(first.salt, second.salt) && second.iterations == 30);
	check_int(version_of(c, SPAN(""), &later), 0);
	check(version != later);

	/* With an app password beside it the salt stays, and both fit. */
	const struct password app = {
	    .name = SPAN("phone"), .scope = SCOPE_IMAP, .expires = 5000, .created = 1000};
	check_int(credentials_put_password(c, &app, SPAN("app secret"), 0, false), 0);
	check_int(credentials_set_password(c, SPAN("pencil"), 40, false), 0);
	check_int(credentials_verifiers(c, HASH_SHA256, &a, &first), 0);
	check(span_equal(first.salt, second.salt) && first.iterations == 30);
	check_span(who(c, HASH_SHA256, SPAN("pencil"), &a), SPAN(""));
	check_span(who(c, HASH_SHA1, SPAN("app secret"), &a), SPAN("phone"));
	struct password p;
	check_int(credentials_get_password(c, SPAN("phone"), &a, &p), 0);
	check(p.scope == SCOPE_IMAP && p.expires == 5000 && p.created == 1000);
	int count = 0;
	check_int(credentials_each_password(c, count_passwords, &count), 0);
	check_int(count, 2);

	check_int(credentials_set_password(c, SPAN("pencil"), 40, true), 0);
	check(!span_is_set(who(c, HASH_SHA1, SPAN("app secret"), &a)));
	check_int(credentials_remove_password(c, SPAN("phone")), -ENOENT);
	check_int(credentials_remove_password(c, SPAN("")), 0);
	check_int(credentials_verifiers(c, HASH_SHA256, &a, &first), -ENOENT);
	count = 0;
	check_int(credentials_each_password(c, count_passwords, &count), 0);
	check_int(count, 0);
	credentials_close(c);
}

static void test_keys(void)
{
	struct arena a cleanup(arena_clear) = {0};
	struct credentials *c;
	struct tls_key key = {.fingerprint = FINGERPRINT_ONE,
	    .type = SPAN("ed25519"),
	    .name = SPAN("laptop"),
	    .account = SPAN("one"),
	    .address = SPAN("user@example.org"),
	    .preauth = PREAUTH_TOLERANT,
	    .scope = SCOPE_SUBMISSION,
	    .allow_tls12 = true,
	    .expires = 9000000000,
	    .created = 7,
	    .spki = spki_one};
	if (!check_int(credentials_open(account_fd, true, &c), 0))
		return;
	struct tls_key got;
	check_int(credentials_get_key(c, FINGERPRINT_ONE, &a, &got), -ENOENT);
	check_int(credentials_put_key(c, &key), 0);
	check_int(credentials_get_key(c, FINGERPRINT_ONE, &a, &got), 0);
	check_span(got.fingerprint, FINGERPRINT_ONE);
	check_span(got.type, key.type);
	check_span(got.name, key.name);
	check_span(got.account, key.account);
	check_span(got.address, key.address);
	check_span(got.spki, key.spki);
	check(got.preauth == PREAUTH_TOLERANT && got.scope == SCOPE_SUBMISSION && got.allow_tls12 &&
	      got.expires == 9000000000 && got.created == 7);
	int count = 0;
	check_int(credentials_each_key(c, count_keys, &count), 0);
	check_int(count, 1);
	check_int(credentials_remove_key(c, FINGERPRINT_ONE), 0);
	check_int(credentials_remove_key(c, FINGERPRINT_ONE), -ENOENT);
	key.fingerprint = SPAN("short");
	check_int(credentials_put_key(c, &key), -EINVAL);
	credentials_close(c);

	struct keys *k;
	struct span account;
	check_int(keys_open(keys_fd, false, &k), -ENOENT);
	if (!check_int(keys_open(keys_fd, true, &k), 0))
		return;
	check_int(keys_find(k, FINGERPRINT_ONE, &a, &account), -ENOENT);
	check_int(keys_add(k, FINGERPRINT_ONE, SPAN("one")), 0);
	check_int(keys_add(k, FINGERPRINT_ONE, SPAN("one")), 0);
	check_int(keys_add(k, FINGERPRINT_ONE, SPAN("two")), -EEXIST);
	check_int(keys_add(k, FINGERPRINT_TWO, SPAN("../two")), -EINVAL);
	check_int(keys_find(k, FINGERPRINT_ONE, &a, &account), 0);
	check_span(account, SPAN("one"));
	check_int(keys_remove(k, FINGERPRINT_ONE), 0);
	check_int(keys_remove(k, FINGERPRINT_ONE), -ENOENT);
	keys_close(k);
}

static void test_secret(void)
{
	uint8_t secret[KEYS_SECRET_BYTES], again[KEYS_SECRET_BYTES];
	uint32_t iterations = 0;
	check_int(keys_secret(keys_fd, secret, &iterations), -ENOENT);
	check_int(keys_secret_make(keys_fd, 0), 0);
	check_int(keys_secret(keys_fd, secret, &iterations), 0);
	check_int(iterations, SCRAM_ITERATIONS_DEFAULT);
	check_int(keys_secret_make(keys_fd, 20000), 0);
	check_int(keys_secret(keys_fd, again, &iterations), 0);
	check_int(iterations, 20000);
	check(memcmp(secret, again, sizeof(secret)) == 0);
	struct stat st;
	check(fstatat(keys_fd, "secret", &st, 0) == 0 && (st.st_mode & 0777) == 0600);
	uint8_t one[SALT_BYTES], two[SALT_BYTES];
	keys_fake_salt(secret, SPAN("a"), one);
	keys_fake_salt(secret, SPAN("a"), two);
	check(memcmp(one, two, sizeof(one)) == 0);
	keys_fake_salt(secret, SPAN("b"), two);
	check(memcmp(one, two, sizeof(one)) != 0);
	/* A damaged file is not overwritten. */
	check_int(file_replace(keys_fd, "secret", SPAN("short"), 0600), 0);
	check_int(keys_secret_make(keys_fd, 0), -EBADMSG);
}

static void test_set_password(void)
{
	static const struct {
		struct span password;
		const char *error;
	} cases[] = {
	    {SPAN("1234567"), "the password is shorter than 8 characters"},
	    {SPAN("\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"), "the password is shorter than 8 characters"},
	    {SPAN(""), "the password is empty"},
	    {SPAN("tab\there now"),
		"the password contains U+0009, which passwords may not (RFC 8265)"},
	    {SPAN("smile \xe2\x98\xba\xef\xb8\x8f here"),
		"the password contains U+FE0F, which passwords may not (RFC 8265)"},
	    {SPAN("latin \xe4 one"), "the password is not UTF-8"},
	    {SPAN("Password123"), "the password is one of those that are tried first"},
	    {SPAN("aaaaaaaaaaaaa"), "the password is one of those that are tried first"},
	    {SPAN("correct horse"), ""},
	    {SPAN("te\xcc\x81st \xc2\xa0\xe2\x80\x82\xe2\x80\x8a"), ""},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct str error cleanup(str_clear) = STR_INIT(1000);
		int rc = account_set_password(
		    account_fd, &own_password, cases[i].password, 10, false, &error);
		check_int(rc, *cases[i].error ? -EINVAL : 0);
		check_span(str_span(&error), span_cstr(cases[i].error));
	}
	struct arena a cleanup(arena_clear) = {0};
	struct credentials *c;
	if (check_int(credentials_open(account_fd, false, &c), 0)) {
		check_span(who(c, HASH_SHA256, SPAN("t\xc3\xa9st    "), &a), SPAN(""));
		credentials_close(c);
	}
	struct stat st;
	check(fstatat(account_fd, "changes", &st, 0) == 0);
}

static void test_change_keys(void)
{
	struct arena a cleanup(arena_clear) = {0};
	struct str error cleanup(str_clear) = STR_INIT(1000);
	struct tls_key key = {.account = SPAN("one"),
	    .address = SPAN("user@example.org"),
	    .scope = SCOPE_BOTH,
	    .spki = spki_two};
	check_int(account_add_key(keys_fd, account_fd, &key, KEY_ADD, &error), 0);
	key.created = 7; /* it is as old as it was */
	check_int(account_add_key(keys_fd, account_fd, &key, KEY_ADD, &error), 0);
	key.name = SPAN("renamed");
	check_int(account_add_key(keys_fd, account_fd, &key, KEY_ADD, &error), -EALREADY);
	check(span_find(str_span(&error), SPAN("registered already")) != SIZE_MAX);
	str_reset(&error);
	check_int(account_add_key(keys_fd, account_fd, &key, KEY_REPLACE, &error), 0);
	struct credentials *c;
	struct tls_key got;
	if (check_int(credentials_open(account_fd, false, &c), 0)) {
		check_int(credentials_get_key(c, FINGERPRINT_TWO, &a, &got), 0);
		check_span(got.type, SPAN("ed25519"));
		check_span(got.name, SPAN("renamed"));
		check_int(got.created, 0);
		credentials_close(c);
	}
	/* Another account may neither register nor remove it. */
	int other_fd cleanup(close_fd) = -1;
	check_int(folder_make(account_fd, "other", 0700, &other_fd), 0);
	key.account = SPAN("other");
	check_int(account_add_key(keys_fd, other_fd, &key, KEY_REPLACE, &error), -EEXIST);
	check(error.n > 0);
	str_reset(&error);
	check_int(
	    account_remove_key(keys_fd, other_fd, SPAN("other"), FINGERPRINT_TWO, &error), -ENOENT);
	check_span(str_span(&error), SPAN("the account has no such key"));
	str_reset(&error);
	check_int(account_remove_key(keys_fd, account_fd, SPAN("one"), FINGERPRINT_TWO, &error), 0);
	check_int(
	    account_remove_key(keys_fd, account_fd, SPAN("one"), FINGERPRINT_TWO, &error), -ENOENT);
	str_reset(&error);
	key.spki = SPAN("no key");
	check(account_add_key(keys_fd, account_fd, &key, KEY_ADD, &error) < 0);
	check(error.n > 0);
}

int main(void)
{
	if (crypto_init() < 0 || !mkdtemp(root))
		return 1;
	int root_fd = -1;
	check_int(folder_open(AT_FDCWD, root, &root_fd), 0);
	check_int(folder_make(root_fd, "one", 0700, &account_fd), 0);
	check_int(folder_make(root_fd, "keys", 0700, &keys_fd), 0);
	test_passwords();
	test_keys();
	test_secret();
	test_set_password();
	test_change_keys();
	close_fd(&account_fd);
	close_fd(&keys_fd);
	close_fd(&root_fd);
	check(folder_remove(root));
	return tap_end();
}
