#include "route/route.h"

static bool any_matches(const struct span *entries, size_t count, struct span domain);

const struct route *route_choose(const struct route_list *account, const struct route_list *domain,
    const struct route_list *global, struct span from_domain, struct span to_domain,
    uint32_t attempts)
{
	const struct route_list *order[] = {account, domain, global};
	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		const struct route *r = route_match(order[i], from_domain, to_domain, attempts);
		if (r)
			return r;
	}
	return NULL;
}

const struct route *route_match(const struct route_list *list, struct span from_domain,
    struct span to_domain, uint32_t attempts)
{
	for (size_t i = 0; list && i < list->count; i++) {
		const struct route *r = &list->routes[i];
		if (attempts >= r->minimum_attempts &&
		    any_matches(r->from_domains, r->from_count, from_domain) &&
		    any_matches(r->to_domains, r->to_count, to_domain))
			return r;
	}
	return NULL;
}

bool route_domain_matches(struct span entry, struct span domain)
{
	if (entry.n == 0 || entry.p[0] != '.')
		return span_equal_nocase(entry, domain);
	struct span itself = span_from(entry, 1);
	if (domain.n == itself.n)
		return span_equal_nocase(itself, domain);
	return domain.n > entry.n &&
	       span_equal_nocase(entry, span_from(domain, domain.n - entry.n));
}

/* An empty list puts no condition. */
static bool any_matches(const struct span *entries, size_t count, struct span domain)
{
	for (size_t i = 0; i < count; i++) {
		if (route_domain_matches(entries[i], domain))
			return true;
	}
	return count == 0;
}
