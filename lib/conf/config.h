#ifndef POSTERN_CONF_CONFIG_H
#define POSTERN_CONF_CONFIG_H
/*
 * The compiled configuration, config/config.tdb, as programs read it: look-ups by key, a cost that
 * does not grow with the number of accounts. Written by conf/compile.h only, replaced whole.
 * Domains are A-labels in lower case, local parts NFC and (unless case-sensitive) folded.
 */
#include "base/arena.h"
#include "route/route.h"

struct config;
/*
 * config_dirfd: the folder config/. -ENOENT: "postern config apply" was never run; -EUCLEAN:
 * damaged, or of another version of Postern: run it again. Look-ups: 0, -ENOENT, or db/db.h's
 * errors; what they yield lives in the arena.
 */
must_use int config_open(int config_dirfd, struct config **ret);
void config_close(struct config *c);

struct config_certificate {
	struct span certificate_file, key_file; /* absolute paths */
};
struct config_global {
	struct span hostname;
	const struct config_certificate *certificates;
	size_t certificate_count;
	unsigned sasl_mechanisms;   /* set, sasl/server.h */
	uint64_t message_size_max;  /* bytes; default 100 MiB */
	uint32_t recipients_max;    /* per message; default 1000 */
	const uint32_t *schedule_s; /* waits between attempts, in seconds; the last repeats … */
	size_t schedule_count;
	uint32_t lifetime_s;	 /* … until this age; default 5 days */
	uint32_t delay_notice_s; /* delay DSN after this; default 4 h; 0: none */
	uint32_t concurrency, concurrency_per_host;
	struct span postmaster; /* account of double bounces; may be empty */
	struct span account_pages_url;
	bool hide_plus_after_abort;
	uint32_t scram_iterations; /* of passwords set from now on; `config apply` keeps it */
};
must_use int config_global(struct config *c, struct arena *a, struct config_global *ret);

struct config_account {
	struct span name;
	const struct span *addresses; /* canonical; the first is the main one */
	size_t address_count;
	bool disabled;
	struct span disabled_text;
	uint64_t quota_bytes, quota_messages; /* 0: none */
	bool local_only;
	bool cram_md5; /* may log in by CRAM-MD5, for which the password's equivalent is kept */
	struct route_list routes;
};
must_use int config_account(
    struct config *c, struct span name, struct arena *a, struct config_account *ret);
/* Of all accounts, sorted; for `postern`, which lists them. */
must_use int config_account_names(
    struct config *c, struct arena *a, const struct span **ret, size_t *ret_count);
/*
 * The account that owns the address (any spelling; "+tag" ignored, catch-all, case rules of the
 * domain). *ret_canonical: the configured spelling, with A-label domain. -ENOENT: nobody here;
 * -EINVAL: no address; *ret_local (may be NULL): whether the domain is one of ours.
 */
must_use int config_find_address(struct config *c, struct span address, struct arena *a,
    struct span *ret_account, struct span *ret_canonical, bool *ret_local);
/*
 * The same for a user name, which must be a configured address: whoever knows the password of the
 * catch-all's account is not everybody in the domain.
 */
must_use int config_find_user(struct config *c, struct span user, struct arena *a,
    struct span *ret_account, struct span *ret_canonical);

struct config_domain {
	struct span name;
	bool deliver_route; /* split domain: local recipients without account are routed */
	bool case_sensitive;
	struct span catch_all; /* account, or empty */
	struct route_list routes;
};
must_use int config_domain(
    struct config *c, struct span name, struct arena *a, struct config_domain *ret);
must_use int config_global_routes(struct config *c, struct arena *a, struct route_list *ret);

enum transport_kind {
	TRANSPORT_DIRECT,
	TRANSPORT_SMTP,
	TRANSPORT_SUBMISSION,
	TRANSPORT_SUBMISSIONS,
	TRANSPORT_SOCKS,
	TRANSPORT_LMTP,
	TRANSPORT_FAIL
};
enum transport_tls { TRANSPORT_TLS_IMPLICIT, TRANSPORT_TLS_STARTTLS, TRANSPORT_TLS_NONE };
enum transport_verify { TRANSPORT_VERIFY_PKIX, TRANSPORT_VERIFY_PINNED, TRANSPORT_VERIFY_NONE };
struct config_transport {
	struct span name;
	enum transport_kind kind;
	struct span host;
	uint16_t port;
	enum transport_tls tls;
	enum transport_verify verify;
	struct span ca_file, pin; /* pin: fingerprint, base64url */
	struct span username, password_file, client_key_file;
	unsigned mechanisms; /* 0: default list */
	uint32_t connections, messages_per_connection;
	uint32_t fail_code;
	struct span fail_text;
};
must_use int config_transport(
    struct config *c, struct span name, struct arena *a, struct config_transport *ret);
#endif
