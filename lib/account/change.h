#ifndef POSTERN_ACCOUNT_CHANGE_H
#define POSTERN_ACCOUNT_CHANGE_H
/*
 * Changes of an account's credentials as the command line and the account pages make them: checked,
 * in the order that a crash cannot turn into a login (account/credentials.h), and announced to live
 * sessions. What is wrong is said in one sentence, appended to *ret_error; a file by its name
 * alone.
 */
#include "account/credentials.h"

enum { PASSWORD_MIN_CODE_POINTS = 8, PASSWORD_MAX_BYTES = 1000, KEY_NAME_MAX_BYTES = 200 };

/*
 * Sets a password (p->name "": the account's own) from raw UTF-8 input without a line end;
 * p->created and p->version are made here. -EINVAL: not acceptable (OpaqueString, length, too
 * common, or what p says). iterations and rehash as credentials_set_password().
 */
must_use int account_set_password(int account_dirfd, const struct password *p, struct span password,
    uint32_t iterations, bool rehash, struct str *ret_error);
/* An app password's. -ENOENT: there is none of that name. */
must_use int account_remove_password(int account_dirfd, struct span name, struct str *ret_error);
/*
 * May an app password, a key be called that? UTF-8 without control characters, not empty, not
 * longer than PASSWORD_NAME_MAX_BYTES, KEY_NAME_MAX_BYTES.
 */
bool account_password_name_is_valid(struct span name);
bool account_key_name_is_valid(struct span name);
/* Is the password acceptable? On 0 *prepared is what to store verifiers of: a secret. */
must_use int account_check_password(
    struct span password, struct str *prepared, struct str *ret_error);
/*
 * Registers key for key->account: the account's record first, then the global table. The
 * fingerprint and type are made from key->spki. A key that the account has already is changed with
 * KEY_REPLACE only, and stays as old as it is; KEY_ADD of the very same is no change. -EEXIST:
 * another account's; -EALREADY: this one's, with other settings; -EINVAL: its name (unset: none).
 */
enum key_change { KEY_ADD, KEY_REPLACE };
must_use int account_add_key(int keys_dirfd, int account_dirfd, const struct tls_key *key,
    enum key_change change, struct str *ret_error);
/* The global table first, then the account's record. -ENOENT: the account has no such key. */
must_use int account_remove_key(int keys_dirfd, int account_dirfd, struct span account,
    struct span fingerprint, struct str *ret_error);
#endif
