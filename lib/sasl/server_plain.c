/*
 * PLAIN (RFC 4616) and LOGIN: a password in clear text under TLS, checked against the verifiers of
 * SCRAM-SHA-256. An unknown user costs the same work as a wrong password.
 */
#include "sasl/server_steps.h"
#include "text/text.h"

/* NFC makes UTF-8 at most three times as long. */
enum { PASSWORD_MAX_BYTES = 3 * SASL_MESSAGE_MAX_BYTES };

static enum sasl_outcome check_password(
    struct sasl_server *s, struct span authzid, struct span authcid, struct span password);
static const struct sasl_verifier *find_verifier(
    const struct sasl_credentials *credentials, struct span stored_key);

/* message = [authzid] UTF8NUL authcid UTF8NUL passwd */
enum sasl_outcome sasl_plain_step(struct sasl_server *s, struct span response)
{
	struct span authzid, authcid, password, rest;
	if (!span_cut(response, '\0', &authzid, &rest) ||
	    !span_cut(rest, '\0', &authcid, &password) || span_index(password, '\0') != SIZE_MAX ||
	    authcid.n == 0 || password.n == 0)
		return SASL_MALFORMED;
	return check_password(s, authzid, authcid, password);
}

enum sasl_outcome sasl_login_step(
    struct sasl_server *s, struct span response, struct str *challenge)
{
	if (!span_is_set(response) && !s->asked) {
		s->asked = true;
		str_append(challenge, SPAN("Username:"));
		return SASL_CONTINUE;
	}
	if (span_index(response, '\0') != SIZE_MAX || response.n == 0)
		return SASL_MALFORMED;
	if (!span_is_set(s->login_username)) {
		s->login_username = arena_span(&s->arena, response);
		str_append(challenge, SPAN("Password:"));
		return SASL_CONTINUE;
	}
	return check_password(s, SPAN_NONE, s->login_username, response);
}

static enum sasl_outcome check_password(
    struct sasl_server *s, struct span authzid, struct span authcid, struct span password)
{
	enum sasl_outcome outcome = sasl_find_credentials(s, authcid, HASH_SHA256);
	if (outcome != SASL_CONTINUE)
		return outcome;
	struct str prepared cleanup(str_clear_secret) = STR_INIT(PASSWORD_MAX_BYTES);
	uint32_t bad;
	if (text_opaque_string(password, &prepared, &bad) < 0)
		return SASL_BAD_CREDENTIALS; /* no account has such a password */
	const struct sasl_credentials *found = &s->credentials;
	uint8_t stored_key[HASH_MAX_BYTES], server_key[HASH_MAX_BYTES];
	scram_derive(HASH_SHA256, str_span(&prepared), found->salt, found->iterations, stored_key,
	    server_key);
	const struct sasl_verifier *v =
	    find_verifier(found, span_of(stored_key, hash_bytes(HASH_SHA256)));
	explicit_bzero(stored_key, sizeof(stored_key));
	explicit_bzero(server_key, sizeof(server_key));
	return sasl_conclude(s, v, authzid);
}

/* Looks at all of them, so that time does not tell which one it was. */
static const struct sasl_verifier *find_verifier(
    const struct sasl_credentials *credentials, struct span stored_key)
{
	const struct sasl_verifier *found = NULL;
	for (size_t i = 0; i < credentials->verifier_count; i++) {
		if (secret_equal(credentials->verifiers[i].stored_key, stored_key) && !found)
			found = &credentials->verifiers[i];
	}
	return found;
}
