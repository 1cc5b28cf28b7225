/* Command lines: whatever parses must give paths that are valid addresses again. */
#include "smtp/command.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a cleanup(arena_clear) = {0};
	struct smtp_command c = {0};
	struct smtp_status s = {0};
	if (size < 1 || size > SMTP_COMMAND_MAX_BYTES)
		return 0;
	bool utf8 = data[0] & 1;
	unsigned extensions = data[0] & 2 ? ~0u : SMTP_SERVER_EXTENSIONS;
	if (smtp_command_parse(span_of(data + 1, size - 1), extensions, utf8, &a, &c, &s) < 0) {
		assert(s.code >= 500 && s.code < 600 && s.enhanced && s.text);
		return 0;
	}
	if (c.path.domain.n)
		assert(smtp_address_is_valid(c.path.address));
	if (c.verb == SMTP_VERB_RCPT)
		assert(c.path.address.n && (!c.path.utf8 || utf8));
	return 0;
}
