/*
 * keys/keys.tdb: fingerprint → account name. keys/secret: KEYS_SECRET_BYTES random bytes, then the
 * installation's iteration count as u32; replaced as a whole. keys/nobody/credentials.tdb: see
 * keys_nobody_open().
 */
#include "account/credentials.h"

#include "base/codec.h"
#include "conf/paths.h"
#include "db/db.h"
#include "io/file.h"

enum { STALE_S = 3600 }; /* no secret takes that long to write */
enum { EXPECTED_KEYS = 10000, SECRET_FILE_BYTES = KEYS_SECRET_BYTES + 4, ACCOUNT_NAME_BYTES = 64 };

struct keys {
	struct db *db;
};

static int add_to_table(struct keys *k, struct span fingerprint, struct span account);
static int make_secret(int keys_dirfd, uint32_t iterations);

int keys_open(int keys_dirfd, bool create_or_change, struct keys **ret)
{
	struct db *db;
	int rc = db_open(keys_dirfd, "keys.tdb", DB_DURABLE,
	    create_or_change ? DB_CREATE : DB_READ_ONLY, EXPECTED_KEYS, &db);
	if (rc < 0)
		return rc;
	struct keys *k = xcalloc(1, sizeof(*k));
	k->db = db;
	*ret = k;
	return 0;
}

void keys_close(struct keys *k)
{
	if (!k)
		return;
	db_close(k->db);
	free(k);
}

int keys_find(struct keys *k, struct span fingerprint, struct arena *a, struct span *ret_account)
{
	if (fingerprint.n != FINGERPRINT_CHARS)
		return -ENOENT;
	struct str account cleanup(str_clear) = STR_INIT(ACCOUNT_NAME_BYTES);
	int rc = db_get(k->db, fingerprint, &account);
	if (rc < 0)
		return rc;
	if (!account_name_is_valid(str_span(&account)))
		return -EBADMSG;
	*ret_account = arena_span(a, str_span(&account));
	return 0;
}

int keys_add(struct keys *k, struct span fingerprint, struct span account)
{
	if (fingerprint.n != FINGERPRINT_CHARS || !account_name_is_valid(account))
		return -EINVAL;
	int rc = db_begin(k->db);
	if (rc < 0)
		return rc;
	rc = add_to_table(k, fingerprint, account);
	if (rc == 0)
		return db_commit(k->db);
	db_cancel(k->db);
	return rc == -EALREADY ? 0 : rc;
}

static int add_to_table(struct keys *k, struct span fingerprint, struct span account)
{
	struct arena arena cleanup(arena_clear) = {0};
	struct span owner;
	int rc = keys_find(k, fingerprint, &arena, &owner);
	if (rc == 0)
		return span_equal(owner, account) ? -EALREADY : -EEXIST;
	return rc == -ENOENT ? db_put(k->db, fingerprint, account) : rc;
}

int keys_remove(struct keys *k, struct span fingerprint)
{
	int rc = db_begin(k->db);
	if (rc < 0)
		return rc;
	rc = db_delete(k->db, fingerprint);
	if (rc == 0)
		return db_commit(k->db);
	db_cancel(k->db);
	return rc;
}

int keys_secret(int keys_dirfd, uint8_t ret[KEYS_SECRET_BYTES], uint32_t *ret_iterations)
{
	struct str file cleanup(str_clear_secret) = STR_INIT(SECRET_FILE_BYTES);
	int rc = file_read(keys_dirfd, "secret", &file);
	if (rc < 0)
		return rc == -EFBIG ? -EBADMSG : rc;
	struct reader r = reader_of(str_span(&file));
	struct span secret = get_bytes(&r, KEYS_SECRET_BYTES);
	uint32_t iterations = get_u32(&r);
	rc = reader_end(&r);
	if (rc < 0 || iterations == 0)
		return -EBADMSG;
	memcpy(ret, secret.p, secret.n);
	*ret_iterations = iterations;
	return 0;
}

int keys_secret_make(int keys_dirfd, uint32_t iterations)
{
	int rc = file_remove_stale(keys_dirfd, STALE_S); /* of one that was killed */
	return rc < 0 ? rc : make_secret(keys_dirfd, iterations);
}

static int make_secret(int keys_dirfd, uint32_t iterations)
{
	uint8_t secret[KEYS_SECRET_BYTES];
	uint32_t count;
	int rc = keys_secret(keys_dirfd, secret, &count);
	/* Damaged: not overwritten, for a new secret would tell real users from invented ones. */
	if ((rc < 0 && rc != -ENOENT) || (rc == 0 && (iterations == 0 || iterations == count))) {
		explicit_bzero(secret, sizeof(secret));
		return rc;
	}
	if (rc == -ENOENT)
		random_bytes(secret, sizeof(secret));
	struct str file cleanup(str_clear_secret) = STR_INIT(SECRET_FILE_BYTES);
	str_append(&file, span_of(secret, sizeof(secret)));
	put_u32(&file, iterations ? iterations : SCRAM_ITERATIONS_DEFAULT);
	explicit_bzero(secret, sizeof(secret));
	return file_replace(keys_dirfd, "secret", str_span(&file), 0600);
}

int keys_nobody_make(int keys_dirfd)
{
	struct arena arena cleanup(arena_clear) = {0};
	int fd cleanup(close_fd) = -1;
	int rc = folder_make(keys_dirfd, "nobody", 0700, &fd);
	struct credentials *c = NULL;
	if (rc == 0)
		rc = credentials_open(fd, true, &c);
	if (rc < 0)
		return rc;
	struct password found;
	rc = credentials_get_password(c, SPAN(""), &arena, &found);
	if (rc == -ENOENT) {
		char password[KEYS_SECRET_BYTES + 1];
		random_name(password, KEYS_SECRET_BYTES);
		rc = credentials_set_password(c, span_cstr(password), 0, false);
		explicit_bzero(password, sizeof(password));
	}
	credentials_close(c);
	return rc;
}

int keys_nobody_open(int keys_dirfd, struct credentials **ret)
{
	int fd cleanup(close_fd) = -1;
	int rc = folder_open(keys_dirfd, "nobody", &fd);
	return rc < 0 ? rc : credentials_open(fd, false, ret);
}

void keys_fake_salt(
    const uint8_t secret[KEYS_SECRET_BYTES], struct span name, uint8_t ret[SALT_BYTES])
{
	uint8_t mac[HASH_MAX_BYTES];
	hash_hmac(HASH_SHA256, span_of(secret, KEYS_SECRET_BYTES), name, mac);
	memcpy(ret, mac, SALT_BYTES);
}
