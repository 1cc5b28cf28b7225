/* AUTH (RFC 4954), the client's side. */
#include "base/encode.h"
#include "smtp/client.h"
#include "smtp/client_state.h"
#include "smtp/command.h"

static int converse(struct smtp_client *c, struct sasl_client *sasl, enum sasl_mechanism m,
    struct smtp_outcome *ret);
static int step(struct sasl_client *sasl, struct span text, struct str *out, struct str *error);
static int cancel(struct smtp_client *c, const struct str *why, struct smtp_outcome *ret_outcome);

int smtp_client_auth(struct smtp_client *c, const struct sasl_client_options *options,
    struct smtp_outcome *ret_outcome)
{
	struct sasl_client_options o = *options;
	struct smtp_outcome outcome;
	enum sasl_mechanism m;
	const unsigned clear_text = 1u << SASL_PLAIN | 1u << SASL_LOGIN;
	o.offered_other_plus = c->other_plus;
	o.offered = o.tls ? c->mechanisms : c->mechanisms & ~clear_text;
	if (c->dead)
		return smtp_client_refused(c, &c->death, ret_outcome);
	if (sasl_choose(&o, &m) < 0) {
		struct str names cleanup(str_clear) = STR_INIT(500);
		for (unsigned i = 0; i < SASL_MECHANISM_COUNT; i++)
			if (c->mechanisms & 1u << i)
				str_format(
				    &names, " %.*s", SPAN_ARG(sasl_name((enum sasl_mechanism)i)));
		smtp_outcome_set(&outcome, SMTP_RESULT_SESSION, NULL,
		    "No mechanism that may be used; offered:%s", names.n ? names.data : " none");
		return smtp_client_refused(c, &outcome, ret_outcome);
	}
	struct sasl_client *sasl = sasl_client_new(m, &o);
	int error = converse(c, sasl, m, &outcome);
	sasl_client_free(sasl);
	return error < 0 ? smtp_client_refused(c, &outcome, ret_outcome) : 0;
}

/* RFC 4954 §4. *ret is set on failure. */
static int converse(struct smtp_client *c, struct sasl_client *sasl, enum sasl_mechanism m,
    struct smtp_outcome *ret)
{
	struct str line cleanup(str_clear_secret) = STR_INIT(SMTP_AUTH_LINE_MAX_BYTES);
	struct str why cleanup(str_clear) = STR_INIT(500);
	struct smtp_outcome o;
	str_format(&line, "AUTH %.*s", SPAN_ARG(sasl_name(m)));
	if (sasl_client_has_initial(sasl)) {
		size_t head = line.n;
		str_append_char(&line, ' ');
		if (step(sasl, SPAN_NONE, &line, &why) < 0) {
			smtp_outcome_set(ret, SMTP_RESULT_SESSION, NULL, "AUTH: %s", why.data);
			return -EIO;
		}
		if (line.n == head + 1)
			str_append_char(&line, '='); /* an empty one */
	}
	for (;;) {
		str_append_cstr(&line, "\r\n");
		stream_write(c->stream, str_span(&line));
		if (smtp_client_answer(c, SMTP_WAIT_COMMAND, "AUTH", &o) < 0 || o.code != 334) {
			*ret = o;
			break;
		}
		str_reset(&line);
		if (step(sasl, span_cstr(o.text), &line, &why) < 0)
			return cancel(c, &why, ret);
	}
	if (c->dead || o.code != 235)
		return -EIO;
	/* RFC 5802 §5: a success before the server has proved itself is none. */
	if (!sasl_client_is_done(sasl)) {
		smtp_outcome_set(
		    ret, SMTP_RESULT_SESSION, NULL, "AUTH: success before the server's signature");
		return -EIO;
	}
	return 0;
}

/* Base64 in, base64 appended to *out. text unset: no challenge yet. */
static int step(struct sasl_client *sasl, struct span text, struct str *out, struct str *error)
{
	struct str challenge cleanup(str_clear_secret) = STR_INIT(SASL_MESSAGE_MAX_BYTES);
	struct str response cleanup(str_clear_secret) = STR_INIT(SASL_RESPONSE_MAX_BYTES);
	if (base64_decode(text, &challenge) < 0) {
		str_append_cstr(error, "the challenge is no base64");
		return -EPROTO;
	}
	int rc = sasl_client_step(
	    sasl, span_is_set(text) ? str_span(&challenge) : SPAN_NONE, &response, error);
	if (rc < 0)
		return rc;
	base64_encode(str_span(&response), out);
	if (out->failed)
		str_append_cstr(error, "the response is too long");
	return str_error(out);
}

/* "*" (RFC 4954 §4), and whatever is answered: it has failed. */
static int cancel(struct smtp_client *c, const struct str *why, struct smtp_outcome *ret_outcome)
{
	struct smtp_outcome o;
	stream_write_cstr(c->stream, "*\r\n");
	smtp_client_answer(c, SMTP_WAIT_COMMAND, "AUTH", &o);
	smtp_outcome_set(ret_outcome, SMTP_RESULT_SESSION, NULL, "AUTH: %s", why->data);
	return -EIO;
}
