#ifndef POSTERN_SMTP_ADDRESS_H
#define POSTERN_SMTP_ADDRESS_H
/*
 * Mailboxes and paths as SMTP writes them (RFC 5321 §4.1.2, §4.1.3; UTF-8: RFC 6531 §3.3), and
 * xtext (RFC 3461 §4). Not the addresses of message headers: those are mime/'s.
 */
#include "base/arena.h"
#include "base/str.h"

enum {
	/* RFC 5321 §4.5.3.1 */
	SMTP_LOCAL_PART_MAX_BYTES = 64,
	SMTP_DOMAIN_MAX_BYTES = 255,
	SMTP_PATH_MAX_BYTES = 512, /* §4.5.3.1.3 asks for 256; a source route comes in addition */
};

struct smtp_path {
	struct span local; /* without quotes and backslashes; "" for <> */
	struct span
	    domain; /* as written, "[192.0.2.1]" for a literal; "" for <> and <postmaster> */
	struct span address; /* both, ready to be sent: quoted only where it must be; "" for <> */
	bool utf8;	     /* there is something in it that is not ASCII */
};

/*
 * Reverse-path or forward-path from the beginning of *rest, which moves behind it: "<>",
 * "<@a,@b:local@domain>" (the source route is ignored, §4.1.1.3), "<postmaster>" in any case.
 * -EINVAL: bad syntax, or UTF-8 that is none; -EMSGSIZE: a part is longer than its limit.
 */
must_use int smtp_path_parse(struct span *rest, struct arena *a, struct smtp_path *ret);
/* The whole of `address` is local-part "@" domain; for what comes out of files. */
bool smtp_address_is_valid(struct span address);
/* §4.1.2 Domain, with U-labels where utf8; length and label lengths (RFC 1035 §2.3.4) too. */
bool smtp_domain_is_valid(struct span domain, bool utf8);
/* §4.1.3: "[192.0.2.1]", "[IPv6:2001:db8::1]". Tagged literals of other kinds are refused. */
bool smtp_literal_is_valid(struct span literal);

bool xtext_is_valid(struct span text);
/* Appends what xtext stands for. -EINVAL, or -EMSGSIZE past out's maximum. */
must_use int xtext_decode(struct span text, struct str *out);
void xtext_encode(struct span bytes, struct str *out);
#endif
