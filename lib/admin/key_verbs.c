#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#include "admin/key.h"
#include "admin/options.h"
#include "admin/secret.h"
#include "base/encode.h"
#include "crypto/crypto.h"
#include "io/file.h"

enum {
	INPUT_MAX_BYTES = 65536,
	PEM_MAX_BYTES = 65536,
	PEM_LINE_BYTES = 64,
	SENTENCE_MAX_BYTES = 500,
};
struct lister {
	struct admin *admin;
	struct keys *keys;
	const struct config_account *account;
	int history_fd, status;
	bool any;
};

struct found_key {
	struct span fingerprint, account; /* account unset: nobody's */
	bool complete;			  /* the global table has it */
};
/* A key with what is known of it elsewhere. */
struct shown_key {
	const struct tls_key *key;
	const struct login_record *used; /* NULL: never */
	const char *state;
};

static int read_input(struct str *input);
static int list_account(struct admin *admin, const struct config_account *account, void *context);
static int list_key(const struct tls_key *key, void *context);
static void print_line(struct arena *a, const struct shown_key *shown);
static int find_key(struct admin *admin, struct found_key *ret);
static int find_half(struct admin *admin, const struct config_account *account, void *context);
static void print_key(struct arena *a, const struct shown_key *shown);
static void print_key_json(const struct shown_key *shown);
static int write_key_files(
    struct admin *admin, const char *stem, struct span key, struct span certificate, bool pkcs12);

int verb_key_add(struct admin *admin)
{
	struct key_request request = {.preauth = PREAUTH_YES, .scope = SCOPE_BOTH};
	struct str input cleanup(str_clear) = STR_INIT(INPUT_MAX_BYTES);
	struct span fingerprint = SPAN_NONE;
	if (option_flag(admin, "--replace"))
		request.change = KEY_REPLACE;
	int status = key_options(admin, &request);
	if (status == STATUS_OK)
		status = operands_check(admin, 1, 2);
	if (status == STATUS_OK)
		status = read_input(&input);
	if (status != STATUS_OK)
		return status;
	request.input = str_span(&input);
	request.address = admin->arguments.items[0];
	request.name = admin->arguments.count > 1 ? admin->arguments.items[1] : NULL;
	status = key_register(admin, &request, &fingerprint);
	if (status == STATUS_OK)
		printf("%.*s\n", SPAN_ARG(fingerprint));
	return status;
}

static int read_input(struct str *input)
{
	if (isatty(STDIN_FILENO))
		fprintf(stderr, "Paste the certificate or public key, then Ctrl-D:\n");
	char buffer[4096];
	ssize_t n;
	while ((n = read(STDIN_FILENO, buffer, sizeof(buffer))) > 0)
		str_append(input, span_of(buffer, (size_t)n));
	if (n < 0)
		return problem(STATUS_IO, "standard input cannot be read: %s", strerror(errno));
	if (input->failed)
		return problem(STATUS_PROBLEM, "the input is larger than any certificate");
	return STATUS_OK;
}

int verb_key_list(struct admin *admin)
{
	struct lister l = {.admin = admin, .history_fd = -1};
	int status = open_keys(admin, &l.keys);
	if (status == STATUS_OK)
		status = list_accounts(admin, list_account, &l);
	keys_close(l.keys);
	return status;
}

static int list_account(struct admin *admin, const struct config_account *account, void *context)
{
	struct lister *l = context;
	int fd cleanup(close_fd) = -1;
	const char *name = arena_cstr(&admin->arena, account->name);
	struct credentials *credentials = NULL;
	l->status = open_account(admin, name, &fd);
	if (l->status != STATUS_OK)
		return l->status;
	l->account = account;
	l->history_fd = open_history(admin, name);
	int rc = credentials_open(fd, false, &credentials);
	if (rc == 0)
		rc = credentials_each_key(credentials, list_key, l);
	credentials_close(credentials);
	close_fd(&l->history_fd);
	if (rc < 0 && rc != -ENOENT) /* -ENOENT: nobody can log in yet */
		return problem_credentials(admin, name, rc);
	return l->status;
}

static int list_key(const struct tls_key *key, void *context)
{
	struct lister *l = context;
	struct arena *a = &l->admin->arena;
	struct span owner = SPAN_NONE;
	l->status = find_key_owner(l->admin, l->keys, key->fingerprint, &owner);
	if (l->status != STATUS_OK)
		return 1;
	const struct shown_key shown = {
	    .key = key,
	    .used = find_use(l->history_fd, true, key->fingerprint, key->created, a),
	    .state = state_name(span_equal(owner, l->account->name), key->expires),
	};
	if (l->admin->json) {
		printf("%s", l->any ? "," : "");
		print_key_json(&shown);
	} else {
		print_line(a, &shown);
	}
	l->any = true;
	return 0;
}

static void print_line(struct arena *a, const struct shown_key *shown)
{
	const struct tls_key *key = shown->key;
	printf("%.*s %.*s %.*s state=%s preauth=%s scope=%s tls12=%s expires=%.*s used=",
	    SPAN_ARG(key->fingerprint), SPAN_ARG(key->type), SPAN_ARG(key->address), shown->state,
	    preauth_name(key->preauth), scope_name(key->scope), key->allow_tls12 ? "yes" : "no",
	    SPAN_ARG(format_expiry(a, key->expires)));
	print_use(a, shown->used);
	printf(" ");
	print_quoted(key->name);
	printf("\n");
}

int verb_key_get(struct admin *admin)
{
	struct found_key found;
	struct credentials *credentials = NULL;
	struct tls_key key;
	int fd cleanup(close_fd) = -1;
	int status = operands_check(admin, 1, 1);
	if (status == STATUS_OK)
		status = find_key(admin, &found);
	if (status != STATUS_OK)
		return status;
	const char *name = arena_cstr(&admin->arena, found.account);
	status = open_account(admin, name, &fd);
	if (status != STATUS_OK)
		return status;
	int rc = credentials_open(fd, false, &credentials);
	if (rc == 0)
		rc = credentials_get_key(credentials, found.fingerprint, &admin->arena, &key);
	credentials_close(credentials);
	if (rc == -ENOENT)
		return problem(STATUS_PROBLEM, "the key is in the global table only and does not "
					       "log in; `postern tlspubkey rm` it, "
					       "then add it again");
	if (rc < 0)
		return problem_credentials(admin, name, rc);
	int history_fd cleanup(close_fd) = open_history(admin, name);
	const struct shown_key shown = {
	    .key = &key,
	    .used = find_use(history_fd, true, key.fingerprint, key.created, &admin->arena),
	    .state = state_name(found.complete, key.expires),
	};
	if (admin->json) {
		print_key_json(&shown);
		printf("\n");
	} else {
		print_key(&admin->arena, &shown);
	}
	return STATUS_OK;
}

int verb_key_rm(struct admin *admin)
{
	struct str why cleanup(str_clear) = STR_INIT(SENTENCE_MAX_BYTES);
	struct found_key found;
	int keys_fd cleanup(close_fd) = -1, fd cleanup(close_fd) = -1;
	int status = operands_check(admin, 1, 1);
	if (status == STATUS_OK)
		status = find_key(admin, &found);
	if (status == STATUS_OK)
		status = open_state(admin, "keys", &keys_fd);
	if (status != STATUS_OK)
		return status;
	const char *account = arena_cstr(&admin->arena, found.account);
	status = open_account(admin, account, &fd);
	if (status == STATUS_OK)
		status = confirm(admin, arena_format(&admin->arena, "Remove the key %.*s of %.*s?",
					    SPAN_ARG(found.fingerprint), SPAN_ARG(found.account))
					    .p);
	if (status != STATUS_OK)
		return status;
	int rc = account_remove_key(keys_fd, fd, found.account, found.fingerprint, &why);
	if (is_damage(rc))
		return problem_key_files(admin, account, str_span(&why), rc);
	return rc < 0 ? problem(status_of(rc), "account %s: %s", account, why.data) : STATUS_OK;
}

/*
 * The key that the operand names: where the global table has it, or, when an `add` or `rm` was cut
 * short, in the account that still has its record.
 */
static int find_key(struct admin *admin, struct found_key *ret)
{
	*ret = (struct found_key){.fingerprint = span_cstr(admin->arguments.items[0])};
	struct keys *keys = NULL;
	int status = open_keys(admin, &keys);
	if (status == STATUS_OK)
		status = find_key_owner(admin, keys, ret->fingerprint, &ret->account);
	keys_close(keys); /* whoever changes the table opens it anew: one context per file */
	ret->complete = span_is_set(ret->account);
	if (status == STATUS_OK && !ret->complete)
		status = each_account(admin, NULL, find_half, ret);
	if (span_is_set(ret->account))
		return STATUS_OK;
	if (status != STATUS_OK)
		return status;
	return problem(STATUS_PROBLEM,
	    "no key has the fingerprint %.*s; `postern tlspubkey list` names them",
	    SPAN_ARG(ret->fingerprint));
}

static int find_half(struct admin *admin, const struct config_account *account, void *context)
{
	struct found_key *found = context;
	const char *name = arena_cstr(&admin->arena, account->name);
	struct credentials *credentials = NULL;
	struct tls_key key;
	int fd cleanup(close_fd) = -1;
	if (span_is_set(found->account))
		return STATUS_OK;
	int status = open_account(admin, name, &fd);
	if (status != STATUS_OK)
		return status;
	int rc = credentials_open(fd, false, &credentials);
	if (rc == 0)
		rc = credentials_get_key(credentials, found->fingerprint, &admin->arena, &key);
	credentials_close(credentials);
	if (rc == 0)
		found->account = account->name;
	else if (rc != -ENOENT && rc != -EINVAL) /* -EINVAL: that is no fingerprint */
		return problem_credentials(admin, name, rc);
	return STATUS_OK;
}

static void print_key(struct arena *a, const struct shown_key *shown)
{
	const struct tls_key *key = shown->key;
	const struct login_record *used = shown->used;
	struct str base64 cleanup(str_clear) = STR_INIT(PEM_MAX_BYTES);
	printf("fingerprint: %.*s\nstate:       %s\ntype:        %.*s\nname:        ",
	    SPAN_ARG(key->fingerprint), shown->state, SPAN_ARG(key->type));
	print_text(key->name);
	printf("\n");
	printf("account:     %.*s\naddress:     %.*s\n", SPAN_ARG(key->account),
	    SPAN_ARG(key->address));
	printf("preauth:     %s\nscope:       %s\nTLS 1.2:     %s\n", preauth_name(key->preauth),
	    scope_name(key->scope), key->allow_tls12 ? "allowed" : "no");
	printf("expires:     %.*s\n", SPAN_ARG(format_expiry(a, key->expires)));
	printf("created:     %.*s UTC\n", SPAN_ARG(format_time(a, key->created)));
	printf("last used:   %.*s", SPAN_ARG(format_time(a, used ? used->when_s : 0)));
	if (used) {
		printf(" UTC, ");
		print_word(used->protocol);
		printf(" from ");
		print_word(used->address);
	}
	printf("\n");
	base64_encode(key->spki, &base64);
	printf("-----BEGIN PUBLIC KEY-----\n");
	for (size_t i = 0; i < base64.n; i += PEM_LINE_BYTES)
		printf("%.*s\n", SPAN_ARG(span_sub(str_span(&base64), i, PEM_LINE_BYTES)));
	printf("-----END PUBLIC KEY-----\n");
}

static void print_key_json(const struct shown_key *shown)
{
	const struct tls_key *key = shown->key;
	const struct {
		const char *label;
		struct span text;
	} fields[] = {{"fingerprint", key->fingerprint}, {"type", key->type}, {"name", key->name},
	    {"state", span_cstr(shown->state)}, {"account", key->account},
	    {"address", key->address}, {"preauth", span_cstr(preauth_name(key->preauth))},
	    {"scope", span_cstr(scope_name(key->scope))}};
	printf("{");
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		printf("\"%s\":", fields[i].label);
		print_json_string(fields[i].text);
		printf(",");
	}
	printf("\"tls12\":%s,\"expires\":%" PRId64 ",\"created\":%" PRId64,
	    key->allow_tls12 ? "true" : "false", key->expires, key->created);
	print_json_use(shown->used);
	printf("}");
}

int verb_key_gen(struct admin *admin)
{
	struct str key cleanup(str_clear_secret) = STR_INIT(PEM_MAX_BYTES);
	struct str seed cleanup(str_clear_secret) = STR_INIT(KEY_SEED_BYTES);
	struct str certificate cleanup(str_clear) = STR_INIT(PEM_MAX_BYTES);
	struct str text cleanup(str_clear_secret) = STR_INIT(PEM_MAX_BYTES);
	struct str spki cleanup(str_clear) = STR_INIT(PEM_MAX_BYTES);
	bool p256 = option_flag(admin, "--p256"), pkcs12 = option_flag(admin, "--p12");
	int status = operands_check(admin, 1, 1);
	if (status != STATUS_OK)
		return status;
	const char *stem = admin->arguments.items[0];
	struct span name = span_cstr(stem);
	name = span_from(name, span_last_index(name, '/') + 1); /* SIZE_MAX + 1 is 0 */
	int rc = -EINVAL;
	if (account_key_name_is_valid(name))
		rc = key_generate(
		    p256 ? KEY_P256 : KEY_ED25519, name, &key, &certificate, p256 ? NULL : &seed);
	if (rc == -EINVAL)
		return problem(STATUS_USAGE,
		    "the last part of STEM is the certificate's name: 1 to 64 characters of UTF-8, "
		    "none of them a control character");
	if (rc < 0)
		return problem(status_of(rc), "the key cannot be made: %s", strerror(-rc));
	status = write_key_files(admin, stem, str_span(&key), str_span(&certificate), pkcs12);
	if (status != STATUS_OK)
		return status;
	char fingerprint[FINGERPRINT_CHARS + 1] = "";
	if (key_spki_from_input(str_span(&certificate), &spki) == 0)
		key_fingerprint(str_span(&spki), fingerprint);
	base64url_encode(str_span(&seed), &text);
	if (!p256)
		printf("seed:        %s\n", text.data);
	printf("fingerprint: %s\n", fingerprint);
	return STATUS_OK;
}

static int write_key_files(
    struct admin *admin, const char *stem, struct span key, struct span certificate, bool pkcs12)
{
	struct str both cleanup(str_clear_secret) = STR_INIT(2 * PEM_MAX_BYTES);
	struct str bundle cleanup(str_clear_secret) = STR_INIT(PEM_MAX_BYTES);
	struct str passphrase cleanup(str_clear_secret) = STR_INIT(PASSWORD_MAX_BYTES);
	size_t slash = span_last_index(span_cstr(stem), '/');
	const char *folder =
	    slash == SIZE_MAX ? "." : arena_cstr(&admin->arena, span_of(stem, slash + 1));
	const char *base = slash == SIZE_MAX ? stem : stem + slash + 1;
	struct span name = span_cstr(base);
	str_append(&both, key);
	str_append(&both, certificate);
	secret_generate(&passphrase);
	if (pkcs12 && key_pkcs12(key, certificate, name, passphrase.data, &bundle) < 0)
		return problem(STATUS_IO, "the PKCS #12 file cannot be made");
	const struct {
		const char *suffix;
		struct span contents;
	} files[] = {{".key.pem", key}, {".certificate.pem", certificate},
	    {".pem", str_span(&both)}, {".p12", str_span(&bundle)}};
	size_t count = pkcs12 ? ARRAY_SIZE(files) : ARRAY_SIZE(files) - 1;
	int fd cleanup(close_fd) = -1;
	int rc = folder_open(AT_FDCWD, folder, &fd);
	if (rc < 0)
		return problem(status_of(rc), "%s cannot be opened: %s", folder, strerror(-rc));
	for (size_t i = 0; i < count; i++) { /* before any is made */
		struct span file = arena_format(&admin->arena, "%s%s", base, files[i].suffix);
		if (faccessat(fd, file.p, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			return problem(STATUS_CANNOT_CREATE,
			    "%s%s exists already, and is not overwritten", stem, files[i].suffix);
	}
	for (size_t i = 0; i < count; i++) {
		struct span file = arena_format(&admin->arena, "%s%s", base, files[i].suffix);
		int status = key_write_file(fd, file.p, files[i].contents);
		if (status != STATUS_OK)
			return status;
		printf("wrote        %s%s\n", stem, files[i].suffix);
	}
	if (pkcs12)
		printf("passphrase:  %s\n", passphrase.data);
	return STATUS_OK;
}
