#ifndef POSTERN_TESTS_SUBMITD_SESSION_H
#define POSTERN_TESTS_SUBMITD_SESSION_H
/*
 * A session of account "anna" filled by hand, with a configuration and a queue in a temporary
 * folder: for tests of submitd/. The gate's part (session_sasl() etc.) is played here.
 */
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/codec.h"
#include "conf/record.h"
#include "db/db.h"
#include "io/file.h"
#include "queue/incoming.h"
#include "sasl/server.h"
#include "submitd/submitd.h"

static struct submitd_fixture {
	char path[64];
	int top, config_fd, incoming_fd, wake_fd;
	struct config *config;
	struct arena arena;
	enum login_result valid;
} fixture;

static int fixture_may_act_as(void *context, struct span account, struct span address,
    struct arena *arena, struct span *ret_address)
{
	(void)context, (void)account, (void)arena;
	*ret_address = address;
	return span_equal(address, SPAN("boss@example.org")) ? -EACCES : 0;
}

enum login_result session_still_valid(struct session *s)
{
	(void)s;
	return fixture.valid;
}

struct sasl_server *session_sasl(struct session *s, enum sasl_mechanism m)
{
	(void)s;
	struct sasl_server_options o = {.lookup = {.may_act_as = fixture_may_act_as},
	    .key_account = SPAN("anna"),
	    .key_address = SPAN("anna@example.org"),
	    .enabled = 1u << SASL_EXTERNAL};
	return m == SASL_EXTERNAL ? sasl_server_new(m, &o) : NULL;
}

enum login_result session_sasl_end(
    struct session *s, const struct sasl_server *sasl, enum sasl_outcome o)
{
	(void)s, (void)sasl;
	return o == SASL_OK	     ? LOGIN_OK
	       : o == SASL_MALFORMED ? LOGIN_ABORTED
				     : LOGIN_BAD_CREDENTIALS;
}

void session_name_client(struct session *s, struct span client)
{
	(void)s, (void)client;
}

void session_forget_attempts(struct session *s)
{
	(void)s;
}

static inline void fixture_put(struct db *db, const char *key, const struct str *value)
{
	if (db_put(db, span_cstr(key), str_span(value)) < 0)
		abort();
}

static inline void fixture_owner(struct db *db, const char *key, const char *account)
{
	struct str v cleanup(str_clear) = STR_INIT(4096);
	struct config_owner o = {span_cstr(account), span_cstr(key + 1)};
	record_write_owner(&o, &v);
	fixture_put(db, key, &v);
}

static inline void fixture_config(void)
{
	struct db *db;
	struct str v cleanup(str_clear) = STR_INIT(4096);
	static const struct span addresses[] = {SPAN("anna@example.org")};
	static const struct config_domain domains[] = {
	    {.name = SPAN("example.org")}, {.name = SPAN("split.example"), .deliver_route = true}};
	struct config_account account = {
	    .name = SPAN("anna"), .addresses = addresses, .address_count = 1};
	struct config_global global = {.hostname = SPAN("mail.example.org")};
	if (db_open(fixture.config_fd, "config.tdb", DB_DURABLE, DB_CREATE, 100, &db) < 0 ||
	    db_begin(db) < 0)
		abort();
	put_u32(&v, CONFIG_FORMAT);
	fixture_put(db, "V", &v);
	str_reset(&v);
	record_write_global(&global, &v);
	fixture_put(db, "G", &v);
	str_reset(&v);
	record_write_account(&account, &v);
	fixture_put(db, "Aanna", &v);
	str_reset(&v);
	record_write_domain(&domains[0], &v);
	fixture_put(db, "Dexample.org", &v);
	str_reset(&v);
	record_write_domain(&domains[1], &v);
	fixture_put(db, "Dsplit.example", &v);
	fixture_owner(db, "@anna@example.org", "anna");
	fixture_owner(db, "@a.b@example.org", "anna");
	fixture_owner(db, "@\xc3\xa4nna@example.org", "anna");
	fixture_owner(db, "@boss@example.org", "boss");
	if (db_commit(db) < 0)
		abort();
	db_close(db);
	if (config_open(fixture.config_fd, &fixture.config) < 0)
		abort();
}

static inline void fixture_begin(void)
{
	/* In memory where that is possible: what is tested here is not the disk. */
	bool shm = access("/dev/shm", W_OK) == 0;
	(void)snprintf(fixture.path, sizeof(fixture.path), "%s/postern-submitd-XXXXXX",
	    shm ? "/dev/shm" : "/tmp");
	if (!mkdtemp(fixture.path))
		abort();
	fixture.top = open(fixture.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder_make(fixture.top, "config", 0700, &fixture.config_fd) < 0 ||
	    folder_make(fixture.top, "incoming", 0700, &fixture.incoming_fd) < 0 ||
	    folder_make(fixture.top, "wake", 0700, &fixture.wake_fd) < 0)
		abort();
	fixture_config();
}

static inline struct session fixture_session(struct stream *peer)
{
	fixture.valid = LOGIN_OK;
	arena_reset(&fixture.arena);
	return (struct session){.protocol = PROTOCOL_SUBMISSION,
	    .start = SESSION_GREET,
	    .peer = peer,
	    .login = {.account = SPAN("anna"),
		.address = SPAN("anna@example.org"),
		.mechanism = SPAN("TLS-KEY"),
		.fingerprint = SPAN("abc")},
	    .facts = {.tls = true, .implicit_tls = true, .peer_address = SPAN("192.0.2.7")},
	    .config = fixture.config,
	    .global = {.hostname = SPAN("mail.example.org"),
		.message_size_max = 300000,
		.recipients_max = 5},
	    .account = {.name = SPAN("anna")},
	    .arena = &fixture.arena,
	    .mechanisms = 1u << SASL_EXTERNAL,
	    .account_fd = -1,
	    .mail_fd = -1,
	    .incoming_fd = fixture.incoming_fd,
	    .wake_fd = fixture.wake_fd,
	    .changes_fd = -1};
}

/* What is queued, newest last; the texts and envelopes live in the arena. */
enum { FIXTURE_QUEUED_MAX = 64 };
struct queued {
	struct envelope envelope;
	struct span text;
};
static inline int fixture_by_id(const void *a, const void *b)
{
	return span_compare(*(const struct span *)a, *(const struct span *)b);
}
/* Reads and removes. */
static inline size_t fixture_take(struct arena *a, struct queued ret[FIXTURE_QUEUED_MAX])
{
	struct span names[FIXTURE_QUEUED_MAX];
	size_t n = 0;
	DIR *d = fdopendir(openat(fixture.incoming_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	for (struct dirent *e; (e = readdir(d)) && n < FIXTURE_QUEUED_MAX;)
		if (e->d_name[0] != '.')
			names[n++] = arena_span(a, span_cstr(e->d_name));
	(void)closedir(d);
	qsort(names, n, sizeof(names[0]), fixture_by_id);
	for (size_t i = 0; i < n; i++) {
		int fd = -1;
		uint64_t offset = 0, bytes = 0;
		char *name = arena_cstr(a, names[i]);
		if (incoming_read(fixture.incoming_fd, name, -1, a, &ret[i].envelope, &fd, &offset,
			&bytes) < 0)
			abort();
		char *text = arena_alloc(a, (size_t)bytes + 1);
		if (fd_pread_all(fd, text, (size_t)bytes, offset) < 0)
			abort();
		ret[i].text = span_of(text, (size_t)bytes);
		close_fd(&fd);
		(void)unlinkat(fixture.incoming_fd, name, 0);
	}
	return n;
}

static inline void fixture_end(void)
{
	struct arena a cleanup(arena_clear) = {0};
	struct queued all[FIXTURE_QUEUED_MAX];
	(void)fixture_take(&a, all);
	(void)unlinkat(fixture.wake_fd, "anna", 0);
	config_close(fixture.config);
	arena_clear(&fixture.arena);
	(void)unlinkat(fixture.config_fd, "config.tdb", 0);
	close_fd(&fixture.config_fd);
	close_fd(&fixture.incoming_fd);
	close_fd(&fixture.wake_fd);
	(void)unlinkat(fixture.top, "config", AT_REMOVEDIR);
	(void)unlinkat(fixture.top, "incoming", AT_REMOVEDIR);
	(void)unlinkat(fixture.top, "wake", AT_REMOVEDIR);
	close_fd(&fixture.top);
	if (rmdir(fixture.path) < 0)
		abort();
}
#endif
