#ifndef POSTERN_TLS_PROOF_H
#define POSTERN_TLS_PROOF_H
/*
 * The session's own check of a TLS 1.3 client's proof of possession (RFC 8446 §4.4.3): the nonce
 * stands in the CertificateRequest of the transcript, and the CertificateVerify signature over the
 * transcript hash (§4.4.1, also after a HelloRetryRequest) is the leaf key's, or the raw public
 * key's (RFC 7250) where the handshake agreed on that.
 *
 * Pure, bounded by TLS_TRANSCRIPT_MAX_BYTES, and strict: every message in its place, whole, and
 * nothing behind the CertificateVerify. Needs crypto_init(), and no file afterwards. Whether the
 * key is strong enough, and whose it is, is not judged here.
 */
#include "tls/tls.h"

enum proof_result {
	PROOF_GOOD,
	PROOF_BAD,	/* not our nonce, not this key's signature, or a scheme not for it */
	PROOF_MALFORMED /* not the messages of a TLS 1.3 handshake with a client certificate */
};
/* On PROOF_GOOD *ret_spki is the leaf's raw SPKI, borrowed from the transcript. */
enum proof_result proof_verify(
    struct span transcript, const uint8_t nonce[TLS_NONCE_BYTES], struct span *ret_spki);
/*
 * Loads of OpenSSL what proof_verify() would load at its first call (0.3 ms): for the session while
 * it waits for the gate's handshake.
 */
void proof_prepare(void);
#endif
