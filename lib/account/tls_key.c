/* TLS keys in credentials.tdb: "key:FINGERPRINT" → the fields of struct tls_key after a format. */
#include "account/credentials.h"

#include "account/credentials_db.h"
#include "base/codec.h"

enum { KEY_FORMAT = 1, RECORD_KEY_MAX_BYTES = 64 };
#define KEY_PREFIX SPAN("key:")

struct each_key {
	int (*fn)(const struct tls_key *key, void *context);
	void *context;
};

static int record_key(struct span fingerprint, struct str *ret);
static int count_keys(const struct tls_key *key, void *context);
static int each_record(struct span key, struct span value, void *context);
static void write_key(const struct tls_key *key, struct str *out);
static int parse_key(struct span record, struct tls_key *ret);

int credentials_put_key(struct credentials *c, const struct tls_key *key)
{
	struct str name cleanup(str_clear) = STR_INIT(RECORD_KEY_MAX_BYTES);
	struct str record cleanup(str_clear) = STR_INIT(CREDENTIALS_RECORD_MAX_BYTES);
	write_key(key, &record);
	int rc = str_error(&record);
	if (rc == 0)
		rc = record_key(key->fingerprint, &name);
	if (rc == 0)
		rc = db_begin(c->db);
	if (rc < 0)
		return rc;
	size_t count = 0;
	if (!db_has(c->db, str_span(&name)))
		rc = credentials_each_key(c, count_keys, &count);
	if (rc == 0 && count >= KEYS_MAX)
		rc = -E2BIG;
	if (rc == 0)
		rc = db_put(c->db, str_span(&name), str_span(&record));
	if (rc == 0)
		return db_commit(c->db);
	db_cancel(c->db);
	return rc;
}

static int count_keys(const struct tls_key *key, void *context)
{
	(void)key;
	size_t *count = context;
	(*count)++;
	return 0;
}

int credentials_get_key(
    struct credentials *c, struct span fingerprint, struct arena *a, struct tls_key *ret)
{
	struct str name cleanup(str_clear) = STR_INIT(RECORD_KEY_MAX_BYTES);
	struct str record cleanup(str_clear) = STR_INIT(CREDENTIALS_RECORD_MAX_BYTES);
	int rc = record_key(fingerprint, &name);
	if (rc == 0)
		rc = db_get(c->db, str_span(&name), &record);
	if (rc < 0)
		return rc;
	struct tls_key key;
	rc = parse_key(arena_span(a, str_span(&record)), &key);
	if (rc < 0)
		return rc;
	key.fingerprint = arena_span(a, fingerprint);
	*ret = key;
	return 0;
}

int credentials_remove_key(struct credentials *c, struct span fingerprint)
{
	struct str name cleanup(str_clear) = STR_INIT(RECORD_KEY_MAX_BYTES);
	int rc = record_key(fingerprint, &name);
	if (rc == 0)
		rc = db_begin(c->db);
	if (rc < 0)
		return rc;
	rc = db_delete(c->db, str_span(&name));
	if (rc == 0)
		return db_commit(c->db);
	db_cancel(c->db);
	return rc;
}

int credentials_each_key(
    struct credentials *c, int (*fn)(const struct tls_key *key, void *context), void *context)
{
	struct each_key each = {fn, context};
	return db_each(c->db, each_record, &each);
}

static int each_record(struct span key, struct span value, void *context)
{
	const struct each_key *each = context;
	if (!span_starts_with(key, KEY_PREFIX))
		return 0;
	struct tls_key parsed;
	int rc = parse_key(value, &parsed);
	if (rc < 0)
		return rc;
	parsed.fingerprint = span_from(key, KEY_PREFIX.n);
	return each->fn(&parsed, each->context);
}

/* -EINVAL: not a fingerprint. */
static int record_key(struct span fingerprint, struct str *ret)
{
	if (fingerprint.n != FINGERPRINT_CHARS)
		return -EINVAL;
	str_append(ret, KEY_PREFIX);
	str_append(ret, fingerprint);
	return str_error(ret);
}

static void write_key(const struct tls_key *key, struct str *out)
{
	put_u8(out, KEY_FORMAT);
	put_span(out, key->type);
	put_span(out, key->name);
	put_span(out, key->account);
	put_span(out, key->address);
	put_u8(out, (uint8_t)key->preauth);
	put_u32(out, key->scope);
	put_u8(out, key->allow_tls12);
	put_u64(out, (uint64_t)key->expires);
	put_u64(out, (uint64_t)key->created);
	put_span(out, key->spki);
}

/* Borrows the record; the fingerprint is the caller's to fill in. */
static int parse_key(struct span record, struct tls_key *ret)
{
	struct reader r = reader_of(record);
	uint8_t format = get_u8(&r);
	*ret = (struct tls_key){.type = get_span(&r)};
	ret->name = get_span(&r);
	ret->account = get_span(&r);
	ret->address = get_span(&r);
	uint8_t preauth = get_u8(&r);
	ret->preauth = (enum preauth)preauth;
	ret->scope = get_u32(&r);
	ret->allow_tls12 = get_u8(&r) != 0;
	ret->expires = (int64_t)get_u64(&r);
	ret->created = (int64_t)get_u64(&r);
	ret->spki = get_span(&r);
	if (format != KEY_FORMAT || preauth > PREAUTH_TOLERANT)
		return -EBADMSG;
	return reader_end(&r);
}
