#ifndef POSTERN_ADMIN_KEY_H
#define POSTERN_ADMIN_KEY_H
/* Registering and making TLS client keys: for the verbs and for localserve. */
#include "account/change.h"
#include "admin/admin.h"
#include "admin/options.h"

struct key_request {
	struct span input; /* certificate, or public key */
	const char *address;
	const char *name; /* may be NULL */
	enum preauth preauth;
	unsigned scope;
	bool allow_tls12;
	int64_t expires; /* seconds since 1970; 0: never */
	enum key_change change;
};
/* Takes --preauth, --scope, --expires and --allow-tls12: an exit status. */
must_use int key_options(struct admin *admin, struct key_request *request);
const char *preauth_name(enum preauth preauth);
/*
 * The global table, to be read; NULL: no key was ever registered. STATUS_OK, or it has said why
 * not.
 */
must_use int open_keys(struct admin *admin, struct keys **ret);
/* Whose key it is by that table, in the arena; unset: nobody's. Likewise. */
must_use int find_key_owner(
    struct admin *admin, struct keys *keys, struct span fingerprint, struct span *ret_account);
/*
 * Account first, then the global table; it is then no longer pending for that account. An exit
 * status; *ret_fingerprint lives in the arena.
 */
must_use int key_register(
    struct admin *admin, const struct key_request *request, struct span *ret_fingerprint);
/* The same, if the address is this account's. */
must_use int key_register_for(struct admin *admin, const struct key_request *request,
    struct span account, struct span *ret_fingerprint);
/*
 * Says which file is damaged and what to do. `why`: as account/change.h said it, with the file in
 * front. An exit status.
 */
must_use int problem_key_files(
    struct admin *admin, const char *account, struct span why, int error);
void key_forget_pending(struct admin *admin, struct span account, struct span fingerprint);
/* A new file in the folder, mode 0600, never over another: an exit status. */
must_use int key_write_file(int dirfd, const char *name, struct span contents);
#endif
