#ifndef POSTERN_SASL_SERVER_H
#define POSTERN_SASL_SERVER_H
/*
 * SASL, server side (RFC 4422): challenge out, response in; knows neither gate nor session, neither
 * IMAP nor SMTP. What it must know about accounts it asks its caller through `lookup`.
 */
#include "base/arena.h"
#include "crypto/crypto.h"

enum sasl_mechanism { /* strongest first: the order in which they are announced and chosen */
	SASL_EXTERNAL,
	SASL_SCRAM_SHA_512_PLUS,
	SASL_SCRAM_SHA_512,
	SASL_SCRAM_SHA_256_PLUS,
	SASL_SCRAM_SHA_256,
	SASL_SCRAM_SHA_1_PLUS,
	SASL_SCRAM_SHA_1,
	SASL_CRAM_MD5,
	SASL_PLAIN,
	SASL_LOGIN,
	SASL_MECHANISM_COUNT
};
/* Decoded messages of the peer: longer ones are malformed. */
enum { SASL_MESSAGE_MAX_BYTES = 8192 };
/* What we send is never longer: the maximum for the caller's challenge. */
enum { SASL_CHALLENGE_MAX_BYTES = 4096 };
/* Sets of mechanisms: 1u << SASL_… */
struct span sasl_name(enum sasl_mechanism m);
/* By name, letters of any case; SASL_MECHANISM_COUNT when there is none. */
enum sasl_mechanism sasl_by_name(struct span name);
bool sasl_is_plus(enum sasl_mechanism m);
#define SASL_ALL_PLUS                                                    \
	(1u << SASL_SCRAM_SHA_512_PLUS | 1u << SASL_SCRAM_SHA_256_PLUS | \
	    1u << SASL_SCRAM_SHA_1_PLUS)
bool sasl_is_scram(enum sasl_mechanism m);
enum hash sasl_hash(enum sasl_mechanism m); /* of a SCRAM mechanism */

/* What the connection can bind to (tls/tls.h); unset spans: not available. */
struct sasl_binding {
	bool tls;
	struct span exporter, unique, server_end_point;
};

/* One password of an account: verifier of one hash (RFC 5802 §3). */
struct sasl_verifier {
	struct span password_name; /* "" for the account's own, else the app password's name */
	uint64_t password_version; /* the lookup's own; comes back in the result */
	struct span stored_key, server_key;
};
struct sasl_credentials {
	struct span account; /* unset: nobody; everything fails at the proof */
	struct span address; /* the login address in canonical form, to act as */
	struct span salt;    /* for unknown users a deterministic fake one */
	uint32_t iterations;
	const struct sasl_verifier *verifiers;
	size_t verifier_count;
};
struct sasl_lookup {
	/*
	 * Credentials of the user (raw bytes of the client; normalising is the lookup's work) for
	 * one hash; HASH_MD5 is CRAM-MD5's: stored_key is cram_md5_key() of the password. 0 also
	 * for unknown users (fake salt, no verifiers); -EILSEQ name not UTF-8; other errors mean
	 * "our own failure". Results live in the arena, verifiers are wiped there.
	 */
	int (*credentials)(void *context, struct span user, enum hash h, struct arena *arena,
	    struct sasl_credentials *ret);
	/*
	 * EXTERNAL, and the authzid of any mechanism: may `account` act as this address (not
	 * empty)? 0 with the canonical address in the arena; -EACCES whether the address exists or
	 * not.
	 */
	int (*may_act_as)(void *context, struct span account, struct span address,
	    struct arena *arena, struct span *ret_address);
	/*
	 * A password was proven, or was not (nobody's never is): may the client be told? Asked once
	 * in an exchange, before a byte of the answer. Other than 0: SASL_UNAVAILABLE, whatever the
	 * verdict. NULL: always.
	 */
	int (*verdict)(void *context, bool good);
	void *context;
};

enum sasl_outcome {
	SASL_CONTINUE, /* send the challenge, read a response */
	SASL_OK,
	SASL_BAD_CREDENTIALS, /* also unknown users */
	SASL_BAD_BINDING,     /* channel binding or downgrade flag (RFC 5802 §6) */
	SASL_NO_KEY,	      /* EXTERNAL, and the connection has no known key */
	SASL_MALFORMED,	      /* syntax: BAD / 501 5.5.2 */
	SASL_UNAVAILABLE,     /* our own failure: NO [UNAVAILABLE] / 454 4.7.0 */
};
struct sasl_result {				     /* spans live as long as the server object */
	struct span account, address, password_name; /* after SASL_OK */
	uint64_t password_version;		     /* of what was proven */
	enum sasl_mechanism mechanism;
	/* After failures too, for log, limits and history: */
	struct span authcid;	   /* as the client wrote it */
	struct span named_account; /* whose password was tried; unset: unknown user */
	bool was_answered;	   /* the client has said something in this exchange */
	bool wrong_account;	   /* SASL_BAD_CREDENTIALS because the key is another account's */
};

struct sasl_server;
struct sasl_server_options {
	struct sasl_lookup lookup;
	struct sasl_binding binding;
	/*
	 * The proven key's; unset: none. An account without an address: the key lets nobody in, but
	 * other accounts' passwords do not count on top of it.
	 */
	struct span key_account, key_address;
	unsigned enabled;	     /* set of mechanisms of this listener: decides about "y" */
	struct span nonce_for_tests; /* unset: random */
};
/* What sasl_server_new() can serve: a set, all of them. */
#define SASL_SERVER_IMPLEMENTED ((1u << SASL_MECHANISM_COUNT) - 1)
/*
 * NULL when m is none of those; whether it may be offered here (TLS, configuration) is the caller's
 * decision. The options are copied; what `lookup.context` points to must outlive the object.
 */
struct sasl_server *sasl_server_new(enum sasl_mechanism m, const struct sasl_server_options *o);
void sasl_server_free(struct sasl_server *s); /* NULL is fine; wipes secrets */
/*
 * One step. `response` is decoded already; for the first step an unset span means that there was no
 * initial response. *challenge (reset first) is what to send when SASL_CONTINUE; a failing SCRAM
 * yields SASL_CONTINUE with "e=…" (RFC 5802 §7), then its failure at the next step whatever the
 * client says. A succeeding SCRAM yields "v=…" likewise, then SASL_OK for an empty response only.
 * After any other outcome than SASL_CONTINUE the object is spent: further steps are SASL_MALFORMED.
 */
enum sasl_outcome sasl_server_step(
    struct sasl_server *s, struct span response, struct str *challenge);
/*
 * What an exchange comes to whose client broke off, said nonsense or is gone: the failure that it
 * was told already (SCRAM's "e=…"), or SASL_MALFORMED.
 */
enum sasl_outcome sasl_server_abandoned(const struct sasl_server *s);
const struct sasl_result *sasl_server_result(const struct sasl_server *s);

/*
 * RFC 5802 §3: StoredKey and ServerKey, hash_bytes(h) each, of a password that passed
 * text_opaque_string().
 */
void scram_derive(enum hash h, struct span password, struct span salt, uint32_t iterations,
    uint8_t stored_key[HASH_MAX_BYTES], uint8_t server_key[HASH_MAX_BYTES]);
#endif
