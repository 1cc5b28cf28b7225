/* Envelope records: what reads must be written to the same bytes again. */
#include <assert.h>

#include "queue/incoming.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a cleanup(arena_clear) = {0};
	struct str out cleanup(str_clear) = STR_INIT(ENVELOPE_MAX_BYTES);
	struct envelope e;
	if (envelope_read(span_of(data, size), &a, &e) < 0)
		return 0;
	assert(e.recipient_count > 0);
	envelope_write(&e, &out);
	assert(span_equal(str_span(&out), span_of(data, size)));
	return 0;
}
