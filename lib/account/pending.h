#ifndef POSTERN_ACCOUNT_PENDING_H
#define POSTERN_ACCOUNT_PENDING_H
/*
 * Unknown TLS keys whose holder then logged in with a password: history/NAME/pending.tdb remembers
 * them for the account until somebody approves them or PENDING_DAYS have passed since they were
 * last seen. They let nobody in. A cache as logins.tdb: written by sessions before the yes, without
 * waiting for the disk; one that is lost comes back with the next such login.
 */
#include "base/arena.h"

enum { PENDING_KEYS_MAX = 8, PENDING_DAYS = 30 };
struct pending_key {
	struct span fingerprint, type;
	struct span spki;		  /* DER */
	struct span login_address;	  /* as whom the password was for */
	struct span peer_address, client; /* "192.0.2.1"; what it calls itself */
	bool tls12; /* the proof of possession was TLS 1.2's, which only the gate has seen */
	int64_t first_s, last_s; /* seconds since 1970 */
};
/*
 * Adds or renews; fingerprint, type, and first_s are made here. Of too many the one unseen for
 * longest goes. *ret_new: it was not there before. -EOPNOTSUPP: a kind that may not be registered.
 */
must_use int pending_remember(int history_dirfd, const struct pending_key *key, bool *ret_new);
/* Oldest first. fn returning non-zero ends it. */
must_use int pending_each(int history_dirfd, int64_t now_s,
    int (*fn)(const struct pending_key *key, void *context), void *context);
must_use int pending_get(int history_dirfd, struct span fingerprint, int64_t now_s, struct arena *a,
    struct pending_key *ret); /* -ENOENT */
void pending_forget(int history_dirfd, struct span fingerprint);
#endif
