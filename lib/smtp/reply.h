#ifndef POSTERN_SMTP_REPLY_H
#define POSTERN_SMTP_REPLY_H
/*
 * Replies of an SMTP server (RFC 5321 §4.2) with enhanced status codes (RFC 2034, RFC 3463), and
 * the answer to EHLO. Every reply leaves through these functions, so that none can be malformed: a
 * character that is not printable ASCII becomes "?", a line feed in the text begins another line of
 * the reply, and a line is cut at SMTP_REPLY_LINE_MAX_BYTES (§4.5.3.1.5). Nothing is flushed: the
 * stream does that before it must wait for input.
 */
#include "io/stream.h"

enum { SMTP_REPLY_LINE_MAX_BYTES = 510 }; /* without CRLF */

/* A reply as a value: what parsers and checks answer with. */
struct smtp_status {
	unsigned code; /* 200 to 599 */
	const char
	    *enhanced; /* "5.5.4"; NULL: none (greetings, 334, 354, and where RFC 2034 has none) */
	const char *text; /* static, printable ASCII */
};

void smtp_reply(struct stream *out, unsigned code, const char *enhanced, struct span text);
void smtp_reply_format(struct stream *out, unsigned code, const char *enhanced, const char *format,
    ...) printf_like(4, 5);
void smtp_reply_status(struct stream *out, const struct smtp_status *status);

/* "334 " and the challenge in base64 (RFC 4954 §4): at most 12288 bytes, not a reply's 512. */
void smtp_write_challenge(struct stream *out, struct span challenge);

/* What EHLO announces. PIPELINING, ENHANCEDSTATUSCODES and the rest are bits of `extensions`. */
enum smtp_extension {
	SMTP_PIPELINING = 1 << 0,	   /* RFC 2920 */
	SMTP_SIZE = 1 << 1,		   /* RFC 1870 */
	SMTP_8BITMIME = 1 << 2,		   /* RFC 6152 */
	SMTP_SMTPUTF8 = 1 << 3,		   /* RFC 6531 */
	SMTP_ENHANCEDSTATUSCODES = 1 << 4, /* RFC 2034 */
	SMTP_DSN = 1 << 5,		   /* RFC 3461 */
	SMTP_CHUNKING = 1 << 6,		   /* RFC 3030 */
	SMTP_STARTTLS = 1 << 7,		   /* RFC 3207 */
	SMTP_AUTH = 1 << 8,		   /* RFC 4954 */
};
/*
 * What this server does, on every connection; STARTTLS and AUTH are added where they may be used.
 */
enum {
	SMTP_SERVER_EXTENSIONS = SMTP_PIPELINING | SMTP_SIZE | SMTP_8BITMIME | SMTP_SMTPUTF8 |
				 SMTP_ENHANCEDSTATUSCODES | SMTP_CHUNKING
};
struct smtp_announcement {
	struct span hostname;
	unsigned extensions;	   /* set of enum smtp_extension, without SMTP_AUTH */
	uint64_t message_size_max; /* of SIZE */
	unsigned mechanisms;	   /* set, sasl/server.h; 0: no AUTH line (never an empty one) */
};
/*
 * The answer to EHLO, the same before authentication (the gate: SMTP_SERVER_EXTENSIONS, and
 * SMTP_STARTTLS where it is offered) and after (the session). That to HELO is one line:
 * smtp_reply(out, 250, NULL, hostname).
 */
void smtp_write_ehlo_reply(struct stream *out, const struct smtp_announcement *a);
/* "NAME ESMTP Postern", code 220 (RFC 5321 §4.2, §4.3.1). */
void smtp_write_greeting(struct stream *out, struct span hostname);
#endif
