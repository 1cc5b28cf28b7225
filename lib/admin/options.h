#ifndef POSTERN_ADMIN_OPTIONS_H
#define POSTERN_ADMIN_OPTIONS_H
/* Options and outputs that the verbs about keys, passwords and logins share. */
#include "account/history.h"
#include "admin/admin.h"

/* --scope=imap|submission|both; untouched where it is not given. An exit status. */
must_use int option_scope(struct admin *admin, unsigned *scope);
/*
 * --expires=2027-12-31: until the end of that day, UTC; --expires=2027-12-31T17:00:00Z: until then.
 */
must_use int option_expiry(struct admin *admin, int64_t *expires_s);
const char *scope_name(unsigned scope);
/* As --expires takes it: "2027-12-31" or "2027-12-31T17:00:00Z"; "never" for 0. */
struct span format_expiry(struct arena *a, int64_t expires_s);
/*
 * Does it let somebody in? "active", "expired", or "incomplete": a key of which only one of the two
 * records is there (account/credentials.h).
 */
const char *state_name(bool complete, int64_t expires_s);
/*
 * The last use of a key or app password that was made at that time, in the arena; NULL: none. The
 * history knows them by fingerprint and name, so that an earlier one of the same name may have left
 * its use there.
 */
const struct login_record *find_use(
    int history_fd, bool is_key, struct span credential, int64_t created_s, struct arena *a);
/* "2026-11-23 22:04:05 by imap from 192.0.2.1"; NULL: "never". */
void print_use(struct arena *a, const struct login_record *used);
/* ,"used":null or an object. */
void print_json_use(const struct login_record *used);
#endif
