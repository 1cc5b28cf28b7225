/*
 * keys/secret and keys/nobody, and the work per guess of a stolen verifier: of the installation,
 * which keys/secret holds, and of the accounts' passwords.
 */
#include <fcntl.h>

#include "account/credentials.h"
#include "admin/admin.h"
#include "io/file.h"

static int problem_secret(struct admin *admin, int error);

int make_secret(struct admin *admin, uint32_t iterations)
{
	int fd cleanup(close_fd) = -1;
	int status = open_state(admin, "keys", &fd);
	if (status != STATUS_OK)
		return status;
	int rc = keys_secret_make(fd, iterations);
	if (rc < 0)
		return problem_secret(admin, rc);
	rc = keys_nobody_make(fd);
	if (rc < 0)
		return problem(status_of(rc), "%s/keys/nobody/credentials.tdb cannot be used: %s",
		    admin->paths.state,
		    is_damage(rc) ? "it is damaged; remove it, and run `postern config apply`"
				  : strerror(-rc));
	return STATUS_OK;
}

int installed_iterations(struct admin *admin, uint32_t *ret)
{
	int fd cleanup(close_fd) = -1;
	uint8_t secret[KEYS_SECRET_BYTES];
	int status = open_state(admin, "keys", &fd);
	if (status != STATUS_OK)
		return status;
	int rc = keys_secret(fd, secret, ret);
	explicit_bzero(secret, sizeof(secret));
	return rc < 0 && rc != -ENOENT ? problem_secret(admin, rc) : STATUS_OK;
}

/*
 * A new secret has a price: names that are nobody's get other salts than before, which tells them.
 */
static int problem_secret(struct admin *admin, int error)
{
	return problem(status_of(error), "%s/keys/secret cannot be used: %s%s", admin->paths.state,
	    error_text(error),
	    is_damage(error) ? ", or remove it and run `postern config apply`: whoever asked for "
			       "names before can then tell which of them do not exist"
			     : "");
}

void warn_of_iterations(struct admin *admin, const struct config_draft *draft, uint32_t iterations)
{
	for (size_t i = 0; i < draft->account_count; i++) {
		const char *name = arena_cstr(&admin->arena, draft->accounts[i].account.name);
		uint32_t count = account_iterations(admin, name);
		if (count != 0 && count != iterations)
			fprintf(stderr,
			    "warning: the passwords of %s were made with %u iterations, not %u, "
			    "which "
			    "tells it from unknown users; `postern account password --rehash %s`\n",
			    name, count, iterations, name);
	}
}

uint32_t account_iterations(struct admin *admin, const char *name)
{
	struct sasl_credentials found = {0};
	struct credentials *c = NULL;
	int fd cleanup(close_fd) = -1;
	struct span path = arena_format(&admin->arena, "%s/accounts/%s", admin->paths.state, name);
	struct arena scratch cleanup(arena_clear_secret) = {0}; /* verifiers */
	int rc = folder_open(AT_FDCWD, path.p, &fd);
	if (rc == 0)
		rc = credentials_open(fd, false, &c);
	if (rc == 0)
		rc = credentials_verifiers(c, HASH_SHA256, &scratch, &found);
	credentials_close(c);
	return rc == 0 ? found.iterations : 0;
}
