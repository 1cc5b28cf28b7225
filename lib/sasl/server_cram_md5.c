/*
 * CRAM-MD5 (RFC 2195): the server's challenge, then "user SP hex(HMAC-MD5(password, challenge))".
 * The server keeps an equivalent of the password (crypto/crypto.h), so it is for accounts that
 * insist.
 */
#include "base/encode.h"
#include "sasl/server_steps.h"

enum { CHALLENGE_CHARS = 32, DIGEST_BYTES = 16 };

static const struct sasl_verifier *find_verifier(
    const struct sasl_credentials *credentials, struct span challenge, struct span digest);

enum sasl_outcome sasl_cram_md5_step(
    struct sasl_server *s, struct span response, struct str *challenge)
{
	if (!span_is_set(s->cram_challenge)) {
		char random[CHALLENGE_CHARS + 1];
		if (span_is_set(response))
			return SASL_MALFORMED; /* there is no initial response (RFC 4422 §5) */
		random_name(random, CHALLENGE_CHARS);
		/* RFC 2195 §2: the form of a msg-id */
		str_format(challenge, "<%s@postern>", random);
		if (span_is_set(s->options.nonce_for_tests)) {
			str_reset(challenge);
			str_append(challenge, s->options.nonce_for_tests);
		}
		s->cram_challenge = arena_span(&s->arena, str_span(challenge));
		return SASL_CONTINUE;
	}
	struct str digest cleanup(str_clear_secret) = STR_INIT(DIGEST_BYTES);
	size_t space = span_last_index(response, ' '); /* names may have blanks */
	if (space == SIZE_MAX || space == 0 || span_index(response, '\0') != SIZE_MAX ||
	    hex_decode(span_from(response, space + 1), &digest) < 0 || digest.n != DIGEST_BYTES)
		return SASL_MALFORMED;
	enum sasl_outcome outcome =
	    sasl_find_credentials(s, span_sub(response, 0, space), HASH_MD5);
	if (outcome != SASL_CONTINUE)
		return outcome;
	return sasl_conclude(
	    s, find_verifier(&s->credentials, s->cram_challenge, str_span(&digest)), SPAN_NONE);
}

/* Looks at all of them, so that time does not tell which one it was, and at one where none is. */
static const struct sasl_verifier *find_verifier(
    const struct sasl_credentials *credentials, struct span challenge, struct span digest)
{
	static const uint8_t nobody[CRAM_MD5_KEY_BYTES];
	const struct sasl_verifier *found = NULL;
	uint8_t mac[HASH_MAX_BYTES];
	for (size_t i = 0; i < credentials->verifier_count; i++) {
		const struct sasl_verifier *v = &credentials->verifiers[i];
		if (v->stored_key.n != CRAM_MD5_KEY_BYTES)
			continue;
		cram_md5_digest((const uint8_t *)v->stored_key.p, challenge, mac);
		if (secret_equal(span_of(mac, DIGEST_BYTES), digest) && !found)
			found = v;
	}
	if (credentials->verifier_count == 0)
		cram_md5_digest(nobody, challenge, mac);
	explicit_bzero(mac, sizeof(mac));
	return found;
}
