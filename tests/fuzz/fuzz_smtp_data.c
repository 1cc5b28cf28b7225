/* Data: the pieces do not matter, and what is accepted as canonical survives the way out and in. */
#include "smtp/data.h"

#include <assert.h>

#include "base/str.h"

static void append(void *context, struct span bytes)
{
	str_append(context, bytes);
}

static struct span unstuff(struct span in, size_t piece, struct str *out)
{
	struct smtp_unstuffer u = {0};
	while (in.n && u.state != SMTP_DATA_END)
		in = span_from(in, smtp_unstuff(&u, span_sub(in, 0, piece), append, out));
	return in;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str whole cleanup(str_clear) = STR_INIT(1 << 20);
	struct str pieces cleanup(str_clear) = STR_INIT(1 << 20);
	struct str wire cleanup(str_clear) = STR_INIT(1 << 20);
	struct smtp_stuffer s = {0};
	struct smtp_text t = {0};
	if (size < 1 || size > 10000)
		return 0;
	struct span in = span_of(data + 1, size - 1);
	struct span rest = unstuff(in, SIZE_MAX, &whole);
	assert(unstuff(in, (size_t)data[0] % 7 + 1, &pieces).n == rest.n);
	assert(span_equal(str_span(&whole), str_span(&pieces)));
	smtp_text_check(&t, str_span(&whole));
	smtp_text_end(&t);
	int error = smtp_stuff(&s, str_span(&whole), append, &wire);
	if (error == 0)
		error = smtp_stuff_end(&s, append, &wire);
	assert((error < 0) == t.bare);
	if (error == 0) {
		str_reset(&pieces);
		assert(unstuff(str_span(&wire), 3, &pieces).n == 0);
		assert(span_starts_with(str_span(&pieces), str_span(&whole)));
	}
	return 0;
}
