#include "sasl/server.h"

#include "sasl/server_steps.h"
#include "text/text.h"

static enum sasl_outcome step(struct sasl_server *s, struct span response, struct str *challenge);
static bool is_client_first(enum sasl_mechanism m);

struct sasl_server *sasl_server_new(enum sasl_mechanism m, const struct sasl_server_options *o)
{
	if (m >= SASL_MECHANISM_COUNT || !(SASL_SERVER_IMPLEMENTED & 1u << m))
		return NULL;
	struct sasl_server *s = xcalloc(1, sizeof(*s));
	s->mechanism = s->result.mechanism = m;
	s->options = *o;
	struct span *borrowed[] = {
	    &s->options.binding.exporter,
	    &s->options.binding.unique,
	    &s->options.binding.server_end_point,
	    &s->options.key_account,
	    &s->options.key_address,
	    &s->options.nonce_for_tests,
	};
	for (size_t i = 0; i < ARRAY_SIZE(borrowed); i++)
		*borrowed[i] = arena_span(&s->arena, *borrowed[i]);
	return s;
}

void sasl_server_free(struct sasl_server *s)
{
	if (!s)
		return;
	sasl_scram_wipe(s);
	arena_clear_secret(&s->arena); /* verifiers, of other hashes and names, too */
	free(s);
}

enum sasl_outcome sasl_server_step(
    struct sasl_server *s, struct span response, struct str *challenge)
{
	str_reset(challenge);
	enum sasl_outcome outcome = SASL_MALFORMED;
	s->result.was_answered = s->result.was_answered || response.n > 0;
	if (!s->spent && response.n <= SASL_MESSAGE_MAX_BYTES)
		outcome = step(s, response, challenge);
	if (outcome == SASL_CONTINUE && str_error(challenge) < 0)
		outcome = SASL_UNAVAILABLE;
	if (outcome != SASL_CONTINUE) {
		str_reset(challenge);
		s->spent = true;
	}
	return outcome;
}

static enum sasl_outcome step(struct sasl_server *s, struct span response, struct str *challenge)
{
	if (!span_is_set(response) && is_client_first(s->mechanism)) {
		if (!s->asked) { /* RFC 4422 §3.2: ask for the initial response, once */
			s->asked = true;
			return SASL_CONTINUE;
		}
		response = SPAN(""); /* the answer to that: empty, even if spelled as absent */
	}
	if (is_client_first(s->mechanism))
		s->asked = true;
	switch (s->mechanism) {
	case SASL_EXTERNAL: return sasl_external_step(s, response, challenge);
	case SASL_PLAIN: return sasl_plain_step(s, response);
	case SASL_LOGIN: return sasl_login_step(s, response, challenge);
	case SASL_CRAM_MD5: return sasl_cram_md5_step(s, response, challenge);
	default: return sasl_scram_step(s, response, challenge);
	}
}

static bool is_client_first(enum sasl_mechanism m)
{
	return m != SASL_LOGIN && m != SASL_CRAM_MD5;
}

enum sasl_outcome sasl_server_abandoned(const struct sasl_server *s)
{
	return sasl_is_scram(s->mechanism) ? sasl_scram_abandoned(s) : SASL_MALFORMED;
}

const struct sasl_result *sasl_server_result(const struct sasl_server *s)
{
	return &s->result;
}

enum sasl_outcome sasl_find_credentials(struct sasl_server *s, struct span authcid, enum hash h)
{
	s->result.authcid = arena_span(&s->arena, authcid);
	const struct sasl_lookup *lookup = &s->options.lookup;
	int rc = lookup->credentials(lookup->context, authcid, h, &s->arena, &s->credentials);
	if (rc == -EILSEQ)
		return SASL_MALFORMED;
	if (rc < 0 || s->credentials.salt.n == 0 || s->credentials.iterations == 0)
		return SASL_UNAVAILABLE;
	s->result.named_account = s->credentials.account;
	return SASL_CONTINUE;
}

enum sasl_outcome sasl_conclude(
    struct sasl_server *s, const struct sasl_verifier *proven, struct span authzid)
{
	const struct sasl_lookup *lookup = &s->options.lookup;
	bool good = proven && span_is_set(s->credentials.account);
	/* A password on top of a key counts for the key's own account only. */
	s->result.wrong_account = good && span_is_set(s->options.key_account) &&
				  !span_equal(s->options.key_account, s->credentials.account);
	good = good && !s->result.wrong_account;
	if (lookup->verdict && lookup->verdict(lookup->context, good) != 0)
		return SASL_UNAVAILABLE;
	if (!good)
		return SASL_BAD_CREDENTIALS;
	s->result.address = s->credentials.address;
	enum sasl_outcome outcome =
	    authzid.n > 0 ? sasl_act_as(s, s->credentials.account, authzid) : SASL_OK;
	if (outcome == SASL_OK) {
		s->result.account = s->credentials.account;
		s->result.password_name = proven->password_name;
		s->result.password_version = proven->password_version;
	}
	return outcome;
}

enum sasl_outcome sasl_act_as(struct sasl_server *s, struct span account, struct span authzid)
{
	if (!utf8_is_valid(authzid))
		return SASL_MALFORMED;
	const struct sasl_lookup *lookup = &s->options.lookup;
	struct span address;
	int rc = lookup->may_act_as(lookup->context, account, authzid, &s->arena, &address);
	if (rc == -EACCES)
		return SASL_BAD_CREDENTIALS;
	if (rc < 0)
		return SASL_UNAVAILABLE;
	s->result.address = address;
	return SASL_OK;
}
