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
 * removed meanwhile), _UNAVAILABLE.
 */
struct login_password {
	enum login_result result;
	struct span text;	  /* for people, when it is not LOGIN_OK */
	struct password password; /* LOGIN_OK: its version and expiry, for live revocation */
};
void login_password(struct config *config, int accounts_dirfd, const struct sasl_result *sasl,
    unsigned scope, int64_t now_s, struct arena *a, struct login_password *ret);

/*
 * An address as limits, log and history spell it: IPv4-mapped IPv6 ("::ffff:192.0.2.1") as IPv4,
 * IPv6 in the shortest form. -EINVAL. The functions below do it themselves.
 */
enum { LOGIN_ADDRESS_MAX_BYTES = 46 };
must_use int login_address(struct span address, char ret[LOGIN_ADDRESS_MAX_BYTES]);

/*
 * Failures per address (/32, /64), per network (/24, /48) and per account, in run/state/limits.tdb:
 * buckets that leak evenly, a small one for the minute and a large one for the day (limits.c has the
 * numbers). A cache: lost with /run, made anew when damaged; sessions of all handlers share it.
 * Where it cannot be opened, nothing is limited: the functions accept NULL.
 */
struct limits;
must_use int limits_open(int run_state_dirfd, struct limits **ret);
void limits_close(struct limits *l);
/* Whoever is refused hears it only after so long. */
enum { LIMITS_REFUSAL_MS = 3000 };
/*
 * How long this attempt must wait (ms), or -EACCES: refuse, before any secret is looked at.
 * address: "192.0.2.1"; unset for the holder of a proven, registered key, who is not held up by what
 * others do from that address. account: unset while none is named. A full bucket of the account
 * slows addresses that logged in to it before, and refuses the others.
 */
must_use int limits_check(
    struct limits *l, struct span address, struct span account, int64_t now_s, int *ret_delay_ms);
void limits_failed(struct limits *l, struct span address, struct span account, int64_t now_s);
/* Takes back the failures of this address for this account, and of nobody else. */
void limits_succeeded(struct limits *l, struct span address, struct span account, int64_t now_s);

/*
 * Some clients pick -PLUS because it is the strongest name, cannot bind, and give up. From their
 * address -PLUS is then hidden on that listener ("submission", any short name) for a while, but
 * never from an address with a log-in by -PLUS in the last 30 days. The flag "y" is refused all the
 * same (sasl_server_options.enabled does not change), so that hiding helps no attacker.
 */
enum { LIMITS_PLUS_HIDDEN_S = 600 };
void limits_plus_used(struct limits *l, struct span address, int64_t now_s);
/* True when it will be hidden: for the log. */
bool limits_plus_given_up(
    struct limits *l, struct span address, struct span listener, int64_t now_s);
bool limits_plus_is_hidden(
    struct limits *l, struct span address, struct span listener, int64_t now_s);
/*
 * For a session that will be caged, without limits.tdb, when it may see a client give up: a file
 * that says so for this address and listener, and nothing else. The caller closes it. -1: -PLUS would
 * not be hidden from this address, or there is no file to be had; limits_plus_mark() then does nothing.
 */
int limits_plus_mark_open(
    struct limits *l, struct span address, struct span listener, int64_t now_s);
/* Given up at that time. 0 takes it back: a log-in by -PLUS succeeded. */
void limits_plus_mark(int mark_fd, int64_t when_s);

/*
 * History: history/NAME/logins.tdb, the last LOGIN_RECORDS_MAX attempts, LOGIN_RECORDS_DAYS long.
 * Written without waiting for the disk; what is damaged or lost is lost.
 */
enum { LOGIN_RECORDS_MAX = 1000, LOGIN_RECORDS_DAYS = 30, LOGIN_FIELD_MAX_BYTES = 256 };
struct login_record {
	int64_t when_s;
	/* address "192.0.2.1", protocol "imap", mechanism "TLS-KEY" or a SASL name, credential: key
	 * fingerprint or password name, tls "TLSv1.3 TLS_AES_…", client: its ID. Cut where too long. */
	struct span address, protocol, mechanism, credential, tls, client;
	enum login_result result;
};
bool login_record_is_by_key(const struct login_record *r); /* by its mechanism */
/* A success is noted as its credential's last use, too, which outlives the row. */
void login_record_add(int history_dirfd, const struct login_record *r);
/* Oldest first, those of the last days before now_s. fn returning non-zero ends it. */
must_use int login_record_each(int history_dirfd, int64_t now_s,
    int (*fn)(const struct login_record *r, void *context), void *context);
/* The last successful use of a key or of a password ("": the account's own). -ENOENT: unknown. */
must_use int login_record_last(int history_dirfd, bool is_key, struct span credential,
    struct arena *a, struct login_record *ret);
#endif
