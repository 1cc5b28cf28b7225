/*
 * SEARCH (RFC 3501 §6.4.4). Each message is judged first by what the index knows; only where that
 * does not decide is its text opened (content.h).
 */
#include "imapd/connection.h"
#include "imapd/content.h"
#include "text/text.h"

enum { SECONDS_PER_DAY = 86400 };

enum truth { TRUTH_NO, TRUTH_YES, TRUTH_UNKNOWN };

/* A key with what can be worked out once for all messages. */
struct node {
	const struct imap_search_key *key;
	struct node *children, *next;
	struct seqset bound;
	struct span needle;
	uint64_t keyword; /* bit; 0: no message has it */
};
struct search {
	struct imapd *c;
	struct arena arena; /* of one message */
	struct node *root;
	const struct message_info *m;
	struct content content;
	uint32_t judged; /* messages; the others are gone (RFC 5530 §3, EXPUNGEISSUED) */
};

static struct node *compile(struct imapd *c, const struct imap_search_key *key);
static uint64_t keyword_bit(struct imapd *c, struct span name);
static bool text_is_utf8(const struct imap_search_key *key);
static int judge(const struct message_info *m, void *context);
static enum truth evaluate(struct search *s, const struct node *n, bool open);
static enum truth evaluate_all(struct search *s, const struct node *n, bool open, enum truth stop);
static enum truth evaluate_index(struct search *s, const struct node *n, bool *ret_known);
static bool evaluate_text(struct search *s, const struct node *n);
static bool compare_days(enum imap_search_kind kind, int64_t day, int64_t wanted);

struct answer imapd_search(struct imapd *c)
{
	const struct imap_command *command = c->command;
	struct span charset = command->search.charset;
	if (span_is_set(charset) && !span_equal_nocase(charset, SPAN("US-ASCII")) &&
	    !span_equal_nocase(charset, SPAN("UTF-8")))
		return answer_no("BADCHARSET (US-ASCII UTF-8)", "Search strings are UTF-8 here");
	if (!text_is_utf8(command->search.key))
		return answer_bad("A search string is not valid UTF-8");

	struct search s = {.c = c, .root = compile(c, command->search.key)};
	str_append_cstr(&c->out, "* SEARCH");
	int error = view_each(c->view, 1, UINT32_MAX, judge, &s);
	arena_clear(&s.arena);
	/* the line has begun, and what was found is true */
	str_append_cstr(&c->out, "\r\n");
	imapd_put_out(c);
	if (stream_error(c->peer))
		return answer_lost(c);
	if (error)
		return answer_error(error);
	return s.judged == view_count(c->view)
		   ? answer_ok("SEARCH done")
		   : answer_ok_code(SPAN("EXPUNGEISSUED"), "Some of the messages no longer exist");
}

static bool text_is_utf8(const struct imap_search_key *key)
{
	if (!span_is_ascii(key->text) && !utf8_is_valid(key->text))
		return false;
	for (const struct imap_search_key *k = key->children; k; k = k->next)
		if (!text_is_utf8(k))
			return false;
	return true;
}

static struct node *compile(struct imapd *c, const struct imap_search_key *key)
{
	struct node *n = ARENA_NEW(&c->scratch, struct node);
	uint32_t count = view_count(c->view);
	n->key = key;
	if (key->kind == IMAP_SEARCH_SEQUENCE)
		n->bound = seqset_bind(&key->set, count, &c->scratch);
	if (key->kind == IMAP_SEARCH_UID)
		n->bound =
		    seqset_bind(&key->set, count ? view_uid(c->view, count) : 0, &c->scratch);
	if (key->kind == IMAP_SEARCH_KEYWORD)
		n->keyword = keyword_bit(c, key->text);
	if (key->kind == IMAP_SEARCH_HEADER || key->kind == IMAP_SEARCH_ADDRESS ||
	    key->kind == IMAP_SEARCH_BODY || key->kind == IMAP_SEARCH_TEXT)
		n->needle = content_needle(key->text, &c->scratch);
	struct node **end = &n->children;
	for (const struct imap_search_key *k = key->children; k; k = k->next) {
		*end = compile(c, k);
		end = &(*end)->next;
	}
	return n;
}

static uint64_t keyword_bit(struct imapd *c, struct span name)
{
	size_t count;
	const struct span *names = view_keywords(c->view, &count);
	for (size_t i = 0; i < count; i++)
		if (span_equal_nocase(names[i], name))
			return UINT64_C(1) << i;
	return 0;
}

static int judge(const struct message_info *m, void *context)
{
	struct search *s = context;
	struct imapd *c = s->c;
	s->m = m;
	s->content = CONTENT_OF(c->store, &s->arena, m->id);
	enum truth truth = evaluate(s, s->root, false);
	if (truth == TRUTH_UNKNOWN)
		truth = evaluate(s, s->root, true);
	content_close(&s->content);
	arena_reset(&s->arena);
	if (s->content.error && s->content.error != -ENOENT) /* expunged elsewhere: no match */
		return s->content.error;
	if (s->content.error)
		return 0;
	s->judged++;
	if (truth != TRUTH_YES)
		return 0;
	str_append_char(&c->out, ' ');
	str_append_u64(&c->out, c->command->uid ? m->uid : view_sequence(c->view, m->uid));
	if (c->out.n > IMAPD_OUT_KEPT_BYTES)
		imapd_put_out(c);
	return stream_error(c->peer);
}

/* Without open, keys that need the message's text are TRUTH_UNKNOWN. */
static enum truth evaluate(struct search *s, const struct node *n, bool open)
{
	bool known;
	enum truth truth;
	switch (n->key->kind) {
	case IMAP_SEARCH_AND: return evaluate_all(s, n, open, TRUTH_NO);
	case IMAP_SEARCH_OR: return evaluate_all(s, n, open, TRUTH_YES);
	case IMAP_SEARCH_NOT:
		truth = evaluate(s, n->children, open);
		return truth == TRUTH_UNKNOWN ? truth : truth == TRUTH_YES ? TRUTH_NO : TRUTH_YES;
	default: break;
	}
	truth = evaluate_index(s, n, &known);
	if (known)
		return truth;
	if (!open)
		return TRUTH_UNKNOWN;
	return evaluate_text(s, n) ? TRUTH_YES : TRUTH_NO;
}

/* AND ends at the first NO, OR at the first YES: what the index knows is asked first. */
static enum truth evaluate_all(struct search *s, const struct node *n, bool open, enum truth stop)
{
	enum truth otherwise = stop == TRUTH_NO ? TRUTH_YES : TRUTH_NO;
	bool unknown = false;
	for (const struct node *child = n->children; child; child = child->next) {
		enum truth truth = evaluate(s, child, false);
		if (truth == stop)
			return stop;
		unknown = unknown || truth == TRUTH_UNKNOWN;
	}
	if (!unknown || !open)
		return unknown ? TRUTH_UNKNOWN : otherwise;
	for (const struct node *child = n->children; child; child = child->next)
		if (evaluate(s, child, true) == stop)
			return stop;
	return otherwise;
}

static enum truth evaluate_index(struct search *s, const struct node *n, bool *ret_known)
{
	const struct imap_search_key *key = n->key;
	const struct message_info *m = s->m;
	int64_t local_s = m->internal_date_s + m->zone_minutes * 60;
	int64_t day = local_s / SECONDS_PER_DAY - (local_s % SECONDS_PER_DAY < 0);
	bool yes = false;
	*ret_known = true;
	switch (key->kind) {
	case IMAP_SEARCH_ALL: yes = true; break;
	case IMAP_SEARCH_SEQUENCE:
		yes = seqset_contains(&n->bound, view_sequence(s->c->view, m->uid));
		break;
	case IMAP_SEARCH_UID: yes = seqset_contains(&n->bound, m->uid); break;
	case IMAP_SEARCH_FLAG: yes = m->flags & key->flag; break;
	case IMAP_SEARCH_KEYWORD: yes = m->keywords & n->keyword; break;
	case IMAP_SEARCH_RECENT: break; /* nothing ever is: doc/deviations.md */
	case IMAP_SEARCH_BEFORE:
	case IMAP_SEARCH_ON:
	case IMAP_SEARCH_SINCE: yes = compare_days(key->kind, day, key->day); break;
	case IMAP_SEARCH_LARGER: yes = m->size > key->number; break;
	case IMAP_SEARCH_SMALLER: yes = m->size < key->number; break;
	default: *ret_known = false; break;
	}
	return yes ? TRUTH_YES : TRUTH_NO;
}

static bool evaluate_text(struct search *s, const struct node *n)
{
	const struct imap_search_key *key = n->key;
	int64_t day;
	switch (key->kind) {
	case IMAP_SEARCH_HEADER: return content_header_has(&s->content, key->name, n->needle);
	case IMAP_SEARCH_ADDRESS: return content_address_has(&s->content, key->name, n->needle);
	case IMAP_SEARCH_BODY: return content_body_has(&s->content, n->needle, false);
	case IMAP_SEARCH_TEXT: return content_body_has(&s->content, n->needle, true);
	case IMAP_SEARCH_SENT_BEFORE:
	case IMAP_SEARCH_SENT_ON:
	case IMAP_SEARCH_SENT_SINCE:
		return content_sent_day(&s->content, &day) &&
		       compare_days(key->kind, day, key->day);
	default: return false;
	}
}

static bool compare_days(enum imap_search_kind kind, int64_t day, int64_t wanted)
{
	switch (kind) {
	case IMAP_SEARCH_BEFORE:
	case IMAP_SEARCH_SENT_BEFORE: return day < wanted;
	case IMAP_SEARCH_ON:
	case IMAP_SEARCH_SENT_ON: return day == wanted;
	case IMAP_SEARCH_SINCE:
	case IMAP_SEARCH_SENT_SINCE: return day >= wanted;
	default: return false;
	}
}
