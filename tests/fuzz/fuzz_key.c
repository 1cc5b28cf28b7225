/* Keys as people paste them: any input to an SPKI, its type and its fingerprint. */
#include "crypto/crypto.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	return crypto_init();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str spki cleanup(str_clear) = STR_INIT(1 << 20);
	struct str again cleanup(str_clear) = STR_INIT(1 << 20);
	struct str type cleanup(str_clear) = STR_INIT(64);
	char fingerprint[FINGERPRINT_CHARS + 1];
	if (key_spki_from_input(span_of(data, n), &spki) < 0)
		return 0;
	key_fingerprint(str_span(&spki), fingerprint);
	/* An SPKI is an input like any other, and itself. */
	if (key_spki_from_input(str_span(&spki), &again) < 0 ||
	    !span_equal(str_span(&spki), str_span(&again)))
		abort();
	if (key_type(str_span(&spki), &type) < 0 && type.n > 0)
		abort();
	return 0;
}
