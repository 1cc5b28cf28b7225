#ifndef POSTERN_SASL_SCRAM_H
#define POSTERN_SASL_SCRAM_H
/* What both sides of SCRAM share (RFC 5802, RFC 7677): keys, proofs and pieces of the grammar. */
#include "base/str.h"
#include "sasl/server.h"

/* RFC 5802 §3. Secrets: wipe them. */
struct scram_keys {
	uint8_t client_key[HASH_MAX_BYTES], stored_key[HASH_MAX_BYTES], server_key[HASH_MAX_BYTES];
};
void scram_keys(enum hash h, struct span password, struct span salt, uint32_t iterations,
    struct scram_keys *ret);

/* value of attr-val "X=value" at the front of *rest; moves behind its comma. */
bool scram_attribute(struct span *rest, char letter, struct span *ret_value);
/*
 * What stands behind the attributes that a message must have: extensions = attr-val *(","
 * attr-val), where attr-val = ALPHA "=" value. RFC 5802 §5.1: letters that it gives a meaning are
 * no extensions, and one with "m" must fail. `rest` is what scram_attribute() left of `message`;
 * empty: none.
 */
enum scram_extensions {
	SCRAM_EXTENSIONS_GOOD,
	SCRAM_EXTENSION_MANDATORY,
	SCRAM_EXTENSIONS_MALFORMED
};
enum scram_extensions scram_extensions(struct span rest, struct span message);
/* nonce and other printables: %x21-2B / %x2D-7E, at least one. */
bool scram_is_printable(struct span s);
/* saslname: "," and "=" as "=2C" and "=3D". */
void scram_escape(struct span name, struct str *out);
/* -EINVAL: "=" before anything else. */
must_use int scram_unescape(struct span saslname, struct str *out);
/* Channel-binding data of a cb-name, unset when not available here; *ret_known: a type we know. */
struct span scram_binding(const struct sasl_binding *b, struct span name, bool *ret_known);
#endif
