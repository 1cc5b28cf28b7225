#include "conf/config.h"

#include "base/codec.h"
#include "conf/address.h"
#include "conf/record.h"
#include "db/db.h"

struct config {
	struct db *db;
	struct str value; /* of the last look-up */
};

struct names {
	struct arena *arena;
	struct span *items;
	size_t count, allocated;
};

static int add_name(struct span key, struct span value, void *context);
static int check_format(struct config *c);
static int fetch(struct config *c, char kind, struct span name, struct arena *a, struct span *ret);
static int find_owner(struct config *c, struct span local, struct span domain, struct arena *a,
    struct config_owner *ret);
static int split(struct config *c, struct span address, struct arena *a, struct str *local,
    struct config_domain *ret_domain);
static int find_fallback(struct config *c, const struct config_domain *domain, struct span local,
    struct arena *a, struct config_owner *ret);
static int find_in_domain(struct config *c, const struct config_domain *domain, struct span local,
    struct arena *a, struct config_owner *ret);

int config_open(int config_dirfd, struct config **ret)
{
	struct config *c = xcalloc(1, sizeof(*c));
	str_init(&c->value, CONFIG_RECORD_MAX_BYTES);
	int rc = db_open(config_dirfd, "config.tdb", DB_DURABLE, DB_READ_ONLY, 0, &c->db);
	if (rc == 0)
		rc = check_format(c);
	if (rc < 0) {
		config_close(c);
		return rc;
	}
	*ret = c;
	return 0;
}

void config_close(struct config *c)
{
	if (!c)
		return;
	db_close(c->db);
	str_clear(&c->value);
	free(c);
}

int config_global(struct config *c, struct arena *a, struct config_global *ret)
{
	struct span record = SPAN_NONE;
	int rc = fetch(c, 'G', SPAN(""), a, &record);
	return rc < 0 ? rc : record_read_global(record, a, ret);
}

int config_account(struct config *c, struct span name, struct arena *a, struct config_account *ret)
{
	struct span record = SPAN_NONE;
	int rc = fetch(c, 'A', name, a, &record);
	return rc < 0 ? rc : record_read_account(record, a, ret);
}

int config_account_names(
    struct config *c, struct arena *a, const struct span **ret, size_t *ret_count)
{
	struct names names = {.arena = a};
	int rc = db_each(c->db, add_name, &names);
	if (rc < 0)
		return rc;
	if (names.count > 0)
		qsort(names.items, names.count, sizeof(*names.items), span_compare_elements);
	*ret = names.items;
	*ret_count = names.count;
	return 0;
}

static int add_name(struct span key, struct span value, void *context)
{
	(void)value;
	struct names *n = context;
	if (!span_starts_with(key, SPAN("A")))
		return 0;
	ARENA_ROOM(n->arena, n->items, n->count, n->allocated);
	n->items[n->count++] = arena_span(n->arena, span_from(key, 1));
	return 0;
}

int config_domain(struct config *c, struct span name, struct arena *a, struct config_domain *ret)
{
	struct span record = SPAN_NONE;
	int rc = fetch(c, 'D', name, a, &record);
	return rc < 0 ? rc : record_read_domain(record, a, ret);
}

int config_transport(
    struct config *c, struct span name, struct arena *a, struct config_transport *ret)
{
	struct span record = SPAN_NONE;
	int rc = fetch(c, 'T', name, a, &record);
	return rc < 0 ? rc : record_read_transport(record, a, ret);
}

int config_global_routes(struct config *c, struct arena *a, struct route_list *ret)
{
	struct span record = SPAN_NONE;
	int rc = fetch(c, 'R', SPAN(""), a, &record);
	return rc < 0 ? rc : record_read_routes(record, a, ret);
}

int config_find_address(struct config *c, struct span address, struct arena *a,
    struct span *ret_account, struct span *ret_canonical, bool *ret_local)
{
	struct str local cleanup(str_clear) = STR_INIT(ADDRESS_LOCAL_MAX_BYTES);
	struct config_domain domain;
	int rc = split(c, address, a, &local, &domain);
	if (ret_local && (rc == 0 || rc == -ENOENT))
		*ret_local = rc == 0;
	if (rc < 0)
		return rc;
	struct config_owner owner;
	rc = find_in_domain(c, &domain, str_span(&local), a, &owner);
	if (rc == -ENOENT)
		rc = find_fallback(c, &domain, str_span(&local), a, &owner);
	if (rc == 0) {
		*ret_account = owner.account;
		*ret_canonical = owner.canonical;
	}
	return rc;
}

int config_find_user(struct config *c, struct span user, struct arena *a, struct span *ret_account,
    struct span *ret_canonical)
{
	struct str local cleanup(str_clear) = STR_INIT(ADDRESS_LOCAL_MAX_BYTES);
	struct config_domain domain;
	struct config_owner owner;
	int rc = split(c, user, a, &local, &domain);
	if (rc == 0)
		rc = find_in_domain(c, &domain, str_span(&local), a, &owner);
	if (rc == 0) {
		*ret_account = owner.account;
		*ret_canonical = owner.canonical;
	}
	return rc;
}

/* -ENOENT: not a domain of ours. */
static int split(struct config *c, struct span address, struct arena *a, struct str *local,
    struct config_domain *ret_domain)
{
	struct str domain_name cleanup(str_clear) = STR_INIT(ADDRESS_DOMAIN_MAX_BYTES);
	int rc = address_split(address, local, &domain_name);
	return rc < 0 ? rc : config_domain(c, str_span(&domain_name), a, ret_domain);
}

/* The address as it stands, then without "+tag". */
static int find_in_domain(struct config *c, const struct config_domain *domain, struct span local,
    struct arena *a, struct config_owner *ret)
{
	struct str folded cleanup(str_clear) = STR_INIT(ADDRESS_LOCAL_MAX_BYTES);
	if (address_fold_local(local, domain->case_sensitive, &folded) < 0)
		return -EINVAL;
	struct span whole = str_span(&folded), base = address_without_tag(whole);
	int rc = find_owner(c, whole, domain->name, a, ret);
	if (rc == -ENOENT && base.n < whole.n)
		rc = find_owner(c, base, domain->name, a, ret);
	return rc;
}

/* The catch-all, then the postmaster. */
static int find_fallback(struct config *c, const struct config_domain *domain, struct span local,
    struct arena *a, struct config_owner *ret)
{
	struct config_owner other = {.account = domain->catch_all};
	if (other.account.n == 0 &&
	    span_equal_nocase(address_without_tag(local), SPAN("postmaster"))) {
		/* RFC 5321 §4.5.1: every domain has a postmaster. */
		struct config_global global;
		int rc = config_global(c, a, &global);
		if (rc < 0)
			return rc;
		other.account = global.postmaster;
	}
	if (other.account.n == 0)
		return -ENOENT;
	other.canonical = arena_format(a, "%.*s@%.*s", SPAN_ARG(local), SPAN_ARG(domain->name));
	*ret = other;
	return 0;
}

static int find_owner(struct config *c, struct span local, struct span domain, struct arena *a,
    struct config_owner *ret)
{
	struct str name cleanup(str_clear) = STR_INIT(ADDRESS_MAX_BYTES);
	str_append(&name, local);
	str_append_char(&name, '@');
	str_append(&name, domain);
	struct span record = SPAN_NONE;
	int rc = str_error(&name);
	if (rc == 0)
		rc = fetch(c, '@', str_span(&name), a, &record);
	return rc < 0 ? rc : record_read_owner(record, ret);
}

static int check_format(struct config *c)
{
	int rc = db_get(c->db, SPAN("V"), &c->value);
	if (rc < 0)
		return rc == -ENOENT ? -EUCLEAN : rc;
	struct reader r = reader_of(str_span(&c->value));
	return get_u32(&r) == CONFIG_FORMAT && reader_end(&r) == 0 ? 0 : -EUCLEAN;
}

/* The record, copied into the arena. */
static int fetch(struct config *c, char kind, struct span name, struct arena *a, struct span *ret)
{
	struct str key cleanup(str_clear) = STR_INIT(CONFIG_KEY_MAX_BYTES);
	str_append_char(&key, kind);
	str_append(&key, name);
	if (key.failed)
		return -ENOENT;
	int rc = db_get(c->db, str_span(&key), &c->value);
	if (rc == 0)
		*ret = arena_span(a, str_span(&c->value));
	return rc;
}
