/*
 * Whole conversations: whatever is said, what is queued is canonical, has one From of the account,
 * no Bcc, and recipients.
 */
#include <assert.h>

#include "../unit/submitd_session.h"
#include "crypto/crypto.h"
#include "mime/header.h"
#include "smtp/data.h"

static void look_at(const struct queued *q)
{
	struct smtp_text t = {0};
	smtp_text_check(&t, q->text);
	smtp_text_end(&t);
	assert(!t.bare && !t.nul && t.line_bytes == 0);
	assert(header_count(q->text, SPAN("From")) == 1);
	assert(header_count(q->text, SPAN("Bcc")) == 0);
	assert(header_count(q->text, SPAN("Date")) >= 1);
	assert(header_count(q->text, SPAN("Message-ID")) >= 1);
	assert(span_equal(q->envelope.account, SPAN("anna")));
	assert(q->envelope.recipient_count <= 5);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a cleanup(arena_clear) = {0};
	struct str out cleanup(str_clear) = STR_INIT(1 << 20);
	static struct queued queued[FIXTURE_QUEUED_MAX];
	static bool begun;
	if (!begun) {
		if (crypto_init() < 0)
			abort();
		fixture_begin();
		(void)atexit(fixture_end);
		begun = true;
	}
	struct session s = fixture_session(stream_memory(span_of(data, size), &out));
	(void)!submitd_serve(&s);
	stream_free(s.peer);
	size_t count = fixture_take(&a, queued);
	for (size_t i = 0; i < count; i++)
		look_at(&queued[i]);
	return 0;
}
