/*
 * Messages between gate and session: there and back, cut at every byte, and what neither may send.
 */
#include "gate/message.h"

#include "base/codec.h"
#include "tap.h"

static bool parses(enum message_type type, struct span body)
{
	switch (type) {
	case MESSAGE_FACTS: return message_get_facts(body, &(struct message_facts){0}) == 0;
	case MESSAGE_AUTH: return message_get_auth(body, &(struct message_auth){0}) == 0;
	case MESSAGE_WELCOME: return message_get_welcome(body, &(struct message_welcome){0}) == 0;
	default: return message_get_refused(body, &(struct message_refused){0}) == 0;
	}
}

/* Whole it parses; cut anywhere, or with a byte behind it, it does not. */
static void check_cuts(enum message_type type, const struct str *body, const char *label)
{
	struct str longer cleanup(str_clear) = STR_INIT(MESSAGE_MAX_BYTES);
	bool cut_parses = false;

	check_named(parses(type, str_span(body)), label);
	for (size_t n = 0; n < body->n; n++) {
		char *copy = malloc(n ? n : 1); /* so that the sanitizers see a byte too many */
		memcpy(copy, body->data, n);
		cut_parses = cut_parses || parses(type, span_of(copy, n));
		free(copy);
	}
	check_named(!cut_parses, label);
	str_append(&longer, str_span(body));
	str_append_char(&longer, 'x');
	check_named(!parses(type, str_span(&longer)), label);
}

static void check_bodies(void)
{
	struct str body cleanup(str_clear) = STR_INIT(MESSAGE_MAX_BYTES);
	struct message_facts f = {.tls = true,
	    .client_certificate = true,
	    .tls_version = 0x0304,
	    .cipher = SPAN("TLS_AES_128_GCM_SHA256"),
	    .client_spki = SPAN("spki"),
	    .transcript = SPAN("a transcript"),
	    .binding = {.tls = true, .exporter = SPAN("exporter")}};
	struct message_facts facts;
	message_put_facts(&body, &f);
	check_int(message_get_facts(str_span(&body), &facts), 0);
	check_span(facts.transcript, f.transcript);
	check_span(facts.binding.exporter, f.binding.exporter);
	check(facts.tls && !facts.implicit_tls && !span_is_set(facts.binding.unique));
	check_int(facts.tls_version, 0x0304);
	check_cuts(MESSAGE_FACTS, &body, "facts");

	struct message_auth a = {.mechanism = SASL_PLAIN, .initial = SPAN(""), .tag = SPAN("a1")},
			    auth;
	str_reset(&body);
	message_put_auth(&body, &a);
	check_int(message_get_auth(str_span(&body), &auth), 0);
	check(span_is_set(auth.initial) && auth.initial.n == 0);
	check_span(auth.tag, a.tag);
	check_cuts(MESSAGE_AUTH, &body, "auth");
	body.data[0] = SASL_MECHANISM_COUNT;
	check_int(message_get_auth(str_span(&body), &auth), -EBADMSG);

	struct message_welcome w = {.mechanisms = 1U << SASL_PLAIN, .text = SPAN("hello")}, welcome;
	str_reset(&body);
	message_put_welcome(&body, &w);
	check_int(message_get_welcome(str_span(&body), &welcome), 0);
	check_span(welcome.text, w.text);
	check_cuts(MESSAGE_WELCOME, &body, "welcome");
	body.data[3] = 1; /* a mechanism that does not exist */
	check_int(message_get_welcome(str_span(&body), &welcome), -EBADMSG);

	struct message_refused r = {.refusal = REFUSAL_KEY, .close = true, .text = SPAN("no")},
			       refused;
	str_reset(&body);
	message_put_refused(&body, &r);
	check_int(message_get_refused(str_span(&body), &refused), 0);
	check(refused.close && refused.refusal == REFUSAL_KEY);
	check_cuts(MESSAGE_REFUSED, &body, "refused");
	body.data[0] = REFUSAL_COUNT;
	check_int(message_get_refused(str_span(&body), &refused), -EBADMSG);
	body.data[0] = REFUSAL_KEY;
	body.data[1] = 2; /* neither yes nor no */
	check_int(message_get_refused(str_span(&body), &refused), -EBADMSG);
}

/* What arrives as these bytes: the answer of message_receive(). */
static int receive(struct span bytes, enum message_sender from, enum message_type *ret)
{
	struct str body cleanup(str_clear) = STR_INIT(MESSAGE_MAX_BYTES);
	struct stream *s = stream_memory(bytes, NULL);
	int rc = message_receive(s, from, ret, &body);
	stream_free(s);
	return rc;
}

static void check_frames(void)
{
	struct str wire cleanup(str_clear) = STR_INIT(2 * MESSAGE_MAX_BYTES);
	struct stream *s = stream_memory(SPAN_NONE, &wire);
	char byte = ABORT_BY_CLIENT;
	enum message_type type = 0;

	check_int(message_send(s, MESSAGE_ABORT, span_of(&byte, 1)), 0);
	check_int(message_send(s, MESSAGE_ABORT, SPAN("too long")), -EMSGSIZE);
	stream_free(s);
	check_int(wire.n, 6);
	check_int(receive(str_span(&wire), SENDER_GATE, &type), 0);
	check_int(type, MESSAGE_ABORT);
	check_int(receive(str_span(&wire), SENDER_SESSION, &type), -EBADMSG);
	for (size_t n = 0; n < wire.n; n++)
		check_int(receive(span_sub(str_span(&wire), 0, n), SENDER_GATE, &type), -EPIPE);
	wire.data[4] = 0; /* no type */
	check_int(receive(str_span(&wire), SENDER_GATE, &type), -EBADMSG);
	wire.data[4] = MESSAGE_TYPE_COUNT;
	check_int(receive(str_span(&wire), SENDER_SESSION, &type), -EBADMSG);
	wire.data[4] = MESSAGE_RESPONSE;
	wire.data[3] = 0x7f; /* 2 GiB to come */
	check_int(receive(str_span(&wire), SENDER_GATE, &type), -EBADMSG);
}

int main(void)
{
	check_bodies();
	check_frames();
	return tap_end();
}
