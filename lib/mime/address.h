#ifndef POSTERN_MIME_ADDRESS_H
#define POSTERN_MIME_ADDRESS_H
/*
 * Address lists of header fields (RFC 5322 §3.4, obsolete forms of §4.4, UTF-8 of RFC 6532):
 *
 *	"Doe, J." <@relay:j@x.example>, team: a@x.example, b@x.example;, c@x.example (Carl)
 *
 * Never fails: yields what it understands and says whether that was everything. Who decides by the
 * result (submission: may this From be sent?) must ask `complete`; who only shows it need not.
 * Encoded words (RFC 2047) stay as they are. Linear; at most ADDRESS_LIST_MAX entries.
 */
#include "base/arena.h"
#include "base/str.h"

enum { ADDRESS_LIST_MAX = 2000 };

enum address_kind {
	ADDRESS_MAILBOX,
	ADDRESS_GROUP_BEGIN, /* only `name` is set: the group's */
	ADDRESS_GROUP_END,   /* nothing is set */
};
struct address {
	enum address_kind kind;
	struct span name; /* display name, quotes and folds undone; or the last comment; or unset */
	struct span route;  /* obsolete source route "@a,@b"; or unset */
	struct span local;  /* local part, quotes undone */
	struct span domain; /* as written, blanks removed, "[…]" kept; unset: there was none */
};
struct address_list {
	const struct address *items; /* in the arena */
	size_t count;
	bool complete; /* the whole field was well-formed and nothing was cut off */
};

/* value: folded or not. */
struct address_list address_parse(struct span value, struct arena *a);
/* How many of them are mailboxes. */
size_t address_count_mailboxes(const struct address_list *list);
/* "local@domain", the local part quoted again where it must be. */
void address_put(struct str *out, const struct address *mailbox);
#endif
