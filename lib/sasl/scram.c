#include "sasl/scram.h"

#include "base/ascii.h"

void scram_keys(enum hash h, struct span password, struct span salt, uint32_t iterations,
    struct scram_keys *ret)
{
	uint8_t salted[HASH_MAX_BYTES];
	hash_hi(h, password, salt, iterations, salted);
	struct span key = span_of(salted, hash_bytes(h));
	hash_hmac(h, key, SPAN("Client Key"), ret->client_key);
	hash_digest(h, span_of(ret->client_key, hash_bytes(h)), ret->stored_key);
	hash_hmac(h, key, SPAN("Server Key"), ret->server_key);
	explicit_bzero(salted, sizeof(salted));
}

void scram_derive(enum hash h, struct span password, struct span salt, uint32_t iterations,
    uint8_t stored_key[HASH_MAX_BYTES], uint8_t server_key[HASH_MAX_BYTES])
{
	struct scram_keys keys;
	scram_keys(h, password, salt, iterations, &keys);
	memcpy(stored_key, keys.stored_key, hash_bytes(h));
	memcpy(server_key, keys.server_key, hash_bytes(h));
	explicit_bzero(&keys, sizeof(keys));
}

bool scram_attribute(struct span *rest, char letter, struct span *ret_value)
{
	if (rest->n < 2 || rest->p[0] != letter || rest->p[1] != '=')
		return false;
	(void)span_cut(span_from(*rest, 2), ',', ret_value, rest); /* the last one has no comma */
	return true;
}

enum scram_extensions scram_extensions(struct span rest, struct span message)
{
	static const char taken[] = "anrcsipve";
	bool is_mandatory = false;
	if (message.n > 0 && message.p[message.n - 1] == ',')
		return SCRAM_EXTENSIONS_MALFORMED; /* which scram_attribute() does not tell */
	while (rest.n > 0) {
		struct span extension;
		(void)span_cut(rest, ',', &extension, &rest); /* the last one has no comma */
		if (extension.n < 3 || extension.p[1] != '=' ||
		    !ascii_is_alpha((unsigned char)extension.p[0]) ||
		    memchr(taken, extension.p[0], sizeof(taken) - 1))
			return SCRAM_EXTENSIONS_MALFORMED;
		is_mandatory = is_mandatory || extension.p[0] == 'm';
	}
	return is_mandatory ? SCRAM_EXTENSION_MANDATORY : SCRAM_EXTENSIONS_GOOD;
}

bool scram_is_printable(struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (!ascii_is_vchar((unsigned char)s.p[i]) || s.p[i] == ',')
			return false;
	}
	return s.n > 0;
}

void scram_escape(struct span name, struct str *out)
{
	for (size_t i = 0; i < name.n; i++) {
		if (name.p[i] == ',')
			str_append(out, SPAN("=2C"));
		else if (name.p[i] == '=')
			str_append(out, SPAN("=3D"));
		else
			str_append_char(out, name.p[i]);
	}
}

int scram_unescape(struct span saslname, struct str *out)
{
	for (size_t i = 0; i < saslname.n; i++) {
		if (saslname.p[i] != '=') {
			str_append_char(out, saslname.p[i]);
			continue;
		}
		struct span code = span_sub(saslname, i, 3);
		if (span_equal_nocase(code, SPAN("=2C")))
			str_append_char(out, ',');
		else if (span_equal_nocase(code, SPAN("=3D")))
			str_append_char(out, '=');
		else
			return -EINVAL;
		i += 2;
	}
	return str_error(out);
}

struct span scram_binding(const struct sasl_binding *b, struct span name, bool *ret_known)
{
	*ret_known = true;
	if (span_equal(name, SPAN("tls-exporter"))) /* RFC 9266 */
		return b->exporter;
	if (span_equal(name, SPAN("tls-unique"))) /* RFC 5929 §3 */
		return b->unique;
	if (span_equal(name, SPAN("tls-server-end-point"))) /* RFC 5929 §4 */
		return b->server_end_point;
	*ret_known = false;
	return SPAN_NONE;
}
