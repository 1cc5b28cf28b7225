#include "route/route.h"
#include "tap.h"

static void test_domain_entries(void);
static void test_conditions(void);
static void test_minimum_attempts(void);
static void test_order(void);

int main(void)
{
	test_domain_entries();
	test_conditions();
	test_minimum_attempts();
	test_order();
	return tap_end();
}

static void test_domain_entries(void)
{
	static const struct {
		const char *entry, *domain;
		bool want;
	} table[] = {
	    {"example.org", "example.org", true},
	    {"example.org", "EXAMPLE.org", true},
	    {"example.org", "mail.example.org", false},
	    {"example.org", "example.or", false},
	    {"example.org", "", false},
	    {".example.org", "example.org", true},
	    {".example.org", "mail.example.org", true},
	    {".example.org", "a.b.Example.ORG", true},
	    {".example.org", "notexample.org", false},
	    {".example.org", "example.org.net", false},
	    {".example.org", "org", false},
	    {".example.org", ".example.org", false},
	    {"xn--bcher-kva.example", "xn--bcher-kva.example", true},
	    {".", "", true},
	    {"", "example.org", false},
	};
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		char label[100];
		snprintf(label, sizeof(label), "entry \"%s\", domain \"%s\"", table[i].entry,
		    table[i].domain);
		bool got =
		    route_domain_matches(span_cstr(table[i].entry), span_cstr(table[i].domain));
		check_named(got == table[i].want, label);
	}
}

static const struct span org[] = {{"example.org", 11}, {".example.net", 12}};
static const struct span com[] = {{"example.com", 11}};

static void test_conditions(void)
{
	static const struct route both = {
	    .from_domains = org, .from_count = 2, .to_domains = com, .to_count = 1};
	static const struct {
		const char *from, *to;
		bool want;
	} table[] = {
	    {"example.org", "example.com", true},
	    {"sub.example.net", "example.com", true},
	    {"example.org", "example.net", false},
	    {"example.com", "example.com", false},
	    {"", "example.com", false},
	};
	const struct route_list list = {&both, 1};
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		const struct route *got =
		    route_match(&list, span_cstr(table[i].from), span_cstr(table[i].to), 0);
		check_named((got == &both) == table[i].want, table[i].to);
	}
	static const struct route anything = {0};
	check(route_match(&(struct route_list){&anything, 1}, SPAN(""), SPAN("x"), 0) == &anything);
	check(route_match(&(struct route_list){NULL, 0}, SPAN("x"), SPAN("y"), 0) == NULL);
	check(route_match(NULL, SPAN("x"), SPAN("y"), 0) == NULL);
}

/* "minimum-attempts = 3": from the fourth attempt on, three being made already. */
static void test_minimum_attempts(void)
{
	static const struct route routes[] = {
	    {.minimum_attempts = 3, .transport = {"relay", 5}},
	    {.minimum_attempts = 1, .transport = {"other", 5}},
	};
	const struct route_list list = {routes, ARRAY_SIZE(routes)};
	check(route_match(&list, SPAN("a"), SPAN("b"), 0) == NULL);
	check(route_match(&list, SPAN("a"), SPAN("b"), 1) == &routes[1]);
	check(route_match(&list, SPAN("a"), SPAN("b"), 2) == &routes[1]);
	check(route_match(&list, SPAN("a"), SPAN("b"), 3) == &routes[0]);
	check(route_match(&list, SPAN("a"), SPAN("b"), UINT32_MAX) == &routes[0]);
}

static void test_order(void)
{
	static const struct route a = {.minimum_attempts = 2}, d = {.minimum_attempts = 1}, g = {0};
	const struct route_list account = {&a, 1}, domain = {&d, 1}, global = {&g, 1}, none = {0};
	const struct span x = SPAN("x");
	check(route_choose(&account, &domain, &global, x, x, 2) == &a);
	check(route_choose(&account, &domain, &global, x, x, 1) == &d);
	check(route_choose(&account, &domain, &global, x, x, 0) == &g);
	check(route_choose(&none, &domain, &global, x, x, 9) == &d);
	check(route_choose(&none, &none, &global, x, x, 9) == &g);
	check(route_choose(&account, &none, &none, x, x, 1) == NULL);
	check(route_choose(NULL, NULL, NULL, x, x, 1) == NULL);
}
