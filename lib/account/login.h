#ifndef POSTERN_ACCOUNT_LOGIN_H
#define POSTERN_ACCOUNT_LOGIN_H
/*
 * The decision: from the facts of a connection and SASL's outcome to "this account, as this address,
 * by this credential", with limits and history. Used by the session before the yes.
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
	enum login_result result; /* LOGIN_OK, _UNKNOWN_KEY, _EXPIRED, _OUT_OF_SCOPE, _DISABLED, _UNAVAILABLE */
	struct tls_key key;	  /* valid for all but LOGIN_UNKNOWN_KEY and LOGIN_UNAVAILABLE */
	struct span text;	  /* for people: fingerprint and where to approve it, or why not */
};
/*
 * Looks a proven key up: global table, account's record, address still the account's, scope,
 * expiry, TLS 1.2 permission, account disabled.
 */
must_use int login_key(struct config *config, int keys_dirfd, int accounts_dirfd, struct span spki,
    bool tls12, unsigned scope, int64_t now_s, struct arena *a, struct login_key *ret);

/* sasl_lookup over config and accounts. */
struct login_lookup {
	struct config *config;
	int accounts_dirfd;
	uint8_t secret[KEYS_SECRET_BYTES];
	uint32_t iterations; /* of unknown users; both from keys_secret() */
};
struct sasl_lookup login_sasl_lookup(struct login_lookup *l);

/*
 * After SASL_OK by a password: is the account enabled, the password in scope and not expired?
 * LOGIN_OK, _DISABLED (text: the configured one), _EXPIRED, _OUT_OF_SCOPE, _UNAVAILABLE.
 */
struct login_password {
	enum login_result result;
	struct span text; /* for people, when it is not LOGIN_OK */
};
void login_password(struct config *config, int accounts_dirfd, const struct sasl_result *sasl,
    unsigned scope, int64_t now_s, struct arena *a, struct login_password *ret);

/* Failures per address and account, in run/state/limits.tdb (spec 1 §3.1). */
struct limits;
must_use int limits_open(int run_state_dirfd, struct limits **ret);
void limits_close(struct limits *l);
/*
 * How long this attempt must wait (ms), or -EACCES: refuse. address: "192.0.2.1"; unset for the
 * holder of a proven, registered key, who is not held up by what others do from that address.
 * account: empty while none is named.
 */
must_use int limits_check(struct limits *l, struct span address, struct span account, int64_t now_s, int *ret_delay_ms);
void limits_failed(struct limits *l, struct span address, struct span account, int64_t now_s);
void limits_succeeded(struct limits *l, struct span address, struct span account, int64_t now_s);

struct login_record { /* one row of accounts/NAME/logins.tdb */
	int64_t when_s;
	struct span address, protocol, mechanism, credential, tls, client;
	enum login_result result;
};
/* Unsynced and bounded; failures are not reported: history may be lost. */
void login_record_add(int account_dirfd, const struct login_record *r);
must_use int login_record_each(int account_dirfd,
    int (*fn)(const struct login_record *r, void *context), void *context);
#endif
