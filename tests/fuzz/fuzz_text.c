/* Unicode, domains, passwords, mailbox names and charsets: the first byte picks the function. */
#include <assert.h>

#include "text/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef int text_function(struct span s, struct str *out);

/* What a function yields is UTF-8, and yields itself. */
static void check_stable(text_function *f, struct span input)
{
	struct str once cleanup(str_clear) = STR_INIT(1 << 20),
			twice cleanup(str_clear) = STR_INIT(1 << 20);
	if (f(input, &once) < 0)
		return;
	assert(utf8_is_valid(str_span(&once)));
	int rc = f(str_span(&once), &twice);
	assert(rc == 0 && span_equal(str_span(&once), str_span(&twice)));
}

static int opaque_string(struct span s, struct str *out)
{
	uint32_t bad;
	return text_opaque_string(s, out, &bad);
}

/* One name has one spelling. */
static void check_utf7(struct span input)
{
	struct str name cleanup(str_clear) = STR_INIT(1 << 20),
			back cleanup(str_clear) = STR_INIT(1 << 20);
	if (text_utf7_decode(input, &name) < 0)
		return;
	assert(utf8_is_valid(str_span(&name)));
	int rc = text_utf7_encode(str_span(&name), &back);
	assert(rc == 0 && span_equal(str_span(&back), input));
}

static void check_charset(struct span input, size_t max)
{
	struct str out cleanup(str_clear) = STR_INIT(max);
	struct span charset, bytes;
	(void)span_cut(input, '\n', &charset, &bytes); /* without a line end: no bytes */
	text_to_utf8(charset, bytes, &out);
	assert(utf8_is_valid(str_span(&out)) && !out.failed);
}

static void check_words(struct span input, size_t max)
{
	struct str out cleanup(str_clear) = STR_INIT(max);
	text_decode_words(input, &out);
	assert(utf8_is_valid(str_span(&out)) && !out.failed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	struct span input = span_of(data + 1, size - 1);
	size_t max = data[0] & 0x80 ? 10 : 1 << 20;
	switch (data[0] % 7) {
	case 0: check_stable(text_nfc, input); break;
	case 1: check_stable(text_fold, input); break;
	case 2: check_stable(text_domain_ascii, input); break;
	case 3: check_stable(opaque_string, input); break;
	case 4: check_utf7(input); break;
	case 5: check_charset(input, max); break;
	default: check_words(input, max); break;
	}
	return 0;
}
