#include "admin/admin.h"

#include <sys/stat.h>

#include "base/ascii.h"
#include "crypto/crypto.h"

#define ASKS "It asks before, unless --yes is given; without a terminal --yes is needed."

static const struct verb verbs[] = {
    {"config", "check", "", "look for mistakes in the configuration; change nothing",
	"Every message names file and line. Status 1 when there are errors; warnings are none.",
	verb_config_check, false},
    {"config", "apply", "", "check, then put the configuration into effect",
	"The next connection sees it; nothing needs to be restarted. With errors nothing changes.",
	verb_config_apply, false},
    {"config", "show", "[--json]", "what the configuration amounts to, defaults included",
	"In the form of postern.conf, in the place of which it may be put; JSON has each key, null "
	"where\n"
	"nothing is set, sizes in bytes and times in seconds.",
	verb_config_show, false},
    {"config", "keys", "[--json]", "all keys that the configuration can have", NULL,
	verb_config_keys, true},
    {"account", "add", "NAME ADDRESS…", "make an account",
	"Writes conf.d/account-NAME.conf and applies the configuration. The domains of the "
	"addresses\n"
	"must be configured. A file that exists is never changed.",
	verb_account_add, true},
    {"account", "list", "[--json]", "accounts and their addresses", NULL, verb_account_list, false},
    {"account", "password", "[--generate] [--rehash [--yes]] NAME", "set an account's password",
	"Reads it twice from the terminal, or once from standard input. --generate makes one and\n"
	"prints it. --rehash starts with a new salt and the configured scram-iterations: app "
	"passwords\n"
	"stop working. They are named, and it asks before, unless --yes is given; without a "
	"terminal\n"
	"--yes is needed.",
	verb_account_password, false},
    {"account", "show", "[--json] NAME", "one account: its state, credentials and last login", NULL,
	verb_account_show, false},
    {"account", "disable", "NAME", "refuse an account's logins; open sessions end",
	"Writes \"disabled = yes\" into the file that `account add` made, and applies the\n"
	"configuration. What a person wrote is not changed: then it says where it is.",
	verb_account_disable, true},
    {"account", "enable", "NAME", "take that back", NULL, verb_account_enable, true},
    {"apppassword", "add",
	"[--scope=imap|submission|both] [--expires=YYYY-MM-DD[THH:MM:SSZ]] ACCOUNT NAME",
	"make a further password, for one mail program",
	"Prints it, this once. It works with every mechanism, beside the account's own.",
	verb_apppassword_add, false},
    {"apppassword", "list", "[--json] [ACCOUNT]", "app passwords, and their last use",
	"The state is active or expired.", verb_apppassword_list, false},
    {"apppassword", "rm", "[--yes] ACCOUNT NAME",
	"take an app password away; its open sessions end", ASKS, verb_apppassword_rm, false},
    {"logins", NULL, "[--json] [ACCOUNT]", "who logged in or tried to, in the last 30 days",
	"Account by account, oldest first. Unknown users are in the log only.", verb_logins, false},
    {"tlspubkey", "add",
	"[--preauth=yes|no|tolerant] [--scope=imap|submission|both] "
	"[--expires=YYYY-MM-DD[THH:MM:SSZ]] "
	"[--allow-tls12] [--replace] ADDRESS [NAME] < FILE",
	"let a TLS client key log in",
	"FILE is a certificate, or a public key in PEM. Nothing of the certificate counts but its "
	"key.\n"
	"--preauth says what an IMAP connection with the key begins with: logged in (yes), not "
	"(no), or\n"
	"either, for mail programs that insist on logging in (tolerant). A key that the account "
	"has "
	"is\n"
	"left alone, unless --replace: then all its settings become those of this command.",
	verb_key_add, false},
    {"tlspubkey", "list", "[--json] [ACCOUNT]", "registered keys, and their last use",
	"The state is active, expired, or incomplete: of a key whose adding or removing was cut "
	"short,\n"
	"which does not log in until the same is done again.",
	verb_key_list, false},
    {"tlspubkey", "get", "FINGERPRINT", "one key: its fields, and the key in PEM", NULL,
	verb_key_get, false},
    {"tlspubkey", "rm", "[--yes] FINGERPRINT", "take a key away; its open sessions end", ASKS,
	verb_key_rm, false},
    {"tlspubkey", "gen", "[--p256] [--p12] STEM", "make a key for a mail program",
	"Writes STEM.key.pem, STEM.certificate.pem, and both in STEM.pem; with --p12 also "
	"STEM.p12, for\n"
	"programs that want PKCS #12, and prints its passphrase. Files are mode 0600, and none is "
	"ever\n"
	"overwritten. Ed25519, whose seed it prints, too, unless --p256: Thunderbird cannot import "
	"Ed25519.",
	verb_key_gen, true},
    {"tlspubkey", "pending", "[--json] [ACCOUNT]", "unknown keys that came with a right password",
	"Each was proven by a client that then logged in by password, at most 30 days ago.",
	verb_key_pending, false},
    {"tlspubkey", "approve",
	"[--preauth=…] [--scope=…] [--expires=…] [--allow-tls12] [--address ADDRESS] "
	"[--account NAME] FINGERPRINT [NAME]",
	"let a pending key log in",
	"As `tlspubkey add`, for the address that the password was for, or another of its "
	"account's.\n"
	"A key that is registered already is left alone.",
	verb_key_approve, false},
    {"queue", "list", "[--json]", "what waits to be delivered: a line for each recipient", NULL,
	verb_queue_list, false},
    {"localserve", NULL, "[--dir DIR] [--port-base N] [--demo]",
	"a throwaway Postern on the loopback, to try it",
	"Listens on ports N+143, N+993 (IMAP) and N+587, N+465 (submission) of 127.0.0.1 and ::1; "
	"N is\n"
	"1000 unless given. With --dir the instance is made in DIR, or found there, and kept. All "
	"mail\n"
	"stays local. --demo sends one message to itself, prints it, and ends.",
	verb_localserve, true},
};

static void unify_spelling(struct arguments *a);
static bool is_named(const struct verb *v, const struct arguments *a, bool in_group);
static const struct verb *find_verb(struct arguments *a);
static int no_such_verb(const struct arguments *a);
static int run_verb(struct admin *admin);
static int print_help(struct arguments *arguments);
static void print_verb(const struct verb *v);
static void print_overview(FILE *out);
static void print_line(FILE *out, const struct verb *v);
static int options_end(const struct arguments *a);
static bool is_option(const char *item);
static void take(struct arguments *a, int index, int count);

int admin_main(int argc, char **argv)
{
	/*
	 * Each mode is given where a file is made. With less, user `postern` could not read what
	 * root writes below /etc/postern.
	 */
	umask(S_IWGRP | S_IWOTH);
	struct admin admin = {.arguments = {argv + 1, argc - 1}};
	admin.instance = option_value(&admin, "--instance");
	admin.json = option_flag(&admin, "--json");
	admin.yes = option_flag(&admin, "--yes");
	bool help = option_flag(&admin, "--help");
	if (option_flag(&admin, "--version")) {
		printf("postern %s\n", POSTERN_VERSION);
		return STATUS_OK;
	}
	if (admin.arguments.count <= 0 && !help) {
		print_overview(stderr);
		return STATUS_USAGE;
	}
	if (admin.arguments.count > 0 && strcmp(admin.arguments.items[0], "help") == 0) {
		take(&admin.arguments, 0, 1);
		help = true;
	}
	unify_spelling(&admin.arguments);
	if (help)
		return print_help(&admin.arguments);
	if (admin.instance && !*admin.instance)
		return problem(STATUS_USAGE, "--instance needs the folder of an instance");
	if (admin.valueless)
		return problem(STATUS_USAGE, "%s needs a value", admin.valueless);
	admin.verb = find_verb(&admin.arguments);
	if (!admin.verb)
		return no_such_verb(&admin.arguments);
	paths_init(&admin.paths, admin.instance);
	int status = run_verb(&admin);
	paths_clear(&admin.paths);
	arena_clear(&admin.arena);
	if (fflush(stdout) != 0 || ferror(stdout))
		return problem(STATUS_IO, "standard output cannot be written: %s", strerror(errno));
	return status;
}

/* "config tlspubkey …" is another spelling of "tlspubkey …". */
static void unify_spelling(struct arguments *a)
{
	if (a->count > 1 && strcmp(a->items[0], "config") == 0 &&
	    strcmp(a->items[1], "tlspubkey") == 0)
		take(a, 0, 1);
}

/*
 * Is it the verb that the arguments begin with? With the group alone, in_group: one of its verbs?
 */
static bool is_named(const struct verb *v, const struct arguments *a, bool in_group)
{
	if (strcmp(v->group, a->items[0]) != 0)
		return false;
	if (!v->name || (in_group && a->count == 1))
		return true;
	return a->count > 1 && strcmp(v->name, a->items[1]) == 0;
}

static const struct verb *find_verb(struct arguments *a)
{
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		const struct verb *v = &verbs[i];
		if (!is_named(v, a, false))
			continue;
		take(a, 0, v->name ? 2 : 1);
		return v;
	}
	return NULL;
}

/* With a group alone, its verbs. */
static int no_such_verb(const struct arguments *a)
{
	bool found = false;
	for (size_t i = 0; a->count == 1 && i < ARRAY_SIZE(verbs); i++) {
		if (!is_named(&verbs[i], a, true))
			continue;
		if (!found)
			fprintf(
			    stderr, "usage: postern [--instance DIR] %s VERB …\n\n", a->items[0]);
		print_line(stderr, &verbs[i]);
		found = true;
	}
	if (found)
		return STATUS_USAGE;
	return problem(STATUS_USAGE, "there is no verb \"%s%s%s\"; `postern help` lists them",
	    a->items[0], a->count > 1 ? " " : "", a->count > 1 ? a->items[1] : "");
}

static int run_verb(struct admin *admin)
{
	if (crypto_init() < 0)
		return problem(
		    STATUS_IO, "OpenSSL cannot be initialised; is its provider installed?");
	int status = admin->verb->stays ? STATUS_OK : become_postern(admin);
	return status == STATUS_OK ? admin->verb->run(admin) : status;
}

static int print_help(struct arguments *arguments)
{
	if (arguments->count == 0) {
		print_overview(stdout);
		return STATUS_OK;
	}
	bool found = false;
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		if (!is_named(&verbs[i], arguments, true))
			continue;
		if (found)
			printf("\n");
		print_verb(&verbs[i]);
		found = true;
	}
	return found ? STATUS_OK : no_such_verb(arguments);
}

static void print_verb(const struct verb *v)
{
	printf("postern %s%s%s %s\n    %s\n", v->group, v->name ? " " : "", v->name ? v->name : "",
	    v->usage, v->summary);
	if (v->help)
		printf("\n%s\n", v->help);
}

static void print_overview(FILE *out)
{
	fprintf(out, "usage: postern [--instance DIR] VERB …\n\n");
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		print_line(out, &verbs[i]);
	fprintf(out,
	    "\n`postern help VERB` says more; so does postern(1). --version says which this is.\n");
}

static void print_line(FILE *out, const struct verb *v)
{
	char name[40];
	snprintf(
	    name, sizeof(name), "%s%s%s", v->group, v->name ? " " : "", v->name ? v->name : "");
	fprintf(out, "  %-18s  %s\n", name, v->summary);
}

bool option_flag(struct admin *admin, const char *name)
{
	struct arguments *a = &admin->arguments;
	for (int i = 0; i < options_end(a); i++) {
		if (strcmp(a->items[i], name) == 0) {
			take(a, i, 1);
			return true;
		}
	}
	return false;
}

const char *option_value(struct admin *admin, const char *name)
{
	struct arguments *a = &admin->arguments;
	size_t n = strlen(name);
	for (int i = 0; i < options_end(a); i++) {
		const char *item = a->items[i];
		if (strncmp(item, name, n) != 0)
			continue;
		if (item[n] == '=') {
			take(a, i, 1);
			return item + n + 1;
		}
		if (item[n] == '\0') {
			if (i + 1 == options_end(a)) {
				admin->valueless = name;
				take(a, i, 1);
				return "";
			}
			const char *value = a->items[i + 1];
			take(a, i, 2);
			return value;
		}
	}
	return NULL;
}

int operands_check(struct admin *admin, int min, int max)
{
	const struct verb *v = admin->verb;
	struct arguments *a = &admin->arguments;
	const char *name = arena_format(
	    &admin->arena, "%s%s%s", v->group, v->name ? " " : "", v->name ? v->name : "")
			       .p;
	if (admin->valueless)
		return problem(STATUS_USAGE, "%s needs a value; see `postern help %s`",
		    admin->valueless, name);
	int end = options_end(a);
	for (int i = 0; i < end; i++) {
		if (is_option(a->items[i]))
			return problem(STATUS_USAGE, "%s has no option %s; see `postern help %s`",
			    name, a->items[i], name);
	}
	if (end < a->count)
		take(a, end, 1);
	if (a->count >= min && a->count <= max)
		return STATUS_OK;
	return problem(STATUS_USAGE, "usage: postern %s %s", name, v->usage);
}

/* Where "--" stands, behind which everything is an operand; the number of arguments without it. */
static int options_end(const struct arguments *a)
{
	int i = 0;
	while (i < a->count && strcmp(a->items[i], "--") != 0)
		i++;
	return i;
}

/* Of fingerprints one in 4096 begins with "--"; no option has their length and nothing else. */
static bool is_option(const char *item)
{
	if (strncmp(item, "--", 2) != 0)
		return false;
	size_t n = 0;
	while (ascii_is_alnum((unsigned char)item[n]) || item[n] == '-' || item[n] == '_')
		n++;
	return n != FINGERPRINT_CHARS || item[n] != '\0';
}

static void take(struct arguments *a, int index, int count)
{
	if (index == 0) {
		a->items += count;
	} else {
		for (int i = index; i + count < a->count; i++)
			a->items[i] = a->items[i + count];
	}
	a->count -= count;
}
