#ifndef POSTERN_ACCOUNT_CREDENTIALS_H
#define POSTERN_ACCOUNT_CREDENTIALS_H
/*
 * Who may log in: accounts/NAME/credentials.tdb (verifiers, TLS keys, app passwords) and the global
 * keys/keys.tdb (fingerprint → account). A key logs in only if both have it: `add` writes the
 * account first, `rm` the global table first. keys/secret: 32 random bytes for fake salts.
 *
 * States a crash can leave: a key in the account only (add cut short, or rm cut short): it does not
 * log in; the same verb again, or `postern check`, mends it.
 */
#include "base/arena.h"
#include "sasl/server.h"

enum { SCRAM_ITERATIONS_DEFAULT = 16384, SALT_BYTES = 16, KEYS_SECRET_BYTES = 32 };

enum preauth { PREAUTH_YES, PREAUTH_NO, PREAUTH_TOLERANT };
enum scope { SCOPE_IMAP = 1, SCOPE_SUBMISSION = 2, SCOPE_BOTH = 3 };
struct tls_key {
	struct span fingerprint, type, name, account, address;
	enum preauth preauth;
	unsigned scope;
	bool allow_tls12;
	int64_t expires; /* seconds since 1970; 0: never */
	int64_t created;
	struct span spki; /* DER */
};

/* A password of an account, without its verifiers. */
struct password {
	struct span name; /* "": the account's own; else an app password */
	unsigned scope;
	int64_t expires; /* seconds since 1970; 0: never */
	int64_t created;
	uint64_t version; /* another one whenever this password is set: live sessions compare */
	bool cram_md5;	  /* with what CRAM-MD5 needs, an equivalent of the password there */
};
enum { PASSWORD_NAME_MAX_BYTES = 64, PASSWORDS_MAX = 100, KEYS_MAX = 1000 };

/*
 * One account's. Open it once per process at a time (db/db.h), so close it before login.h's
 * functions are called for the same account.
 */
struct credentials;
/* account_dirfd: accounts/NAME/. -ENOENT: never made (create_or_change makes it). */
must_use int credentials_open(int account_dirfd, bool create_or_change, struct credentials **ret);
void credentials_close(struct credentials *c);

/*
 * Sets the account's password (already OpaqueString), for SHA-1, SHA-256 and SHA-512. Salt and
 * count are kept while the account has other passwords, unless rehash, which removes those
 * (credentials_each_password() names them before). iterations 0: SCRAM_ITERATIONS_DEFAULT.
 */
must_use int credentials_set_password(
    struct credentials *c, struct span password, uint32_t iterations, bool rehash);
/* The same for any password; p->version is not looked at. -E2BIG: PASSWORDS_MAX; -EINVAL: name. */
must_use int credentials_put_password(struct credentials *c, const struct password *p,
    struct span password, uint32_t iterations, bool rehash);
must_use int credentials_remove_password(struct credentials *c, struct span name); /* -ENOENT */
must_use int credentials_get_password(
    struct credentials *c, struct span name, struct arena *a, struct password *ret); /* -ENOENT */
must_use int credentials_each_password(
    struct credentials *c, int (*fn)(const struct password *p, void *context), void *context);
/*
 * For one hash: salt, count and all verifiers (main and app passwords); account and address stay
 * unset. HASH_MD5: CRAM-MD5's, stored_key is cram_md5_key(). -ENOENT: none at all.
 */
must_use int credentials_verifiers(
    struct credentials *c, enum hash h, struct arena *a, struct sasl_credentials *ret);

/* Sets the record of key->fingerprint, new or not. -E2BIG: KEYS_MAX. */
must_use int credentials_put_key(struct credentials *c, const struct tls_key *key);
must_use int credentials_get_key(
    struct credentials *c, struct span fingerprint, struct arena *a, struct tls_key *ret);
must_use int credentials_remove_key(struct credentials *c, struct span fingerprint);
must_use int credentials_each_key(
    struct credentials *c, int (*fn)(const struct tls_key *key, void *context), void *context);

/* The global table. keys_dirfd: keys/. */
struct keys;
must_use int keys_open(int keys_dirfd, bool create_or_change, struct keys **ret);
void keys_close(struct keys *k);
must_use int keys_find(
    struct keys *k, struct span fingerprint, struct arena *a, struct span *ret_account);
/* -EEXIST: it is another account's; 0 when it is this one's already. */
must_use int keys_add(struct keys *k, struct span fingerprint, struct span account);
must_use int keys_remove(struct keys *k, struct span fingerprint);
/* keys/secret: the secret, and the iteration count of this installation (of unknown users too). */
must_use int keys_secret(int keys_dirfd, uint8_t ret[KEYS_SECRET_BYTES], uint32_t *ret_iterations);
/* Makes keys/secret if missing; with a count other than 0 sets it, keeping the secret. */
must_use int keys_secret_make(int keys_dirfd, uint32_t iterations);
/*
 * keys/nobody/credentials.tdb: a password that nobody knows, of no account. Whoever looks up an
 * unknown user reads it instead of an account's, so that time does not tell who exists. -ENOENT:
 * not made yet.
 */
must_use int keys_nobody_make(int keys_dirfd); /* if missing */
must_use int keys_nobody_open(int keys_dirfd, struct credentials **ret);
/* HMAC of the secret and the canonical name, cut to SALT_BYTES: the same at each attempt. */
void keys_fake_salt(
    const uint8_t secret[KEYS_SECRET_BYTES], struct span name, uint8_t ret[SALT_BYTES]);

/* Touches accounts/NAME/changes: live sessions look their credential up again. */
must_use int account_notify(int account_dirfd);
#endif
