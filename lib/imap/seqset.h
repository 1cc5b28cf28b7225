#ifndef POSTERN_IMAP_SEQSET_H
#define POSTERN_IMAP_SEQSET_H
/*
 * Sequence sets (RFC 9051 §4.1.1, grammar "sequence-set" §9): "1:4,9,*".
 * Parsed as written; "*" stays symbolic until seqset_bind(), which makes sorted, disjoint ranges.
 * Pure: no I/O. At most SEQSET_RANGES_MAX ranges; more is -E2BIG, bad syntax -EINVAL.
 */
#include "base/arena.h"
#include "base/str.h"

enum { SEQSET_RANGES_MAX = 20000, SEQSET_STAR = 0 };

struct seqset_range {
	uint32_t first,
	    last; /* inclusive; before seqset_bind() in any order, SEQSET_STAR for "*" */
};
struct seqset {
	const struct seqset_range *ranges;
	size_t count;
};

/* text is the whole set and nothing else. */
must_use int seqset_parse(struct span text, struct arena *a, struct seqset *ret);
/*
 * "*" becomes `largest` (the number of messages, or the largest UID); then sorted, touching ranges
 * joined, first ≤ last. With largest 0 (an empty mailbox) "*" alone stands for nothing, and "n:*"
 * for n. Numbers above `largest` stay: sequence numbers there are the caller's BAD, UIDs harmless.
 */
struct seqset seqset_bind(const struct seqset *set, uint32_t largest, struct arena *a);
/* Of bound sets: by bisection. */
bool seqset_contains(const struct seqset *bound, uint32_t number);
#endif
