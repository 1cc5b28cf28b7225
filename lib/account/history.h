#ifndef POSTERN_ACCOUNT_HISTORY_H
#define POSTERN_ACCOUNT_HISTORY_H
/*
 * What is remembered of logins: history/NAME/logins.tdb, the last LOGIN_RECORDS_MAX successes and
 * as many other attempts (so that strangers cannot push the successes out), LOGIN_RECORDS_DAYS
 * long. A cache: written without waiting for the disk; what is damaged or lost is lost.
 */
#include "account/login.h"

enum { LOGIN_RECORDS_MAX = 1000, LOGIN_RECORDS_DAYS = 30, LOGIN_FIELD_MAX_BYTES = 256 };
struct login_record {
	int64_t when_s;
	/* address "192.0.2.1", protocol "imap", mechanism "TLS-KEY" or a SASL name, credential: key
	 * fingerprint or password name, tls "TLSv1.3 TLS_AES_…", client: its ID. Cut where too
	 * long. */
	struct span address, protocol, mechanism, credential, tls, client;
	enum login_result result;
};
bool login_record_is_by_key(const struct login_record *r); /* by its mechanism */

/* The folder in history/ of attempts that name no account. */
#define LOGIN_HISTORY_OF_NOBODY ".nobody"
/* An open one needs no file afterwards: it may be taken into a cage. */
struct login_history;
must_use int login_history_open(int history_dirfd, struct login_history **ret);
void login_history_close(struct login_history *h); /* NULL is fine, here and below */
/* A success is noted as its credential's last use, too, which outlives the row. */
void login_history_add(struct login_history *h, const struct login_record *r);
/* What the client of the attempt added last calls itself, which it said only later. */
void login_history_name_client(struct login_history *h, struct span client);
/*
 * Whoever holds a key of the account is not limited by address (account/limits.h), but a stolen key
 * must not help to guess the password: guesses over each key have a bucket of their own. As
 * limits_settle(): counts a bad one; -EACCES: not to be told, the bucket was full.
 */
must_use int login_history_settle_guess(
    struct login_history *h, struct span fingerprint, bool good, int64_t now_s);

/* Oldest first, those of the last days before now_s. fn returning non-zero ends it. */
must_use int login_record_each(int history_dirfd, int64_t now_s,
    int (*fn)(const struct login_record *r, void *context), void *context);
/* The last successful use of a key or of a password ("": the account's own). -ENOENT: unknown. */
must_use int login_record_last(int history_dirfd, bool is_key, struct span credential,
    struct arena *a, struct login_record *ret);
#endif
