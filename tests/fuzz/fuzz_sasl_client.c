/*
 * A SASL client against a server made of the input: the first byte picks the connection, following
 * line is a challenge. SCRAM must never be satisfied, for the server does not know the password.
 * Iteration counts above a few thousand are left out: they are only slow.
 */
#include <assert.h>

#include "sasl/client.h"
#include "sasl_mechanism.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_slow(struct span line)
{
	size_t at = span_find(line, SPAN("i=")), digits = 0;
	while (at != SIZE_MAX && at + 2 + digits < line.n && line.p[at + 2 + digits] >= '0' &&
	       line.p[at + 2 + digits] <= '9')
		digits++;
	return digits > 4;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0 || crypto_init() < 0)
		return 0;
	enum sasl_mechanism m = mechanism_of(data[0]);
	struct sasl_client_options o = {.username = SPAN("us,er"),
	    .password = SPAN("pencil"),
	    .tls = data[0] & 0x10,
	    .binding = {.tls = true, .exporter = SPAN("exporter")},
	    .offered = data[0] & 0x20 ? 1u << SASL_SCRAM_SHA_256_PLUS : 0,
	    .nonce_for_tests = SPAN("client")};
	struct sasl_client *c = sasl_client_new(m, &o);
	struct str response cleanup(str_clear) = STR_INIT(SASL_RESPONSE_MAX_BYTES);
	struct str error cleanup(str_clear) = STR_INIT(1000);
	struct span rest = span_of(data + 1, size - 1), line;
	int rc = 0;
	for (bool more = true; more && rc == 0;) {
		more = span_cut(rest, '\n', &line, &rest);
		if (is_slow(line))
			break;
		rc = sasl_client_step(c, line, &response, &error);
		assert(rc == 0 || (rc == -EPROTO && error.n > 0 && response.n == 0));
		assert(!sasl_is_scram(m) || !sasl_client_is_done(c));
	}
	sasl_client_free(c);
	return 0;
}
