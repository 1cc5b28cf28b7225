#ifndef POSTERN_GATE_RELAY_H
#define POSTERN_GATE_RELAY_H
/*
 * After the handover: bytes from the client's channel to the session's and back, until both ends
 * are done. One buffer of fixed size for each direction, which exists only while something is in
 * it; an end that does not take its bytes stops the reading of the other (back-pressure), so memory
 * is flat whatever is sent. Each direction ends by itself (half-close).
 */
#include "io/stream.h"

enum {
	RELAY_BUFFER_BYTES = 16384,	/* one TLS record's worth */
	RELAY_ACK_MS = 1,		/* without an answer: the client's bytes are acknowledged */
	RELAY_STALL_MS = 5 * 60 * 1000, /* a client that reads nothing for so long is dropped */
	RELAY_STOP_MS = 2000,		/* from SIGTERM: for the session to end by itself */
	RELAY_LINGER_MS = 2000,		/* after our end: for the client to close */
};

/*
 * The first bytes of each direction come from what was read before (≤ STREAM_BUFFER_BYTES). Returns
 * when the session's end is closed and everything from it was given to the client, or when the
 * client cannot be written to. Closes both channels.
 */
void relay_run(struct channel client, struct span from_client, struct channel session,
    struct span from_session);
/*
 * For the last of a connection, after our end was told: closing a socket with unread input resets
 * it, and the reset may overtake our last bytes on their way to the client. Reads and drops until
 * the client closes, or RELAY_LINGER_MS.
 */
void relay_linger(struct channel *client);
#endif
