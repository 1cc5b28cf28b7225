#ifndef POSTERN_CONF_DRAFT_H
#define POSTERN_CONF_DRAFT_H
/*
 * The whole configuration as it is meant, from the parsed tree: what compile.h writes. draft_make()
 * understands each section; draft_check() compares them with each other and with the files that
 * they name. Everything wrong is in the report.
 */
#include "conf/config.h"
#include "conf/parse.h"

struct draft_routes {
	struct route_list list;
	const struct config_place *places;	     /* of each route */
	const struct config_place *transport_places; /* of each route's transport */
};
struct draft_account {
	struct config_account account;
	struct config_place place, addresses_place, disabled_text_place;
	const struct span *compared; /* of each address: its local part as compared, "@", domain */
	struct draft_routes routes;
};
struct draft_domain {
	struct config_domain domain;
	struct config_place place, catch_all_place;
	struct draft_routes routes;
};
struct draft_transport {
	struct config_transport transport;
	struct config_place place;
	struct config_place password_place, client_key_place, ca_place;
	bool used;
};
struct config_draft {
	struct config_global global;
	struct config_place place; /* postern.conf */
	struct config_place postmaster_place;
	const struct config_place *certificate_places;
	struct draft_routes routes;
	struct draft_account *accounts;
	struct draft_domain *domains; /* sorted by name */
	struct draft_transport *transports;
	size_t account_count, domain_count, transport_count;
};
/* etc: absolute folder of postern.conf. Everything lives in the arena. */
void draft_make(const struct config_section *root, const char *etc, struct arena *a,
    struct config_report *report, struct config_draft *ret);
void draft_check(struct config_draft *d, struct config_report *report);
/* By A-labels; NULL: not one of ours. */
const struct draft_domain *draft_find_domain(const struct config_draft *d, struct span name);
#endif
