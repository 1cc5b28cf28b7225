#ifndef POSTERN_CONF_RECORD_H
#define POSTERN_CONF_RECORD_H
/*
 * The records of config.tdb, as bytes. Keys: one letter for the kind, then the name:
 *   V            u32 format version        G            global settings
 *   A<name>      account                   R            global routes
 *   D<domain>    domain (A-labels)         T<name>      transport
 *   @<address>   the account that owns it (local part as compared, "@", A-labels), and the
 *                configured spelling
 *   S<name>      digest of what an account's sessions depend on: apply compares it
 * Readers are bounds-checked (-EBADMSG); what they yield borrows `record` and the arena.
 */
#include "base/str.h"
#include "conf/config.h"

enum { CONFIG_FORMAT = 2, CONFIG_KEY_MAX_BYTES = 1100, CONFIG_RECORD_MAX_BYTES = 1 << 20 };

void record_write_global(const struct config_global *g, struct str *out);
must_use int record_read_global(struct span record, struct arena *a, struct config_global *ret);
void record_write_account(const struct config_account *account, struct str *out);
must_use int record_read_account(struct span record, struct arena *a, struct config_account *ret);
void record_write_domain(const struct config_domain *d, struct str *out);
must_use int record_read_domain(struct span record, struct arena *a, struct config_domain *ret);
void record_write_transport(const struct config_transport *t, struct str *out);
must_use int record_read_transport(
    struct span record, struct arena *a, struct config_transport *ret);
void record_write_routes(const struct route_list *list, struct str *out);
must_use int record_read_routes(struct span record, struct arena *a, struct route_list *ret);

struct config_owner {
	struct span account, canonical;
};
void record_write_owner(const struct config_owner *o, struct str *out);
must_use int record_read_owner(struct span record, struct config_owner *ret);
#endif
