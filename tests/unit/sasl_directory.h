#ifndef POSTERN_TESTS_SASL_DIRECTORY_H
#define POSTERN_TESTS_SASL_DIRECTORY_H
/*
 * A look-up for SASL tests: one account, "one", with the address user@example.org (and "user" of
 * the RFCs' vectors, and "m\u00f3x" by its NFC) and two passwords, "pencil" and the app password
 * "phone" named "app".
 */
#include "sasl/server.h"
#include "text/text.h"

struct directory {
	struct span salt;
	uint32_t iterations;
	int error;		   /* what the look-up fails with */
	bool untold;		   /* no verdict may be told */
	unsigned asked, good, bad; /* look-ups and verdicts */
};

static const struct {
	struct span name, password;
} directory_passwords[] = {{SPAN(""), SPAN("pencil")}, {SPAN("app"), SPAN("phone")}};

static inline bool directory_has(struct span user)
{
	struct str name cleanup(str_clear) = STR_INIT(10000);
	return text_nfc(user, &name) == 0 &&
	       (span_equal(str_span(&name), SPAN("user")) ||
		   span_equal(str_span(&name), SPAN("a,b=c")) ||
		   span_equal(str_span(&name), SPAN("user@example.org")) ||
		   span_equal(str_span(&name), SPAN("m\xc3\xb3x")));
}

static inline int directory_credentials(
    void *context, struct span user, enum hash h, struct arena *arena, struct sasl_credentials *ret)
{
	struct directory *d = context;
	d->asked++;
	if (d->error)
		return d->error;
	if (!utf8_is_valid(user))
		return -EILSEQ;
	*ret = (struct sasl_credentials){.salt = d->salt, .iterations = d->iterations};
	if (!directory_has(user))
		return 0;
	ret->account = SPAN("one");
	ret->address = SPAN("user@example.org");
	ret->verifier_count = ARRAY_SIZE(directory_passwords);
	struct sasl_verifier *v = ARENA_ARRAY(arena, struct sasl_verifier, ret->verifier_count);
	for (size_t i = 0; i < ret->verifier_count; i++) {
		uint8_t stored[HASH_MAX_BYTES], server[HASH_MAX_BYTES];
		scram_derive(
		    h, directory_passwords[i].password, d->salt, d->iterations, stored, server);
		if (h == HASH_MD5) { /* CRAM-MD5's */
			uint8_t key[CRAM_MD5_KEY_BYTES];
			cram_md5_key(directory_passwords[i].password, key);
			v[i] = (struct sasl_verifier){.password_name = directory_passwords[i].name,
			    .stored_key = arena_span(arena, span_of(key, sizeof(key)))};
			continue;
		}
		v[i].password_name = directory_passwords[i].name;
		v[i].stored_key = arena_span(arena, span_of(stored, hash_bytes(h)));
		v[i].server_key = arena_span(arena, span_of(server, hash_bytes(h)));
	}
	ret->verifiers = v;
	return 0;
}

static inline int directory_may_act_as(void *context, struct span account, struct span address,
    struct arena *arena, struct span *ret_address)
{
	const struct directory *d = context;
	if (d->error)
		return d->error;
	if (!span_equal(account, SPAN("one")) || !directory_has(address))
		return -EACCES;
	*ret_address = arena_span(arena, SPAN("user@example.org"));
	return 0;
}

static inline int directory_verdict(void *context, bool good)
{
	struct directory *d = context;
	d->good += good;
	d->bad += !good;
	return d->untold ? -EBUSY : 0;
}

static inline struct sasl_lookup directory_lookup(struct directory *d)
{
	return (struct sasl_lookup){.credentials = directory_credentials,
	    .may_act_as = directory_may_act_as,
	    .verdict = directory_verdict,
	    .context = d};
}
#endif
