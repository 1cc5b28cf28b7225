#ifndef POSTERN_ADMIN_SECRET_H
#define POSTERN_ADMIN_SECRET_H
/* Passwords of people: read without showing them, made, stored. */
#include "account/change.h"
#include "admin/admin.h"
#include "base/str.h"

enum { GENERATED_CHARACTERS = 20 };

/* From the terminal, twice and without echo, or one line of standard input. An exit status. */
must_use int secret_read(struct str *password);
void secret_generate(struct str *password);
/* Judges and stores a password for the account, and tells its sessions: an exit status. */
must_use int secret_store(struct admin *admin, const char *account, const struct password *p,
    struct span password, bool rehash);
#endif
