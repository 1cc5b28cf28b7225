/*
 * accounts/NAME/credentials.tdb:
 *
 *	passwords          u8 format, salt, u32 iterations, u32 count, and per password: name,
 *	                   u32 scope, u64 expires, u64 created, u64 version, u8 hashes, {u8 hash,
 *	                   StoredKey, ServerKey} each. One record, for every login with a password
 *	                   needs all of it. With hash MD5 StoredKey is CRAM-MD5's key, and
 *	                   ServerKey is empty.
 *	key:FINGERPRINT    a TLS key (tls_key.c)
 */
#include "account/credentials.h"

#include "account/credentials_db.h"
#include "base/codec.h"

enum { PASSWORDS_FORMAT = 1, EXPECTED_RECORDS = 31 };

static const enum hash password_hashes[] = {HASH_SHA1, HASH_SHA256, HASH_SHA512};
#define PASSWORDS_KEY SPAN("passwords")

/* The record, taken apart; everything borrows it or the arena. */
struct stored_password {
	struct password p;
	struct span stored_key[HASH_COUNT], server_key[HASH_COUNT]; /* unset: none of that hash */
};
struct passwords {
	struct span salt;
	uint32_t iterations;
	struct stored_password *each;
	size_t count;
};

static int read_passwords(struct credentials *c, struct arena *a, struct passwords *ret);
static int parse_passwords(struct span record, struct arena *a, struct passwords *ret);
static bool parse_password(struct reader *r, struct stored_password *ret);
static int write_passwords(struct credentials *c, const struct passwords *all);
static void write_password(const struct stored_password *s, struct str *out);
static int change_password(struct credentials *c, const struct password *p, struct span password,
    uint32_t iterations, bool rehash);
static struct stored_password *find_password(struct passwords *all, struct span name);
static void derive_password(
    struct stored_password *s, const struct passwords *all, struct span password, struct arena *a);

int credentials_open(int account_dirfd, bool create_or_change, struct credentials **ret)
{
	struct db *db;
	int rc = db_open(account_dirfd, "credentials.tdb", DB_DURABLE,
	    create_or_change ? DB_CREATE : DB_READ_ONLY, EXPECTED_RECORDS, &db);
	if (rc < 0)
		return rc;
	struct credentials *c = xcalloc(1, sizeof(*c));
	c->db = db;
	*ret = c;
	return 0;
}

void credentials_close(struct credentials *c)
{
	if (!c)
		return;
	db_close(c->db);
	free(c);
}

int credentials_set_password(
    struct credentials *c, struct span password, uint32_t iterations, bool rehash)
{
	struct password own = {.name = SPAN(""), .scope = SCOPE_BOTH, .created = wall_ms() / 1000};
	return credentials_put_password(c, &own, password, iterations, rehash);
}

int credentials_put_password(struct credentials *c, const struct password *p, struct span password,
    uint32_t iterations, bool rehash)
{
	if (p->name.n > PASSWORD_NAME_MAX_BYTES || password.n == 0 || !(p->scope & SCOPE_BOTH))
		return -EINVAL;
	int rc = db_begin(c->db);
	if (rc < 0)
		return rc;
	rc = change_password(c, p, password, iterations, rehash);
	if (rc == 0)
		return db_commit(c->db);
	db_cancel(c->db);
	return rc;
}

static int change_password(struct credentials *c, const struct password *p, struct span password,
    uint32_t iterations, bool rehash)
{
	struct arena arena cleanup(arena_clear_secret) = {0};
	struct passwords all = {0};
	int rc = read_passwords(c, &arena, &all);
	if (rc < 0 && rc != -ENOENT)
		return rc;
	struct stored_password *old = find_password(&all, p->name);
	if (rehash || all.count == 0 ||
	    (all.count == 1 && old)) { /* nobody else needs the old salt */
		uint8_t salt[SALT_BYTES];
		random_bytes(salt, sizeof(salt));
		all.salt = arena_span(&arena, span_of(salt, sizeof(salt)));
		all.iterations = iterations ? iterations : SCRAM_ITERATIONS_DEFAULT;
		all.count = 0;
		old = NULL;
	}
	if (!old && all.count >= PASSWORDS_MAX)
		return -E2BIG;
	struct stored_password *changed =
	    ARENA_ARRAY(&arena, struct stored_password, all.count + 1);
	if (all.count > 0)
		memcpy(changed, all.each, all.count * sizeof(*changed));
	size_t at = old ? (size_t)(old - all.each) : all.count++;
	all.each = changed;
	all.each[at] = (struct stored_password){.p = *p};
	random_bytes(&all.each[at].p.version, sizeof(all.each[at].p.version));
	derive_password(&all.each[at], &all, password, &arena);
	return write_passwords(c, &all);
}

static void derive_password(
    struct stored_password *s, const struct passwords *all, struct span password, struct arena *a)
{
	for (size_t i = 0; i < ARRAY_SIZE(password_hashes); i++) {
		enum hash h = password_hashes[i];
		uint8_t stored_key[HASH_MAX_BYTES], server_key[HASH_MAX_BYTES];
		scram_derive(h, password, all->salt, all->iterations, stored_key, server_key);
		s->stored_key[h] = arena_span(a, span_of(stored_key, hash_bytes(h)));
		s->server_key[h] = arena_span(a, span_of(server_key, hash_bytes(h)));
		explicit_bzero(stored_key, sizeof(stored_key));
		explicit_bzero(server_key, sizeof(server_key));
	}
	if (!s->p.cram_md5)
		return;
	uint8_t key[CRAM_MD5_KEY_BYTES];
	cram_md5_key(password, key);
	s->stored_key[HASH_MD5] = arena_span(a, span_of(key, sizeof(key)));
	explicit_bzero(key, sizeof(key));
}

int credentials_remove_password(struct credentials *c, struct span name)
{
	int rc = db_begin(c->db);
	if (rc < 0)
		return rc;
	struct arena arena cleanup(arena_clear_secret) = {0};
	struct passwords all = {0};
	rc = read_passwords(c, &arena, &all);
	struct stored_password *old = rc == 0 ? find_password(&all, name) : NULL;
	if (rc == 0 && !old)
		rc = -ENOENT;
	if (rc == 0) {
		*old = all.each[--all.count];
		rc = all.count > 0 ? write_passwords(c, &all) : db_delete(c->db, PASSWORDS_KEY);
	}
	if (rc == 0)
		return db_commit(c->db);
	db_cancel(c->db);
	return rc;
}

int credentials_get_password(
    struct credentials *c, struct span name, struct arena *a, struct password *ret)
{
	struct arena scratch cleanup(arena_clear_secret) = {0};
	struct passwords all = {0};
	int rc = read_passwords(c, &scratch, &all);
	if (rc < 0)
		return rc;
	const struct stored_password *found = find_password(&all, name);
	if (!found)
		return -ENOENT;
	*ret = found->p;
	ret->name = arena_span(a, found->p.name);
	return 0;
}

int credentials_each_password(
    struct credentials *c, int (*fn)(const struct password *p, void *context), void *context)
{
	struct arena arena cleanup(arena_clear_secret) = {0};
	struct passwords all = {0};
	int rc = read_passwords(c, &arena, &all);
	for (size_t i = 0; i < all.count && rc == 0; i++)
		rc = fn(&all.each[i].p, context);
	return rc == -ENOENT && all.count == 0 ? 0 : rc;
}

int credentials_verifiers(
    struct credentials *c, enum hash h, struct arena *a, struct sasl_credentials *ret)
{
	struct passwords all = {0};
	int rc = read_passwords(c, a, &all);
	if (rc < 0)
		return rc;
	struct sasl_verifier *verifiers = ARENA_ARRAY(a, struct sasl_verifier, all.count);
	size_t count = 0;
	size_t stored_bytes = h == HASH_MD5 ? CRAM_MD5_KEY_BYTES : hash_bytes(h);
	size_t server_bytes = h == HASH_MD5 ? 0 : hash_bytes(h);
	for (size_t i = 0; i < all.count; i++) {
		const struct stored_password *s = &all.each[i];
		if (s->stored_key[h].n == stored_bytes && s->server_key[h].n == server_bytes)
			verifiers[count++] = (struct sasl_verifier){
			    s->p.name, s->p.version, s->stored_key[h], s->server_key[h]};
	}
	if (count == 0)
		return -ENOENT;
	*ret = (struct sasl_credentials){.salt = all.salt,
	    .iterations = all.iterations,
	    .verifiers = verifiers,
	    .verifier_count = count};
	return 0;
}

static struct stored_password *find_password(struct passwords *all, struct span name)
{
	for (size_t i = 0; i < all->count; i++) {
		if (span_equal(all->each[i].p.name, name))
			return &all->each[i];
	}
	return NULL;
}

static int read_passwords(struct credentials *c, struct arena *a, struct passwords *ret)
{
	struct str record cleanup(str_clear_secret) = STR_INIT(CREDENTIALS_RECORD_MAX_BYTES);
	int rc = db_get(c->db, PASSWORDS_KEY, &record);
	if (rc < 0)
		return rc;
	return parse_passwords(arena_span(a, str_span(&record)), a, ret);
}

static int parse_passwords(struct span record, struct arena *a, struct passwords *ret)
{
	struct reader r = reader_of(record);
	uint8_t format = get_u8(&r);
	struct passwords all = {.salt = get_span(&r)};
	all.iterations = get_u32(&r);
	uint32_t count = get_u32(&r);
	if (r.failed || format != PASSWORDS_FORMAT || count > PASSWORDS_MAX || all.salt.n == 0 ||
	    all.iterations == 0)
		return -EBADMSG;
	all.each = ARENA_ARRAY(a, struct stored_password, count);
	for (all.count = 0; all.count < count; all.count++) {
		if (!parse_password(&r, &all.each[all.count]))
			return -EBADMSG;
	}
	int rc = reader_end(&r);
	if (rc == 0)
		*ret = all;
	return rc;
}

static bool parse_password(struct reader *r, struct stored_password *ret)
{
	ret->p.name = get_span(r);
	ret->p.scope = get_u32(r);
	ret->p.expires = (int64_t)get_u64(r);
	ret->p.created = (int64_t)get_u64(r);
	ret->p.version = get_u64(r);
	for (uint8_t left = get_u8(r); left > 0 && !r->failed; left--) {
		uint8_t h = get_u8(r);
		struct span stored_key = get_span(r), server_key = get_span(r);
		if (h < HASH_COUNT) {
			ret->stored_key[h] = stored_key;
			ret->server_key[h] = server_key;
		}
	}
	ret->p.cram_md5 = ret->stored_key[HASH_MD5].n > 0;
	return !r->failed;
}

static int write_passwords(struct credentials *c, const struct passwords *all)
{
	struct str record cleanup(str_clear_secret) = STR_INIT(CREDENTIALS_RECORD_MAX_BYTES);
	put_u8(&record, PASSWORDS_FORMAT);
	put_span(&record, all->salt);
	put_u32(&record, all->iterations);
	put_u32(&record, (uint32_t)all->count);
	for (size_t i = 0; i < all->count; i++)
		write_password(&all->each[i], &record);
	int rc = str_error(&record);
	return rc < 0 ? rc : db_put(c->db, PASSWORDS_KEY, str_span(&record));
}

static void write_password(const struct stored_password *s, struct str *out)
{
	put_span(out, s->p.name);
	put_u32(out, s->p.scope);
	put_u64(out, (uint64_t)s->p.expires);
	put_u64(out, (uint64_t)s->p.created);
	put_u64(out, s->p.version);
	uint8_t count = 0;
	for (int h = 0; h < HASH_COUNT; h++)
		count = (uint8_t)(count + (s->stored_key[h].n > 0));
	put_u8(out, count);
	for (int h = 0; h < HASH_COUNT; h++) {
		if (s->stored_key[h].n == 0)
			continue;
		put_u8(out, (uint8_t)h);
		put_span(out, s->stored_key[h]);
		put_span(out, s->server_key[h]);
	}
}
