#include "store_common.h"

#include "mime/summary.h"

static void test_new_store(void)
{
	static const struct {
		const char *name;
		enum special_use use;
	} expected[] = {{"INBOX", SPECIAL_NONE}, {"Archive", SPECIAL_ARCHIVE},
	    {"Drafts", SPECIAL_DRAFTS}, {"Junk", SPECIAL_JUNK}, {"Sent", SPECIAL_SENT},
	    {"Trash", SPECIAL_TRASH}};
	struct store *s = NULL;
	check_int(store_open(store_dirfd, false, &s), -ENOENT);
	s = store_opened();
	struct arena a cleanup(arena_clear) = {0};
	struct mailbox_info *all;
	size_t count;
	check_int(store_list(s, &a, &all, &count), 0);
	check_int(count, ARRAY_SIZE(expected));
	for (size_t i = 0; i < MIN(count, ARRAY_SIZE(expected)); i++) {
		check_span(all[i].name, span_cstr(expected[i].name));
		check_int(all[i].special_use, expected[i].use);
		check(all[i].subscribed && all[i].selectable && all[i].messages == 0 &&
		      all[i].uid_next == 1);
		check(i == 0 || all[i].uid_validity > all[i - 1].uid_validity);
	}
	check_store(s);
	store_close(s);
	check_int(store_open(store_dirfd, false, &s), 0);
	store_close(s);
	store_close(NULL);
}

static void test_names(void)
{
	static const struct {
		const char *name;
		int error;
	} cases[] = {{"", -EINVAL}, {"/a", -EINVAL}, {"a/", -EINVAL}, {"a//b", -EINVAL},
	    {"a\nb", -EINVAL}, {"\xff", -EINVAL}, {"inbox", -EEXIST}, {"Sent", -EEXIST},
	    {"sent", 0}, {"inBOX/child", 0}, {"INBOX/child", -EEXIST}, {"x/y/z", 0}, {"x", -EEXIST},
	    {"x/y", -EEXIST}, {"e\xcc\x81", 0}, {"\xc3\xa9", -EEXIST}, {"..", 0}, {"x.y", 0}};
	struct store *s = store_opened();
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int error = store_create(s, span_cstr(cases[i].name), SPECIAL_NONE);
		check_named(error == cases[i].error, cases[i].name);
	}
	check_int(store_create(s, SPAN("Second"), SPECIAL_SENT), -ENOTUNIQ);
	check_int(store_create(s, SPAN("Everything"), SPECIAL_ALL), 0);
	check_store(s);

	/* A parent goes, its children stay, and it is still listed, without being selectable. */
	struct arena a cleanup(arena_clear) = {0};
	struct mailbox_info *all, info;
	size_t count;
	check_int(store_subscribe(s, SPAN("x/y"), true), 0);
	check_int(store_delete(s, SPAN("x/y")), 0);
	check_int(store_delete(s, SPAN("x")), 0);
	check_int(store_delete(s, SPAN("x")), -ENOENT);
	check_int(store_delete(s, SPAN("Inbox")), -EPERM);
	check_int(store_status(s, SPAN("x"), &a, &info), -ENOENT);
	check_int(store_status(s, SPAN("x/y/z"), &a, &info), 0);
	check_int(store_list(s, &a, &all, &count), 0);
	bool parent = false, subscription = false;
	for (size_t i = 0; i < count; i++) {
		parent = parent || (span_equal(all[i].name, SPAN("x")) && !all[i].selectable &&
				       !all[i].subscribed);
		subscription = subscription || (span_equal(all[i].name, SPAN("x/y")) &&
						   !all[i].selectable && all[i].subscribed);
	}
	check(parent && subscription);
	check_int(store_subscribe(s, SPAN("x/y"), false), 0);
	check_int(store_subscribe(s, SPAN("never/was"), true), 0);
	check_int(store_subscribe(s, SPAN("never/was"), false), 0);
	check_store(s);
	store_close(s);
}

static uint32_t validity_of(struct store *s, const char *name)
{
	struct arena a cleanup(arena_clear) = {0};
	struct mailbox_info info = {0};
	return store_status(s, span_cstr(name), &a, &info) == 0 ? info.uid_validity : 0;
}

static void test_rename(void)
{
	struct store *s = store_opened();
	check_int(store_create(s, SPAN("r/a/b"), SPECIAL_NONE), 0);
	uint32_t a = validity_of(s, "r/a"), b = validity_of(s, "r/a/b");
	check_int(append_text(s, "r/a", FLAG_SEEN, TEXT, NULL), 0);
	check_int(store_rename(s, SPAN("r/a"), SPAN("r/a/c")), -EINVAL);
	check_int(store_rename(s, SPAN("r/a"), SPAN("Sent")), -EEXIST);
	check_int(store_rename(s, SPAN("none"), SPAN("some")), -ENOENT);
	check_int(store_rename(s, SPAN("r/a"), SPAN("new/place")), 0);
	check_int(validity_of(s, "new/place"), a);
	check_int(validity_of(s, "new/place/b"), b);
	check_int(validity_of(s, "r/a"), 0);
	check(validity_of(s, "new") > 0);
	/* A name that had a mailbox before gets a higher UIDVALIDITY, whoever takes it. */
	check_int(store_create(s, SPAN("r/a"), SPECIAL_NONE), 0);
	uint32_t second = validity_of(s, "r/a");
	check(second > b);
	check_int(store_delete(s, SPAN("r/a")), 0);
	check_int(store_rename(s, SPAN("new/place"), SPAN("r/a")), 0);
	check(validity_of(s, "r/a") > second);
	check_store(s);

	/* INBOX: its messages move. */
	check_int(append_text(s, "INBOX", 0, TEXT, NULL), 0);
	check_int(append_text(s, "INBOX", FLAG_SEEN, TEXT, NULL), 0);
	check_int(store_rename(s, SPAN("INBOX"), SPAN("old mail")), 0);
	struct arena arena cleanup(arena_clear) = {0};
	struct mailbox_info info;
	check_int(store_status(s, SPAN("old mail"), &arena, &info), 0);
	check_int(info.messages, 2);
	check_int(info.unseen, 1);
	check_int(store_status(s, SPAN("INBOX"), &arena, &info), 0);
	check_int(info.messages, 0);
	check_int(info.uid_next, 3);
	check_store(s);
	check_int(store_delete(s, SPAN("old mail")), 0);
	check_store(s);
	store_close(s);
}

static void test_append(void)
{
	struct store *s = store_opened();
	uint32_t uid = 0, validity = 0;
	check_int(store_create(s, SPAN("app"), SPECIAL_NONE), 0);
	check_int(append_text(s, "nowhere", 0, TEXT, &uid), -ENOENT);
	check_store(s); /* its file is gone */
	check_int(append_text(s, "app", FLAG_SEEN, TEXT, &uid), 0);
	check_int(uid, 1);
	struct span keywords[] = {SPAN("$Label1"), SPAN("Work")};
	struct draft *d = NULL;
	check_int(draft_new(s, &d), 0);
	check_int(draft_write(d, SPAN("A: b\r\n\r\n")), 0);
	struct append_item item = {.draft = d,
	    .flags = FLAG_FLAGGED,
	    .keywords = keywords,
	    .keyword_count = 2,
	    .internal_date_s = 12345,
	    .zone_minutes = -90};
	check_int(store_append(s, SPAN("app"), &item, 1, &validity, &uid), 0);
	check_int(uid, 2);
	check_int(validity, validity_of(s, "app"));
	draft_free(d);

	struct view *v = NULL;
	check_int(view_open(s, SPAN("app"), true, &v), 0);
	check_int(view_count(v), 2);
	check_int(view_first_unseen(v), 2);
	size_t count;
	const struct span *names = view_keywords(v, &count);
	check_int(count, 2);
	check_span(names[1], SPAN("Work"));
	struct message_info m = {0};
	check_int(view_message(v, 3, &m), -ENOENT);
	check_int(view_message(v, 2, &m), 0);
	check(m.flags == FLAG_FLAGGED && m.keywords == 3 && m.internal_date_s == 12345 &&
	      m.zone_minutes == -90 && m.size == 8 && m.save_date_s > 1700000000);
	int fd = -1;
	char text[20];
	check_int(store_message_open(s, m.id, &fd), 0);
	check_int(read(fd, text, sizeof(text)), 8);
	check(memcmp(text, "A: b\r\n\r\n", 8) == 0);
	close_fd(&fd);
	check_int(store_message_open(s, m.id + 256, &fd), -ENOENT);
	view_close(v);

	/* Quota, and several at once */
	uint64_t bytes, messages;
	check_int(store_usage(s, &bytes, &messages), 0);
	store_set_quota(s, 0, messages + 1);
	struct append_item two[2] = {0};
	for (size_t i = 0; i < 2; i++) {
		check_int(draft_new(s, &two[i].draft), 0);
		check_int(draft_write(two[i].draft, SPAN("x")), 0);
	}
	check_int(store_append(s, SPAN("app"), two, 2, &validity, &uid), -EDQUOT);
	check_store(s);
	store_set_quota(s, bytes + 2, 0);
	for (size_t i = 0; i < 2; i++) {
		draft_free(two[i].draft);
		check_int(draft_new(s, &two[i].draft), 0);
		check_int(draft_write(two[i].draft, SPAN("x")), 0);
	}
	check_int(store_append(s, SPAN("app"), two, 2, &validity, &uid), 0);
	check_int(uid, 3);
	check_int(append_text(s, "app", 0, "x", NULL), -EDQUOT);
	for (size_t i = 0; i < 2; i++)
		draft_free(two[i].draft);
	check_store(s);
	store_close(s);
}

/* What view_sync() told, as text: "-seq:uid" "=count" "k" "fseq". */
static void told_expunged(void *context, uint32_t sequence, uint32_t uid)
{
	str_format(context, "-%u:%u ", sequence, uid);
}
static void told_exists(void *context, uint32_t count)
{
	str_format(context, "=%u ", count);
}
static void told_changed(void *context, uint32_t sequence, const struct message_info *m)
{
	str_format(context, "f%u:%u ", sequence, m->flags);
}
static void told_keywords(void *context)
{
	str_append_cstr(context, "k ");
}

static void check_sync_at(struct view *v, bool expunges, const char *expected, int line)
{
	struct str told cleanup(str_clear) = STR_INIT(10000);
	struct view_changes changes = {
	    told_expunged, told_exists, told_changed, told_keywords, &told};
	if (!tap_int(view_sync(v, expunges, &changes), 0, __FILE__, line, "view_sync"))
		return;
	(void)tap_span(str_span(&told), span_cstr(expected), __FILE__, line, "told");
	for (uint32_t sequence = 1; sequence <= view_count(v); sequence++)
		if (view_sequence(v, view_uid(v, sequence)) != sequence)
			(void)tap_report(false, __FILE__, line, "sequence of uid of sequence");
}
#define check_sync(v, expunges, expected) check_sync_at(v, expunges, expected, __LINE__)

static int store_flags(struct view *v, uint32_t first, uint32_t last, enum flags_mode mode,
    unsigned flags, bool silent)
{
	struct arena a cleanup(arena_clear) = {0};
	struct uid_range range = {first, last};
	struct uid_set modified;
	struct flags_change change = {.mode = mode, .flags = flags, .unchanged_since = UINT64_MAX};
	return view_store_flags(v, (struct uid_set){&range, 1}, &change, silent, &a, &modified);
}

static void test_two_views(void)
{
	struct store *s = store_opened();
	struct view *one = NULL, *two = NULL;
	check_int(store_create(s, SPAN("two"), SPECIAL_NONE), 0);
	for (int i = 0; i < 6; i++)
		check_int(append_text(s, "two", 0, TEXT, NULL), 0);
	check_int(view_open(s, SPAN("two"), false, &one), 0);
	check_int(view_open(s, SPAN("two"), false, &two), 0);
	check_sync(one, true, "");
	check(!view_is_stale(one));

	check_int(store_flags(one, 2, 3, FLAGS_ADD, FLAG_DELETED, false), 0);
	check(view_is_stale(two));
	check_sync(one, true, "f2:8 f3:8 ");
	check_sync(two, false, "f2:8 f3:8 ");
	/* Silent, but what another did before to the same message must be told. */
	check_int(store_flags(two, 5, 5, FLAGS_ADD, FLAG_FLAGGED, false), 0);
	check_int(store_flags(one, 5, 6, FLAGS_ADD, FLAG_SEEN, true), 0);
	check_sync(one, true, "f5:5 ");
	check_sync(two, true, "f5:5 f6:1 ");
	check_int(store_flags(one, 6, 6, FLAGS_REMOVE, FLAG_SEEN, true), 0);
	check_int(store_flags(one, 6, 6, FLAGS_ADD, FLAG_SEEN, true), 0);
	check_sync(one, true, "");
	check_int(
	    store_flags(one, 6, 6, FLAGS_REPLACE, FLAG_SEEN, false), 0); /* as it is already */
	check_sync(one, true, "");
	check_sync(two, true, "f6:1 ");

	/* Expunge in one; the other may not be told yet, but sees what arrives. */
	check_int(view_expunge(one, NULL), 0);
	check_int(append_text(s, "two", FLAG_SEEN, TEXT, NULL), 0);
	check_sync(one, true, "-3:3 -2:2 =5 ");
	check_sync(two, false, "=7 ");
	check_int(view_uid(two, 2), 2);
	check_int(view_uid(two, 7), 7);
	struct message_info m;
	check_int(view_message(two, 2, &m), -ENOENT);
	check_int(store_flags(two, 1, 4, FLAGS_ADD, FLAG_ANSWERED, false), 0);
	check_sync(two, false, "f1:2 f4:2 ");
	check_sync(two, true, "-3:3 -2:2 ");
	check_int(view_count(two), 5);
	check_int(view_sequence(two, 4), 2);
	check_int(view_sequence(two, 3), 0);
	check_int(view_sequence_from(two, 2), 2);
	check_int(view_sequence_from(two, 8), 6);
	check_int(view_sequence_from(two, 0), 1);
	check_sync(two, true, "");
	check_sync(one, true, "f1:2 f2:2 ");
	check_store(s);

	/* Keywords; UNCHANGEDSINCE */
	struct arena a cleanup(arena_clear) = {0};
	struct span keyword = SPAN("$Forwarded");
	struct uid_range range = {1, 7};
	struct uid_set all = {&range, 1}, modified;
	check_int(view_message(one, 7, &m), 0);
	struct flags_change change = {.mode = FLAGS_ADD,
	    .keywords = &keyword,
	    .keyword_count = 1,
	    .unchanged_since = m.modseq};
	check_int(view_store_flags(one, all, &change, false, &a, &modified), 0);
	check_int(modified.count, 2); /* 1 and 4 have been answered since */
	check(modified.ranges[0].first == 1 && modified.ranges[1].first == 4);
	check_sync(two, true, "k f3:5 f4:1 f5:1 ");
	change.unchanged_since = 0;
	check_int(view_store_flags(one, all, &change, false, &a, &modified), 0);
	check_int(modified.count, 2); /* 1 and 4:7 */
	view_close(one);
	view_close(two);
	check_int(view_open(s, SPAN("two"), true, &one), 0);
	check_int(view_expunge(one, NULL), -EROFS);
	check_int(store_delete(s, SPAN("two")), 0);
	struct view_changes none = {0};
	check_int(view_sync(one, true, &none), -ENOENT);
	view_close(one);
	check_int(view_open(s, SPAN("two"), true, &one), -ENOENT);
	check_store(s);
	store_close(s);
}

static void test_copy_move(void)
{
	struct arena a cleanup(arena_clear) = {0};
	struct store *s = store_opened();
	struct view *v = NULL;
	struct mailbox_info info;
	check_int(store_create(s, SPAN("from"), SPECIAL_NONE), 0);
	check_int(store_create(s, SPAN("to"), SPECIAL_NONE), 0);
	for (int i = 0; i < 10; i++)
		check_int(append_text(s, "from", i % 2 ? FLAG_SEEN : 0, TEXT, NULL), 0);
	check_int(view_open(s, SPAN("from"), false, &v), 0);
	struct uid_range ranges[] = {{2, 3}, {7, 20}};
	struct uid_set uids = {ranges, 2}, from, to;
	uint32_t validity;
	check_int(view_copy(v, uids, SPAN("none"), false, &a, &validity, &from, &to), -ENOENT);
	check_int(view_copy(v, uids, SPAN("to"), false, &a, &validity, &from, &to), 0);
	check(from.count == 2 && from.ranges[1].first == 7 && from.ranges[1].last == 10);
	check(to.count == 1 && to.ranges[0].first == 1 && to.ranges[0].last == 6);
	check_int(validity, validity_of(s, "to"));
	check_store(s);
	check_sync(v, true, "");
	/* Move: the message file stays, for the copy and the moved one. */
	check_int(view_copy(v, uids, SPAN("to"), true, &a, &validity, &from, &to), 0);
	check(to.ranges[0].first == 7 && to.ranges[0].last == 12);
	check_sync(v, true, "-10:10 -9:9 -8:8 -7:7 -3:3 -2:2 ");
	check_store(s);
	/* Into itself, both ways */
	check_int(view_copy(v, uids, SPAN("from"), false, &a, &validity, &from, &to), 0);
	check_int(from.count, 0);
	struct uid_range first = {1, 1};
	check_int(view_copy(v, (struct uid_set){&first, 1}, SPAN("from"), false, &a, &validity,
		      &from, &to),
	    0);
	check_sync(v, true, "=5 ");
	check_int(view_copy(v, (struct uid_set){&first, 1}, SPAN("from"), true, &a, &validity,
		      &from, &to),
	    0);
	check_sync(v, true, "-1:1 =5 ");
	check_int(view_uid(v, 5), 12);
	check_store(s);
	check_int(store_status(s, SPAN("to"), &a, &info), 0);
	check(info.messages == 12 && info.unseen == 6);
	view_close(v);
	/* Everything goes, and so do the files. */
	check_int(view_open(s, SPAN("to"), false, &v), 0);
	check_int(store_flags(v, 1, UINT32_MAX, FLAGS_ADD, FLAG_DELETED, true), 0);
	struct uid_range some = {3, 8};
	struct uid_set some_uids = {&some, 1};
	check_int(view_expunge(v, &some_uids), 0);
	check_sync(v, true, "-8:8 -7:7 -6:6 -5:5 -4:4 -3:3 ");
	check_store(s);
	check_int(view_expunge(v, NULL), 0);
	check_store(s);
	view_close(v);
	check_int(store_delete(s, SPAN("from")), 0);
	check_store(s);
	store_close(s);
}

static void check_summary(struct store *s, uint64_t id)
{
	struct arena a cleanup(arena_clear) = {0};
	struct span record = SPAN_NONE;
	const struct mime_message *m = NULL;
	check_int(store_summary(s, id, &a, &record), 0);
	if (check_int(mime_summary_decode(record, &a, &m), 0)) {
		check_span(m->parts[0].envelope->subject, SPAN("hello"));
		check_int(m->bytes, sizeof(TEXT) - 1);
	}
}

/* Computed at the append, again when the cache is lost, and gone with the message. */
static void test_summary(void)
{
	struct arena a cleanup(arena_clear) = {0};
	struct store *s = store_opened();
	struct view *v = NULL;
	struct message_info m = {0};
	struct span record;
	uint32_t uid;
	check_int(append_text(s, "Drafts", FLAG_DELETED, TEXT, &uid), 0);
	check_int(view_open(s, SPAN("Drafts"), false, &v), 0);
	check_int(view_message(v, uid, &m), 0);
	check_summary(s, m.id);
	view_close(v);
	store_close(s);
	check_int(unlinkat(store_dirfd, "cache.tdb", 0), 0);
	s = store_opened();
	check_summary(s, m.id);
	check_summary(s, m.id);
	check_int(view_open(s, SPAN("Drafts"), false, &v), 0);
	check_int(view_expunge(v, NULL), 0);
	check_int(store_summary(s, m.id, &a, &record), -ENOENT);
	view_close(v);
	store_close(s);
}

static void write_garbage(const char *name)
{
	int fd = openat(store_dirfd, name, O_WRONLY | O_TRUNC | O_CREAT, 0600);
	check(fd >= 0 && write(fd, store_path, sizeof(store_path)) > 0);
	close(fd);
}

static void test_damage(void)
{
	write_garbage("cache.tdb");
	struct store *s = store_opened();
	check(s);
	check_int(append_text(s, "INBOX", 0, TEXT, NULL), 0);
	store_close(s);
	check_int(renameat(store_dirfd, "index.tdb", store_dirfd, "aside"), 0);
	write_garbage("index.tdb");
	s = NULL;
	check_int(store_open(store_dirfd, true, &s), -EUCLEAN);
	check(!s);
	check_int(renameat(store_dirfd, "aside", store_dirfd, "index.tdb"), 0);
}

int main(void)
{
	store_folder_make();
	test_new_store();
	test_names();
	test_rename();
	test_append();
	test_two_views();
	test_copy_move();
	test_summary();
	test_damage();
	store_folder_remove();
	return tap_end();
}
