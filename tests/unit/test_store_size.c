/* A large mailbox: everything still right, and how long it takes (printed, not judged). */
#include "store_common.h"

enum { MESSAGES = 20480, FIRST = 20 };

static int64_t started_ms;

static void report(const char *what)
{
	int64_t now_ms = monotonic_ms();
	printf("# %6lld ms  %s\n", (long long)(now_ms - started_ms), what);
	started_ms = monotonic_ms();
}

static int count_message(const struct message_info *m, void *context)
{
	uint32_t *last = context;
	if (m->uid <= *last)
		return -EPROTO;
	*last = m->uid;
	return 0;
}

static void told_expunged(void *context, uint32_t sequence, uint32_t uid)
{
	(void)sequence;
	(void)uid;
	++*(uint32_t *)context;
}

static void told_changed(void *context, uint32_t sequence, const struct message_info *m)
{
	(void)sequence;
	(void)m;
	++*(uint32_t *)context;
}

static void fill(struct store *s)
{
	struct append_item items[FIRST] = {0};
	uint32_t validity, uid;
	for (size_t i = 0; i < FIRST; i++) {
		check_int(draft_new(s, &items[i].draft), 0);
		check_int(draft_write(items[i].draft, SPAN(TEXT)), 0);
	}
	started_ms = monotonic_ms();
	check_int(store_append(s, SPAN("INBOX"), items, FIRST, &validity, &uid), 0);
	report("append of 20 in one");
	for (size_t i = 0; i < FIRST; i++)
		draft_free(items[i].draft);
	struct uid_range all = {1, UINT32_MAX};
	for (uint32_t count = FIRST; count < MESSAGES; count *= 2) {
		struct arena a cleanup(arena_clear) = {0};
		struct view *v = NULL;
		struct uid_set from, to;
		check_int(view_open(s, SPAN("INBOX"), false, &v), 0);
		check_int(view_copy(v, (struct uid_set){&all, 1}, SPAN("INBOX"), false, &a,
			      &validity, &from, &to),
		    0);
		view_close(v);
	}
	report("copies up to 20,480");
}

static void change_all(struct view *v)
{
	struct arena a cleanup(arena_clear) = {0};
	struct uid_range all = {1, UINT32_MAX};
	struct uid_set uids = {&all, 1}, modified, from, to;
	struct flags_change seen = {
	    .mode = FLAGS_ADD, .flags = FLAG_SEEN, .unchanged_since = UINT64_MAX};
	uint32_t told = 0, validity;
	struct view_changes changes = {
	    .expunged = told_expunged, .changed = told_changed, .context = &told};
	check_int(view_store_flags(v, uids, &seen, false, &a, &modified), 0);
	report("STORE of all");
	check_int(view_sync(v, true, &changes), 0);
	check_int(told, MESSAGES);
	report("sync of that");
	check_int(view_copy(v, uids, SPAN("Archive"), false, &a, &validity, &from, &to), 0);
	report("COPY of all");
	check_int(from.count, 1);
	/* every third, so that nothing is a run any more */
	struct uid_range *third = ARENA_ARRAY(&a, struct uid_range, MESSAGES / 3 + 1);
	size_t count = 0;
	for (uint32_t uid = 1; uid <= MESSAGES; uid += 3)
		third[count++] = (struct uid_range){uid, uid};
	struct flags_change deleted = {
	    .mode = FLAGS_ADD, .flags = FLAG_DELETED, .unchanged_since = UINT64_MAX};
	struct uid_set thirds = {third, count};
	check_int(view_store_flags(v, thirds, &deleted, true, &a, &modified), 0);
	report("STORE of every third");
	check_int(view_expunge(v, NULL), 0);
	report("EXPUNGE of these");
	told = 0;
	check_int(view_sync(v, true, &changes), 0);
	check_int(told, count);
	check_int(view_count(v), MESSAGES - count);
	report("sync of that");
	for (uint32_t sequence = 1; sequence <= view_count(v); sequence++)
		if (view_sequence(v, view_uid(v, sequence)) != sequence)
			check(false);
	report("all sequence numbers there and back");
}

int main(void)
{
	store_folder_make();
	struct store *s = store_opened();
	struct view *v = NULL;
	uint32_t last = 0;
	fill(s);
	check_int(view_open(s, SPAN("INBOX"), false, &v), 0);
	report("SELECT");
	check_int(view_count(v), MESSAGES);
	check_int(view_each(v, 1, UINT32_MAX, count_message, &last), 0);
	report("FETCH of all");
	check_int(last, MESSAGES);
	change_all(v);
	view_close(v);
	check_int(view_open(s, SPAN("INBOX"), false, &v), 0);
	report("SELECT with gaps");
	struct arena a cleanup(arena_clear) = {0};
	struct uid_range all = {1, UINT32_MAX};
	struct uid_set from, to;
	uint32_t validity;
	check_int(
	    view_copy(v, (struct uid_set){&all, 1}, SPAN("Trash"), true, &a, &validity, &from, &to),
	    0);
	report("MOVE of all");
	view_close(v);
	check_store(s);
	report("store_check");
	check_int(store_delete(s, SPAN("Trash")), 0);
	report("DELETE");
	check_store(s);
	store_close(s);
	store_folder_remove();
	return tap_end();
}
