/* Units, cleaning, parsing and checking of configurations, and the compiled table. */
#include "conf/compile.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/address.h"
#include "conf/units.h"
#include "crypto/crypto.h"
#include "sasl/server.h"
#include "folder.h"
#include "tap.h"

enum { PATH_BYTES = 200, TEXT_BYTES = 20000 };

static char root[] = "/tmp/postern-conf-XXXXXX";

static void test_keys(void);
static void test_units(void);
static void test_clean(void);
static void test_messages(void);
static void test_disabled_text(void);
static void test_fallbacks(void);
static void test_apply(void);
static void test_look_ups(struct config *c);
static void test_apply_again(const struct paths *p);
static void write_file(const char *name, const char *text);
static void write_identity(void);
static void check_text(
    const char *text, struct arena *a, struct config_report *report, struct config_draft *draft);

int main(void)
{
	if (crypto_init() < 0 || !mkdtemp(root))
		return 1;
	char path[PATH_BYTES];
	snprintf(path, sizeof(path), "%s/conf.d", root);
	if (mkdir(path, 0700) < 0)
		return 1;
	test_keys();
	test_units();
	test_clean();
	write_identity();
	test_messages();
	test_disabled_text();
	test_fallbacks();
	test_apply();
	check(folder_remove(root));
	return tap_end();
}

static void test_keys(void)
{
	for (size_t i = 0; i < config_key_count; i++) {
		const struct config_key *k = &config_keys[i];
		bool good = config_key_find(k->section, span_cstr(k->name)) == k && /* unique */
			    k->help[strlen(k->help) - 1] == '.' && k->min <= k->max &&
			    (k->type == CONFIG_CHOICE) == (k->choices != NULL) &&
			    (i == 0 || config_keys[i - 1].section <= k->section);
		check_named(good, k->name);
	}
}

static void test_units(void)
{
	static const struct {
		const char *text;
		int seconds_rc, bytes_rc;
		uint64_t seconds, bytes;
	} table[] = {
	    {"0", 0, 0, 0, 0},
	    {"1", -EINVAL, 0, 0, 1},
	    {"90s", 0, -EINVAL, 90, 0},
	    {"7.5m", 0, 0, 450, 7864320},
	    {"4h", 0, -EINVAL, 14400, 0},
	    {"5d", 0, -EINVAL, 432000, 0},
	    {"2w", 0, -EINVAL, 1209600, 0},
	    {"50M", 0, 0, 3000, 52428800},
	    {"1.5G", -EINVAL, 0, 0, 1610612736},
	    {"300k", -EINVAL, 0, 0, 307200},
	    {"0.5k", -EINVAL, 0, 0, 512},
	    {"1T", -EINVAL, 0, 0, 1099511627776},
	    {"0.001s", -EINVAL, -EINVAL, 0, 0},
	    {"1.0001h", -EINVAL, -EINVAL, 0, 0},
	    {"1.m", -EINVAL, -EINVAL, 0, 0},
	    {".5m", -EINVAL, -EINVAL, 0, 0},
	    {"", -EINVAL, -EINVAL, 0, 0},
	    {"m", -EINVAL, -EINVAL, 0, 0},
	    {"-1m", -EINVAL, -EINVAL, 0, 0},
	    {"1 m", -EINVAL, -EINVAL, 0, 0},
	    {"1mm", -EINVAL, -EINVAL, 0, 0},
	    {"18446744073709551615m", -ERANGE, -ERANGE, 0, 0},
	};
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		uint64_t seconds = 0, bytes = 0;
		int a = units_seconds(span_cstr(table[i].text), &seconds);
		int b = units_bytes(span_cstr(table[i].text), &bytes);
		check_named(a == table[i].seconds_rc && b == table[i].bytes_rc &&
				seconds == table[i].seconds && bytes == table[i].bytes,
		    table[i].text);
	}
}

static void test_clean(void)
{
	static const struct {
		const char *text, *cleaned; /* NULL: refused */
	} table[] = {
	    {"a = b # c\nd = e\n", "a = b \nd = e\n"},
	    {"a = https://x // c\n", "a = https://x \n"},
	    {"/* x\n y */a = \"/* no */\"", "\n a = \"/* no */\""},
	    {"a = 'b#c' # \"\n", "a = 'b#c' \n"},
	    {"a = \"b\\\"c\\\\\"", "a = \"b\\\"c\\\\\""},
	    {"\xef\xbb\xbf"
	     "a = b\r\n",
		"a = b \n"},
	    {"# ${X} is fine here\n", "\n"},
	    {"a = ${HOME}", NULL},
	    {"a = \"${HOME}\"", NULL},
	    {"a = \"x\n\"", NULL},
	    {"a = 'x", NULL},
	    {"a = \"\\x41\"", NULL},
	    {"a = 'b\\'", NULL},
	    {"a = b\\", NULL},
	    {"/* x", NULL},
	    {"a = \x01", NULL},
	    {"a = \xff", NULL},
	    {"", ""},
	};
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct arena a cleanup(arena_clear) = {0};
		struct config_report report = {.arena = &a};
		struct str out cleanup(str_clear) = STR_INIT(1000);
		char label[40];
		snprintf(label, sizeof(label), "cleaning, row %zu", i);
		bool good = config_clean(span_cstr(table[i].text), SPAN("f"), &report, &out);
		check_named(good == (table[i].cleaned != NULL) &&
				report.error_count == (good ? 0 : 1) &&
				(!good || span_equal(str_span(&out), span_cstr(table[i].cleaned))),
		    label);
	}
}

/* What is wrong, and that the message says where. */
static void test_messages(void)
{
#define HEAD "hostname = mx.example.org\ndomain \"example.org\" { }\n" /* two lines */
	static const struct {
		const char *text;
		const char *place, *says; /* place NULL: nothing is wrong */
	} table[] = {
	    {HEAD "account \"u\" { addresses = {\"u@example.org\"} }\n", NULL, ""},
	    {"\n\n", "/postern.conf", "needs \"hostname"},
	    {HEAD "colour = blue\n", ":3", "unknown key or section \"colour\""},
	    {HEAD "domain \"b.example\" {\n\tcolour = blue\n}\n", ":4", "in domain"},
	    {HEAD "# c\n\nhostname = two\n", ":5", "set twice; the first time at"},
	    {HEAD "account \"u\" {\n}\n", ":3", "account \"u\" needs \"addresses"},
	    {HEAD "account \"U\" { addresses = {\"u@example.org\"} }\n", ":3",
		"name of an account"},
	    {HEAD "account \"u\" { addresses = {\"u@example.org\", \"x\"} }\n", ":3",
		"not an address"},
	    {HEAD "account \"u\" { addresses = {\"u@other.example\"} }\n", ":3",
		"add: domain \"other.example\" { }"},
	    {HEAD "account \"u\" { addresses = {\"\\\"a b\\\"@example.org\"} }\n", ":3",
		"not an address"},
	    {HEAD "account \"u\" {\naddresses = {\"u@example.org\"} }\n"
		  "account \"v\" {\naddresses = {\"U@EXAMPLE.org\"} }\n",
		":6", "given twice; also at"},
	    {HEAD "account \"u\" { addresses = {\"u@example.org\"} }\n\naccount \"u\" { }\n", ":5",
		"there is already: account at"},
	    {HEAD "account \"u\" { addresses = {\"u@example.org\"}\naddresses = "
		  "{\"v@example.org\"} }\n",
		":4", "to add to a list write +="},
	    {HEAD "account \"u\" { addresses = {\"u@example.org\"}\naddresses += \"v@example.org\" "
		  "}\n",
		NULL, ""},
	    {HEAD "domain \"EXAMPLE.org\" { }\n", "", "configured twice"},
	    {HEAD "domain \"a b\" { }\n", ":3", "not a domain"},
	    {HEAD "domain \"c.example\" {\n\n\tcatch-all = nobody\n}\n", ":5", "\"nobody\""},
	    {HEAD "postmaster = nobody\n", ":3", "\"nobody\""},
	    {HEAD "route {\n\ttransport = \"nowhere\"\n}\n", ":4", "\"nowhere\""},
	    {HEAD "route { to-domain = {\"a..b\"}\n transport = \"\" }\n", ":3", "not a domain"},
	    {HEAD "route { }\n", ":3", "route needs \"transport"},
	    {HEAD "route { transport = \"\" }\nroute { transport = \"\"\n minimum-attempts = 1 }\n",
		":4", "never reached: the one at"},
	    {HEAD "route { transport = \"\"\n minimum-attempts = 1 }\nroute { transport = \"\" }\n",
		NULL, ""},
	    {HEAD "route { to-domain = {\".x.org\"} transport = \"\" }\n"
		  "route { to-domain = {\"a.x.org\", \"x.org\"} transport = \"\" }\n",
		":4", "never reached"},
	    {HEAD "route { to-domain = {\"x.org\"} transport = \"\" }\n"
		  "route { to-domain = {\".x.org\"} transport = \"\" }\n",
		NULL, ""},
	    {HEAD "domain \"d.org\" { route { transport = \"gone\" } }\n", ":3", "\"gone\""},
	    {HEAD "transport \"t\" { }\nroute { transport = \"t\" }\n", ":3", "needs \"kind"},
	    {HEAD "transport \"t\" { kind = pigeon }\nroute { transport = \"t\" }\n", ":3",
		"one of direct|smtp"},
	    {HEAD "transport \"t\" { kind = smtp }\nroute { transport = \"t\" }\n", ":3",
		"needs \"host"},
	    {HEAD "transport \"t\" { kind = smtp\nhost = h\nusername = u\npassword-file = gone }\n"
		  "route { transport = \"t\" }\n",
		":6", "/gone cannot be read: No such file"},
	    {HEAD "transport \"t\" { kind = smtp\nhost = h\nclient-key-file = postern.conf }\n"
		  "route { transport = \"t\" }\n",
		":5", "no private key"},
	    {HEAD "transport \"t\" { kind = smtp\nhost = h\nca-file = postern.conf }\n"
		  "route { transport = \"t\" }\n",
		":5", "CA certificates cannot be read"},
	    {HEAD "transport \"t\" { kind = smtp\nhost = h\nca-file = server.pem }\n"
		  "route { transport = \"t\" }\n",
		NULL, ""},
	    {HEAD "transport \"t\" { kind = smtp\nhost = h\nverify = pinned }\n"
		  "route { transport = \"t\" }\n",
		":3", "pin go together"},
	    {HEAD "certificate { certificate-file = server.pem\nkey-file = gone.pem }\n", ":3",
		"gone.pem cannot be read"},
	    {HEAD "certificate { certificate-file = server.pem\nkey-file = postern.conf }\n", ":3",
		"cannot be used"},
	    {HEAD "lifetime = 5\n", ":3", "a time such as"},
	    {HEAD "schedule = {5m, 0s}\n", ":3", "a time such as"},
	    {HEAD "message-size-max = 1k\n", ":3", "a size such as"},
	    {HEAD "concurrency = 0\n", ":3", "from 1 to 1000"},
	    {HEAD "sasl-mechanisms = {PLAIN, ROT13}\n", ":3", "\"ROT13\""},
	    {HEAD "hide-plus-after-abort = maybe\n", ":3", "yes or no"},
	    {HEAD "hostname = \"${HOME}\"\n", ":3", "${"},
	    {HEAD "\naccount \"u\" {\n", ":", ""},
	    {HEAD "}\n", ":", ""},
	    {HEAD "include(\"x\")\n", ":3", "unknown key or section \"include\""},
	};
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct arena a cleanup(arena_clear) = {0};
		struct config_report report = {.arena = &a};
		struct config_draft draft;
		check_text(table[i].text, &a, &report, &draft);
		bool found = table[i].place == NULL && report.error_count == 0;
		char label[40];
		snprintf(label, sizeof(label), "messages, row %zu", i);
		for (size_t k = 0; k < report.count && table[i].place; k++) {
			struct span where = report_place(&a, report.messages[k].place);
			if (report.messages[k].severity == CONFIG_ERROR &&
			    span_find(where, span_cstr(table[i].place)) != SIZE_MAX &&
			    span_find(report.messages[k].text, span_cstr(table[i].says)) !=
				SIZE_MAX)
				found = true;
		}
		if (!check_named(found, label)) {
			for (size_t k = 0; k < report.count; k++)
				printf("#   %.*s: %.*s\n",
				    SPAN_ARG(report_place(&a, report.messages[k].place)),
				    SPAN_ARG(report.messages[k].text));
		}
	}
}

/* What is told in ASCII should be meant so. */
static void test_disabled_text(void)
{
	struct arena a cleanup(arena_clear) = {0};
	struct config_report report = {.arena = &a};
	struct config_draft draft;
	check_text(HEAD
	    "account \"u\" { addresses = {\"u@example.org\"}\n disabled-text = \"Pay first\" }\n"
	    "account \"v\" { addresses = {\"v@example.org\"}\n disabled-text = \"Z\xc3\xa4hl\" }\n",
	    &a, &report, &draft);
	check_int(report.error_count, 0);
	size_t found = 0;
	for (size_t i = 0; i < report.count; i++)
		if (span_find(report.messages[i].text, SPAN("in ASCII: \"Z?hl\"")) != SIZE_MAX)
			found += report.messages[i].place.line;
	check_int(found, 6);
}

static void test_fallbacks(void)
{
	struct arena a cleanup(arena_clear) = {0};
	struct config_report report = {.arena = &a};
	struct config_draft d;
	check_text("hostname = MX.Example.ORG\n"
		   "transport \"t\" { kind = submissions host = h }\n",
	    &a, &report, &d);
	check_int(report.error_count, 0);
	check_int(report.count, 2); /* no certificate, and nobody uses the transport */
	check_span(d.global.hostname, SPAN("mx.example.org"));
	check_int(d.global.message_size_max, 100 << 20);
	check_int(d.global.recipients_max, 1000);
	check_int(d.global.schedule_count, 6);
	check_int(d.global.schedule_s[0], 450);
	check_int(d.global.schedule_s[5], 14400);
	check_int(d.global.lifetime_s, 432000);
	check_int(d.global.delay_notice_s, 14400);
	check(d.global.hide_plus_after_abort);
	check(d.global.sasl_mechanisms & 1u << SASL_EXTERNAL);
	check(!(d.global.sasl_mechanisms & 1u << SASL_CRAM_MD5));
	check_int(d.transport_count, 1);
	check_int(d.transports[0].transport.port, 465);
	check_int(d.transports[0].transport.tls, TRANSPORT_TLS_IMPLICIT);
	check_int(d.transports[0].transport.verify, TRANSPORT_VERIFY_PKIX);
}

static const char full_text[] =
    "hostname = mx.example.org\n"
    "postmaster = anna\n"
    "certificate { certificate-file = server.pem key-file = server.pem }\n"
    "domain \"example.org\" { }\n"
    "domain \"b\xc3\xbc"
    "cher.example\" { case-sensitive = yes catch-all = \"bernd\" }\n"
    "transport \"relay\" { kind = submission host = relay.example.net }\n"
    "route { to-domain = {\".example.net\"} minimum-attempts = 3 transport = relay }\n"
    "account \"anna\" { addresses = {\"Anna@example.org\", \"a.b@example.org\"}\n"
    "  route { transport = \"\" } }\n";

static void test_apply(void)
{
	struct paths p;
	paths_init(&p, root);
	write_file("postern.conf", full_text);
	/* NFD in the file: "Be" + "a" with diaeresis as two code points. */
	write_file("conf.d/bernd.conf", "account \"bernd\" { addresses = "
					"{\"Ba\xcc\x88r@xn--bcher-kva.example\"} quota = 1G }\n");
	write_file("conf.d/ignored.txt", "this is no configuration\n");
	write_file("conf.d/.hidden.conf", "nor is this\n");

	struct arena a cleanup(arena_clear) = {0};
	struct config_report report = {.arena = &a};
	struct config_draft draft;
	check_int(config_apply(&p, &a, &report, &draft), 0);
	for (size_t i = 0; i < report.count; i++)
		printf("#   %.*s\n", SPAN_ARG(report.messages[i].text));
	static const char *const folders[] = {"config", "keys", "accounts/anna", "mail/bernd",
	    "queue/incoming/anna", "queue/wake", "queue/msg", "queue/bad"};
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		char path[PATH_BYTES];
		struct stat st = {0};
		snprintf(path, sizeof(path), "%s/%s", p.state, folders[i]);
		check_named(
		    stat(path, &st) == 0 && S_ISDIR(st.st_mode) && (st.st_mode & 0777) == 0700,
		    folders[i]);
	}
	char path[PATH_BYTES];
	snprintf(path, sizeof(path), "%s/config", p.state);
	int fd cleanup(close_fd) = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct config *c = NULL;
	if (check_int(config_open(fd, &c), 0))
		test_look_ups(c);
	config_close(c);
	test_apply_again(&p);
	paths_clear(&p);
}

static void test_look_ups(struct config *c)
{
	static const struct {
		const char *address;
		int rc;
		bool local;
		const char *account, *canonical;
	} table[] = {
	    {"anna@example.org", 0, true, "anna", "Anna@example.org"},
	    {"ANNA@Example.ORG", 0, true, "anna", "Anna@example.org"},
	    {"anna+lists@example.org", 0, true, "anna", "Anna@example.org"},
	    {"\"anna\"@example.org", 0, true, "anna", "Anna@example.org"},
	    {"a.b@example.org", 0, true, "anna", "a.b@example.org"},
	    {"+anna@example.org", -ENOENT, true, "", ""},
	    {"nobody@example.org", -ENOENT, true, "", ""},
	    {"postmaster@example.org", 0, true, "anna", "postmaster@example.org"},
	    {"B\xc3\xa4r@b\xc3\xbc"
	     "cher.example",
		0, true, "bernd", "B\xc3\xa4r@xn--bcher-kva.example"},
	    {"Ba\xcc\x88r@BU\xcc\x88"
	     "CHER.example",
		0, true, "bernd", "B\xc3\xa4r@xn--bcher-kva.example"},
	    {"b\xc3\xa4r@xn--bcher-kva.example", 0, true, "bernd",
		"b\xc3\xa4r@xn--bcher-kva.example"},
	    {"anna@example.com", -ENOENT, false, "", ""},
	    {"anna", -EINVAL, false, "", ""},
	    {"@example.org", -EINVAL, false, "", ""},
	    {"anna@", -EINVAL, false, "", ""},
	    {"an\xff"
	     "na@example.org",
		-EINVAL, false, "", ""},
	    {"an\rna@example.org", -EINVAL, false, "", ""},
	};
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct arena a cleanup(arena_clear) = {0};
		struct span account = SPAN(""), canonical = SPAN("");
		bool local = false;
		int rc = config_find_address(
		    c, span_cstr(table[i].address), &a, &account, &canonical, &local);
		if (!check_named(rc == table[i].rc && local == table[i].local &&
				     span_equal(account, span_cstr(table[i].account)) &&
				     span_equal(canonical, span_cstr(table[i].canonical)),
			table[i].address))
			printf("#   %d %d %.*s %.*s\n", rc, local, SPAN_ARG(account),
			    SPAN_ARG(canonical));
	}
	/* User names are configured addresses: neither the catch-all's, nor the postmaster's. */
	static const struct {
		const char *user, *account;
	} users[] = {
	    {"ANNA+lists@Example.ORG", "anna"},
	    {"Ba\xcc\x88r@xn--bcher-kva.example", "bernd"},
	    {"b\xc3\xa4r@xn--bcher-kva.example", ""},
	    {"anybody@xn--bcher-kva.example", ""},
	    {"postmaster@example.org", ""},
	};
	for (size_t i = 0; i < ARRAY_SIZE(users); i++) {
		struct arena scratch cleanup(arena_clear) = {0};
		struct span account = SPAN(""), canonical = SPAN("");
		int rc =
		    config_find_user(c, span_cstr(users[i].user), &scratch, &account, &canonical);
		check_named(span_equal(account, span_cstr(users[i].account)) &&
				rc == (account.n ? 0 : -ENOENT),
		    users[i].user);
	}
	struct arena a cleanup(arena_clear) = {0};
	struct config_global g = {0};
	check_int(config_global(c, &a, &g), 0);
	check_span(g.hostname, SPAN("mx.example.org"));
	check_int(g.certificate_count, 1);
	check(span_ends_with(g.certificates[0].key_file, SPAN("/server.pem")));
	check(g.certificates[0].key_file.p[0] == '/');
	struct config_account account = {0};
	check_int(config_account(c, SPAN("bernd"), &a, &account), 0);
	check_int(account.quota_bytes, 1 << 30);
	check_int(config_account(c, SPAN("gone"), &a, &account), -ENOENT);
	check_int(config_account(c, SPAN("anna"), &a, &account), 0);
	check_int(account.routes.count, 1);
	check_int(account.address_count, 2);
	const struct span *names = NULL;
	size_t count = 0;
	check_int(config_account_names(c, &a, &names, &count), 0);
	if (check_int(count, 2)) {
		check_span(names[0], SPAN("anna"));
		check_span(names[1], SPAN("bernd"));
	}
	struct config_transport t = {0};
	check_int(config_transport(c, SPAN("relay"), &a, &t), 0);
	check_int(t.port, 587);
	check_span(t.host, SPAN("relay.example.net"));
	struct route_list routes = {0};
	check_int(config_global_routes(c, &a, &routes), 0);
	check_int(routes.count, 1);
	check_int(routes.routes[0].minimum_attempts, 3);
	check_span(routes.routes[0].to_domains[0], SPAN(".example.net"));
	check(span_ends_with(routes.routes[0].where, SPAN("/postern.conf:7")));
}

/* Only what changed is told, and a broken edit changes nothing. */
static void test_apply_again(const struct paths *p)
{
	struct arena a cleanup(arena_clear) = {0};
	struct config_report report = {.arena = &a};
	struct config_draft draft;
	char anna[PATH_BYTES], bernd[PATH_BYTES], table[PATH_BYTES];
	snprintf(anna, sizeof(anna), "%s/accounts/anna/changes", p->state);
	snprintf(bernd, sizeof(bernd), "%s/accounts/bernd/changes", p->state);
	snprintf(table, sizeof(table), "%s/config/config.tdb", p->state);
	check(unlink(anna) == 0 && unlink(bernd) == 0);
	write_file("conf.d/bernd.conf", "account \"bernd\" { addresses = "
					"{\"Ba\xcc\x88r@xn--bcher-kva.example\"} quota = 2G }\n");
	check_int(config_apply(p, &a, &report, &draft), 0);
	check(access(anna, F_OK) < 0);
	check(access(bernd, F_OK) == 0);

	struct stat before = {0}, after = {0};
	check(stat(table, &before) == 0);
	write_file("conf.d/bernd.conf", "account \"bernd\" { addresses = }\n");
	check_int(config_apply(p, &a, &report, &draft), -EINVAL);
	check(stat(table, &after) == 0 && before.st_ino == after.st_ino);

	/* Accounts that are gone from the configuration: their sessions hear of it, once. */
	const char *carl_text = "account \"carl\" { addresses = {\"carl@example.org\"} }\n";
	char carl[PATH_BYTES], folder[PATH_BYTES];
	snprintf(carl, sizeof(carl), "%s/accounts/carl/changes", p->state);
	snprintf(folder, sizeof(folder), "%s/accounts/carl", p->state);
	report = (struct config_report){.arena = &a};
	write_file("conf.d/bernd.conf", "account \"bernd\" { addresses = {\"b@example.org\"} }\n");
	write_file("conf.d/carl.conf", carl_text);
	check_int(config_apply(p, &a, &report, &draft), 0);
	check(unlink(bernd) == 0 && unlink(carl) == 0);
	write_file("conf.d/carl.conf", "");
	check_int(config_apply(p, &a, &report, &draft), 0);
	check(access(anna, F_OK) < 0 && access(bernd, F_OK) < 0);
	check(unlink(carl) == 0);
	check_int(config_apply(p, &a, &report, &draft), 0);
	check(access(carl, F_OK) < 0);
	/* Where the folder is gone as well, nobody is to be told. */
	write_file("conf.d/carl.conf", carl_text);
	check_int(config_apply(p, &a, &report, &draft), 0);
	check(unlink(carl) == 0 && rmdir(folder) == 0);
	write_file("conf.d/carl.conf", "");
	check_int(config_apply(p, &a, &report, &draft), 0);
}

static void check_text(
    const char *text, struct arena *a, struct config_report *report, struct config_draft *draft)
{
	struct paths p;
	paths_init(&p, root);
	write_file("postern.conf", text);
	config_check(&p, NULL, a, report, draft);
	paths_clear(&p);
}

static void write_file(const char *name, const char *text)
{
	char path[PATH_BYTES];
	snprintf(path, sizeof(path), "%s/%s", root, name);
	FILE *f = fopen(path, "we");
	check(f && fputs(text, f) >= 0 && fclose(f) == 0);
}

static void write_identity(void)
{
	const struct span names[] = {SPAN("localhost")};
	struct str key cleanup(str_clear) = STR_INIT(TEXT_BYTES);
	struct str certificate cleanup(str_clear) = STR_INIT(TEXT_BYTES);
	check_int(key_generate_server(names, 1, &key, &certificate), 0);
	str_append(&certificate, str_span(&key));
	write_file("server.pem", certificate.data);
}
