/*
 * LIST and LSUB (RFC 3501 §6.3.8, §6.3.9), with CHILDREN (RFC 3348) and SPECIAL-USE (RFC 6154).
 * The options of LIST-EXTENDED are understood where clients send them unasked.
 */
#include "imapd/connection.h"

struct listing {
	struct imapd *c;
	const struct mailbox_info *items; /* sorted by name; INBOX first */
	size_t count;
	const struct imap_pattern **patterns;
	size_t pattern_count;
};

static struct answer compile(struct imapd *c, struct listing *l, bool *ret_good);
static void list_mailboxes(struct listing *l);
static void list_subscribed(struct listing *l);
static void put_parents(struct listing *l, struct span name, struct span *last);
static bool matches(const struct listing *l, struct span name);
static bool has_children(const struct listing *l, const struct mailbox_info *m);
static bool exists(const struct listing *l, const struct mailbox_info *m);
static void put_mailbox(struct listing *l, const struct mailbox_info *m);
static void put_line(struct listing *l, const char *attributes, struct span name);

struct answer imapd_list(struct imapd *c)
{
	const struct imap_command *command = c->command;
	bool lsub = command->kind == IMAP_LSUB;
	struct listing l = {.c = c, .pattern_count = command->list.pattern_count};
	if (!lsub && !command->list.extended && l.pattern_count == 1 &&
	    !command->list.patterns[0].n) {
		/* RFC 3501 §6.3.8: only the separator is asked for */
		put_line(&l, "\\Noselect", SPAN_NONE);
		return answer_ok("LIST done");
	}
	bool good = false;
	struct answer answer = compile(c, &l, &good);
	if (!good)
		return answer;
	struct mailbox_info *items;
	int error = store_list(c->store, &c->scratch, &items, &l.count);
	if (error)
		return answer_error(error);
	l.items = items;
	if (lsub)
		list_subscribed(&l);
	else
		list_mailboxes(&l);
	return answer_ok(lsub ? "LSUB done" : "LIST done");
}

static struct answer compile(struct imapd *c, struct listing *l, bool *ret_good)
{
	const struct imap_command *command = c->command;
	l->patterns = ARENA_ARRAY(&c->scratch, const struct imap_pattern *, l->pattern_count);
	for (size_t i = 0; i < l->pattern_count; i++) {
		struct span reference = command->list.reference;
		struct span pattern = command->list.patterns[i];
		/* the reference is a level of hierarchy, with or without its "/" */
		const char *between = reference.n && !span_ends_with(reference, SPAN("/")) &&
					      !span_starts_with(pattern, SPAN("/"))
					  ? "/"
					  : "";
		struct span whole = arena_format(
		    &c->scratch, "%.*s%s%.*s", SPAN_ARG(reference), between, SPAN_ARG(pattern));
		int error = imap_pattern_compile(whole, '/', &c->scratch, &l->patterns[i]);
		if (error)
			return answer_no("LIMIT", "The pattern is too long");
	}
	*ret_good = true;
	return answer_ok("");
}

static void list_mailboxes(struct listing *l)
{
	unsigned selection = l->c->command->list.selection;
	for (size_t i = 0; i < l->count; i++) {
		const struct mailbox_info *m = &l->items[i];
		bool wanted = selection & IMAP_LIST_SUBSCRIBED ? m->subscribed : exists(l, m);
		if (selection & IMAP_LIST_SPECIAL_USE && m->special_use == SPECIAL_NONE)
			wanted = false;
		if (wanted && matches(l, m->name))
			put_mailbox(l, m);
	}
}

/*
 * RFC 3501 §6.3.9: a subscribed mailbox that does not match, but has a parent that does ("%"),
 * shows that parent as \Noselect.
 */
static void list_subscribed(struct listing *l)
{
	struct span last = SPAN_NONE;
	for (size_t i = 0; i < l->count; i++) {
		const struct mailbox_info *m = &l->items[i];
		if (!m->subscribed)
			continue;
		if (matches(l, m->name))
			put_line(l, m->selectable ? "" : "\\Noselect", m->name);
		else
			put_parents(l, m->name, &last);
	}
}

/* Of names in order, so that a parent comes up for all its children in a row. */
static void put_parents(struct listing *l, struct span name, struct span *last)
{
	for (size_t end = span_index(name, '/'); end < name.n; end++) {
		if (name.p[end] != '/')
			continue;
		struct span parent = span_sub(name, 0, end);
		if (span_equal(parent, *last) || !matches(l, parent))
			continue;
		bool itself = false;
		for (size_t i = 0; i < l->count && !itself; i++)
			itself = l->items[i].subscribed && span_equal(l->items[i].name, parent);
		if (!itself)
			put_line(l, "\\Noselect", parent);
		*last = parent;
	}
}

static bool matches(const struct listing *l, struct span name)
{
	for (size_t i = 0; i < l->pattern_count; i++)
		if (imap_pattern_matches(l->patterns[i], name))
			return true;
	return false;
}

/* There is a mailbox, or one below it: not only a subscription. */
static bool exists(const struct listing *l, const struct mailbox_info *m)
{
	return m->selectable || has_children(l, m);
}

static bool has_children(const struct listing *l, const struct mailbox_info *m)
{
	/* sorted but for INBOX in front: what begins with "name/" is one run, found by bisection */
	struct span prefix = arena_format(&l->c->scratch, "%.*s/", SPAN_ARG(m->name));
	size_t low = 1, high = MAX(l->count, 1);
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (span_compare(l->items[middle].name, prefix) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < l->count && span_starts_with(l->items[low].name, prefix); low++)
		if (l->items[low].selectable)
			return true;
	return false;
}

static void put_mailbox(struct listing *l, const struct mailbox_info *m)
{
	struct str attributes cleanup(str_clear) = STR_INIT(256);
	if (!m->selectable)
		str_append_cstr(&attributes, "\\Noselect ");
	str_append_cstr(&attributes, has_children(l, m) ? "\\HasChildren" : "\\HasNoChildren");
	if (l->c->command->list.selection & IMAP_LIST_SUBSCRIBED ||
	    (l->c->command->list.returned & IMAP_LIST_SUBSCRIBED && m->subscribed))
		str_append_cstr(&attributes, " \\Subscribed");
	const char *use = imap_special_use_name((enum imap_special_use)m->special_use);
	if (*use)
		str_format(&attributes, " %s", use);
	put_line(l, attributes.data, m->name);
}

static void put_line(struct listing *l, const char *attributes, struct span name)
{
	struct imapd *c = l->c;
	str_format(&c->out, "* %s (%s) \"/\" ", imap_command_name(c->command->kind), attributes);
	if (name.n)
		imap_put_mailbox(&c->out, name, IMAP_TEXT_ASCII);
	else
		str_append_cstr(&c->out, "\"\"");
	str_append_cstr(&c->out, "\r\n");
	imapd_put_out(c);
}
