#ifndef POSTERN_ACCOUNT_LIMITS_H
#define POSTERN_ACCOUNT_LIMITS_H
/*
 * Failures per address (/32, /64), per network (/24, /48) and per account, in run/state/limits.tdb:
 * buckets (account/bucket.h; limits.c has the numbers). A cache: lost with /run, removed and made
 * anew when damaged; sessions of all handlers share it. Where it cannot be opened, nothing is
 * limited: the functions accept NULL.
 *
 * Strangers must not lock an owner out: a full bucket of an account refuses addresses that never
 * logged in to it, a full one of a network those that never logged in at all; others are slowed.
 * Only what an address did itself refuses it in any case.
 */
#include "base/span.h"

/*
 * An address as limits, log and history spell it: IPv4-mapped IPv6 ("::ffff:192.0.2.1") as IPv4,
 * IPv6 in the shortest form. -EINVAL. The functions below do it themselves.
 */
enum { LOGIN_ADDRESS_MAX_BYTES = 46 };
must_use int login_address(struct span address, char ret[LOGIN_ADDRESS_MAX_BYTES]);

struct limits;
must_use int limits_open(int run_state_dirfd, struct limits **ret);
void limits_close(struct limits *l);
/*
 * Was it damaged, so that nothing was limited once and all counts are lost? True once: for the log.
 */
bool limits_was_made_anew(struct limits *l);
/* Whoever is refused hears it only after so long. */
enum { LIMITS_REFUSAL_MS = 3000 };
/*
 * How long this attempt must wait (ms), or -EACCES: refuse, before any secret is looked at.
 * address: "192.0.2.1"; unset for the holder of a proven, registered key, who is not held up by
 * what others do from that address. account: unset while none is named.
 */
must_use int limits_check(
    struct limits *l, struct span address, struct span account, int64_t now_s, int *ret_delay_ms);
/*
 * The verdict over a password, before the client hears it: counts a bad one. -EACCES: a bucket was
 * full already, filled by others at the same moment perhaps; then it must not be told, good or bad.
 * So not more guesses are answered than a bucket holds, however many are made at once.
 */
must_use int limits_settle(
    struct limits *l, struct span address, struct span account, bool good, int64_t now_s);
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
 * For a session that will be caged, without limits.tdb, when a -PLUS exchange may still come: a
 * file that says for this address and listener how it ended, and nothing else.
 */
struct limits_plus_mark {
	int fd; /* the caller closes it; -1: none is to be had, or none is needed */
	uint64_t who;
};
struct limits_plus_mark limits_plus_mark_open(
    struct limits *l, struct span address, struct span listener, int64_t now_s);
void limits_plus_mark_given_up(const struct limits_plus_mark *m, int64_t now_s);
void limits_plus_mark_used(const struct limits_plus_mark *m, int64_t now_s);
#endif
