#include "store/internal.h"

/*
 * What happened to a mailbox since a view last looked. Under one read lock, for one moment: compare
 * the page directories, read the pages that differ, note expunged and new UIDs. Without the lock,
 * because the client may not read what it is told: expunges, the new count, changed flags.
 *
 * Expunges that may not be told yet stay in the view, and their pages are marked pending, so that
 * they are compared again each time until they may.
 */

struct difference {
	bool tell_expunges;
	struct mailbox mailbox; /* as it is now */
	uint32_t sequence;
	uint32_t old_last_uid, old_count;
	size_t old_keyword_count;
	struct range_list expunged, added;
	struct view_page *pages; /* of the view as it will be */
	size_t page_count, pages_allocated;
	struct id_list changed; /* indices in pages[] that have flags to tell */
	uint64_t since;		/* modseqs up to here are known */
	uint64_t *silent_modseqs;
	size_t silent_count;
	struct id_list tell_anyway;
	struct page *page; /* scratch */
};

static void difference_clear(struct difference *d);
static int look(struct view *v, struct difference *d);
static int compare(struct view *v, struct difference *d);
static int compare_page(
    struct view *v, size_t index, const struct page_ref *ref, struct difference *d);
static uint32_t note_expunged(struct view *v, size_t index, struct difference *d);
static int add_page(struct view *v, const struct page_ref *ref, struct difference *d);
static void keep_page(struct difference *d, struct view_page page);
static void apply(struct view *v, struct difference *d, struct view *before);
static int tell(struct view *v, struct difference *d, const struct view *before,
    const struct view_changes *changes);
static void tell_expunged(
    const struct difference *d, const struct view *before, const struct view_changes *changes);
static int tell_flags(struct view *v, struct difference *d, const struct view_changes *changes);
static bool is_news(const struct difference *d, const struct page_entry *entry);

int view_sync(struct view *v, bool tell_expunges, const struct view_changes *changes)
{
	if (!view_is_stale(v) && !(tell_expunges && v->pending))
		return 0;
	struct difference d cleanup(difference_clear) = {.tell_expunges = tell_expunges,
	    .old_last_uid = v->last_uid,
	    .old_count = v->count,
	    .old_keyword_count = v->keyword_count,
	    .since = v->told_modseq};
	int error = look(v, &d);
	if (error < 0)
		return error;
	v->sequence = d.sequence;
	if (!d.page) /* somebody committed, but not here */
		return 0;
	struct view before = {0};
	apply(v, &d, &before);
	error = tell(v, &d, &before, changes);
	free(before.runs);
	return error;
}

static void difference_clear(struct difference *d)
{
	mailbox_clear(&d->mailbox);
	range_list_clear(&d->expunged);
	range_list_clear(&d->added);
	free(d->pages);
	id_list_clear(&d->changed);
	free(d->silent_modseqs);
	id_list_clear(&d->tell_anyway);
	free(d->page);
}

/* Everything that needs one moment. d->page stays NULL when nothing happened to this mailbox. */
static int look(struct view *v, struct difference *d)
{
	struct mailbox_head head;
	int error = db_read_begin(v->store->index);
	if (error < 0)
		return error;
	d->sequence = db_sequence(v->store->index);
	error = mailbox_head_load(v->store, v->info.id, &head);
	if (error == 0 &&
	    (head.highest_modseq != v->told_modseq || (d->tell_expunges && v->pending))) {
		d->page = xcalloc(1, sizeof(*d->page));
		error = mailbox_load(v->store, v->info.id, &d->mailbox);
		if (error == 0)
			error = compare(v, d);
	}
	db_read_end(v->store->index);
	return error;
}

static int compare(struct view *v, struct difference *d)
{
	const struct mailbox *m = &d->mailbox;
	size_t now = 0;
	int error = 0;
	for (size_t i = 0; i < v->page_count && error == 0; i++) {
		const struct view_page *was = &v->pages[i];
		const struct page_ref *ref = now < m->head.page_count ? &m->pages[now] : NULL;
		if (ref && ref->base_uid < was->base_uid)
			return -EUCLEAN; /* pages are only made at the end */
		if (!ref || ref->base_uid > was->base_uid) {
			d->page->count = 0;
			(void)note_expunged(v, i, d); /* all of them: the count is known */
			if (!d->tell_expunges)
				keep_page(d, (struct view_page){
						 was->modseq, was->base_uid, was->count, true});
			continue;
		}
		now++;
		if (ref->modseq == was->modseq && !was->pending)
			keep_page(d, *was);
		else
			error = compare_page(v, i, ref, d);
	}
	for (; now < m->head.page_count && error == 0; now++)
		error = add_page(v, &m->pages[now], d);
	return error;
}

static int compare_page(
    struct view *v, size_t index, const struct page_ref *ref, struct difference *d)
{
	const struct view_page *was = &v->pages[index];
	int error = page_load(v->store, v->info.id, ref, d->page);
	if (error < 0)
		return error;
	struct view_page page = {ref->modseq, ref->base_uid, was->count, false};
	bool changed = false;
	uint32_t known = 0;
	for (uint32_t i = 0; i < d->page->count; i++) {
		const struct page_entry *entry = &d->page->entries[i];
		if (entry->uid > d->old_last_uid) {
			range_list_add(&d->added, entry->uid);
			page.count++;
		} else {
			known++;
			changed = changed || entry->modseq > d->since;
		}
	}
	if (known != was->count) { /* UIDs do not come back: the others are gone */
		uint32_t gone = note_expunged(v, index, d);
		if (d->tell_expunges)
			page.count -= gone;
		else
			page.pending = true;
	}
	if (changed)
		id_list_add(&d->changed, d->page_count);
	keep_page(d, page);
	return 0;
}

/* The UIDs of this page of the view that are not in d->page. How many. */
static uint32_t note_expunged(struct view *v, size_t index, struct difference *d)
{
	uint32_t end = index + 1 < v->page_count ? v->pages[index + 1].base_uid - 1 : v->last_uid;
	uint32_t at = 0, gone = 0;
	uint32_t sequence = view_sequence_from(v, v->pages[index].base_uid);
	for (; sequence <= v->count; sequence++) {
		uint32_t uid = view_uid(v, sequence);
		if (uid > end)
			break;
		while (at < d->page->count && d->page->entries[at].uid < uid)
			at++;
		if (at < d->page->count && d->page->entries[at].uid == uid)
			continue;
		range_list_add(&d->expunged, uid);
		gone++;
	}
	return gone;
}

/* A page that the view does not know yet: all of it is new. */
static int add_page(struct view *v, const struct page_ref *ref, struct difference *d)
{
	if (ref->base_uid <= d->old_last_uid)
		return -EUCLEAN;
	keep_page(d, (struct view_page){ref->modseq, ref->base_uid, ref->count, false});
	if (ref->last_uid - ref->first_uid + 1 == ref->count) {
		range_list_add_range(&d->added, ref->first_uid, ref->last_uid);
		return 0;
	}
	int error = page_load(v->store, v->info.id, ref, d->page);
	for (uint32_t i = 0; error == 0 && i < d->page->count; i++)
		range_list_add(&d->added, d->page->entries[i].uid);
	return error;
}

static void keep_page(struct difference *d, struct view_page page)
{
	ARRAY_ROOM(d->pages, d->page_count, d->pages_allocated);
	d->pages[d->page_count++] = page;
}

/* The view becomes what it should be; its old runs go to `before`. */
static void apply(struct view *v, struct difference *d, struct view *before)
{
	*before = (struct view){.runs = v->runs, .run_count = v->run_count, .count = v->count};
	v->runs = NULL;
	v->run_count = v->runs_allocated = 0;
	size_t gone = 0;
	for (size_t i = 0; i < before->run_count; i++) {
		uint32_t uid = before->runs[i].uid, end = uid + (before->runs[i].count - 1);
		for (; d->tell_expunges && gone < d->expunged.count &&
		       d->expunged.ranges[gone].first <= end;
		     gone++) {
			struct uid_range hole = d->expunged.ranges[gone];
			if (hole.first > uid)
				runs_add(&v->runs, &v->run_count, &v->runs_allocated, uid,
				    hole.first - uid);
			uid = MAX(uid, MIN(hole.last, end) + 1);
			if (hole.last > end)
				break; /* goes on in the next run */
		}
		if (uid <= end)
			runs_add(&v->runs, &v->run_count, &v->runs_allocated, uid, end - uid + 1);
	}
	for (size_t i = 0; i < d->added.count; i++) {
		struct uid_range range = d->added.ranges[i];
		runs_add(&v->runs, &v->run_count, &v->runs_allocated, range.first,
		    range.last - range.first + 1);
	}
	const struct run *last = v->run_count ? &v->runs[v->run_count - 1] : NULL;
	v->count = last ? last->sequence + last->count - 1 : 0;
	v->last_uid = d->mailbox.head.uid_next - 1;
	free(v->pages);
	v->pages = d->pages;
	v->page_count = d->page_count;
	v->pages_allocated = d->pages_allocated;
	d->pages = NULL;
	v->pending = false;
	for (size_t i = 0; i < v->page_count; i++)
		v->pending = v->pending || v->pages[i].pending;
	/* What was silent is so for this one sync. */
	d->silent_modseqs = v->silent_modseqs;
	d->silent_count = v->silent_count;
	d->tell_anyway = v->tell_anyway;
	v->silent_modseqs = NULL;
	v->silent_count = v->silent_allocated = 0;
	v->tell_anyway = (struct id_list){0};
	view_keep_head(v, &d->mailbox);
}

static int tell(struct view *v, struct difference *d, const struct view *before,
    const struct view_changes *changes)
{
	if (d->tell_expunges && changes->expunged)
		tell_expunged(d, before, changes);
	if (d->added.count && changes->exists)
		changes->exists(changes->context, v->count);
	if (v->keyword_count != d->old_keyword_count && changes->keywords)
		changes->keywords(changes->context);
	return changes->changed ? tell_flags(v, d, changes) : 0;
}

/* From the last to the first: the numbers of those that follow in the telling stay as they are. */
static void tell_expunged(
    const struct difference *d, const struct view *before, const struct view_changes *changes)
{
	for (size_t i = d->expunged.count; i-- > 0;) {
		struct uid_range range = d->expunged.ranges[i];
		for (uint32_t uid = range.last;; uid--) {
			uint32_t sequence = view_sequence(before, uid);
			if (sequence)
				changes->expunged(changes->context, sequence, uid);
			if (uid == range.first)
				break;
		}
	}
}

/* Reads the pages again, without the lock: what has changed since is told by the next sync. */
static int tell_flags(struct view *v, struct difference *d, const struct view_changes *changes)
{
	for (size_t i = 0; i < d->changed.count; i++) {
		int error = view_page_load(v, &v->pages[d->changed.ids[i]], d->page);
		if (error < 0)
			return error;
		for (uint32_t j = 0; j < d->page->count; j++) {
			const struct page_entry *entry = &d->page->entries[j];
			uint32_t sequence = view_sequence(v, entry->uid);
			if (entry->uid > d->old_last_uid || !is_news(d, entry) || sequence == 0)
				continue;
			struct message_info info;
			page_entry_info(entry, &info);
			changes->changed(changes->context, sequence, &info);
		}
	}
	return 0;
}

static bool is_news(const struct difference *d, const struct page_entry *entry)
{
	if (entry->modseq <= d->since || entry->modseq > d->mailbox.head.highest_modseq)
		return false;
	bool silent = false;
	for (size_t i = 0; i < d->silent_count; i++)
		silent = silent || d->silent_modseqs[i] == entry->modseq;
	if (!silent)
		return true;
	for (size_t i = 0; i < d->tell_anyway.count; i++)
		if (d->tell_anyway.ids[i] == entry->uid)
			return true;
	return false;
}
