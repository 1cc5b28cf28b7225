/* SEARCH's keys as a tree: search-program, search-key (RFC 9051 §9, RFC 3501 §9). */
#include "base/ascii.h"
#include "base/date.h"
#include "imap/command.h"
#include "imap/cursor.h"

enum argument { ARG_NONE, ARG_TEXT, ARG_HEADER, ARG_ATOM, ARG_DAY, ARG_NUMBER, ARG_UID, ARG_KEYS };

struct key_name {
	const char *name;
	enum imap_search_kind kind;
	enum argument argument;
	bool negated;	    /* the key stands for NOT of that */
	unsigned flag;	    /* of IMAP_SEARCH_FLAG */
	const char *header; /* of IMAP_SEARCH_HEADER, _ADDRESS without a name of its own */
};

/* Sorted by name. */
static const struct key_name key_names[] = {
    {"ALL", IMAP_SEARCH_ALL, ARG_NONE, false, 0, NULL},
    {"ANSWERED", IMAP_SEARCH_FLAG, ARG_NONE, false, IMAP_FLAG_ANSWERED, NULL},
    {"BCC", IMAP_SEARCH_ADDRESS, ARG_TEXT, false, 0, "Bcc"},
    {"BEFORE", IMAP_SEARCH_BEFORE, ARG_DAY, false, 0, NULL},
    {"BODY", IMAP_SEARCH_BODY, ARG_TEXT, false, 0, NULL},
    {"CC", IMAP_SEARCH_ADDRESS, ARG_TEXT, false, 0, "Cc"},
    {"DELETED", IMAP_SEARCH_FLAG, ARG_NONE, false, IMAP_FLAG_DELETED, NULL},
    {"DRAFT", IMAP_SEARCH_FLAG, ARG_NONE, false, IMAP_FLAG_DRAFT, NULL},
    {"FLAGGED", IMAP_SEARCH_FLAG, ARG_NONE, false, IMAP_FLAG_FLAGGED, NULL},
    {"FROM", IMAP_SEARCH_ADDRESS, ARG_TEXT, false, 0, "From"},
    {"HEADER", IMAP_SEARCH_HEADER, ARG_HEADER, false, 0, NULL},
    {"KEYWORD", IMAP_SEARCH_KEYWORD, ARG_ATOM, false, 0, NULL},
    {"LARGER", IMAP_SEARCH_LARGER, ARG_NUMBER, false, 0, NULL},
    {"NEW", IMAP_SEARCH_RECENT, ARG_NONE, false, 0, NULL},
    {"NOT", IMAP_SEARCH_NOT, ARG_KEYS, false, 0, NULL},
    {"OLD", IMAP_SEARCH_RECENT, ARG_NONE, true, 0, NULL},
    {"ON", IMAP_SEARCH_ON, ARG_DAY, false, 0, NULL},
    {"OR", IMAP_SEARCH_OR, ARG_KEYS, false, 0, NULL},
    {"RECENT", IMAP_SEARCH_RECENT, ARG_NONE, false, 0, NULL},
    {"SEEN", IMAP_SEARCH_FLAG, ARG_NONE, false, IMAP_FLAG_SEEN, NULL},
    {"SENTBEFORE", IMAP_SEARCH_SENT_BEFORE, ARG_DAY, false, 0, NULL},
    {"SENTON", IMAP_SEARCH_SENT_ON, ARG_DAY, false, 0, NULL},
    {"SENTSINCE", IMAP_SEARCH_SENT_SINCE, ARG_DAY, false, 0, NULL},
    {"SINCE", IMAP_SEARCH_SINCE, ARG_DAY, false, 0, NULL},
    {"SMALLER", IMAP_SEARCH_SMALLER, ARG_NUMBER, false, 0, NULL},
    {"SUBJECT", IMAP_SEARCH_HEADER, ARG_TEXT, false, 0, "Subject"},
    {"TEXT", IMAP_SEARCH_TEXT, ARG_TEXT, false, 0, NULL},
    {"TO", IMAP_SEARCH_ADDRESS, ARG_TEXT, false, 0, "To"},
    {"UID", IMAP_SEARCH_UID, ARG_UID, false, 0, NULL},
    {"UNANSWERED", IMAP_SEARCH_FLAG, ARG_NONE, true, IMAP_FLAG_ANSWERED, NULL},
    {"UNDELETED", IMAP_SEARCH_FLAG, ARG_NONE, true, IMAP_FLAG_DELETED, NULL},
    {"UNDRAFT", IMAP_SEARCH_FLAG, ARG_NONE, true, IMAP_FLAG_DRAFT, NULL},
    {"UNFLAGGED", IMAP_SEARCH_FLAG, ARG_NONE, true, IMAP_FLAG_FLAGGED, NULL},
    {"UNKEYWORD", IMAP_SEARCH_KEYWORD, ARG_ATOM, true, 0, NULL},
    {"UNSEEN", IMAP_SEARCH_FLAG, ARG_NONE, true, IMAP_FLAG_SEEN, NULL},
};

struct search {
	struct imap_cursor *c;
	size_t keys;
};

static struct imap_search_key *search_keys(struct search *s, int depth);
static struct imap_search_key *search_key(struct search *s, int depth);
static struct imap_search_key *named_key(struct search *s, const struct key_name *n, int depth);
static bool argument(struct search *s, const struct key_name *n, struct imap_search_key *key);
static bool operands(struct search *s, struct imap_search_key *key, int depth);
static struct imap_search_key *new_key(struct search *s, enum imap_search_kind kind);
static struct imap_search_key *new_not(struct search *s, struct imap_search_key *child);
static const struct key_name *find_name(struct span name);

bool imap_parse_search(
    struct imap_cursor *c, struct span *ret_charset, const struct imap_search_key **ret)
{
	struct search s = {.c = c};
	if (cursor_word(c, "CHARSET") &&
	    (!cursor_sp(c) || !cursor_astring(c, ret_charset) || !cursor_sp(c)))
		return cursor_fail(c, -EINVAL, "SEARCH: CHARSET wants a name and then a key");
	*ret = search_keys(&s, 0);
	return *ret != NULL;
}

/* search-key *(SP search-key): one key, or AND of several. */
static struct imap_search_key *search_keys(struct search *s, int depth)
{
	struct imap_search_key *first = search_key(s, depth), *last = first;
	if (!first || !cursor_sees(s->c, ' ') || cursor_end(s->c))
		return first;
	struct imap_search_key *all = new_key(s, IMAP_SEARCH_AND);
	if (!all)
		return NULL;
	all->children = first;
	while (!cursor_end(s->c) && cursor_sp(s->c)) {
		last->next = search_key(s, depth);
		last = last->next;
		if (!last)
			return NULL;
	}
	return all;
}

static struct imap_search_key *search_key(struct search *s, int depth)
{
	struct imap_cursor *c = s->c;
	if (depth > IMAP_SEARCH_DEPTH_MAX) {
		cursor_fail(c, -E2BIG, "SEARCH: keys are nested too deep");
		return NULL;
	}
	if (cursor_char(c, '(')) {
		struct imap_search_key *inner = search_keys(s, depth + 1);
		if (inner && !cursor_char(c, ')')) {
			cursor_fail(c, -EINVAL, "SEARCH: a parenthesis does not end");
			return NULL;
		}
		return inner;
	}
	if (cursor_sees(c, '*') || (c->rest.n && ascii_is_digit((unsigned char)c->rest.p[0]))) {
		struct imap_search_key *key = new_key(s, IMAP_SEARCH_SEQUENCE);
		return key && cursor_seqset(c, &key->set) ? key : NULL;
	}
	struct span name;
	const struct key_name *n = cursor_name(c, &name) ? find_name(name) : NULL;
	if (!n) {
		cursor_fail(c, -EINVAL, "SEARCH: there is no such key");
		return NULL;
	}
	return named_key(s, n, depth);
}

static struct imap_search_key *named_key(struct search *s, const struct key_name *n, int depth)
{
	struct imap_search_key *key = new_key(s, n->kind);
	if (!key)
		return NULL;
	key->flag = n->flag;
	if (n->argument == ARG_KEYS) {
		if (!operands(s, key, depth))
			return NULL;
	} else if (!argument(s, n, key)) {
		cursor_fail(s->c, -EINVAL, "SEARCH: a key's argument is missing or malformed");
		return NULL;
	}
	if (n->negated)
		return new_not(s, key);
	if (span_equal(span_cstr(n->name), SPAN("NEW"))) { /* RECENT UNSEEN, RFC 3501 §6.4.4 */
		struct imap_search_key *all = new_key(s, IMAP_SEARCH_AND);
		struct imap_search_key *seen = new_key(s, IMAP_SEARCH_FLAG);
		if (!all || !seen)
			return NULL;
		seen->flag = IMAP_FLAG_SEEN;
		all->children = key;
		key->next = new_not(s, seen);
		return key->next ? all : NULL;
	}
	return key;
}

/* NOT key; OR key key */
static bool operands(struct search *s, struct imap_search_key *key, int depth)
{
	struct imap_search_key **place = &key->children;
	for (int left = key->kind == IMAP_SEARCH_OR ? 2 : 1; left > 0; left--) {
		if (!cursor_sp(s->c))
			return cursor_fail(s->c, -EINVAL, "SEARCH: NOT wants a key, OR wants two");
		*place = search_key(s, depth + 1);
		if (!*place)
			return false;
		place = &(*place)->next;
	}
	return true;
}

static bool argument(struct search *s, const struct key_name *n, struct imap_search_key *key)
{
	struct imap_cursor *c = s->c;
	struct span text;
	if (n->argument == ARG_NONE)
		return true;
	if (!cursor_sp(c))
		return false;
	switch (n->argument) {
	case ARG_HEADER:
		return cursor_astring(c, &key->name) && cursor_sp(c) &&
		       cursor_astring(c, &key->text);
	case ARG_TEXT:
		if (n->header)
			key->name = span_cstr(n->header);
		return cursor_astring(c, &key->text);
	case ARG_ATOM: return cursor_atom(c, &key->text);
	case ARG_DAY: return cursor_astring(c, &text) && date_parse_imap_day(text, &key->day) == 0;
	case ARG_NUMBER: return cursor_number(c, INT64_MAX, &key->number);
	case ARG_UID: return cursor_seqset(c, &key->set);
	case ARG_NONE:
	case ARG_KEYS: break;
	}
	return false;
}

static struct imap_search_key *new_key(struct search *s, enum imap_search_kind kind)
{
	if (s->keys == IMAP_SEARCH_KEYS_MAX) {
		cursor_fail(s->c, -E2BIG, "SEARCH: too many keys");
		return NULL;
	}
	s->keys++;
	struct imap_search_key *key = ARENA_NEW(s->c->arena, struct imap_search_key);
	key->kind = kind;
	return key;
}

static struct imap_search_key *new_not(struct search *s, struct imap_search_key *child)
{
	struct imap_search_key *key = new_key(s, IMAP_SEARCH_NOT);
	if (key)
		key->children = child;
	return key;
}

static const struct key_name *find_name(struct span name)
{
	size_t low = 0, high = ARRAY_SIZE(key_names);
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = span_compare_nocase(name, span_cstr(key_names[middle].name));
		if (order == 0)
			return &key_names[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}
