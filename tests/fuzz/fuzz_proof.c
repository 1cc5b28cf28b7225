/*
 * The check of a client's proof: a nonce, then a transcript. Seeds: build/…/tests/test_proof DIR.
 */
#include "crypto/crypto.h"
#include "tls/proof.h"

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
	struct span spki = SPAN_NONE;
	if (n < TLS_NONCE_BYTES)
		return 0;
	struct span transcript = span_of(data + TLS_NONCE_BYTES, n - TLS_NONCE_BYTES);
	enum proof_result result = proof_verify(transcript, data, &spki);
	/* What is good names a key within the transcript; what is not names none. */
	if (span_is_set(spki) != (result == PROOF_GOOD))
		abort();
	if (span_is_set(spki) &&
	    (spki.p < transcript.p || spki.p + spki.n > transcript.p + transcript.n))
		abort();
	return 0;
}
