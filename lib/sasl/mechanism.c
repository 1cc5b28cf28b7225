#include "sasl/server.h"

#include <assert.h>

static const struct {
	struct span name;
	bool scram, plus;
	enum hash hash;
} mechanisms[SASL_MECHANISM_COUNT] = {
    [SASL_EXTERNAL] = {.name = {"EXTERNAL", 8}},
    [SASL_SCRAM_SHA_512_PLUS] = {{"SCRAM-SHA-512-PLUS", 18}, true, true, HASH_SHA512},
    [SASL_SCRAM_SHA_512] = {{"SCRAM-SHA-512", 13}, true, false, HASH_SHA512},
    [SASL_SCRAM_SHA_256_PLUS] = {{"SCRAM-SHA-256-PLUS", 18}, true, true, HASH_SHA256},
    [SASL_SCRAM_SHA_256] = {{"SCRAM-SHA-256", 13}, true, false, HASH_SHA256},
    [SASL_SCRAM_SHA_1_PLUS] = {{"SCRAM-SHA-1-PLUS", 16}, true, true, HASH_SHA1},
    [SASL_SCRAM_SHA_1] = {{"SCRAM-SHA-1", 11}, true, false, HASH_SHA1},
    [SASL_CRAM_MD5] = {.name = {"CRAM-MD5", 8}},
    [SASL_PLAIN] = {.name = {"PLAIN", 5}},
    [SASL_LOGIN] = {.name = {"LOGIN", 5}},
};

struct span sasl_name(enum sasl_mechanism m)
{
	assert(m < SASL_MECHANISM_COUNT);
	return mechanisms[m].name;
}

enum sasl_mechanism sasl_by_name(struct span name)
{
	enum sasl_mechanism m = 0;
	while (m < SASL_MECHANISM_COUNT && !span_equal_nocase(mechanisms[m].name, name))
		m++;
	return m;
}

bool sasl_is_plus(enum sasl_mechanism m)
{
	assert(m < SASL_MECHANISM_COUNT);
	return mechanisms[m].plus;
}

bool sasl_is_scram(enum sasl_mechanism m)
{
	assert(m < SASL_MECHANISM_COUNT);
	return mechanisms[m].scram;
}

enum hash sasl_hash(enum sasl_mechanism m)
{
	assert(sasl_is_scram(m));
	return mechanisms[m].hash;
}
