#include "admin/localserve.h"

#include <unistd.h>

#include "admin/key.h"
#include "admin/secret.h"
#include "crypto/crypto.h"
#include "io/file.h"

enum { PEM_BYTES = 65536, FOLDER_MODE = 0700 };

/* All mail stays here: what is not for localhost comes back. */
static const char config_text[] =
    "# Made by postern localserve.\n"
    "hostname = localhost\n"
    "postmaster = user\n"
    "certificate {\n\tcertificate-file = server.pem\n\tkey-file = server.key.pem\n}\n"
    "domain \"localhost\" { }\n"
    "transport \"nowhere\" {\n\tkind = fail\n\tcode = 550\n"
    "\ttext = \"This is a local trial: mail leaves it nowhere\"\n}\n"
    "route { transport = \"nowhere\" }\n"
    "account \"user\" { addresses = {\"user@localhost\"} }\n"
    "account \"second\" { addresses = {\"second@localhost\"} }\n";

static int make_certificate(struct localserve *s);
static int make_clients(struct localserve *s, int clients_fd);
static int make_client(struct localserve *s, int clients_fd, const char *name, struct str *ret_key,
    struct str *ret_certificate);
static int make_pkcs12(int clients_fd, struct span key, struct span certificate);
static int make_passwords(struct localserve *s);

/* postern.conf comes last: while it is missing, the instance is not finished. */
int localserve_setup(struct localserve *s)
{
	bool fresh = faccessat(s->dir_fd, "postern.conf", F_OK, 0) < 0;
	int status = fresh ? make_certificate(s) : STATUS_OK;
	if (status == STATUS_OK && fresh)
		status = key_write_file(s->dir_fd, "postern.conf", SPAN(config_text));
	if (status != STATUS_OK)
		return status;
	int rc = apply_config(s->admin);
	if (rc < 0)
		return problem(STATUS_CONFIGURATION, "%s/postern.conf cannot be applied", s->dir);
	if (faccessat(s->dir_fd, "passwords", F_OK, 0) == 0)
		return STATUS_OK;
	int clients_fd cleanup(close_fd) = -1;
	rc = folder_make(s->dir_fd, "clients", FOLDER_MODE, &clients_fd);
	if (rc < 0)
		return problem(
		    status_of(rc), "%s/clients cannot be made: %s", s->dir, strerror(-rc));
	status = make_clients(s, clients_fd);
	return status == STATUS_OK ? make_passwords(s) : status;
}

static int make_certificate(struct localserve *s)
{
	const struct span names[] = {SPAN("localhost")};
	struct str key cleanup(str_clear_secret) = STR_INIT(PEM_BYTES);
	struct str certificate cleanup(str_clear) = STR_INIT(PEM_BYTES);
	int rc = key_generate_server(names, ARRAY_SIZE(names), &key, &certificate);
	if (rc < 0)
		return problem(
		    STATUS_IO, "the server's certificate cannot be made: %s", strerror(-rc));
	int status = key_write_file(s->dir_fd, "server.key.pem", str_span(&key));
	return status == STATUS_OK ? key_write_file(s->dir_fd, "server.pem", str_span(&certificate))
				   : status;
}

static int make_clients(struct localserve *s, int clients_fd)
{
	static const struct {
		const char *name;
		enum preauth preauth;
		bool registered;
	} clients[] = {
	    {"user", PREAUTH_YES, true},
	    {"user-nopreauth", PREAUTH_NO, true},
	    {"stranger", PREAUTH_YES, false},
	};
	int status = STATUS_OK;
	for (size_t i = 0; status == STATUS_OK && i < ARRAY_SIZE(clients); i++) {
		struct str key cleanup(str_clear_secret) = STR_INIT(PEM_BYTES);
		struct str certificate cleanup(str_clear) = STR_INIT(PEM_BYTES);
		struct span fingerprint;
		status = make_client(s, clients_fd, clients[i].name, &key, &certificate);
		if (status == STATUS_OK && i == 0)
			status = make_pkcs12(clients_fd, str_span(&key), str_span(&certificate));
		const struct key_request request = {
		    .input = str_span(&certificate),
		    .address = "user@localhost",
		    .name = clients[i].name,
		    .preauth = clients[i].preauth,
		    .scope = SCOPE_BOTH,
		};
		if (status == STATUS_OK && clients[i].registered)
			status = key_register(s->admin, &request, &fingerprint);
	}
	return status;
}

/* P-256, because not every mail program can use Ed25519. */
static int make_client(struct localserve *s, int clients_fd, const char *name, struct str *ret_key,
    struct str *ret_certificate)
{
	struct str both cleanup(str_clear_secret) = STR_INIT(2 * PEM_BYTES);
	int rc = key_generate(KEY_P256, span_cstr(name), ret_key, ret_certificate, NULL);
	if (rc < 0)
		return problem(
		    STATUS_IO, "the client key %s cannot be made: %s", name, strerror(-rc));
	str_append(&both, str_span(ret_key));
	str_append(&both, str_span(ret_certificate));
	struct span file = arena_format(&s->admin->arena, "%s.pem", name);
	return key_write_file(clients_fd, file.p, str_span(&both));
}

static int make_pkcs12(int clients_fd, struct span key, struct span certificate)
{
	struct str passphrase cleanup(str_clear_secret) = STR_INIT(PASSWORD_MAX_BYTES);
	struct str bundle cleanup(str_clear_secret) = STR_INIT(PEM_BYTES);
	secret_generate(&passphrase);
	if (key_pkcs12(key, certificate, SPAN("user"), passphrase.data, &bundle) < 0)
		return problem(STATUS_IO, "clients/user.p12 cannot be made");
	int status = key_write_file(clients_fd, "user.p12", str_span(&bundle));
	str_append_char(&passphrase, '\n');
	return status == STATUS_OK ? key_write_file(clients_fd, "passphrase", str_span(&passphrase))
				   : status;
}

static int make_passwords(struct localserve *s)
{
	static const char *const accounts[] = {"user", "second"};
	struct str text cleanup(str_clear_secret) = STR_INIT(PASSWORD_MAX_BYTES);
	for (size_t i = 0; i < ARRAY_SIZE(accounts); i++) {
		struct str password cleanup(str_clear_secret) = STR_INIT(PASSWORD_MAX_BYTES);
		secret_generate(&password);
		const struct password own = {.name = SPAN(""), .scope = SCOPE_BOTH};
		int status = secret_store(s->admin, accounts[i], &own, str_span(&password), false);
		if (status != STATUS_OK)
			return status;
		str_format(&text, "%s@localhost %s\n", accounts[i], password.data);
	}
	return key_write_file(s->dir_fd, "passwords", str_span(&text));
}
