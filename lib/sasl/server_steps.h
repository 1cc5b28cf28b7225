#ifndef POSTERN_SASL_SERVER_STEPS_H
#define POSTERN_SASL_SERVER_STEPS_H
/* The server object, for the files of the mechanism families alone. */
#include "sasl/server.h"

struct scram_server; /* server_scram.c */

struct sasl_server {
	enum sasl_mechanism mechanism;
	struct sasl_server_options options; /* spans point into the arena */
	struct sasl_result result;
	struct arena arena; /* the exchange, and what the look-up found */
	struct sasl_credentials credentials;
	struct span login_username; /* LOGIN: set when the password is awaited */
	struct span cram_challenge; /* CRAM-MD5: set when it was sent */
	struct scram_server *scram;
	bool asked; /* an empty challenge was sent for want of an initial response */
	bool spent; /* an outcome other than SASL_CONTINUE was given */
};

/* server_external.c, server_plain.c, server_cram_md5.c, server_scram.c */
enum sasl_outcome sasl_external_step(
    struct sasl_server *s, struct span response, struct str *challenge);
enum sasl_outcome sasl_plain_step(struct sasl_server *s, struct span response);
enum sasl_outcome sasl_login_step(
    struct sasl_server *s, struct span response, struct str *challenge);
enum sasl_outcome sasl_cram_md5_step(
    struct sasl_server *s, struct span response, struct str *challenge);
enum sasl_outcome sasl_scram_step(
    struct sasl_server *s, struct span response, struct str *challenge);
void sasl_scram_wipe(struct sasl_server *s);
enum sasl_outcome sasl_scram_abandoned(const struct sasl_server *s);

/* server.c */
/* Fills s->credentials. SASL_CONTINUE: go on, also for unknown users; else the outcome. */
enum sasl_outcome sasl_find_credentials(struct sasl_server *s, struct span authcid, enum hash h);
/*
 * The end of a password's exchange: `proven` is the verifier that fits, or NULL. May it be told, is
 * it somebody's, and may they act as authzid (empty: as themselves)?
 */
enum sasl_outcome sasl_conclude(
    struct sasl_server *s, const struct sasl_verifier *proven, struct span authzid);
enum sasl_outcome sasl_act_as(struct sasl_server *s, struct span account, struct span authzid);
#endif
