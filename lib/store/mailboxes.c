#include "store/internal.h"

/*
 * Mailboxes by name: list, status, create, delete, rename, subscribe. A mailbox's id never changes
 * and is never reused; its name is only in the record "N".
 */

struct mailboxes_change {
	struct store *store;
	struct arena arena;
	struct global global;
	struct names names;
	struct id_list freed;
	uint32_t retired_before; /* UIDVALIDITY of names lost before this change */
};

static int change_begin(struct store *s, struct mailboxes_change *c);
static int change_end(struct mailboxes_change *c, int error);
static void change_clear(struct mailboxes_change *c);
static int make_mailbox(struct mailboxes_change *c, struct span name, enum special_use use);
static int make_parents(struct mailboxes_change *c, struct span name);
static int delete_contents(struct mailboxes_change *c, uint32_t id);
static int release_page(
    struct mailboxes_change *c, const struct mailbox *m, size_t index, struct page *page);
static void name_retire(struct mailboxes_change *c, struct name *name, uint32_t uid_validity);
static int rename_one(struct mailboxes_change *c, struct span from, struct span to);
static int rename_all(struct mailboxes_change *c, struct span from, struct span to);
static int move_inbox(struct mailboxes_change *c, struct span to);
static void list_parents(struct names *names, struct span name);

int store_list(struct store *s, struct arena *a, struct mailbox_info **ret, size_t *ret_count)
{
	struct names names, known;
	int error = db_read_begin(s->index);
	if (error < 0)
		return error;
	error = names_load(s, a, &known);
	names = (struct names){.arena = a};
	for (size_t i = 0; error == 0 && i < known.count; i++)
		error = names_add(&names, &known.all[i]);
	for (size_t i = 0; error == 0 && i < known.count; i++)
		if (known.all[i].id != 0)
			list_parents(&names, known.all[i].text);
	struct mailbox_info *all = ARENA_ARRAY(a, struct mailbox_info, names.count + 1);
	for (size_t i = 0; error == 0 && i < names.count; i++) {
		const struct name *name = &names.all[i];
		struct mailbox_head head;
		all[i] = (struct mailbox_info){.name = name->text, .subscribed = name->subscribed};
		if (name->id == 0)
			continue;
		error = mailbox_head_load(s, name->id, &head);
		if (error == 0)
			mailbox_info_fill(&all[i], name, &head);
	}
	db_read_end(s->index);
	if (error < 0)
		return error == -ENOENT ? -EUCLEAN : error;
	*ret = all;
	*ret_count = names.count;
	return 0;
}

/* Parents that are no mailboxes (any more): "a" of "a/b". Left out when the list is full. */
static void list_parents(struct names *names, struct span name)
{
	for (size_t i = 1; i < name.n; i++)
		if (name.p[i] == '/') {
			struct name parent = {.text = span_sub(name, 0, i)};
			if (!names_find(names, parent.text) && names_add(names, &parent) < 0)
				return;
		}
}

int store_status(struct store *s, struct span name, struct arena *a, struct mailbox_info *ret)
{
	struct name found;
	struct mailbox_head head;
	int error = db_read_begin(s->index);
	if (error < 0)
		return error;
	error = name_lookup(s, name, a, &found);
	if (error == 0)
		error = mailbox_head_load(s, found.id, &head);
	db_read_end(s->index);
	if (error == 0)
		mailbox_info_fill(ret, &found, &head);
	return error;
}

static int change_begin(struct store *s, struct mailboxes_change *c)
{
	*c = (struct mailboxes_change){.store = s};
	int error = store_begin(s, &c->global);
	if (error < 0)
		return error;
	error = names_load(s, &c->arena, &c->names);
	c->retired_before = c->global.retired_validity;
	if (error < 0)
		store_cancel(s);
	return error;
}

static int change_end(struct mailboxes_change *c, int error)
{
	if (error == 0)
		error = names_save(c->store, &c->names);
	if (error < 0) {
		store_cancel(c->store);
		return error;
	}
	error = store_commit(c->store, &c->global);
	if (error == 0)
		messages_remove(c->store, &c->freed);
	return error;
}

static void change_clear(struct mailboxes_change *c)
{
	arena_clear(&c->arena);
	id_list_clear(&c->freed);
}

int store_create(struct store *s, struct span name, enum special_use use)
{
	struct mailboxes_change c cleanup(change_clear);
	struct span normal;
	int error = change_begin(s, &c);
	if (error < 0)
		return error;
	error = name_normalise(name, &c.arena, &normal);
	for (size_t i = 0; error == 0 && use != SPECIAL_NONE && i < c.names.count; i++)
		if (c.names.all[i].id != 0 && c.names.all[i].special_use == use)
			error = -ENOTUNIQ;
	const struct name *old = error == 0 ? names_find(&c.names, normal) : NULL;
	if (old && old->id != 0)
		error = -EEXIST;
	if (error == 0)
		error = make_parents(&c, normal);
	if (error == 0)
		error = make_mailbox(&c, normal, use);
	return change_end(&c, error);
}

/* name is not there, or only a subscription. */
static int make_mailbox(struct mailboxes_change *c, struct span name, enum special_use use)
{
	struct mailbox m cleanup(mailbox_clear) = {0};
	mailbox_init(&m, &c->global);
	int error = mailbox_save(c->store, &m);
	if (error < 0)
		return error;
	struct name *old = names_find(&c->names, name);
	if (old) {
		old->id = m.head.id;
		old->special_use = (uint8_t)use;
		return 0;
	}
	struct name new = {.id = m.head.id, .special_use = (uint8_t)use, .text = name};
	return names_add(&c->names, &new);
}

static int make_parents(struct mailboxes_change *c, struct span name)
{
	for (size_t i = 1; i < name.n; i++) {
		if (name.p[i] != '/')
			continue;
		struct span parent = span_sub(name, 0, i);
		const struct name *old = names_find(&c->names, parent);
		int error = old && old->id != 0 ? 0 : make_mailbox(c, parent, SPECIAL_NONE);
		if (error < 0)
			return error;
	}
	return 0;
}

int store_delete(struct store *s, struct span name)
{
	struct mailboxes_change c cleanup(change_clear);
	struct span normal;
	struct mailbox_head head;
	int error = change_begin(s, &c);
	if (error < 0)
		return error;
	if (name_normalise(name, &c.arena, &normal) < 0)
		error = -ENOENT;
	struct name *old = error == 0 ? names_find(&c.names, normal) : NULL;
	if (error == 0 && (!old || old->id == 0))
		error = -ENOENT;
	if (error == 0 && span_equal(normal, SPAN("INBOX")))
		error = -EPERM;
	if (error == 0)
		error = mailbox_head_load(s, old->id, &head);
	if (error == 0)
		error = delete_contents(&c, old->id);
	if (error == 0)
		name_retire(&c, old, head.uid_validity);
	return change_end(&c, error);
}

/* Its records and the references of its messages. */
static int delete_contents(struct mailboxes_change *c, uint32_t id)
{
	struct mailbox m cleanup(mailbox_clear) = {0};
	struct page *page cleanup(free_page) = xcalloc(1, sizeof(*page));
	int error = mailbox_load(c->store, id, &m);
	for (size_t i = 0; error == 0 && i < m.head.page_count; i++)
		error = release_page(c, &m, i, page);
	if (error < 0)
		return error;
	c->global.bytes -= m.head.bytes;
	c->global.messages -= m.head.messages;
	struct key log = key_of_u32('X', id), record = key_of_u32('M', id);
	error = db_delete(c->store->index, key_span(&log));
	if (error < 0 && error != -ENOENT)
		return error;
	return db_delete(c->store->index, key_span(&record));
}

static int release_page(
    struct mailboxes_change *c, const struct mailbox *m, size_t index, struct page *page)
{
	struct reference_change changes[PAGE_ENTRIES];
	int error = page_load(c->store, m->head.id, &m->pages[index], page);
	if (error < 0)
		return error;
	for (uint32_t i = 0; i < page->count; i++)
		changes[i] = (struct reference_change){.id = page->entries[i].id, .delta = -1};
	error = references_change(c->store, changes, page->count, &c->freed);
	if (error < 0)
		return error;
	struct key key = key_of_page(m->head.id, m->pages[index].base_uid);
	return db_delete(c->store->index, key_span(&key));
}

/*
 * A mailbox loses its name; a subscription to it stays (RFC 9051 §6.3.7). Whatever gets this
 * name later must have a higher UIDVALIDITY (RFC 9051 §2.3.1.1), so the highest one is kept.
 */
static void name_retire(struct mailboxes_change *c, struct name *name, uint32_t uid_validity)
{
	c->global.retired_validity = MAX(c->global.retired_validity, uid_validity);
	if (name->subscribed) {
		name->id = 0;
		name->special_use = SPECIAL_NONE;
	} else {
		names_remove(&c->names, name);
	}
}

int store_rename(struct store *s, struct span from, struct span to)
{
	struct mailboxes_change c cleanup(change_clear);
	struct span source, target;
	int error = change_begin(s, &c);
	if (error < 0)
		return error;
	error = name_normalise(to, &c.arena, &target);
	if (error == 0 && name_normalise(from, &c.arena, &source) < 0)
		error = -ENOENT;
	if (error < 0)
		return change_end(&c, error);
	const struct name *old = names_find(&c.names, target);
	bool inbox = span_equal(source, SPAN("INBOX"));
	if (old && old->id != 0)
		error = -EEXIST;
	else if (!inbox && span_starts_with(target, source) && target.p[source.n] == '/')
		error = -EINVAL; /* below itself */
	if (error == 0)
		error = make_parents(&c, target);
	if (error == 0)
		error = inbox ? move_inbox(&c, target) : rename_all(&c, source, target);
	return change_end(&c, error);
}

/* RFC 9051 §6.3.6: INBOX stays, empty; its messages go into a new mailbox. Children stay too. */
static int move_inbox(struct mailboxes_change *c, struct span to)
{
	struct mailbox old cleanup(mailbox_clear) = {0}, new cleanup(mailbox_clear) = {0};
	struct page *page cleanup(free_page) = xcalloc(1, sizeof(*page));
	int error = make_mailbox(c, to, SPECIAL_NONE);
	if (error < 0)
		return error;
	const struct name *inbox = names_find(&c->names, SPAN("INBOX"));
	const struct name *target = names_find(&c->names, to);
	if (!inbox || !target)
		return -EUCLEAN;
	error = mailbox_load(c->store, inbox->id, &old);
	if (error == 0)
		error = mailbox_load(c->store, target->id, &new);
	if (error == 0) { /* keywords with the same bits */
		str_append(&new.keyword_bytes, str_span(&old.keyword_bytes));
		new.head.keyword_count = old.head.keyword_count;
		new.head.keyword_bytes = old.head.keyword_bytes;
	}
	struct range_list removed cleanup(range_list_clear) = {0};
	uint64_t modseq = old.head.highest_modseq + 1;
	while (error == 0 && old.head.page_count > 0) {
		error = page_load(c->store, old.head.id, &old.pages[0], page);
		for (uint32_t i = 0; error == 0 && i < page->count; i++) {
			range_list_add(&removed, page->entries[i].uid);
			old.head.bytes -= page->entries[i].size;
			c->global.bytes -=
			    page->entries[i].size; /* page_append() adds them again */
			c->global.messages--;
		}
		if (error == 0)
			error = page_append(c->store, &c->global, &new, page->entries, page->count,
			    new.head.highest_modseq + 1);
		page->count = 0;
		if (error == 0)
			error = page_save(c->store, &old, 0, page, modseq, NULL);
	}
	if (error == 0 && removed.count)
		error =
		    expunge_log_add(c->store, old.head.id, modseq, removed.ranges, removed.count);
	if (error == 0)
		error = mailbox_save(c->store, &new);
	return error == 0 ? mailbox_save(c->store, &old) : error;
}

/* The mailbox, if there is one of that name, and its children. */
static int rename_all(struct mailboxes_change *c, struct span from, struct span to)
{
	struct arena a cleanup(arena_clear) = {0};
	struct span *found = ARENA_ARRAY(&a, struct span, c->names.count);
	size_t count = 0;
	for (size_t i = 0; i < c->names.count; i++) {
		const struct name *name = &c->names.all[i];
		if (name->id != 0 && span_starts_with(name->text, from) &&
		    (name->text.n == from.n || name->text.p[from.n] == '/'))
			found[count++] = name->text;
	}
	if (count == 0)
		return -ENOENT;
	int error = 0;
	for (size_t i = 0; error == 0 && i < count; i++) {
		struct span new = arena_format(
		    &c->arena, "%.*s%.*s", SPAN_ARG(to), SPAN_ARG(span_from(found[i], from.n)));
		error = new.n > MAILBOX_NAME_MAX_BYTES ? -EINVAL : rename_one(c, found[i], new);
	}
	return error;
}

/* The subscription of the old name stays, as RFC 9051 §6.3.6 wants; the new name gets it too. */
static int rename_one(struct mailboxes_change *c, struct span from, struct span to)
{
	struct mailbox m cleanup(mailbox_clear) = {0};
	struct name *source = names_find(&c->names, from);
	struct name *target = names_find(&c->names, to);
	if (!source)
		return -EUCLEAN;
	if (target && target->id != 0)
		return -EEXIST;
	struct name moved = *source;
	int error = mailbox_load(c->store, moved.id, &m);
	if (error < 0)
		return error;
	uint32_t old_validity = m.head.uid_validity;
	/* The new name may have belonged to a mailbox with a higher UIDVALIDITY. */
	if (old_validity <= c->retired_before) {
		m.head.uid_validity = next_uid_validity(&c->global);
		error = mailbox_save(c->store, &m);
		if (error < 0)
			return error;
	}
	name_retire(c, source, old_validity);
	moved.text = to;
	target = names_find(&c->names, to); /* it has moved */
	if (target) {
		moved.subscribed = moved.subscribed || target->subscribed;
		*target = moved;
		return 0;
	}
	return names_add(&c->names, &moved);
}

int store_subscribe(struct store *s, struct span name, bool on)
{
	struct mailboxes_change c cleanup(change_clear);
	struct span normal;
	int error = change_begin(s, &c);
	if (error < 0)
		return error;
	error = name_normalise(name, &c.arena, &normal);
	struct name *old = error == 0 ? names_find(&c.names, normal) : NULL;
	if (old && !on && old->id == 0) {
		names_remove(&c.names, old);
	} else if (old) {
		old->subscribed = on;
	} else if (error == 0 && on) {
		struct name new = {.subscribed = true, .text = normal};
		error = names_add(&c.names, &new);
	}
	return change_end(&c, error);
}
