#ifndef POSTERN_SMTP_COMMAND_H
#define POSTERN_SMTP_COMMAND_H
/*
 * Command lines of an SMTP client, parsed (RFC 5321 §4.1): table of verbs, paths, parameters.
 * Pure: no I/O. The line comes complete and without its CRLF; what does not parse yields the reply
 * to give. Spans borrow the line or live in the arena.
 */
#include "base/arena.h"
#include "smtp/address.h"
#include "smtp/reply.h"

enum {
	/*
	 * RFC 5321 §4.5.3.1.4 wants 512 and more for extensions: MAIL +26 (RFC 1870), +17
	 * (RFC 6152), +10 (RFC 6531), +500 (RFC 4954), DSN 100 and 500 (RFC 3461). Longer: 500
	 * 5.5.2.
	 */
	SMTP_COMMAND_MAX_BYTES = 4096,
	/* RFC 4954 §4: base64 lines of an authentication. Longer: 500 5.5.6. */
	SMTP_AUTH_LINE_MAX_BYTES = 12288,
	SMTP_ENVID_MAX_BYTES = 100, /* RFC 3461 §4.4, encoded */
	SMTP_ORCPT_MAX_BYTES = 500, /* RFC 3461 §4.2 */
};

enum smtp_verb {
	SMTP_VERB_AUTH,
	SMTP_VERB_BDAT,
	SMTP_VERB_DATA,
	SMTP_VERB_EHLO,
	SMTP_VERB_EXPN,
	SMTP_VERB_HELO,
	SMTP_VERB_HELP,
	SMTP_VERB_MAIL,
	SMTP_VERB_NOOP,
	SMTP_VERB_QUIT,
	SMTP_VERB_RCPT,
	SMTP_VERB_RSET,
	SMTP_VERB_STARTTLS,
	SMTP_VERB_VRFY,
	SMTP_VERB_COUNT
};

enum smtp_body { SMTP_BODY_UNSET, SMTP_BODY_7BIT, SMTP_BODY_8BITMIME };
enum smtp_ret { SMTP_RET_UNSET, SMTP_RET_FULL, SMTP_RET_HDRS };
/* NOTIFY, a set; 0: not given (RFC 3461 §4.1). */
enum smtp_notify {
	SMTP_NOTIFY_NEVER = 1,
	SMTP_NOTIFY_SUCCESS = 2,
	SMTP_NOTIFY_FAILURE = 4,
	SMTP_NOTIFY_DELAY = 8
};

struct smtp_command {
	enum smtp_verb verb;
	/*
	 * EHLO, HELO: the name; AUTH: the mechanism; VRFY, EXPN, HELP, NOOP: what was said, if
	 * anything
	 */
	struct span argument;
	/*
	 * AUTH: base64 of the initial response; unset: none; "=" comes as set and empty
	 * (RFC 4954 §4)
	 */
	struct span initial_response;
	/* MAIL, RCPT */
	struct smtp_path path;
	bool has_size;
	uint64_t size; /* MAIL SIZE=; BDAT: bytes of the chunk */
	bool last;     /* BDAT … LAST */
	enum smtp_body body;
	bool smtputf8;
	enum smtp_ret ret;
	struct span envid;    /* as written: xtext (RFC 3461 §4.4); unset: none */
	unsigned notify;      /* set of enum smtp_notify */
	struct span original; /* ORCPT as written: "rfc822;" xtext; unset: none */
};

/*
 * extensions: what was announced; parameters of others are unknown ones (555 5.5.4), and so are
 * their verbs (500 5.5.1, as any unknown verb). smtputf8: in a transaction begun with SMTPUTF8,
 * so that RCPT and VRFY may hold UTF-8 (RFC 6531 §3.3; MAIL decides for itself). 0, or -EINVAL
 * with the reply in *ret_status; *ret is then untouched.
 */
must_use int smtp_command_parse(struct span line, unsigned extensions, bool smtputf8,
    struct arena *a, struct smtp_command *ret, struct smtp_status *ret_status);

/* "MAIL" etc.; the table is sorted. */
struct span smtp_verb_name(enum smtp_verb v);
#endif
