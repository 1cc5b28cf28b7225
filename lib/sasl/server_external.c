/*
 * EXTERNAL (RFC 4422 appendix A): the proven TLS key says who, the response says as which address.
 */
#include "sasl/server_steps.h"

enum sasl_outcome sasl_external_step(
    struct sasl_server *s, struct span response, struct str *challenge)
{
	(void)challenge; /* the only one, the empty one, is step()'s */
	s->result.authcid = arena_span(&s->arena, response);
	if (!span_is_set(s->options.key_address))
		return SASL_NO_KEY;
	s->result.named_account = s->options.key_account;
	s->result.address = s->options.key_address;
	enum sasl_outcome outcome = SASL_OK;
	if (response.n > 0)
		outcome = sasl_act_as(s, s->options.key_account, response);
	if (outcome == SASL_OK) {
		s->result.account = s->options.key_account;
		s->result.password_name = SPAN("");
	}
	return outcome;
}
