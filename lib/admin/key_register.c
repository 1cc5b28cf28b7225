#include "admin/key.h"

#include "account/pending.h"
#include "base/str.h"
#include "crypto/crypto.h"
#include "io/file.h"

enum { SPKI_MAX_BYTES = 8192, TYPE_MAX_BYTES = 40, SENTENCE_MAX_BYTES = 500, KEY_FILE_MODE = 0600 };

static int problem_keys(struct admin *admin, int error);
static int find_owner(
    struct admin *admin, const char *address, struct span *ret_account, struct span *ret_canonical);
static int store(struct admin *admin, const struct tls_key *key, enum key_change change);

static const char *const preauth_names[] = {
    [PREAUTH_YES] = "yes", [PREAUTH_NO] = "no", [PREAUTH_TOLERANT] = "tolerant"};

const char *preauth_name(enum preauth preauth)
{
	return preauth_names[preauth];
}

int key_options(struct admin *admin, struct key_request *request)
{
	const char *preauth = option_value(admin, "--preauth");
	request->allow_tls12 = option_flag(admin, "--allow-tls12");
	bool found = preauth == NULL;
	for (size_t i = 0; !found && i < ARRAY_SIZE(preauth_names); i++) {
		found = strcmp(preauth, preauth_names[i]) == 0;
		request->preauth = (enum preauth)i;
	}
	if (!found)
		return problem(STATUS_USAGE, "--preauth is yes, no or tolerant");
	int status = option_scope(admin, &request->scope);
	return status == STATUS_OK ? option_expiry(admin, &request->expires) : status;
}

int open_keys(struct admin *admin, struct keys **ret)
{
	int fd cleanup(close_fd) = -1;
	int status = open_state(admin, "keys", &fd);
	if (status != STATUS_OK)
		return status;
	int rc = keys_open(fd, false, ret);
	return rc < 0 && rc != -ENOENT ? problem_keys(admin, rc) : STATUS_OK;
}

int find_key_owner(
    struct admin *admin, struct keys *keys, struct span fingerprint, struct span *ret_account)
{
	int rc = keys ? keys_find(keys, fingerprint, &admin->arena, ret_account) : -ENOENT;
	return rc < 0 && rc != -ENOENT ? problem_keys(admin, rc) : STATUS_OK;
}

static int problem_keys(struct admin *admin, int error)
{
	return problem(status_of(error), "%s/keys/keys.tdb cannot be read: %s%s",
	    admin->paths.state, error_text(error),
	    is_damage(error)
		? ", or move it away and add again the keys that `postern tlspubkey list` then "
		  "calls incomplete"
		: "");
}

int problem_key_files(struct admin *admin, const char *account, struct span why, int error)
{
	return span_starts_with(why, SPAN("keys.tdb")) ? problem_keys(admin, error)
						       : problem_credentials(admin, account, error);
}

int key_register(
    struct admin *admin, const struct key_request *request, struct span *ret_fingerprint)
{
	return key_register_for(admin, request, SPAN_NONE, ret_fingerprint);
}

int key_register_for(struct admin *admin, const struct key_request *request, struct span account,
    struct span *ret_fingerprint)
{
	struct str spki cleanup(str_clear) = STR_INIT(SPKI_MAX_BYTES);
	struct str type cleanup(str_clear) = STR_INIT(TYPE_MAX_BYTES);
	if (key_spki_from_input(request->input, &spki) < 0)
		return problem(
		    STATUS_PROBLEM, "the input is no certificate and no public key in PEM");
	if (key_type(str_span(&spki), &type) < 0)
		return problem(STATUS_PROBLEM, "such keys are not accepted; RSA from 2048 bits, "
					       "ECDSA P-256, P-384 or P-521, Ed25519 "
					       "and Ed448 are (`postern tlspubkey gen` makes one)");
	char fingerprint[FINGERPRINT_CHARS + 1];
	key_fingerprint(str_span(&spki), fingerprint);
	struct tls_key key = {
	    .fingerprint = arena_span(&admin->arena, span_cstr(fingerprint)),
	    .type = str_span(&type),
	    .name = span_cstr(request->name),
	    .preauth = request->preauth,
	    .scope = request->scope,
	    .allow_tls12 = request->allow_tls12,
	    .expires = request->expires,
	    .created = wall_ms() / 1000,
	    .spki = str_span(&spki),
	};
	int status = find_owner(admin, request->address, &key.account, &key.address);
	if (status == STATUS_OK && span_is_set(account) && !span_equal(account, key.account))
		return problem(STATUS_PROBLEM, "%s is not an address of the account %.*s",
		    request->address, SPAN_ARG(account));
	if (status == STATUS_OK)
		status = store(admin, &key, request->change);
	if (status != STATUS_OK)
		return status;
	key_forget_pending(admin, key.account, key.fingerprint);
	*ret_fingerprint = key.fingerprint;
	return STATUS_OK;
}

static int find_owner(
    struct admin *admin, const char *address, struct span *ret_account, struct span *ret_canonical)
{
	struct config *config = NULL;
	bool local = false;
	int status = open_config(admin, &config);
	if (status != STATUS_OK)
		return status;
	int rc = config_find_address(
	    config, span_cstr(address), &admin->arena, ret_account, ret_canonical, &local);
	config_close(config);
	if (rc == -EINVAL)
		return problem(
		    STATUS_USAGE, "\"%s\" is not an address like user@example.org", address);
	if (rc == -ENOENT)
		return problem(STATUS_PROBLEM,
		    local ? "no account in effect has the address %s; `postern account list` names "
			    "what is configured, `postern config apply` puts it into effect"
			  : "the domain of %s is not one of this host's, or not in effect until "
			    "`postern config apply`",
		    address);
	if (rc < 0)
		return problem(status_of(rc), "%s cannot be looked up: %s", address, strerror(-rc));
	return STATUS_OK;
}

static int store(struct admin *admin, const struct tls_key *key, enum key_change change)
{
	int keys_fd cleanup(close_fd) = -1, fd cleanup(close_fd) = -1;
	struct str why cleanup(str_clear) = STR_INIT(SENTENCE_MAX_BYTES);
	struct keys *keys = NULL;
	const char *account = arena_cstr(&admin->arena, key->account);
	int status = open_keys(admin, &keys); /* if it cannot be, say so with what to do */
	keys_close(keys);
	if (status == STATUS_OK)
		status = open_state(admin, "keys", &keys_fd);
	if (status == STATUS_OK)
		status = open_account(admin, account, &fd);
	/* sessions look nobody up without it; an installation may never have a password */
	if (status == STATUS_OK)
		status = make_secret(admin, 0);
	if (status != STATUS_OK)
		return status;
	int rc = account_add_key(keys_fd, fd, key, change, &why);
	if (rc == -EEXIST)
		return problem(STATUS_PROBLEM, "%s; `postern tlspubkey rm` it first", why.data);
	if (rc == -EALREADY)
		return problem(STATUS_PROBLEM,
		    "%s; `postern tlspubkey get` shows them, and --replace makes them those of "
		    "this "
		    "command",
		    why.data);
	if (rc == -EINVAL)
		return problem(STATUS_USAGE, "%s", why.data);
	if (is_damage(rc))
		return problem_key_files(admin, account, str_span(&why), rc);
	if (rc < 0)
		return problem(status_of(rc), "account %s: %s", account, why.data);
	return STATUS_OK;
}

void key_forget_pending(struct admin *admin, struct span account, struct span fingerprint)
{
	int fd cleanup(close_fd) = open_history(admin, arena_cstr(&admin->arena, account));
	if (fd >= 0)
		pending_forget(fd, fingerprint);
}

int key_write_file(int dirfd, const char *name, struct span contents)
{
	int fd cleanup(close_fd) = -1;
	int rc = file_draft(dirfd, KEY_FILE_MODE, &fd);
	if (rc == 0)
		rc = fd_write_all(fd, contents);
	if (rc == 0)
		rc = file_draft_link(fd, dirfd, name);
	if (rc == -EEXIST)
		return problem(
		    STATUS_CANNOT_CREATE, "%s exists already, and is not overwritten", name);
	if (rc < 0)
		return problem(status_of(rc), "%s cannot be written: %s", name, strerror(-rc));
	return STATUS_OK;
}
