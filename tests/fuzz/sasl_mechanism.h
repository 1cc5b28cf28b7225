#ifndef POSTERN_TESTS_SASL_MECHANISM_H
#define POSTERN_TESTS_SASL_MECHANISM_H
/*
 * The mechanism that a SASL target fuzzes: the one that the environment names in MECHANISM
 * (tests/fuzz/run runs the target once for each), else the one that the first byte picks.
 */
#include "sasl/server.h"

static inline enum sasl_mechanism mechanism_of(uint8_t byte)
{
	static enum sasl_mechanism named = SASL_MECHANISM_COUNT;
	const char *name = getenv("MECHANISM");
	if (name && named == SASL_MECHANISM_COUNT) {
		named = sasl_by_name(span_cstr(name));
		if (named == SASL_MECHANISM_COUNT)
			abort();
	}
	return name ? named : byte % SASL_MECHANISM_COUNT;
}
#endif
