/* Keys and passwords against a compiled configuration. */
#include "account/history.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "account/change.h"
#include "conf/compile.h"
#include "io/file.h"
#include "folder.h"
#include "tap.h"

enum { NOW = 1000000, PATH_BYTES = 200, TEXT_BYTES = 20000 };

static char root[] = "/tmp/postern-login-XXXXXX";
static int state_fd = -1, keys_fd = -1, accounts_fd = -1, one_fd = -1, off_fd = -1;
static struct config *config;

static const struct password own_password = {.name = SPAN(""), .scope = SCOPE_BOTH};

static const char configuration[] =
    "hostname = mx.example.org\n"
    "certificate { certificate-file = server.pem key-file = server.pem }\n"
    "domain \"example.org\" { }\n"
    "account \"one\" { addresses = {\"m\xc3\xb3x@example.org\", \"alias@example.org\"} }\n"
    "account \"two\" { addresses = {\"two@example.org\"} }\n"
    "account \"off\" { addresses = {\"off@example.org\"} disabled = yes }\n";

static void write_file(const char *name, struct span contents)
{
	int fd = -1;
	check_int(folder_open(AT_FDCWD, root, &fd), 0);
	check_int(file_replace(fd, name, contents, 0600), 0);
	close_fd(&fd);
}

static bool set_up(void)
{
	const struct span names[] = {SPAN("localhost")};
	struct str key cleanup(str_clear) = STR_INIT(TEXT_BYTES);
	struct str certificate cleanup(str_clear) = STR_INIT(TEXT_BYTES);
	check_int(key_generate_server(names, 1, &key, &certificate), 0);
	str_append(&certificate, str_span(&key));
	write_file("server.pem", str_span(&certificate));
	write_file("postern.conf", span_cstr(configuration));
	struct paths p;
	paths_init(&p, root);
	struct arena a cleanup(arena_clear) = {0};
	struct config_report report = {.arena = &a};
	struct config_draft draft;
	int rc = config_apply(&p, &a, &report, &draft);
	for (size_t i = 0; rc < 0 && i < report.count; i++)
		printf("#   %.*s\n", SPAN_ARG(report.messages[i].text));
	int config_fd cleanup(close_fd) = -1;
	bool good = check_int(rc, 0) && check_int(folder_open(AT_FDCWD, p.state, &state_fd), 0) &&
		    check_int(folder_open(state_fd, "config", &config_fd), 0) &&
		    check_int(folder_open(state_fd, "keys", &keys_fd), 0) &&
		    check_int(folder_open(state_fd, "accounts", &accounts_fd), 0) &&
		    check_int(folder_open(accounts_fd, "one", &one_fd), 0) &&
		    check_int(folder_open(accounts_fd, "off", &off_fd), 0) &&
		    check_int(config_open(config_fd, &config), 0);
	paths_clear(&p);
	return good;
}

/* A new key's SPKI, registered when options has an account. */
static struct span make_key(struct arena *a, const struct tls_key *options)
{
	struct str key cleanup(str_clear) = STR_INIT(TEXT_BYTES);
	struct str certificate cleanup(str_clear) = STR_INIT(TEXT_BYTES);
	struct str seed cleanup(str_clear) = STR_INIT(TEXT_BYTES);
	struct str spki cleanup(str_clear) = STR_INIT(TEXT_BYTES);
	struct str error cleanup(str_clear) = STR_INIT(TEXT_BYTES);
	check_int(key_generate(KEY_ED25519, SPAN("test"), &key, &certificate, &seed), 0);
	check_int(key_spki_from_input(str_span(&certificate), &spki), 0);
	if (options->account.n > 0) {
		struct tls_key registered = *options;
		registered.spki = str_span(&spki);
		bool off = span_equal(options->account, SPAN("off"));
		check_int(
		    account_add_key(keys_fd, off ? off_fd : one_fd, &registered, KEY_ADD, &error),
		    0);
	}
	return arena_span(a, str_span(&spki));
}

static void check_key(
    struct span spki, bool tls12, unsigned scope, enum login_result want, const char *label)
{
	struct arena a cleanup(arena_clear) = {0};
	struct login_key got = {0};
	int rc = login_key(config, keys_fd, accounts_fd, spki, tls12, scope, NOW, &a, &got);
	if (!check_named(rc == 0 && got.result == want, label))
		printf(
		    "#   rc %d, %s: %.*s\n", rc, login_result_name(got.result), SPAN_ARG(got.text));
	check((got.text.n > 0) == (want != LOGIN_OK));
	if (want == LOGIN_OK)
		check_span(got.key.account, SPAN("one"));
}

static void test_keys(void)
{
	struct arena a cleanup(arena_clear) = {0};
	struct login_key none;
	check(login_key(
		  config, keys_fd, accounts_fd, SPAN("x"), false, SCOPE_IMAP, NOW, &a, &none) < 0 ||
	      none.result == LOGIN_UNKNOWN_KEY); /* keys.tdb is not there yet */
	struct tls_key options = {
	    .account = SPAN("one"), .address = SPAN("ALIAS@Example.org"), .scope = SCOPE_BOTH};
	struct span good = make_key(&a, &options);
	check_key(good, false, SCOPE_IMAP, LOGIN_OK, "known key");
	check_key(good, false, SCOPE_SUBMISSION, LOGIN_OK, "known key, submission");
	check_key(good, true, SCOPE_IMAP, LOGIN_UNKNOWN_KEY, "TLS 1.2");
	options.allow_tls12 = true;
	check_key(make_key(&a, &options), true, SCOPE_IMAP, LOGIN_OK, "TLS 1.2 allowed");
	options.scope = SCOPE_IMAP;
	struct span imap = make_key(&a, &options);
	check_key(imap, false, SCOPE_IMAP, LOGIN_OK, "in scope");
	check_key(imap, false, SCOPE_SUBMISSION, LOGIN_OUT_OF_SCOPE, "out of scope");
	options.expires = NOW;
	check_key(make_key(&a, &options), false, SCOPE_IMAP, LOGIN_EXPIRED, "expired");
	options.expires = NOW + 1;
	check_key(make_key(&a, &options), false, SCOPE_IMAP, LOGIN_OK, "not yet expired");
	options.address = SPAN("two@example.org");
	check_key(
	    make_key(&a, &options), false, SCOPE_IMAP, LOGIN_UNKNOWN_KEY, "another's address");
	options.address = SPAN("gone@example.org");
	check_key(make_key(&a, &options), false, SCOPE_IMAP, LOGIN_UNKNOWN_KEY, "nobody's address");
	check_key(
	    make_key(&a, &(struct tls_key){0}), false, SCOPE_IMAP, LOGIN_UNKNOWN_KEY, "unknown");
	struct tls_key off = {
	    .account = SPAN("off"), .address = SPAN("off@example.org"), .scope = SCOPE_BOTH};
	check_key(make_key(&a, &off), false, SCOPE_IMAP, LOGIN_DISABLED, "disabled account");

	/* Only one half of a registration is none. */
	char fingerprint[FINGERPRINT_CHARS + 1];
	key_fingerprint(good, fingerprint);
	struct keys *k;
	if (check_int(keys_open(keys_fd, true, &k), 0)) {
		check_int(keys_remove(k, span_cstr(fingerprint)), 0);
		keys_close(k);
	}
	check_key(good, false, SCOPE_IMAP, LOGIN_UNKNOWN_KEY, "not in the global table");
	struct credentials *c;
	check_int(keys_open(keys_fd, true, &k), 0);
	check_int(keys_add(k, span_cstr(fingerprint), SPAN("one")), 0);
	keys_close(k);
	check_key(good, false, SCOPE_IMAP, LOGIN_OK, "again in both");
	check_int(credentials_open(one_fd, true, &c), 0);
	check_int(credentials_remove_key(c, span_cstr(fingerprint)), 0);
	credentials_close(c);
	check_key(good, false, SCOPE_IMAP, LOGIN_UNKNOWN_KEY, "not in the account");
}

static enum sasl_outcome plain(
    struct sasl_lookup lookup, struct span message, struct sasl_result *ret, struct arena *a)
{
	struct sasl_server_options o = {.lookup = lookup, .binding.tls = true};
	struct sasl_server *s = sasl_server_new(SASL_PLAIN, &o);
	struct str challenge cleanup(str_clear) = STR_INIT(SASL_CHALLENGE_MAX_BYTES);
	enum sasl_outcome outcome = sasl_server_step(s, message, &challenge);
	*ret = *sasl_server_result(s);
	ret->account = arena_span(a, ret->account);
	ret->named_account = arena_span(a, ret->named_account);
	ret->address = arena_span(a, ret->address);
	ret->password_name = arena_span(a, ret->password_name);
	sasl_server_free(s);
	return outcome;
}

static void test_passwords(void)
{
	struct arena a cleanup(arena_clear) = {0};
	struct str error cleanup(str_clear) = STR_INIT(TEXT_BYTES);
	check_int(
	    account_set_password(one_fd, &own_password, SPAN("correct horse"), 50, false, &error),
	    0);
	check_int(
	    account_set_password(off_fd, &own_password, SPAN("correct horse"), 50, false, &error),
	    0);
	struct credentials *c;
	check_int(credentials_open(one_fd, true, &c), 0);
	const struct password phone = {
	    .name = SPAN("phone"), .scope = SCOPE_IMAP, .expires = NOW + 1};
	check_int(credentials_put_password(c, &phone, SPAN("app password"), 0, false), 0);
	credentials_close(c);

	struct login_lookup l = {
	    .config = config, .accounts_dirfd = accounts_fd, .keys_dirfd = keys_fd};
	check_int(login_sasl_lookup(&l).credentials(&l, SPAN("alias@example.org"), HASH_SHA256, &a,
		      &(struct sasl_credentials){0}),
	    -EIO);
	check_int(keys_secret_make(keys_fd, 50), 0);
	check_int(keys_secret(keys_fd, l.secret, &l.iterations), 0);
	struct sasl_lookup lookup = login_sasl_lookup(&l);
	struct sasl_result r;
	check_int(plain(lookup, SPAN("\0mo\xcc\x81x@EXAMPLE.org\0correct horse"), &r, &a), SASL_OK);
	check_span(r.account, SPAN("one"));
	check_span(r.address, SPAN("m\xc3\xb3x@example.org"));
	struct login_password p;
	login_password(config, accounts_fd, &r, SCOPE_SUBMISSION, NOW, &a, &p);
	check_int(p.result, LOGIN_OK);
	check(p.password.version != 0);

	check_int(plain(lookup, SPAN("\0alias+x@example.org\0app password"), &r, &a), SASL_OK);
	check_span(r.password_name, SPAN("phone"));
	login_password(config, accounts_fd, &r, SCOPE_SUBMISSION, NOW, &a, &p);
	check_int(p.result, LOGIN_OUT_OF_SCOPE);
	login_password(config, accounts_fd, &r, SCOPE_IMAP, NOW, &a, &p);
	check_int(p.result, LOGIN_OK);
	login_password(config, accounts_fd, &r, SCOPE_IMAP, NOW + 1, &a, &p);
	check_int(p.result, LOGIN_EXPIRED);
	r.password_name = SPAN("removed");
	login_password(config, accounts_fd, &r, SCOPE_IMAP, NOW, &a, &p);
	check_int(p.result, LOGIN_BAD_CREDENTIALS);

	check_int(plain(lookup, SPAN("\0off@example.org\0correct horse"), &r, &a), SASL_OK);
	login_password(config, accounts_fd, &r, SCOPE_IMAP, NOW, &a, &p);
	check_int(p.result, LOGIN_DISABLED);
	check(p.text.n > 0);

	/*
	 * Names that fail: wrong password, no password set, unknown, no address, other's authzid.
	 */
	check_int(plain(lookup, SPAN("\0alias@example.org\0wrong"), &r, &a), SASL_BAD_CREDENTIALS);
	check_span(r.named_account, SPAN("one"));
	check_int(plain(lookup, SPAN("\0two@example.org\0x"), &r, &a), SASL_BAD_CREDENTIALS);
	check_int(plain(lookup, SPAN("\0nobody@example.org\0x"), &r, &a), SASL_BAD_CREDENTIALS);
	check(!span_is_set(r.named_account));
	check_int(plain(lookup, SPAN("\0one\0correct horse"), &r, &a), SASL_BAD_CREDENTIALS);
	check_int(plain(lookup, SPAN("two@example.org\0alias@example.org\0correct horse"), &r, &a),
	    SASL_BAD_CREDENTIALS);
	check_int(plain(lookup, SPAN("gone@example.org\0alias@example.org\0correct horse"), &r, &a),
	    SASL_BAD_CREDENTIALS);
	check_int(
	    plain(lookup, SPAN("M\xc3\x93X@example.org\0alias@example.org\0correct horse"), &r, &a),
	    SASL_OK);
	check_span(r.address, SPAN("m\xc3\xb3x@example.org"));

	/* Unknown names look alike: the same salt for every spelling, as with known ones. */
	struct sasl_credentials one, two, three, known;
	check_int(lookup.credentials(&l, SPAN("Nobody@example.org"), HASH_SHA256, &a, &one), 0);
	check_int(lookup.credentials(&l, SPAN("nobody+x@EXAMPLE.org"), HASH_SHA1, &a, &two), 0);
	check_int(lookup.credentials(&l, SPAN("somebody@example.org"), HASH_SHA1, &a, &three), 0);
	check_int(lookup.credentials(&l, SPAN("alias@example.org"), HASH_SHA1, &a, &known), 0);
	check(span_equal(one.salt, two.salt) && !span_equal(one.salt, three.salt));
	check(one.salt.n == known.salt.n && one.iterations == known.iterations);
	check_int(one.verifier_count, 0);
	check_int(known.verifier_count, 2);
	check_int(lookup.credentials(&l, SPAN("\xff@example.org"), HASH_SHA1, &a, &one), -EILSEQ);
}

int main(void)
{
	if (crypto_init() < 0 || !mkdtemp(root))
		return 1;
	if (set_up()) {
		test_keys();
		test_passwords();
	}
	config_close(config);
	int *const fds[] = {&state_fd, &keys_fd, &accounts_fd, &one_fd, &off_fd};
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close_fd(fds[i]);
	check(folder_remove(root));
	return tap_end();
}
