/*
 * A gate between a client and a session that are both the fuzzer's: "…script \0 client's bytes".
 * Each byte of the script is one message of the session; what the gate sends to it must be
 * well-formed.
 */
#include <assert.h>

#include "gate/gate.h"

static void put_message(struct str *wire, enum message_type type, struct span body)
{
	struct stream *s = stream_memory(SPAN_NONE, wire);
	(void)!message_send(s, type, body);
	stream_free(s);
}

static void play_session(struct span script, struct str *wire)
{
	struct str body cleanup(str_clear) = STR_INIT(4096);

	for (size_t i = 0; i < script.n; i++) {
		unsigned c = (unsigned char)script.p[i];
		struct span rest = span_sub(script, i, 40);
		str_reset(&body);
		switch (c % 8) {
		case 0: put_message(wire, MESSAGE_HANDOVER, SPAN_NONE); break;
		case 1:
		case 2: put_message(wire, MESSAGE_CHALLENGE, rest); break;
		case 3: str_append(wire, rest); break; /* nonsense */
		default: {
			struct message_refused r = {
			    c / 8 % REFUSAL_COUNT, c & 4 && c > 200, c & 1 ? rest : SPAN_NONE};
			message_put_refused(&body, &r);
			put_message(wire, MESSAGE_REFUSED, str_span(&body));
		}
		}
	}
}

static void look_at_messages(struct span sent)
{
	struct str body cleanup(str_clear) = STR_INIT(MESSAGE_MAX_BYTES);
	struct stream *s = stream_memory(sent, NULL);
	enum message_type type;
	struct message_auth auth;

	while (message_receive(s, SENDER_GATE, &type, &body) == 0) {
		assert(type != MESSAGE_FACTS && type != MESSAGE_GOODBYE);
		if (type == MESSAGE_AUTH)
			assert(message_get_auth(str_span(&body), &auth) == 0);
		sent = span_from(sent, body.n + 5);
	}
	assert(sent.n == 0);
	stream_free(s);
}

/* Every line to the client ends in CRLF and has no other CR, LF or NUL. */
static void look_at_lines(struct span said)
{
	for (size_t i = 0; i < said.n; i++) {
		assert(said.p[i] != '\0');
		assert((said.p[i] == '\n') == (i > 0 && said.p[i - 1] == '\r'));
	}
	assert(said.n == 0 || said.p[said.n - 1] == '\n');
}

static void run_gate(enum protocol protocol, struct span input)
{
	struct str wire cleanup(str_clear) = STR_INIT(1 << 20);
	struct str sent cleanup(str_clear) = STR_INIT(1 << 24);
	struct str said cleanup(str_clear) = STR_INIT(1 << 24);
	struct span script, client;

	(void)span_cut(input, '\0', &script, &client);
	play_session(script, &wire);
	struct gate g = {.protocol = protocol,
	    .client = stream_memory(client, &said),
	    .session = stream_memory(str_span(&wire), &sent),
	    .hostname = SPAN("mx.example.org"),
	    .message_size_max = 1 << 20,
	    .allow_plaintext = script.n % 4 != 3,
	    .welcome = {.mechanisms = (1U << SASL_MECHANISM_COUNT) - 1,
		.disabled = script.n % 4 == 2,
		.text = script.n & 1 ? SPAN("text") : SPAN_NONE}};
	str_init(&g.welcome_text, MESSAGE_TEXT_MAX_BYTES);
	str_init(&g.body, MESSAGE_MAX_BYTES);
	str_init(&g.helo, MESSAGE_NAME_MAX_BYTES);
	str_init(&g.client_id, MESSAGE_NAME_MAX_BYTES);
	str_init(&g.tls_error, MESSAGE_TEXT_MAX_BYTES);
	enum gate_end end = protocol == PROTOCOL_IMAP ? gate_imap(&g) : gate_smtp(&g);
	assert(end != GATE_GO_ON && end != GATE_REFUSED);
	(void)!stream_flush(g.client);
	(void)!stream_flush(g.session);
	gate_clear(&g);
	look_at_messages(str_span(&sent));
	look_at_lines(str_span(&said));
}
