#ifndef POSTERN_IMAP_WRITE_H
#define POSTERN_IMAP_WRITE_H
/*
 * The strings of IMAP responses. Everything appends to a str, which the caller hands to the stream:
 * the responses of one command leave in as few writes as possible. Strings reach the wire only
 * through these functions, so that no byte of a message can ever end a line or a string.
 */
#include "imap/seqset.h"
#include "imap/syntax.h"

enum imap_text {
	IMAP_TEXT_ASCII, /* quoted strings in ASCII; 8-bit strings as literals; names in UTF-7 */
	IMAP_TEXT_UTF8,	 /* after ENABLE UTF8=ACCEPT or IMAP4rev2: quoted strings in UTF-8 */
};

/* RFC 9051 §9 "string": quoted where possible, else a literal. NULs are dropped. */
void imap_put_string(struct str *out, struct span s, enum imap_text mode);
/* NIL when unset. */
void imap_put_nstring(struct str *out, struct span s, enum imap_text mode);
/* An atom where possible, else a string. */
void imap_put_astring(struct str *out, struct span s, enum imap_text mode);
/* "{n}" CRLF: n bytes must follow. */
void imap_put_literal_head(struct str *out, uint64_t bytes);
/* Free text of a response: control characters become '?'; in ASCII mode those beyond it, too. */
void imap_put_text(struct str *out, struct span s, enum imap_text mode);
/* A mailbox name (UTF-8, NFC) as astring; modified UTF-7 in ASCII mode (RFC 3501 §5.1.3). */
void imap_put_mailbox(struct str *out, struct span name, enum imap_text mode);
/* Without parentheses: "\Seen \Flagged $Forwarded"; keywords are those of the set bits. */
void imap_put_flags(struct str *out, unsigned system_flags, uint64_t keyword_bits,
    const struct span *keywords, size_t keyword_count);
/* "23-Nov-2026 17:58:09 +0000" in its quotes. */
void imap_put_date(struct str *out, int64_t seconds, int zone_minutes);
/* The name of a fetch item as answered: BODY[1.HEADER.FIELDS (FROM "x y")]<0> */
void imap_put_section_name(struct str *out, const struct imap_fetch_item *item);

/*
 * A mailbox name from the wire to UTF-8, NFC, in the arena; "inbox" becomes "INBOX" (the first
 * level of "inbox/x", too). In ASCII mode modified UTF-7; a name with 8-bit bytes is UTF-8 in both.
 * -EINVAL: malformed; -ENAMETOOLONG.
 */
must_use int imap_mailbox_decode(
    struct span wire, enum imap_text mode, struct arena *a, struct span *ret);

/*
 * LIST patterns (RFC 9051 §6.3.9): "*" any bytes, "%" any but the separator. Matching costs
 * name × pattern / 64 steps, whatever the pattern. The letters of a first level INBOX match in both
 * cases. The pattern is UTF-8, like the names; longer than IMAP_PATTERN_MAX_BYTES: -E2BIG.
 */
enum { IMAP_PATTERN_MAX_BYTES = 2000 };
struct imap_pattern;
must_use int imap_pattern_compile(
    struct span pattern, char separator, struct arena *a, const struct imap_pattern **ret);
bool imap_pattern_matches(const struct imap_pattern *pattern, struct span name);
#endif
