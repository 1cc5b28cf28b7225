#ifndef POSTERN_TESTS_STORE_COMMON_H
#define POSTERN_TESTS_STORE_COMMON_H
/* A store in a temporary folder, messages to put into it, and its invariants. */
#include "tap.h"

#include <fcntl.h>
#include <ftw.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "store/store.h"

static char store_path[] = "/tmp/postern-store-XXXXXX";
static int store_dirfd = -1;

static inline void store_folder_make(void)
{
	if (!mkdtemp(store_path) || crypto_init() < 0)
		abort();
	store_dirfd = open(store_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static inline int remove_one(const char *path, const struct stat *st, int kind, struct FTW *walk)
{
	(void)st;
	(void)kind;
	(void)walk;
	return remove(path);
}

static inline void store_folder_remove(void)
{
	close_fd(&store_dirfd);
	check_int(nftw(store_path, remove_one, 20, FTW_DEPTH | FTW_PHYS), 0);
}

static inline struct store *store_opened(void)
{
	struct store *s = NULL;
	int error = store_open(store_dirfd, true, &s);
	if (error < 0)
		printf("# store_open: %s\n", strerror(-error));
	return s;
}

static inline void show_problem(void *context, struct span text)
{
	(void)context;
	printf("# %.*s\n", SPAN_ARG(text));
}

static inline int store_problems(struct store *s, uint64_t *ret_unreferenced)
{
	struct store_check options = {.problem = show_problem};
	struct store_check_result result = {0};
	int error = store_check(s, &options, &result);
	if (ret_unreferenced)
		*ret_unreferenced = result.unreferenced_files;
	return error;
}

/* Good, and no file left over. */
#define check_store(s)                                             \
	do {                                                       \
		uint64_t unreferenced_ = 1;                        \
		check_int(store_problems((s), &unreferenced_), 0); \
		check_int(unreferenced_, 0);                       \
	} while (0)

static inline int append_text(
    struct store *s, const char *mailbox, unsigned flags, const char *text, uint32_t *ret_uid)
{
	struct draft *d = NULL;
	uint32_t validity, uid = 0;
	int error = draft_new(s, &d);
	if (error == 0)
		error = draft_write(d, span_cstr(text));
	struct append_item item = {.draft = d, .flags = flags, .internal_date_s = 1700000000};
	if (error == 0)
		error = store_append(s, span_cstr(mailbox), &item, 1, &validity, &uid);
	draft_free(d);
	if (error == 0 && ret_uid)
		*ret_uid = uid;
	return error;
}
#define TEXT "Subject: hello\r\n\r\nworld\r\n"
#endif
