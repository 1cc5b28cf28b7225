/*
 * A SASL server: the first byte picks the connection, each following line is a response.
 * Nobody here knows a password that verifies, so nothing but EXTERNAL may succeed.
 */
#include <assert.h>

#include "../unit/sasl_directory.h"
#include "sasl_mechanism.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every name of an odd length is known, and no proof fits. */
static int credentials(
    void *context, struct span user, enum hash h, struct arena *arena, struct sasl_credentials *ret)
{
	(void)context;
	static const char zeros[HASH_MAX_BYTES];
	if (!utf8_is_valid(user))
		return -EILSEQ;
	*ret = (struct sasl_credentials){
	    .account = SPAN("one"), .salt = SPAN("salt"), .iterations = 1};
	if (user.n % 2 == 0)
		return 0;
	struct sasl_verifier *v = ARENA_NEW(arena, struct sasl_verifier);
	size_t stored_bytes = h == HASH_MD5 ? CRAM_MD5_KEY_BYTES : hash_bytes(h);
	v->stored_key = arena_span(arena, span_of(zeros, stored_bytes));
	v->server_key = arena_span(arena, span_of(zeros, hash_bytes(h)));
	ret->verifiers = v;
	ret->verifier_count = 1;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0 || crypto_init() < 0)
		return 0;
	enum sasl_mechanism m = mechanism_of(data[0]);
	struct directory directory = {0};
	struct sasl_server_options o = {.lookup = directory_lookup(&directory),
	    .binding = {.tls = data[0] & 0x10, .exporter = SPAN("exporter")},
	    .key_account = data[0] & 0x20 ? SPAN("one") : SPAN_NONE,
	    .key_address = data[0] & 0x20 ? SPAN("user@example.org") : SPAN_NONE,
	    .enabled = data[0] & 0x40 ? SASL_SERVER_IMPLEMENTED : 0,
	    .nonce_for_tests = SPAN("server")};
	o.lookup.credentials = credentials;
	struct sasl_server *s = sasl_server_new(m, &o);
	struct str challenge cleanup(str_clear) = STR_INIT(SASL_CHALLENGE_MAX_BYTES);
	struct span rest = span_of(data + 1, size - 1), line;
	enum sasl_outcome outcome = SASL_CONTINUE;
	if (data[0] & 0x80)
		outcome = sasl_server_step(s, SPAN_NONE, &challenge);
	for (bool more = true; more && outcome == SASL_CONTINUE;) {
		more = span_cut(rest, '\n', &line, &rest);
		outcome = sasl_server_step(s, line, &challenge);
		assert(outcome == SASL_CONTINUE || challenge.n == 0);
		assert(!span_starts_with(str_span(&challenge), SPAN("v=")));
	}
	assert(outcome != SASL_UNAVAILABLE);
	assert(directory.good == 0 && directory.bad <= 1);
	assert(outcome != SASL_OK || (m == SASL_EXTERNAL && data[0] & 0x20));
	sasl_server_free(s);
	return 0;
}
