/*
 * store_steps run DIR N: the first N steps of a fixed scenario on a new store; prints the number of
 * each step once it is acknowledged.
 * store_steps dump DIR: checks the store and prints all that is in it, without times.
 */
#include <fcntl.h>
#include <unistd.h>

#include "base/arena.h"
#include "crypto/crypto.h"
#include "store/store.h"

#define TEXT "Subject: hello\r\n\r\nworld\r\n"
enum { STEPS = 9, APPEND_MAX = 3 };

static int append(struct store *s, struct span mailbox, size_t count)
{
	struct append_item items[APPEND_MAX] = {0};
	uint32_t validity, uid;
	int error = 0;
	for (size_t i = 0; i < count && error == 0; i++) {
		error = draft_new(s, &items[i].draft);
		if (error == 0)
			error = draft_write(items[i].draft, SPAN(TEXT));
	}
	if (error == 0)
		error = store_append(s, mailbox, items, count, &validity, &uid);
	for (size_t i = 0; i < count; i++)
		draft_free(items[i].draft);
	return error;
}

static int change(struct store *s, unsigned flags, const char *target, bool move, bool expunge)
{
	struct arena a cleanup(arena_clear) = {0};
	struct uid_range range = {2, 3};
	struct uid_set uids = {&range, 1}, from, to;
	struct flags_change add = {
	    .mode = FLAGS_ADD, .flags = flags, .unchanged_since = UINT64_MAX};
	struct view *v = NULL;
	uint32_t validity;
	int error = view_open(s, SPAN("INBOX"), false, &v);
	if (error == 0 && flags)
		error = view_store_flags(v, uids, &add, false, &a, &from);
	if (error == 0 && target)
		error = view_copy(v, uids, span_cstr(target), move, &a, &validity, &from, &to);
	if (error == 0 && expunge)
		error = view_expunge(v, NULL);
	view_close(v);
	return error;
}

static int step(struct store *s, int number)
{
	switch (number) {
	case 1: return append(s, SPAN("INBOX"), 1);
	case 2: return append(s, SPAN("INBOX"), 3);
	case 3: return change(s, FLAG_SEEN | FLAG_DELETED, NULL, false, false);
	case 4: return change(s, 0, "Archive", false, false);
	case 5: return change(s, 0, "Sent", true, false);
	case 6: return append(s, SPAN("INBOX"), 2);
	case 7: return store_rename(s, SPAN("INBOX"), SPAN("old"));
	case 8: return store_delete(s, SPAN("Archive"));
	case STEPS: return store_delete(s, SPAN("Sent"));
	default: return -ENOENT;
	}
}

static int run(int dirfd, int steps)
{
	struct store *s = NULL;
	int error = store_open(dirfd, true, &s);
	for (int i = 1; error == 0 && i <= steps; i++) {
		error = step(s, i);
		if (error == 0)
			dprintf(STDOUT_FILENO, "%d\n", i);
	}
	store_close(s);
	return error;
}

static int show_message(const struct message_info *m, void *context)
{
	(void)context;
	printf("  %u flags %u modseq %llu size %u\n", m->uid, m->flags,
	    (unsigned long long)m->modseq, m->size);
	return 0;
}

static void show_problem(void *context, struct span text)
{
	(void)context;
	printf("problem: %.*s\n", SPAN_ARG(text));
}

static int dump(int dirfd)
{
	struct arena a cleanup(arena_clear) = {0};
	struct store *s = NULL;
	struct store_check options = {.problem = show_problem};
	struct store_check_result result;
	struct mailbox_info *all;
	size_t count = 0;
	int error = store_open(dirfd, true, &s);
	if (error == 0)
		error = store_check(s, &options, &result);
	if (error == 0)
		error = store_list(s, &a, &all, &count);
	for (size_t i = 0; error == 0 && i < count; i++) {
		struct view *v = NULL;
		printf("%.*s next %u modseq %llu\n", SPAN_ARG(all[i].name), all[i].uid_next,
		    (unsigned long long)all[i].highest_modseq);
		if (!all[i].selectable)
			continue;
		error = view_open(s, all[i].name, true, &v);
		if (error == 0)
			error = view_each(v, 1, UINT32_MAX, show_message, NULL);
		view_close(v);
	}
	store_close(s);
	return error;
}

int main(int argc, char **argv)
{
	uint64_t steps = STEPS;
	if (argc < 3 || (argc > 3 && span_to_u64(span_cstr(argv[3]), STEPS, &steps) < 0))
		return 64;
	int dirfd cleanup(close_fd) = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int error = dirfd < 0 ? -errno : crypto_init();
	if (error == 0)
		error = strcmp(argv[1], "run") == 0 ? run(dirfd, (int)steps) : dump(dirfd);
	if (error < 0)
		(void)fprintf(stderr, "store_steps: %s\n", strerror(-error));
	return error < 0;
}
