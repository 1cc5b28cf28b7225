#ifndef POSTERN_SASL_CLIENT_STEPS_H
#define POSTERN_SASL_CLIENT_STEPS_H
/* The client object, for client.c and client_scram.c alone. */
#include "sasl/client.h"

struct scram_client {
	const char *flag;		   /* "n", "y", "p=tls-exporter" … */
	struct span binding;		   /* channel-binding data, borrowed from the options */
	struct str first_bare, nonce;	   /* nonce: ours */
	uint8_t signature[HASH_MAX_BYTES]; /* what the server must prove */
};

struct sasl_client {
	enum sasl_mechanism mechanism;
	struct sasl_client_options options; /* spans are owned by `arena` … */
	struct str username, password;	    /* … but these: NFC, OpaqueString where it applies */
	struct arena arena;
	struct scram_client scram;
	unsigned step; /* messages yielded */
	bool done, failed;
};

/* client_scram.c */
void scram_client_init(struct sasl_client *c);
void scram_client_clear(struct sasl_client *c);
must_use int scram_client_step(
    struct sasl_client *c, struct span challenge, struct str *response, struct str *ret_error);
#endif
