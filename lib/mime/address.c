#include "mime/address.h"

#include "base/ascii.h"
#include "mime/lexer.h"

/* One address while it is read. */
struct pending {
	struct str name;     /* words with single blanks between them, for a display name */
	struct str local;    /* words and dots without blanks, for a local part */
	struct str domain;   /* scratch */
	bool words;	     /* two words without a dot: no local part */
	bool after_word;     /* the last token was a word */
	bool any;	     /* some token was there */
	struct span comment; /* the last one, raw */
	bool has_mailbox;    /* the address is complete, only comments may follow */
	struct address found;
};
struct list {
	struct arena *arena;
	struct lexer lexer;
	struct address *items;
	size_t count, allocated;
	bool complete, in_group;
	struct pending now;
};

static void element(struct list *l);
static void word(struct list *l, bool blank_before);
static void angle(struct list *l);
static void source_route(struct list *l);
static void local_part(struct list *l);
static void domain(struct list *l, struct span *ret);
static void finish(struct list *l);
static void begin_group(struct list *l);
static void end_group(struct list *l);
static void add(struct list *l, const struct address *a);
static void reset(struct pending *now);
static struct span keep(struct list *l, const struct str *s);
static bool dots_are_right(struct span s);

struct address_list address_parse(struct span value, struct arena *a)
{
	struct list l = {.arena = a, .lexer = {.rest = value}, .complete = true};
	str_init(&l.now.name, value.n);
	str_init(&l.now.local, value.n);
	str_init(&l.now.domain, value.n);
	while (l.lexer.rest.n && l.count < ADDRESS_LIST_MAX)
		element(&l);
	finish(&l);
	if (l.in_group) {
		l.complete = false;
		end_group(&l);
	}
	str_clear(&l.now.name);
	str_clear(&l.now.local);
	str_clear(&l.now.domain);
	return (struct address_list){
	    l.items, l.count, l.complete && !l.lexer.broken && l.lexer.rest.n == 0};
}

/* The next token and what it means. Always moves on. */
static void element(struct list *l)
{
	struct pending *now = &l->now;
	bool blank = lexer_skip(&l->lexer, &now->comment);
	int c = lexer_peek(&l->lexer);
	switch (c) {
	case -1: return;
	case ',':
		lexer_char(&l->lexer, ',');
		finish(l);
		return;
	case ':':
		lexer_char(&l->lexer, ':');
		begin_group(l);
		return;
	case ';':
		lexer_char(&l->lexer, ';');
		finish(l);
		end_group(l);
		return;
	default: break;
	}
	if (now->has_mailbox) { /* junk behind an address */
		l->complete = false;
		l->lexer.rest = span_from(l->lexer.rest, 1);
	} else if (c == '<') {
		angle(l);
	} else if (c == '@') {
		l->complete = l->complete && !now->words && dots_are_right(str_span(&now->local));
		now->found.local = keep(l, &now->local);
		lexer_char(&l->lexer, '@');
		domain(l, &now->found.domain);
		str_reset(&now->name);
		now->has_mailbox = true;
	} else {
		word(l, blank);
	}
	now->any = true;
}

/* word / "." of a phrase or a local part; anything else is dropped. */
static void word(struct list *l, bool blank_before)
{
	struct pending *now = &l->now;
	size_t name_bytes = now->name.n;
	if (blank_before && now->name.n)
		str_append_char(&now->name, ' ');
	size_t start = now->name.n;
	if (lexer_char(&l->lexer, '.')) {
		str_append_char(&now->name, '.');
		str_append_char(&now->local, '.');
		now->after_word = false;
		return;
	}
	if (lexer_peek(&l->lexer) == '"') {
		lexer_quoted(&l->lexer, &now->name);
	} else {
		struct span atom = lexer_atom(&l->lexer);
		str_append(&now->name, atom);
		if (atom.n == 0) {
			l->complete = false;
			l->lexer.rest = span_from(l->lexer.rest, 1);
			str_truncate(&now->name, name_bytes);
			return;
		}
	}
	if (now->after_word) {
		now->words = true;
		str_reset(&now->local);
	}
	str_append(&now->local, span_from(str_span(&now->name), start));
	now->after_word = true;
}

/* angle-addr, obs-angle-addr */
static void angle(struct list *l)
{
	struct pending *now = &l->now;
	struct lexer *x = &l->lexer;
	lexer_char(x, '<');
	now->has_mailbox = true;
	lexer_skip(x, NULL);
	if (lexer_peek(x) == '@')
		source_route(l);
	local_part(l);
	if (lexer_char(x, '@'))
		domain(l, &now->found.domain);
	else
		l->complete = false;
	lexer_skip(x, NULL);
	while (x->rest.n && !lexer_char(x, '>')) {
		l->complete = false;
		if (lexer_peek(x) == ',')
			return; /* "<a@x, b@y": better two addresses than one lost */
		x->rest = span_from(x->rest, 1);
	}
	l->complete = l->complete && x->rest.p[-1] == '>';
}

/* obs-route = obs-domain-list ":" */
static void source_route(struct list *l)
{
	struct lexer ahead = l->lexer;
	size_t n = 0;
	while (n < ahead.rest.n && !strchr(":<>\"", ahead.rest.p[n]))
		n++;
	if (n == ahead.rest.n || ahead.rest.p[n] != ':') {
		l->complete = false;
		return;
	}
	struct span route = span_sub(ahead.rest, 0, n);
	char *kept = arena_alloc(l->arena, n);
	size_t used = 0;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)route.p[i] > ' ')
			kept[used++] = route.p[i];
	l->now.found.route = span_of(kept, used);
	l->lexer.rest = span_from(l->lexer.rest, n + 1);
}

/* local-part, obs-local-part within <> */
static void local_part(struct list *l)
{
	struct pending *now = &l->now;
	struct lexer *x = &l->lexer;
	bool after_word = false;
	str_reset(&now->local);
	for (;;) {
		lexer_skip(x, NULL);
		int c = lexer_peek(x);
		size_t before = now->local.n;
		if (lexer_char(x, '.')) {
			str_append_char(&now->local, '.');
			after_word = false;
			continue;
		}
		size_t left = x->rest.n;
		if (c == '"')
			lexer_quoted(x, &now->local);
		else
			str_append(&now->local, lexer_atom(x));
		if (x->rest.n == left)
			break;
		if (after_word) { /* two words: no RFC has it, and "a b" must not become "ab" */
			l->complete = false;
			memmove(now->local.data, now->local.data + before, now->local.n - before);
			str_truncate(&now->local, now->local.n - before);
		}
		after_word = true;
	}
	l->complete = l->complete && dots_are_right(str_span(&now->local));
	now->found.local = keep(l, &now->local);
}

/* A quoted local part may look wrong here and be right: "a..b"@x. It counts as incomplete. */
static bool dots_are_right(struct span s)
{
	return s.n && s.p[0] != '.' && s.p[s.n - 1] != '.' && span_find(s, SPAN("..")) == SIZE_MAX;
}

/* domain, obs-domain, domain-literal */
static void domain(struct list *l, struct span *ret)
{
	struct lexer *x = &l->lexer;
	struct str *out = &l->now.domain;
	bool after_atom = false;
	str_reset(out);
	for (;;) {
		struct lexer before = *x;
		struct span comment = SPAN_NONE;
		lexer_skip(x, &comment);
		if (lexer_peek(x) == '[' && out->n == 0) {
			size_t n = span_index(x->rest, ']');
			l->complete = l->complete && n != SIZE_MAX;
			str_append(out, span_sub(x->rest, 0, n == SIZE_MAX ? n : n + 1));
			x->rest = span_from(x->rest, n == SIZE_MAX ? n : n + 1);
			*ret = keep(l, out);
			return;
		}
		if (lexer_char(x, '.')) {
			str_append_char(out, '.');
			after_atom = false;
			continue;
		}
		struct span atom = after_atom ? SPAN("") : lexer_atom(x);
		if (atom.n == 0) {
			*x = before; /* comments behind the domain may be the name */
			break;
		}
		str_append(out, atom);
		after_atom = true;
	}
	l->complete = l->complete && dots_are_right(str_span(out));
	*ret = keep(l, out);
}

static struct span keep(struct list *l, const struct str *s)
{
	return arena_span(l->arena, str_span(s));
}

/* The end of an element: emits what there was. */
static void finish(struct list *l)
{
	struct pending *now = &l->now;
	if (!now->any) {
		reset(now);
		return; /* empty elements: obs-addr-list */
	}
	if (!now->has_mailbox) { /* words without a domain */
		l->complete = false;
		now->found.local = keep(l, &now->name);
		str_reset(&now->name);
	}
	if (now->name.n) {
		now->found.name = keep(l, &now->name);
	} else if (now->comment.n) {
		str_reset(&now->name);
		lexer_unescape(now->comment, &now->name);
		now->found.name = keep(l, &now->name);
	}
	add(l, &now->found);
	reset(now);
}

static void begin_group(struct list *l)
{
	struct pending *now = &l->now;
	if (l->in_group || now->has_mailbox || !now->any) {
		l->complete = false;
		return;
	}
	l->in_group = true;
	add(l, &(struct address){.kind = ADDRESS_GROUP_BEGIN, .name = keep(l, &now->name)});
	reset(now);
}

static void end_group(struct list *l)
{
	if (l->in_group)
		add(l, &(struct address){.kind = ADDRESS_GROUP_END});
	else
		l->complete = false;
	l->in_group = false;
}

static void reset(struct pending *now)
{
	str_reset(&now->name);
	str_reset(&now->local);
	now->words = now->after_word = now->any = now->has_mailbox = false;
	now->comment = SPAN_NONE;
	now->found = (struct address){0};
}

/* One more than the maximum has room, for the end of a group. */
static void add(struct list *l, const struct address *a)
{
	if (l->count >= ADDRESS_LIST_MAX + (a->kind == ADDRESS_GROUP_END)) {
		l->complete = false;
		return;
	}
	ARENA_ROOM(l->arena, l->items, l->count, l->allocated);
	l->items[l->count++] = *a;
}

size_t address_count_mailboxes(const struct address_list *list)
{
	size_t count = 0;
	for (size_t i = 0; i < list->count; i++)
		count += list->items[i].kind == ADDRESS_MAILBOX;
	return count;
}

void address_put(struct str *out, const struct address *mailbox)
{
	struct lexer l = {.rest = mailbox->local};
	bool plain = dots_are_right(mailbox->local);
	while (plain && l.rest.n) {
		plain = lexer_atom(&l).n > 0;
		(void)lexer_char(&l, '.');
	}
	if (plain) {
		str_append(out, mailbox->local);
	} else {
		str_append_char(out, '"');
		for (size_t i = 0; i < mailbox->local.n; i++) {
			if (mailbox->local.p[i] == '"' || mailbox->local.p[i] == '\\')
				str_append_char(out, '\\');
			str_append_char(out, mailbox->local.p[i]);
		}
		str_append_char(out, '"');
	}
	if (mailbox->domain.n) {
		str_append_char(out, '@');
		str_append(out, mailbox->domain);
	}
}
