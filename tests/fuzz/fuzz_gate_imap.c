/* Whole dialogues before authentication, with a made-up session. */
#include "gate_peer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	run_gate(PROTOCOL_IMAP, span_of(data, size));
	return 0;
}
