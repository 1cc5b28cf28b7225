#ifndef POSTERN_ROUTE_ROUTE_H
#define POSTERN_ROUTE_ROUTE_H
/* Routes: which transport a recipient takes at an attempt. Pure. */
#include "base/arena.h"

struct route {
	const struct span *from_domains,
	    *to_domains; /* "example.org" or ".example.org"; empty list: any */
	size_t from_count, to_count;
	uint32_t minimum_attempts; /* attempts already made */
	struct span transport;	   /* "": direct */
	struct span where;	   /* "file:line", for explain and records */
};
struct route_list {
	const struct route *routes;
	size_t count;
};
/* Exact A-label domain, or ".example.org": that domain and all below. */
bool route_domain_matches(struct span entry, struct span domain);
/* First match of the list, or NULL. */
const struct route *route_match(const struct route_list *list, struct span from_domain,
    struct span to_domain, uint32_t attempts);
/* In the order account → domain → global; NULL: direct. */
const struct route *route_choose(const struct route_list *account, const struct route_list *domain,
    const struct route_list *global, struct span from_domain, struct span to_domain,
    uint32_t attempts);
#endif
