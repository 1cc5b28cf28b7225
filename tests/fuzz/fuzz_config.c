/*
 * Configuration files: cleaned, parsed by libConfuse, understood. No file that they name is opened.
 */
#include "base/str.h"
#include "conf/draft.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a cleanup(arena_clear) = {0};
	struct config_report report = {.arena = &a};
	struct config_section *root;
	struct config_draft draft;
	if (size == 0)
		return 0;
	/* There is no /postern.conf: the text is all there is. */
	config_parse("/", SPAN("fuzz.conf"), span_of(data, size), &a, &report, &root);
	draft_make(root, "/", &a, &report, &draft);
	return 0;
}
