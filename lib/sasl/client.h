#ifndef POSTERN_SASL_CLIENT_H
#define POSTERN_SASL_CLIENT_H
/* SASL, client side, and the chooser (spec 3 §3.4). */
#include "sasl/server.h"

struct sasl_client_options {
	struct span username, password; /* password unset: none */
	bool has_client_key;
	bool tls, tls_verified;
	struct sasl_binding binding;
	unsigned offered; /* what the server announced */
	unsigned allowed; /* what the configuration allows; 0: the default list */
	struct span nonce_for_tests;
};
/* -ENOENT: nothing in common (the caller says what was offered). */
must_use int sasl_choose(const struct sasl_client_options *o, enum sasl_mechanism *ret);

struct sasl_client;
struct sasl_client *sasl_client_new(enum sasl_mechanism m, const struct sasl_client_options *o);
void sasl_client_free(struct sasl_client *c);
/* True when the first message can go with the command; it is then what the first step yields. */
bool sasl_client_has_initial(const struct sasl_client *c);
/*
 * 0 with *response to send (may be empty); -EPROTO: the server misbehaves (malformed, too few or too
 * many iterations, wrong server signature): *ret_error says how, and the caller sends "*".
 */
must_use int sasl_client_step(
    struct sasl_client *c, struct span challenge, struct str *response, struct str *ret_error);
/* True when the mechanism is satisfied: a success reply before that is an error (RFC 5802 §5). */
bool sasl_client_is_done(const struct sasl_client *c);
#endif
