#include "store/internal.h"

/*
 * Changes to messages that are there: flags, expunge, copy and move. Each is one transaction and
 * takes one modseq, whatever the number of messages, and rewrites whole pages. Only messages of the
 * view are touched: what the client does not know of, it cannot mean.
 */

/* What one transaction works with. */
struct change {
	struct view *view;
	struct store *store;
	struct global global;
	struct mailbox mailbox;
	uint64_t modseq;
	struct page *page; /* scratch */
	bool dirty;
	struct range_list removed;
	struct reference_change *references;
	size_t reference_count, references_allocated;
	struct id_list freed;
};

static int change_begin(struct view *v, struct change *c);
static int change_end(struct change *c, int error);
static void change_clear(struct change *c);
static int flags_of_page(struct change *c, size_t index, struct uid_set uids,
    const struct flags_change *change, uint64_t keywords, struct range_list *modified,
    struct id_list *unseen_news);
static void new_flags(
    struct page_entry *entry, const struct flags_change *change, uint64_t keywords);
static void keep_silent(struct view *v, uint64_t modseq, const struct id_list *unseen_news);
static bool was_told(const struct view *v, uint64_t modseq);
static int remove_messages(struct change *c, const struct uid_set *uids, bool only_deleted);
static int remove_from_page(
    struct change *c, size_t index, const struct uid_set *uids, bool only_deleted, bool *ret_gone);
static void add_reference(struct change *c, uint64_t id, int32_t delta);
static int apply_references(struct change *c);
static int copy_messages(struct change *c, struct mailbox *target, struct uid_set uids,
    struct range_list *from, struct range_list *to);
static int collect(
    struct change *c, struct uid_set uids, struct page_entry **entries, size_t *count);
static uint64_t translate_keywords(
    const struct mailbox *source, struct mailbox *target, uint64_t keywords);

static int change_begin(struct view *v, struct change *c)
{
	*c = (struct change){.view = v, .store = v->store};
	if (v->read_only)
		return -EROFS;
	int error = store_begin(v->store, &c->global);
	if (error < 0)
		return error;
	error = mailbox_load(v->store, v->info.id, &c->mailbox);
	if (error < 0) {
		store_cancel(v->store);
		return error;
	}
	c->modseq = c->mailbox.head.highest_modseq + 1;
	c->page = xcalloc(1, sizeof(*c->page));
	return 0;
}

/* Commits, unless something went wrong or there is nothing to commit; then removes files. */
static int change_end(struct change *c, int error)
{
	if (error == 0 && c->dirty)
		error = apply_references(c);
	if (error == 0 && c->dirty && c->removed.count)
		error = expunge_log_add(
		    c->store, c->mailbox.head.id, c->modseq, c->removed.ranges, c->removed.count);
	if (error == 0 && c->dirty)
		error = mailbox_save(c->store, &c->mailbox);
	if (error < 0 || !c->dirty) {
		store_cancel(c->store);
		return error;
	}
	error = store_commit(c->store, &c->global);
	if (error == 0)
		messages_remove(c->store, &c->freed);
	return error;
}

static void change_clear(struct change *c)
{
	mailbox_clear(&c->mailbox);
	free(c->page);
	range_list_clear(&c->removed);
	free(c->references);
	id_list_clear(&c->freed);
}

int view_store_flags(struct view *v, struct uid_set uids, const struct flags_change *change,
    bool silent, struct arena *a, struct uid_set *ret_modified)
{
	struct change c cleanup(change_clear);
	struct range_list modified cleanup(range_list_clear) = {0};
	struct id_list unseen_news cleanup(id_list_clear) = {0};
	uint64_t keywords = 0;
	int error = change_begin(v, &c);
	if (error < 0)
		return error;
	if (uids.count)
		error = mailbox_keyword_bits(&c.mailbox, change->keywords, change->keyword_count,
		    change->mode != FLAGS_REMOVE, &keywords);
	size_t last = SIZE_MAX;
	for (size_t r = 0; r < uids.count && error == 0; r++)
		for (size_t i = mailbox_page_from(&c.mailbox, uids.ranges[r].first);
		     error == 0 && i < c.mailbox.head.page_count &&
		     c.mailbox.pages[i].first_uid <= MIN(uids.ranges[r].last, v->last_uid);
		     i++) {
			if (i == last) /* done with the range before */
				continue;
			last = i;
			error =
			    flags_of_page(&c, i, uids, change, keywords, &modified, &unseen_news);
		}
	bool changed = c.dirty;
	error = change_end(&c, error);
	if (error < 0)
		return error;
	if (changed && silent)
		keep_silent(v, c.modseq, &unseen_news);
	if (ret_modified)
		*ret_modified = range_list_copy(&modified, a);
	return 0;
}

static int flags_of_page(struct change *c, size_t index, struct uid_set uids,
    const struct flags_change *change, uint64_t keywords, struct range_list *modified,
    struct id_list *unseen_news)
{
	bool page_dirty = false;
	size_t hint = 0;
	int error = page_load(c->store, c->mailbox.head.id, &c->mailbox.pages[index], c->page);
	if (error < 0)
		return error;
	for (uint32_t i = 0; i < c->page->count; i++) {
		struct page_entry *entry = &c->page->entries[i];
		if (entry->uid > c->view->last_uid || !uid_set_has(uids, entry->uid, &hint))
			continue;
		if (entry->modseq > change->unchanged_since) { /* RFC 7162 §3.1.3 */
			range_list_add(modified, entry->uid);
			continue;
		}
		struct page_entry before = *entry;
		new_flags(entry, change, keywords);
		if (entry->flags == before.flags && entry->keywords == before.keywords)
			continue;
		if (!was_told(c->view, before.modseq))
			id_list_add(unseen_news, entry->uid);
		entry->modseq = c->modseq;
		page_dirty = true;
	}
	if (!page_dirty)
		return 0;
	c->dirty = true;
	return page_save(c->store, &c->mailbox, index, c->page, c->modseq, NULL);
}

static void new_flags(
    struct page_entry *entry, const struct flags_change *change, uint64_t keywords)
{
	uint16_t flags = (uint16_t)(change->flags & FLAGS_ALL);
	switch (change->mode) {
	case FLAGS_REPLACE:
		entry->flags = flags;
		entry->keywords = keywords;
		break;
	case FLAGS_ADD:
		entry->flags |= flags;
		entry->keywords |= keywords;
		break;
	case FLAGS_REMOVE:
		entry->flags &= (uint16_t)~flags;
		entry->keywords &= ~keywords;
		break;
	}
}

/* Does the client know the message as it was at this modseq? */
static bool was_told(const struct view *v, uint64_t modseq)
{
	if (modseq <= v->told_modseq)
		return true;
	for (size_t i = 0; i < v->silent_count; i++)
		if (v->silent_modseqs[i] == modseq)
			return true;
	return false;
}

/*
 * The next view_sync() leaves these changes out, but for messages whose last change was not told.
 */
static void keep_silent(struct view *v, uint64_t modseq, const struct id_list *unseen_news)
{
	ARRAY_ROOM(v->silent_modseqs, v->silent_count, v->silent_allocated);
	v->silent_modseqs[v->silent_count++] = modseq;
	for (size_t i = 0; i < unseen_news->count; i++)
		id_list_add(&v->tell_anyway, unseen_news->ids[i]);
}

int view_expunge(struct view *v, const struct uid_set *uids)
{
	struct change c cleanup(change_clear);
	int error = change_begin(v, &c);
	if (error < 0)
		return error;
	return change_end(&c, remove_messages(&c, uids, true));
}

/* uids NULL: all. The messages' references go too, when the transaction ends. */
static int remove_messages(struct change *c, const struct uid_set *uids, bool only_deleted)
{
	size_t i = 0;
	int error = 0;
	while (i < c->mailbox.head.page_count && error == 0) {
		bool gone = false;
		if (!only_deleted || c->mailbox.pages[i].deleted > 0)
			error = remove_from_page(c, i, uids, only_deleted, &gone);
		if (!gone)
			i++;
	}
	return error;
}

static int remove_from_page(
    struct change *c, size_t index, const struct uid_set *uids, bool only_deleted, bool *ret_gone)
{
	struct page *page = c->page;
	uint32_t kept = 0;
	size_t hint = 0;
	if (uids) { /* a look at the ranges spares reading the page */
		struct page_ref *ref = &c->mailbox.pages[index];
		while (hint < uids->count && uids->ranges[hint].last < ref->first_uid)
			hint++;
		if (hint == uids->count || uids->ranges[hint].first > ref->last_uid)
			return 0;
	}
	int error = page_load(c->store, c->mailbox.head.id, &c->mailbox.pages[index], page);
	if (error < 0)
		return error;
	for (uint32_t i = 0; i < page->count; i++) {
		const struct page_entry *entry = &page->entries[i];
		if (entry->uid > c->view->last_uid ||
		    (only_deleted && !(entry->flags & FLAG_DELETED)) ||
		    (uids && !uid_set_has(*uids, entry->uid, &hint))) {
			page->entries[kept++] = *entry;
			continue;
		}
		range_list_add(&c->removed, entry->uid);
		add_reference(c, entry->id, -1);
		c->mailbox.head.bytes -= entry->size;
		c->global.bytes -= entry->size;
		c->global.messages--;
	}
	if (kept == page->count)
		return 0;
	page->count = kept;
	c->dirty = true;
	return page_save(c->store, &c->mailbox, index, page, c->modseq, ret_gone);
}

static void add_reference(struct change *c, uint64_t id, int32_t delta)
{
	ARRAY_ROOM(c->references, c->reference_count, c->references_allocated);
	c->references[c->reference_count++] = (struct reference_change){.id = id, .delta = delta};
}

/* A message that was moved is there twice, once up and once down: no change at all. */
static int apply_references(struct change *c)
{
	if (c->reference_count == 0)
		return 0;
	return references_change(c->store, c->references, c->reference_count, &c->freed);
}

int view_copy(struct view *v, struct uid_set uids, struct span target, bool move, struct arena *a,
    uint32_t *ret_uid_validity, struct uid_set *ret_from, struct uid_set *ret_to)
{
	struct change c cleanup(change_clear);
	struct mailbox other cleanup(mailbox_clear) = {0};
	struct range_list from cleanup(range_list_clear) = {0}, to cleanup(range_list_clear) = {0};
	struct name name;
	bool read_only = v->read_only;
	if (!move)
		v->read_only = false; /* a copy changes nothing here */
	int error = change_begin(v, &c);
	v->read_only = read_only;
	if (error < 0)
		return error;
	error = name_lookup(v->store, target, a, &name);
	/* Into the same mailbox is allowed; there must not be two of it in memory. */
	bool same = error == 0 && name.id == v->info.id;
	if (error == 0 && !same)
		error = mailbox_load(v->store, name.id, &other);
	struct mailbox *into = same ? &c.mailbox : &other;
	if (error == 0)
		error = copy_messages(&c, into, uids, &from, &to);
	if (error == 0 && move && from.count) {
		struct uid_set moved = {from.ranges, from.count};
		error = remove_messages(&c, &moved, false);
	}
	if (error == 0 && c.dirty && !same)
		error = mailbox_save(v->store, &other);
	/* A move keeps what it counts; a copy is held against the quota. */
	if (error == 0 && c.dirty && !move &&
	    ((v->store->quota_bytes && c.global.bytes > v->store->quota_bytes) ||
		(v->store->quota_messages && c.global.messages > v->store->quota_messages)))
		error = -EDQUOT;
	error = change_end(&c, error);
	if (error < 0)
		return error;
	*ret_uid_validity = into->head.uid_validity;
	*ret_from = range_list_copy(&from, a);
	*ret_to = range_list_copy(&to, a);
	return 0;
}

static int copy_messages(struct change *c, struct mailbox *target, struct uid_set uids,
    struct range_list *from, struct range_list *to)
{
	struct page_entry *entries = NULL;
	size_t count = 0;
	int error = collect(c, uids, &entries, &count);
	for (size_t i = 0; i < count; i++) {
		range_list_add(from, entries[i].uid);
		add_reference(c, entries[i].id, 1);
		entries[i].keywords = translate_keywords(&c->mailbox, target, entries[i].keywords);
	}
	if (error == 0 && count > 0) {
		c->dirty = true;
		error = page_append(
		    c->store, &c->global, target, entries, count, target->head.highest_modseq + 1);
	}
	for (size_t i = 0; error == 0 && i < count; i++)
		range_list_add(to, entries[i].uid);
	free(entries);
	return error;
}

/* Copies of the entries of all these messages, by UID. */
static int collect(
    struct change *c, struct uid_set uids, struct page_entry **entries, size_t *count)
{
	size_t allocated = 0, hint = 0;
	const struct mailbox *m = &c->mailbox;
	for (uint32_t i = 0; uids.count && i < m->head.page_count; i++) {
		while (hint < uids.count && uids.ranges[hint].last < m->pages[i].first_uid)
			hint++;
		if (hint == uids.count)
			break;
		if (uids.ranges[hint].first > m->pages[i].last_uid)
			continue;
		int error = page_load(c->store, m->head.id, &m->pages[i], c->page);
		if (error < 0)
			return error;
		for (uint32_t j = 0; j < c->page->count; j++) {
			const struct page_entry *entry = &c->page->entries[j];
			if (entry->uid > c->view->last_uid || !uid_set_has(uids, entry->uid, &hint))
				continue;
			ARRAY_ROOM(*entries, *count, allocated);
			(*entries)[(*count)++] = *entry;
		}
	}
	return 0;
}

/* Same names, other bits. What has no room in the target is left out. */
static uint64_t translate_keywords(
    const struct mailbox *source, struct mailbox *target, uint64_t keywords)
{
	uint64_t all = 0, bits = 0;
	if (source == target)
		return keywords;
	for (uint32_t i = 0; i < source->head.keyword_count; i++)
		if ((keywords >> i & 1) &&
		    mailbox_keyword_bits(target, &source->keywords[i], 1, true, &bits) == 0)
			all |= bits;
	return all;
}
