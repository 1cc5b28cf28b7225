#ifndef POSTERN_TLS_PROOF_H
#define POSTERN_TLS_PROOF_H
/*
 * The session's own check of a TLS 1.3 client's proof of possession (RFC 8446 §4.4.3): the nonce
 * stands in the CertificateRequest of the transcript, and the CertificateVerify signature over the
 * transcript hash (§4.4.1, also after a HelloRetryRequest) is the leaf key's.
 */
#include "tls/tls.h"

enum proof_result { PROOF_GOOD, PROOF_BAD, PROOF_MALFORMED };
/* On PROOF_GOOD *ret_spki is the leaf's raw SPKI, borrowed from the transcript. */
enum proof_result proof_verify(
    struct span transcript, const uint8_t nonce[TLS_NONCE_BYTES], struct span *ret_spki);
#endif
