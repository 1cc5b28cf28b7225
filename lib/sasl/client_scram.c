/* SCRAM (RFC 5802, RFC 7677), the client's side. The server is not trusted before its signature. */
#include "sasl/client_steps.h"

#include "base/ascii.h"
#include "base/encode.h"
#include "sasl/scram.h"

enum { CLIENT_NONCE_CHARS = 24, SERVER_NONCE_MIN_CHARS = 8, SALT_MIN_BYTES = 8 };
enum { BINDING_INPUT_MAX_BYTES = SASL_MESSAGE_MAX_BYTES };

struct server_first {
	struct span nonce, salt; /* salt: base64 */
	uint64_t iterations;
};

static void choose_binding(struct sasl_client *c);
static void client_first(struct sasl_client *c, struct str *response);
static int client_final(
    struct sasl_client *c, struct span challenge, struct str *response, struct str *ret_error);
static int parse_server_first(
    struct sasl_client *c, struct span message, struct server_first *ret, struct str *ret_error);
static void put_proof(struct sasl_client *c, const struct server_first *first, struct span salt,
    struct span server_first, struct str *response);
static int check_server_final(struct sasl_client *c, struct span message, struct str *ret_error);
static int refuse(struct str *ret_error, const char *sentence);
static int refuse_error(struct str *ret_error, struct span error);

void scram_client_init(struct sasl_client *c)
{
	struct scram_client *s = &c->scram;
	str_init(&s->first_bare, SASL_RESPONSE_MAX_BYTES);
	str_init(&s->nonce, SASL_MESSAGE_MAX_BYTES);
	char random[CLIENT_NONCE_CHARS + 1];
	random_name(random, CLIENT_NONCE_CHARS);
	str_append(&s->nonce, span_is_set(c->options.nonce_for_tests) ? c->options.nonce_for_tests
								      : span_cstr(random));
	str_append(&s->first_bare, SPAN("n="));
	scram_escape(str_span(&c->username), &s->first_bare);
	str_append(&s->first_bare, SPAN(",r="));
	str_append(&s->first_bare, str_span(&s->nonce));
	choose_binding(c);
}

void scram_client_clear(struct sasl_client *c)
{
	str_clear(&c->scram.first_bare);
	str_clear(&c->scram.nonce);
	explicit_bzero(&c->scram, sizeof(c->scram));
}

/* RFC 5802 §6: "y" says: I could have bound, but you offered no -PLUS. */
static void choose_binding(struct sasl_client *c)
{
	const struct sasl_binding *b = &c->options.binding;
	struct scram_client *s = &c->scram;
	s->flag = "n";
	if (sasl_is_plus(c->mechanism)) {
		if (span_is_set(b->exporter)) { /* RFC 9266 §3: the default of TLS 1.3 */
			s->flag = "p=tls-exporter";
			s->binding = b->exporter;
		} else if (span_is_set(b->unique)) {
			s->flag = "p=tls-unique";
			s->binding = b->unique;
		} else {
			s->flag = "p=tls-server-end-point";
			s->binding = b->server_end_point;
		}
		return;
	}
	bool could_bind = c->options.tls && (span_is_set(b->exporter) || span_is_set(b->unique) ||
						span_is_set(b->server_end_point));
	if (could_bind && !(c->options.offered & SASL_ALL_PLUS) && !c->options.offered_other_plus)
		s->flag = "y";
}

int scram_client_step(
    struct sasl_client *c, struct span challenge, struct str *response, struct str *ret_error)
{
	switch (c->step) {
	case 0: client_first(c, response); return str_error(&c->scram.first_bare);
	case 1: return client_final(c, challenge, response, ret_error);
	default: return check_server_final(c, challenge, ret_error);
	}
}

static void client_first(struct sasl_client *c, struct str *response)
{
	str_format(response, "%s,,", c->scram.flag);
	str_append(response, str_span(&c->scram.first_bare));
}

static int client_final(
    struct sasl_client *c, struct span challenge, struct str *response, struct str *ret_error)
{
	struct server_first first;
	int rc = parse_server_first(c, challenge, &first, ret_error);
	if (rc < 0)
		return rc;
	struct str salt cleanup(str_clear) = STR_INIT(SASL_MESSAGE_MAX_BYTES);
	if (base64_decode(first.salt, &salt) < 0 || salt.n < SALT_MIN_BYTES)
		return refuse(ret_error, "the server's salt is malformed or too short");
	struct str binding cleanup(str_clear) = STR_INIT(BINDING_INPUT_MAX_BYTES);
	str_format(&binding, "%s,,", c->scram.flag);
	str_append(&binding, c->scram.binding);
	if (str_error(&binding) < 0)
		return refuse(ret_error, "the channel-binding data is too long");
	str_append(response, SPAN("c="));
	base64_encode(str_span(&binding), response);
	str_append(response, SPAN(",r="));
	str_append(response, first.nonce);
	put_proof(c, &first, str_span(&salt), challenge, response);
	return 0;
}

/* server-first-message = [reserved-mext ","] nonce "," salt "," iteration-count ["," extensions] */
static int parse_server_first(
    struct sasl_client *c, struct span message, struct server_first *ret, struct str *ret_error)
{
	struct span rest = message, value, own = str_span(&c->scram.nonce);
	if (scram_attribute(&rest, 'e', &value))
		return refuse_error(ret_error, value);
	if (span_starts_with(message, SPAN("m=")))
		return refuse(ret_error, "the server demands a SCRAM extension that nobody knows");
	if (span_index(message, '\0') != SIZE_MAX || !scram_attribute(&rest, 'r', &ret->nonce) ||
	    !scram_attribute(&rest, 's', &ret->salt) || !scram_attribute(&rest, 'i', &value) ||
	    value.n == 0 || value.p[0] == '0' || /* posit-number */
	    span_to_u64(value, UINT32_MAX, &ret->iterations) < 0 ||
	    scram_extensions(rest, message) == SCRAM_EXTENSIONS_MALFORMED)
		return refuse(ret_error, "the server's first SCRAM message is malformed");
	if (scram_extensions(rest, message) == SCRAM_EXTENSION_MANDATORY)
		return refuse(ret_error, "the server demands a SCRAM extension that nobody knows");
	if (!scram_is_printable(ret->nonce) || !span_starts_with(ret->nonce, own) ||
	    ret->nonce.n < own.n + SERVER_NONCE_MIN_CHARS)
		return refuse(ret_error, "the server's nonce does not continue ours");
	if (ret->iterations < SASL_CLIENT_ITERATIONS_MIN)
		return refuse(ret_error, "the server asks for too few iterations to be safe");
	if (ret->iterations > SASL_CLIENT_ITERATIONS_MAX)
		return refuse(ret_error, "the server asks for too many iterations");
	return 0;
}

/* RFC 5802 §3: appends ",p=" and remembers what the server must answer. */
static void put_proof(struct sasl_client *c, const struct server_first *first, struct span salt,
    struct span server_first, struct str *response)
{
	enum hash h = sasl_hash(c->mechanism);
	size_t n = hash_bytes(h);
	struct str message cleanup(str_clear) = STR_INIT(3 * SASL_RESPONSE_MAX_BYTES);
	str_append(&message, str_span(&c->scram.first_bare));
	str_append_char(&message, ',');
	str_append(&message, server_first);
	str_append_char(&message, ',');
	str_append(&message, str_span(response));
	if (str_error(&message) < 0 || str_error(response) < 0) {
		response->failed = true; /* the caller refuses */
		return;
	}
	struct scram_keys keys;
	uint8_t proof[HASH_MAX_BYTES];
	scram_keys(h, str_span(&c->password), salt, (uint32_t)first->iterations, &keys);
	hash_hmac(h, span_of(keys.stored_key, n), str_span(&message), proof);
	for (size_t i = 0; i < n; i++)
		proof[i] ^= keys.client_key[i];
	hash_hmac(h, span_of(keys.server_key, n), str_span(&message), c->scram.signature);
	str_append(response, SPAN(",p="));
	base64_encode(span_of(proof, n), response);
	explicit_bzero(&keys, sizeof(keys));
	explicit_bzero(proof, sizeof(proof));
}

/* server-final-message = (server-error / verifier) ["," extensions]; the answer to it is empty. */
static int check_server_final(struct sasl_client *c, struct span message, struct str *ret_error)
{
	struct span rest = message, value;
	if (scram_attribute(&rest, 'e', &value))
		return refuse_error(ret_error, value);
	struct str signature cleanup(str_clear) = STR_INIT(SASL_MESSAGE_MAX_BYTES);
	size_t n = hash_bytes(sasl_hash(c->mechanism));
	if (!scram_attribute(&rest, 'v', &value) || base64_decode(value, &signature) < 0 ||
	    scram_extensions(rest, message) != SCRAM_EXTENSIONS_GOOD)
		return refuse(ret_error, "the server's last SCRAM message is malformed");
	if (!secret_equal(str_span(&signature), span_of(c->scram.signature, n)))
		return refuse(
		    ret_error, "the server does not know the password: its signature is wrong");
	c->done = true;
	return 0;
}

static int refuse(struct str *ret_error, const char *sentence)
{
	str_append_cstr(ret_error, sentence);
	return -EPROTO;
}

static int refuse_error(struct str *ret_error, struct span error)
{
	enum { SHOWN_MAX_CHARS = 60 };
	str_append_cstr(ret_error, "the server refuses: ");
	for (size_t i = 0; i < MIN(error.n, SHOWN_MAX_CHARS); i++) {
		unsigned char c = (unsigned char)error.p[i];
		str_append_char(ret_error, ascii_is_vchar(c) ? (char)c : '?');
	}
	return -EPROTO;
}
