#ifndef POSTERN_ACCOUNT_LOGIN_H
#define POSTERN_ACCOUNT_LOGIN_H
/*
 * The decision: from the facts of a connection and SASL's outcome to "this account, as this
 * address, by this credential". Used by the session before the yes; limits are in account/limits.h,
 * what is remembered of attempts in account/history.h.
 */
#include "account/credentials.h"
#include "conf/config.h"

enum login_result { /* as logins.tdb and the log line name them */
	LOGIN_OK,
	LOGIN_BAD_CREDENTIALS,
	LOGIN_WRONG_ACCOUNT,
	LOGIN_DISABLED,
	LOGIN_ABORTED,
	LOGIN_BAD_BINDING,
	LOGIN_EXPIRED,
	LOGIN_OUT_OF_SCOPE,
	LOGIN_UNKNOWN_KEY,
	LOGIN_LIMITED,
	LOGIN_UNAVAILABLE,
	LOGIN_RESULT_COUNT
};
const char *login_result_name(enum login_result r); /* "ok", "bad-credentials", … */

/* What is known of a proven key. */
struct login_key {
	enum login_result
	    result; /* LOGIN_OK, _UNKNOWN_KEY, _EXPIRED, _OUT_OF_SCOPE, _DISABLED, _UNAVAILABLE */
	struct tls_key key; /* valid for all but LOGIN_UNKNOWN_KEY and LOGIN_UNAVAILABLE */
	struct span text;   /* for people: fingerprint and what to do about it, or why not */
};
/*
 * Looks a proven key up: global table, account's record, address still the account's, TLS 1.2
 * permission (without it the key counts as unknown), expiry, scope, account disabled. The answer is
 * in *ret->result; what the function returns is 0 or, with LOGIN_UNAVAILABLE, why (for the log).
 */
must_use int login_key(struct config *config, int keys_dirfd, int accounts_dirfd, struct span spki,
    bool tls12, unsigned scope, int64_t now_s, struct arena *a, struct login_key *ret);

/* sasl_lookup over config and accounts. */
struct login_lookup {
	struct config *config;
	int accounts_dirfd, keys_dirfd; /* the latter for keys/nobody; -1: none */
	uint8_t secret[KEYS_SECRET_BYTES];
	uint32_t iterations; /* of unknown users; both from keys_secret(). 0: every look-up fails */
};
/*
 * What is told of a name that is nobody's: a salt that is the same at each attempt, of the name's
 * canonical form, and no verifier.
 */
void login_unknown_credentials(const struct login_lookup *l, struct span user, struct arena *arena,
    struct sasl_credentials *ret);
/* Borrows l. */
struct sasl_lookup login_sasl_lookup(struct login_lookup *l);

/*
 * After SASL_OK by a password: is the account enabled, the password in scope and not expired?
 * LOGIN_OK, _DISABLED (text: the configured one), _EXPIRED, _OUT_OF_SCOPE, _BAD_CREDENTIALS (it was
 * removed or set anew since it was proven), _UNAVAILABLE.
 */
struct login_password {
	enum login_result result;
	struct span text;	  /* for people, when it is not LOGIN_OK */
	struct password password; /* LOGIN_OK: its version and expiry, for live revocation */
};
void login_password(struct config *config, int accounts_dirfd, const struct sasl_result *sasl,
    unsigned scope, int64_t now_s, struct arena *a, struct login_password *ret);
#endif
