/*
 * Messages of gate and session, in both directions: what can be read is written again the same.
 * First byte: who the sender is.
 */
#include <assert.h>

#include "gate/message.h"

static void read_again(enum message_type type, struct span body)
{
	struct str again cleanup(str_clear) = STR_INIT(MESSAGE_MAX_BYTES);
	struct message_facts facts;
	struct message_auth auth;
	struct message_welcome welcome;
	struct message_refused refused;
	int rc = -EBADMSG;

	if (type == MESSAGE_FACTS && (rc = message_get_facts(body, &facts)) == 0)
		message_put_facts(&again, &facts);
	else if (type == MESSAGE_AUTH && (rc = message_get_auth(body, &auth)) == 0)
		message_put_auth(&again, &auth);
	else if (type == MESSAGE_WELCOME && (rc = message_get_welcome(body, &welcome)) == 0)
		message_put_welcome(&again, &welcome);
	else if (type == MESSAGE_REFUSED && (rc = message_get_refused(body, &refused)) == 0)
		message_put_refused(&again, &refused);
	if (rc < 0)
		return;
	/* a text beyond its maximum is cut when it is written */
	assert(str_error(&again) == 0);
	assert(span_equal(str_span(&again), body) || type == MESSAGE_WELCOME ||
	       type == MESSAGE_REFUSED);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str body cleanup(str_clear_secret) = STR_INIT(MESSAGE_MAX_BYTES);
	enum message_type type;

	if (size == 0)
		return 0;
	struct stream *s = stream_memory(span_of(data + 1, size - 1), NULL);
	while (message_receive(s, data[0] & 1 ? SENDER_SESSION : SENDER_GATE, &type, &body) == 0)
		read_again(type, str_span(&body));
	stream_free(s);
	return 0;
}
