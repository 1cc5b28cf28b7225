/* The work per guess of a stolen verifier: of the installation, and of the accounts' passwords. */
#include <fcntl.h>

#include "account/credentials.h"
#include "admin/admin.h"
#include "io/file.h"

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
	struct arena scratch cleanup(arena_clear) = {0};
	int rc = folder_open(AT_FDCWD, path.p, &fd);
	if (rc == 0)
		rc = credentials_open(fd, false, &c);
	if (rc == 0)
		rc = credentials_verifiers(c, HASH_SHA256, &scratch, &found);
	credentials_close(c);
	return rc == 0 ? found.iterations : 0;
}
