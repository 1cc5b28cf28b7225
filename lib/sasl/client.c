#include "sasl/client.h"

#include <assert.h>

#include "base/encode.h"
#include "sasl/client_steps.h"
#include "text/text.h"

static bool is_possible(const struct sasl_client_options *o, enum sasl_mechanism m);
static void prepare_username(struct sasl_client *c);
static void prepare_password(struct sasl_client *c);
static int step(
    struct sasl_client *c, struct span challenge, struct str *response, struct str *ret_error);
static void external_step(struct sasl_client *c, struct str *response);
static void plain_step(struct sasl_client *c, struct str *response);
static void login_step(struct sasl_client *c, struct str *response);
static void cram_md5_step(struct sasl_client *c, struct span challenge, struct str *response);

int sasl_choose(const struct sasl_client_options *o, enum sasl_mechanism *ret)
{
	for (enum sasl_mechanism m = 0; m < SASL_MECHANISM_COUNT; m++) { /* strongest first */
		if (o->offered & 1u << m && is_possible(o, m)) {
			*ret = m;
			return 0;
		}
	}
	return -ENOENT;
}

static bool is_possible(const struct sasl_client_options *o, enum sasl_mechanism m)
{
	if (o->allowed && !(o->allowed & 1u << m))
		return false;
	if (m == SASL_EXTERNAL)
		return o->has_client_key && o->tls;
	if (!span_is_set(o->password))
		return false;
	if (m == SASL_PLAIN || m == SASL_LOGIN)
		return (o->allowed && !(o->allowed & SASL_WITHOUT_CLEAR_PASSWORD)) ||
		       (o->tls && o->tls_verified);
	if (sasl_is_plus(m))
		return o->tls &&
		       (span_is_set(o->binding.exporter) || span_is_set(o->binding.unique) ||
			   span_is_set(o->binding.server_end_point));
	return true;
}

struct sasl_client *sasl_client_new(enum sasl_mechanism m, const struct sasl_client_options *o)
{
	assert(m < SASL_MECHANISM_COUNT);
	struct sasl_client *c = xcalloc(1, sizeof(*c));
	c->mechanism = m;
	c->options = *o;
	struct span *borrowed[] = {
	    &c->options.binding.exporter,
	    &c->options.binding.unique,
	    &c->options.binding.server_end_point,
	    &c->options.nonce_for_tests,
	};
	for (size_t i = 0; i < ARRAY_SIZE(borrowed); i++)
		*borrowed[i] = arena_span(&c->arena, *borrowed[i]);
	str_init(&c->username, SASL_MESSAGE_MAX_BYTES);
	str_init(&c->password, SASL_MESSAGE_MAX_BYTES);
	prepare_username(c);
	prepare_password(c);
	c->options.username = str_span(&c->username);
	c->options.password = str_span(&c->password);
	if (sasl_is_scram(m))
		scram_client_init(c);
	return c;
}

/* As the server will look it up; what is not UTF-8 goes as it is. */
static void prepare_username(struct sasl_client *c)
{
	if (text_nfc(c->options.username, &c->username) < 0) {
		str_reset(&c->username);
		str_append(&c->username, c->options.username);
	}
}

/*
 * Who derives keys from it must prepare it (RFC 8265 §4.2); one that the class forbids may still be
 * what a less strict server derived its keys from. PLAIN and LOGIN leave it to the server.
 */
static void prepare_password(struct sasl_client *c)
{
	uint32_t bad;
	bool derives = sasl_is_scram(c->mechanism) || c->mechanism == SASL_CRAM_MD5;
	if (!derives || text_opaque_string(c->options.password, &c->password, &bad) < 0) {
		str_reset(&c->password);
		str_append(&c->password, c->options.password);
	}
}

void sasl_client_free(struct sasl_client *c)
{
	if (!c)
		return;
	scram_client_clear(c);
	str_clear(&c->username);
	str_clear_secret(&c->password);
	arena_clear(&c->arena); /* bindings and nonce */
	free(c);
}

bool sasl_client_has_initial(const struct sasl_client *c)
{
	return c->mechanism != SASL_LOGIN && c->mechanism != SASL_CRAM_MD5;
}

bool sasl_client_is_done(const struct sasl_client *c)
{
	return c->done;
}

int sasl_client_step(
    struct sasl_client *c, struct span challenge, struct str *response, struct str *ret_error)
{
	str_reset(response);
	str_reset(ret_error);
	int rc = -EPROTO;
	if (c->failed || c->done)
		str_append_cstr(ret_error, "the server goes on after the end of the exchange");
	else if (challenge.n > SASL_MESSAGE_MAX_BYTES)
		str_append_cstr(ret_error, "the server's challenge is too long");
	else if (c->username.failed || c->password.failed)
		str_append_cstr(ret_error, "the user name or the password is too long");
	else
		rc = step(c, challenge, response, ret_error);
	if (rc == 0 && str_error(response) < 0) {
		str_append_cstr(ret_error, "the response would be too long");
		rc = -EPROTO;
	}
	if (rc < 0) {
		str_clear_secret(response);
		c->failed = true;
		c->done = false;
	}
	c->step++;
	return rc;
}

static int step(
    struct sasl_client *c, struct span challenge, struct str *response, struct str *ret_error)
{
	switch (c->mechanism) {
	case SASL_EXTERNAL: external_step(c, response); return 0;
	case SASL_PLAIN: plain_step(c, response); return 0;
	case SASL_LOGIN: login_step(c, response); return 0;
	case SASL_CRAM_MD5: cram_md5_step(c, challenge, response); return 0;
	default: return scram_client_step(c, challenge, response, ret_error);
	}
}

/* RFC 4422 appendix A */
static void external_step(struct sasl_client *c, struct str *response)
{
	str_append(response, str_span(&c->username));
	c->done = true;
}

/* RFC 4616 */
static void plain_step(struct sasl_client *c, struct str *response)
{
	if (span_index(str_span(&c->username), '\0') != SIZE_MAX ||
	    span_index(str_span(&c->password), '\0') != SIZE_MAX)
		response->failed = true; /* cannot be said in PLAIN */
	str_append_char(response, '\0');
	str_append(response, str_span(&c->username));
	str_append_char(response, '\0');
	str_append(response, str_span(&c->password));
	c->done = true;
}

/* The prompts say nothing reliable: the name first, then the password. */
static void login_step(struct sasl_client *c, struct str *response)
{
	c->done = c->step > 0;
	str_append(response, c->done ? str_span(&c->password) : str_span(&c->username));
}

/* RFC 2195 §2 */
static void cram_md5_step(struct sasl_client *c, struct span challenge, struct str *response)
{
	uint8_t mac[HASH_MAX_BYTES];
	hash_hmac(HASH_MD5, str_span(&c->password), challenge, mac);
	str_append(response, str_span(&c->username));
	str_append_char(response, ' ');
	hex_encode(span_of(mac, hash_bytes(HASH_MD5)), response);
	explicit_bzero(mac, sizeof(mac));
	c->done = true;
}
