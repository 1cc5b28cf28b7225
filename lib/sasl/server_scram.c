/*
 * SCRAM (RFC 5802, RFC 7677), the server's side:
 *
 *	C: n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL             gs2-header, client-first-message-bare
 *	S: r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=…,i=16384
 *	C: c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=…
 *	S: v=…                                              or e=…
 *	C: (empty)
 *
 * The AuthMessage is made of the client's bytes as they came; only the look-up normalises the name.
 */
#include "sasl/server_steps.h"

#include "base/encode.h"
#include "sasl/scram.h"

enum { SERVER_NONCE_CHARS = 24, CLIENT_NONCE_MAX_BYTES = 1024 };
enum { BINDING_MAX_BYTES = SASL_MESSAGE_MAX_BYTES };

/* RFC 5802 §7 server-error-value; "unknown-user" is not told. */
enum scram_error {
	NO_ERROR,
	INVALID_ENCODING,
	EXTENSIONS_NOT_SUPPORTED,
	INVALID_PROOF,
	BINDINGS_DONT_MATCH,
	SERVER_DOES_SUPPORT_BINDING,
	BINDING_NOT_SUPPORTED,
	UNSUPPORTED_BINDING_TYPE,
	INVALID_USERNAME_ENCODING,
	OTHER_ERROR,
};
static const struct {
	const char *text;
	enum sasl_outcome outcome;
} errors[] = {
    [INVALID_ENCODING] = {"invalid-encoding", SASL_MALFORMED},
    [EXTENSIONS_NOT_SUPPORTED] = {"extensions-not-supported", SASL_BAD_CREDENTIALS},
    [INVALID_PROOF] = {"invalid-proof", SASL_BAD_CREDENTIALS},
    [BINDINGS_DONT_MATCH] = {"channel-bindings-dont-match", SASL_BAD_BINDING},
    [SERVER_DOES_SUPPORT_BINDING] = {"server-does-support-channel-binding", SASL_BAD_BINDING},
    [BINDING_NOT_SUPPORTED] = {"channel-binding-not-supported", SASL_BAD_BINDING},
    [UNSUPPORTED_BINDING_TYPE] = {"unsupported-channel-binding-type", SASL_BAD_BINDING},
    [INVALID_USERNAME_ENCODING] = {"invalid-username-encoding", SASL_MALFORMED},
    [OTHER_ERROR] = {"other-error", SASL_BAD_CREDENTIALS}, /* may not act as that authzid */
};

enum scram_phase { CLIENT_FIRST, CLIENT_FINAL, FINISH };

struct scram_server {
	enum scram_phase phase;
	enum sasl_outcome outcome; /* in FINISH: what the next step yields */
	struct span gs2_header;	   /* "n,," …: what c= begins with */
	struct span binding;	   /* channel-binding data, with flag p */
	struct span authzid;
	struct span client_first_bare, server_first, nonce;
};

/* What a message contains, borrowed from it. */
struct client_first {
	struct span flag, authzid, header, bare, username, nonce;
	bool mandatory_extension;
};
struct client_final {
	struct span binding, nonce, proof, without_proof;
	bool mandatory_extension;
};

static enum sasl_outcome client_first(
    struct sasl_server *s, struct span message, struct str *challenge);
static enum sasl_outcome client_final(
    struct sasl_server *s, struct span message, struct str *challenge);
static enum sasl_outcome fail(struct sasl_server *s, enum scram_error error, struct str *challenge);
static enum scram_error choose_binding(struct sasl_server *s, struct span flag);
static bool parse_client_first(struct span message, struct client_first *ret);
static bool parse_client_final(struct span message, struct client_final *ret);
static enum scram_error check_client_final(
    struct sasl_server *s, const struct client_final *final, struct str *proof);
static const struct sasl_verifier *find_verifier(
    struct sasl_server *s, struct span auth_message, struct span proof);
static bool proof_fits(
    enum hash h, struct span stored_key, struct span auth_message, struct span proof);

enum sasl_outcome sasl_scram_step(
    struct sasl_server *s, struct span response, struct str *challenge)
{
	if (!s->scram)
		s->scram = ARENA_NEW(&s->arena, struct scram_server);
	switch (s->scram->phase) {
	case CLIENT_FIRST: return client_first(s, response, challenge);
	case CLIENT_FINAL: return client_final(s, response, challenge);
	case FINISH: break;
	}
	if (s->scram->outcome == SASL_OK && response.n > 0) {
		s->result.account = s->result.address = s->result.password_name = SPAN_NONE;
		return SASL_MALFORMED;
	}
	return s->scram->outcome;
}

void sasl_scram_wipe(struct sasl_server *s)
{
	if (s->scram)
		explicit_bzero(s->scram, sizeof(*s->scram));
}

enum sasl_outcome sasl_scram_abandoned(const struct sasl_server *s)
{
	bool has_failed = s->scram && s->scram->phase == FINISH && s->scram->outcome != SASL_OK;
	return has_failed ? s->scram->outcome : SASL_MALFORMED;
}

static enum sasl_outcome client_first(
    struct sasl_server *s, struct span message, struct str *challenge)
{
	struct client_first first;
	if (!parse_client_first(message, &first))
		return SASL_MALFORMED;
	if (first.mandatory_extension)
		return fail(s, EXTENSIONS_NOT_SUPPORTED, challenge);
	enum scram_error error = choose_binding(s, first.flag);
	if (error)
		return fail(s, error, challenge);
	struct str username cleanup(str_clear) = STR_INIT(SASL_MESSAGE_MAX_BYTES);
	struct str authzid cleanup(str_clear) = STR_INIT(SASL_MESSAGE_MAX_BYTES);
	if (scram_unescape(first.username, &username) < 0 ||
	    scram_unescape(first.authzid, &authzid) < 0)
		return fail(s, INVALID_USERNAME_ENCODING, challenge);
	enum sasl_outcome outcome =
	    sasl_find_credentials(s, str_span(&username), sasl_hash(s->mechanism));
	if (outcome == SASL_MALFORMED)
		return fail(s, INVALID_USERNAME_ENCODING, challenge);
	if (outcome != SASL_CONTINUE)
		return outcome;

	struct scram_server *scram = s->scram;
	char random[SERVER_NONCE_CHARS + 1];
	random_name(random, SERVER_NONCE_CHARS);
	struct span own = span_is_set(s->options.nonce_for_tests) ? s->options.nonce_for_tests
								  : span_cstr(random);
	str_format(challenge, "r=%.*s%.*s,s=", SPAN_ARG(first.nonce), SPAN_ARG(own));
	base64_encode(s->credentials.salt, challenge);
	str_format(challenge, ",i=%u", s->credentials.iterations);
	scram->authzid = arena_span(&s->arena, str_span(&authzid));
	scram->gs2_header = arena_span(&s->arena, first.header);
	scram->client_first_bare = arena_span(&s->arena, first.bare);
	scram->server_first = arena_span(&s->arena, str_span(challenge));
	scram->nonce = span_sub(scram->server_first, 2, first.nonce.n + own.n);
	scram->phase = CLIENT_FINAL;
	return SASL_CONTINUE;
}

/* server-final-message = "e=" …, then the outcome at the next step. */
static enum sasl_outcome fail(struct sasl_server *s, enum scram_error error, struct str *challenge)
{
	str_reset(challenge);
	str_format(challenge, "e=%s", errors[error].text);
	s->scram->phase = FINISH;
	s->scram->outcome = errors[error].outcome;
	return SASL_CONTINUE;
}

/*
 * RFC 5802 §6. "p=" is taken under the bare name too, where there is a binding: the client has
 * proved more than it had to (libraries do that when -PLUS was offered).
 */
static enum scram_error choose_binding(struct sasl_server *s, struct span flag)
{
	const struct sasl_binding *binding = &s->options.binding;
	enum sasl_mechanism m = s->mechanism;
	if (span_starts_with(flag, SPAN("p="))) {
		bool known;
		s->scram->binding = scram_binding(binding, span_from(flag, 2), &known);
		if (!binding->tls)
			return BINDING_NOT_SUPPORTED;
		/* tls-unique on TLS 1.3 is a known type that is not available */
		return span_is_set(s->scram->binding) ? NO_ERROR : UNSUPPORTED_BINDING_TYPE;
	}
	if (span_equal(flag, SPAN("y"))) {
		/* The client could bind and believes that we cannot: somebody cut our list. */
		bool enabled = binding->tls && s->options.enabled & SASL_ALL_PLUS;
		return enabled || sasl_is_plus(m) ? SERVER_DOES_SUPPORT_BINDING : NO_ERROR;
	}
	return sasl_is_plus(m) ? BINDINGS_DONT_MATCH : NO_ERROR;
}

/*
 * client-first-message = gs2-header client-first-message-bare
 * gs2-header = gs2-cbind-flag "," [ "a=" saslname ] ","
 * client-first-message-bare = [reserved-mext ","] username "," nonce ["," extensions]
 */
static bool parse_client_first(struct span message, struct client_first *ret)
{
	*ret = (struct client_first){0};
	struct span authzid, rest;
	if (span_index(message, '\0') != SIZE_MAX || !span_cut(message, ',', &ret->flag, &rest) ||
	    !span_cut(rest, ',', &authzid, &rest))
		return false;
	bool bound = span_starts_with(ret->flag, SPAN("p=")) && ret->flag.n > 2;
	if (!bound && !span_equal(ret->flag, SPAN("n")) && !span_equal(ret->flag, SPAN("y")))
		return false;
	if (authzid.n > 0 &&
	    (!scram_attribute(&authzid, 'a', &ret->authzid) || ret->authzid.n == 0))
		return false;
	ret->bare = rest;
	ret->header = span_sub(message, 0, message.n - rest.n);
	struct span ignored;
	if (scram_attribute(&rest, 'm', &ignored)) {
		ret->mandatory_extension = true;
		return true;
	}
	if (!scram_attribute(&rest, 'n', &ret->username) || ret->username.n == 0 ||
	    !scram_attribute(&rest, 'r', &ret->nonce) || !scram_is_printable(ret->nonce) ||
	    ret->nonce.n > CLIENT_NONCE_MAX_BYTES)
		return false;
	enum scram_extensions extensions = scram_extensions(rest, message);
	ret->mandatory_extension = extensions == SCRAM_EXTENSION_MANDATORY;
	return extensions != SCRAM_EXTENSIONS_MALFORMED;
}

static enum sasl_outcome client_final(
    struct sasl_server *s, struct span message, struct str *challenge)
{
	struct scram_server *scram = s->scram;
	struct client_final final;
	if (!parse_client_final(message, &final))
		return SASL_MALFORMED;
	if (final.mandatory_extension)
		return fail(s, EXTENSIONS_NOT_SUPPORTED, challenge);
	struct str proof cleanup(str_clear_secret) = STR_INIT(SASL_MESSAGE_MAX_BYTES);
	enum scram_error error = check_client_final(s, &final, &proof);
	if (error)
		return fail(s, error, challenge);
	struct str auth_message cleanup(str_clear) = STR_INIT(4 * SASL_MESSAGE_MAX_BYTES);
	str_append(&auth_message, scram->client_first_bare);
	str_append_char(&auth_message, ',');
	str_append(&auth_message, scram->server_first);
	str_append_char(&auth_message, ',');
	str_append(&auth_message, final.without_proof);
	if (str_error(&auth_message) < 0)
		return SASL_MALFORMED;
	const struct sasl_verifier *v = find_verifier(s, str_span(&auth_message), str_span(&proof));
	enum sasl_outcome outcome = sasl_conclude(s, v, scram->authzid);
	if (outcome == SASL_UNAVAILABLE)
		return outcome;
	if (outcome != SASL_OK) {
		bool may_not_act = v && outcome == SASL_BAD_CREDENTIALS && !s->result.wrong_account;
		return fail(s, may_not_act ? OTHER_ERROR : INVALID_PROOF, challenge);
	}
	uint8_t signature[HASH_MAX_BYTES];
	enum hash h = sasl_hash(s->mechanism);
	hash_hmac(h, v->server_key, str_span(&auth_message), signature);
	str_append(challenge, SPAN("v="));
	base64_encode(span_of(signature, hash_bytes(h)), challenge);
	scram->phase = FINISH;
	scram->outcome = SASL_OK;
	return SASL_CONTINUE;
}

/*
 * client-final-message = channel-binding "," nonce ["," extensions] "," proof
 * The proof is last and no extension may be called "p".
 */
static bool parse_client_final(struct span message, struct client_final *ret)
{
	size_t comma = span_last_index(message, ',');
	if (span_index(message, '\0') != SIZE_MAX || comma == SIZE_MAX)
		return false;
	struct span rest = span_from(message, comma + 1);
	ret->without_proof = span_sub(message, 0, comma);
	if (!scram_attribute(&rest, 'p', &ret->proof))
		return false;
	rest = ret->without_proof;
	if (!scram_attribute(&rest, 'c', &ret->binding) ||
	    !scram_attribute(&rest, 'r', &ret->nonce))
		return false;
	enum scram_extensions extensions = scram_extensions(rest, ret->without_proof);
	ret->mandatory_extension = extensions == SCRAM_EXTENSION_MANDATORY;
	return extensions != SCRAM_EXTENSIONS_MALFORMED;
}

/* Everything but the proof itself, which is decoded. */
static enum scram_error check_client_final(
    struct sasl_server *s, const struct client_final *final, struct str *proof)
{
	struct scram_server *scram = s->scram;
	struct str got cleanup(str_clear) = STR_INIT(SASL_MESSAGE_MAX_BYTES);
	struct str want cleanup(str_clear) = STR_INIT(2 * BINDING_MAX_BYTES);
	if (base64_decode(final->binding, &got) < 0 || base64_decode(final->proof, proof) < 0)
		return INVALID_ENCODING;
	str_append(&want, scram->gs2_header);
	str_append(&want, scram->binding);
	if (str_error(&want) < 0 || !secret_equal(str_span(&got), str_span(&want)))
		return BINDINGS_DONT_MATCH;
	return secret_equal(final->nonce, scram->nonce) ? NO_ERROR : INVALID_PROOF;
}

/* Tries every password of the account; an unknown user has one that nobody knows. */
static const struct sasl_verifier *find_verifier(
    struct sasl_server *s, struct span auth_message, struct span proof)
{
	enum hash h = sasl_hash(s->mechanism);
	const struct sasl_verifier *found = NULL;
	for (size_t i = 0; i < s->credentials.verifier_count; i++) {
		const struct sasl_verifier *v = &s->credentials.verifiers[i];
		if (proof_fits(h, v->stored_key, auth_message, proof) && !found)
			found = v;
	}
	if (s->credentials.verifier_count == 0) {
		uint8_t nobody[HASH_MAX_BYTES];
		random_bytes(nobody, sizeof(nobody));
		(void)proof_fits(
		    h, span_of(nobody, hash_bytes(h)), auth_message, proof); /* for time */
	}
	return found;
}

/* RFC 5802 §3: H(ClientProof XOR HMAC(StoredKey, AuthMessage)) is the StoredKey. */
static bool proof_fits(
    enum hash h, struct span stored_key, struct span auth_message, struct span proof)
{
	size_t n = hash_bytes(h);
	if (proof.n != n || stored_key.n != n)
		return false;
	uint8_t key[HASH_MAX_BYTES], digest[HASH_MAX_BYTES];
	hash_hmac(h, stored_key, auth_message, key);
	for (size_t i = 0; i < n; i++)
		key[i] ^= (uint8_t)proof.p[i];
	hash_digest(h, span_of(key, n), digest);
	bool fits = secret_equal(span_of(digest, n), stored_key);
	explicit_bzero(key, sizeof(key));
	explicit_bzero(digest, sizeof(digest));
	return fits;
}
