#ifndef POSTERN_SASL_CLIENT_H
#define POSTERN_SASL_CLIENT_H
/* SASL, client side (RFC 4422), and the chooser. */
#include "sasl/server.h"

/* RFC 7677 §4 asks for at least so many; more would let a server keep us busy for minutes. */
enum { SASL_CLIENT_ITERATIONS_MIN = 4096, SASL_CLIENT_ITERATIONS_MAX = 10000000 };
/* What a client sends is never longer: the maximum for the caller's response. */
enum { SASL_RESPONSE_MAX_BYTES = 3 * SASL_MESSAGE_MAX_BYTES };
/* All but those that show the server the password: what queue-runner allows when told nothing. */
#define SASL_WITHOUT_CLEAR_PASSWORD \
	(((1u << SASL_MECHANISM_COUNT) - 1) & ~(1u << SASL_PLAIN | 1u << SASL_LOGIN))

struct sasl_client_options {
	struct span username, password; /* password unset: none */
	bool has_client_key;
	bool tls, tls_verified;
	struct sasl_binding binding;
	unsigned offered;	 /* what the server announced */
	bool offered_other_plus; /* and some name in -PLUS that is not one of ours */
	/*
	 * What the configuration allows; 0: all. PLAIN and LOGIN go out under verified TLS only,
	 * unless nothing else is allowed: then the configuration is taken at its word.
	 */
	unsigned allowed;
	struct span nonce_for_tests;
};
/*
 * The strongest that is offered, allowed and possible here: EXTERNAL needs a client key, the others
 * a password, -PLUS needs TLS and something to bind to. -ENOENT: none (the caller says what was
 * offered); there is no falling back to something that was not allowed.
 */
must_use int sasl_choose(const struct sasl_client_options *o, enum sasl_mechanism *ret);

struct sasl_client;
/* Copies the options. */
struct sasl_client *sasl_client_new(enum sasl_mechanism m, const struct sasl_client_options *o);
void sasl_client_free(struct sasl_client *c); /* NULL is fine; wipes secrets */
/*
 * True when the first message can go with the command; it is then what the first step yields. When
 * it does not go with the command, the first step answers the server's empty challenge.
 */
bool sasl_client_has_initial(const struct sasl_client *c);
/*
 * 0 with *response (reset first) to send, which may be empty; -EPROTO: the server misbehaves
 * (malformed, too few or too many iterations, wrong server signature, "e=…"): *ret_error (reset
 * first) says how, and the caller sends "*".
 */
must_use int sasl_client_step(
    struct sasl_client *c, struct span challenge, struct str *response, struct str *ret_error);
/* True when the mechanism is satisfied: a success reply before that is an error (RFC 5802 §5). */
bool sasl_client_is_done(const struct sasl_client *c);
#endif
