#include "conf/compile.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/codec.h"
#include "base/str.h"
#include "conf/record.h"
#include "db/db.h"
#include "io/file.h"
#include "io/lock.h"

#define TABLE_NAME "config.tdb"
#define NEW_NAME "config.tdb.new"
#define NOT_MADE "cannot be made or opened"

enum { STATE_MODE = 0700, RUN_MODE = 0755, APPLY_WAIT_MS = 10000 };

struct apply {
	const struct paths *paths;
	const struct config_draft *draft;
	struct arena *arena;
	struct config_report *report;
	int lock_fd, state_fd, config_fd, accounts_fd;
	struct changed *changed;    /* whose live sessions are to look again */
	const struct span *current; /* names of the draft's accounts, sorted */
};
struct changed {
	struct span account;
	bool removed;
	struct changed *next;
};

static int lock_table(struct apply *w);
static int make_table_folder(struct apply *w);
static int apply_draft(struct apply *w);
static int make_folders(struct apply *w);
static int make_account_folders(struct apply *w, const char *folder, mode_t mode);
static int make_folder(struct apply *w, int dirfd, const char *name, mode_t mode, int *ret_fd);
static int make_path(
    struct apply *w, const char *path, mode_t mode, const char *if_not, int *ret_fd);
static int write_table(struct apply *w);
static int write_records(const struct config_draft *d, struct db *db);
static int write_accounts(const struct config_draft *d, struct db *db, struct str *value);
static int put(struct db *db, char kind, struct span name, const struct str *value);
static int find_changed(struct apply *w);
static bool account_changed(
    struct db *old, const struct config_account *account, struct str *before, struct str *now);
static int find_removed(struct apply *w, struct db *old);
static int note_removed(struct span key, struct span value, void *context);
static void note_changed(struct apply *w, struct span account, bool removed);
static int touch_changes(struct apply *w, const struct changed *c);
static int fail(struct apply *w, int error, const char *what, const char *path);

void config_check(const struct paths *p, const struct config_extra *extra, struct arena *a,
    struct config_report *report, struct config_draft *ret)
{
	*ret = (struct config_draft){0};
	char *etc = realpath(p->etc, NULL); /* the table names files by absolute paths */
	if (!etc) {
		report_error(report,
		    (struct config_place){span_cstr(arena_cstr(a, span_cstr(p->etc))), 0},
		    "the folder of the configuration cannot be found: %s", strerror(errno));
		return;
	}
	char *kept = arena_cstr(a, span_cstr(etc));
	free(etc);
	struct config_section *root;
	config_parse(kept, extra ? extra->path : SPAN_NONE, extra ? extra->text : SPAN_NONE, a,
	    report, &root);
	if (report->error_count > 0) {
		/* What was not understood would only cause more complaints. */
		report_warning(report, (struct config_place){0},
		    "more may be found once this is corrected: what follows it was not looked at");
		return;
	}
	draft_make(root, kept, a, report, ret);
	draft_check(ret, report);
}

int config_apply(
    const struct paths *p, struct arena *a, struct config_report *report, struct config_draft *ret)
{
	struct apply w = {.paths = p,
	    .draft = ret,
	    .arena = a,
	    .report = report,
	    .lock_fd = -1,
	    .state_fd = -1,
	    .config_fd = -1,
	    .accounts_fd = -1};
	struct config_report before = *report;
	*ret = (struct config_draft){0};
	int rc = lock_table(&w);
	if (rc == -ENOENT) { /* the first apply: for mistakes no folder is made */
		config_check(p, NULL, a, report, ret);
		if (report->error_count > 0)
			return -EINVAL;
		*report = before;
		rc = make_table_folder(&w);
		if (rc == 0)
			rc = lock_table(&w);
	}
	/* Read under the lock: no apply that has read an older text comes later. */
	if (rc == 0)
		config_check(p, NULL, a, report, ret);
	if (rc == 0)
		rc = report->error_count > 0 ? -EINVAL : apply_draft(&w);
	close_fd(&w.accounts_fd);
	close_fd(&w.config_fd);
	close_fd(&w.state_fd);
	close_fd(&w.lock_fd);
	return rc;
}

/* -ENOENT: there is no folder for the table yet, which is not reported. */
static int lock_table(struct apply *w)
{
	struct span path = arena_format(w->arena, "%s/config", w->paths->state);
	int rc = folder_open(AT_FDCWD, path.p, &w->lock_fd);
	if (rc < 0)
		return rc == -ENOENT ? rc : fail(w, rc, "cannot be opened", path.p);
	rc = lock_exclusive(w->lock_fd, APPLY_WAIT_MS);
	if (rc == -EBUSY)
		report_error(w->report, (struct config_place){path, 0},
		    "another `postern config apply` has not ended for %d seconds; when it has, run "
		    "`postern config apply`",
		    APPLY_WAIT_MS / 1000);
	else if (rc < 0)
		return fail(w, rc, "cannot be locked", path.p);
	return rc;
}

static int make_table_folder(struct apply *w)
{
	int fd cleanup(close_fd) = -1;
	int rc = make_path(w, w->paths->state, STATE_MODE, NOT_MADE, &fd);
	return rc < 0 ? rc : make_folder(w, fd, "config", STATE_MODE, NULL);
}

static int apply_draft(struct apply *w)
{
	int rc = make_folders(w);
	if (rc == 0)
		rc = find_changed(w);
	if (rc == 0)
		rc = write_table(w);
	if (rc < 0)
		return rc;
	/* All of them, whatever fails: the next apply finds no difference any more. */
	for (const struct changed *c = w->changed; c; c = c->next) {
		int touched = touch_changes(w, c);
		rc = rc < 0 ? rc : touched;
	}
	return rc;
}

static int make_folders(struct apply *w)
{
	static const char *const plain[] = {
	    "keys", "history", "queue", "queue/incoming", "queue/wake", "queue/msg", "queue/bad"};
	int run_fd cleanup(close_fd) = -1;
	int rc = make_path(w, w->paths->state, STATE_MODE, NOT_MADE, &w->state_fd);
	if (rc == 0)
		rc = make_folder(w, w->state_fd, "config", STATE_MODE, &w->config_fd);
	if (rc == 0)
		rc = make_folder(w, w->state_fd, "accounts", STATE_MODE, &w->accounts_fd);
	for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(plain); i++)
		rc = make_folder(w, w->state_fd, plain[i], STATE_MODE, NULL);
	if (rc == 0)
		rc = make_folder(w, w->state_fd, "mail", STATE_MODE, NULL);
	if (rc == 0)
		rc = make_account_folders(w, "accounts", STATE_MODE);
	if (rc == 0)
		rc = make_account_folders(w, "history", STATE_MODE);
	if (rc == 0)
		rc = make_account_folders(w, "mail", STATE_MODE);
	if (rc == 0)
		rc = make_account_folders(w, "queue/incoming", STATE_MODE);
	if (rc == 0)
		rc = make_path(w, w->paths->run, RUN_MODE,
		    "cannot be made or opened (`systemd-tmpfiles --create`, as root, makes "
		    "/run/postern)",
		    &run_fd);
	if (rc == 0)
		rc = make_folder(w, run_fd, "state", STATE_MODE, NULL);
	return rc;
}

static int make_account_folders(struct apply *w, const char *folder, mode_t mode)
{
	int fd cleanup(close_fd) = -1;
	int rc = folder_open(w->state_fd, folder, &fd);
	if (rc < 0)
		return fail(w, rc, "cannot be opened", folder);
	for (size_t i = 0; rc == 0 && i < w->draft->account_count; i++) {
		/* Names of accounts are safe in paths: draft_make() refuses others. */
		const char *name = arena_cstr(w->arena, w->draft->accounts[i].account.name);
		rc = make_folder(w, fd, name, mode, NULL);
	}
	return rc;
}

/* ret_fd may be NULL. */
static int make_folder(struct apply *w, int dirfd, const char *name, mode_t mode, int *ret_fd)
{
	int fd cleanup(close_fd) = -1;
	int rc = folder_make(dirfd, name, mode, &fd);
	if (rc < 0)
		return fail(w, rc, NOT_MADE, name);
	if (ret_fd) {
		*ret_fd = fd;
		fd = -1;
	}
	return 0;
}

static int make_path(
    struct apply *w, const char *path, mode_t mode, const char *if_not, int *ret_fd)
{
	if (folder_open(AT_FDCWD, path, ret_fd) == 0)
		return 0;
	size_t slash = span_last_index(span_cstr(path), '/');
	const char *parent = slash == SIZE_MAX ? "."
			     : slash == 0      ? "/"
					       : arena_cstr(w->arena, span_of(path, slash));
	int parent_fd cleanup(close_fd) = -1;
	int rc = folder_open(AT_FDCWD, parent, &parent_fd);
	if (rc == 0)
		rc = folder_make(
		    parent_fd, slash == SIZE_MAX ? path : path + slash + 1, mode, ret_fd);
	return rc < 0 ? fail(w, rc, if_not, path) : 0;
}

static int write_table(struct apply *w)
{
	struct db *db = NULL;
	if (unlinkat(w->config_fd, NEW_NAME, 0) < 0 && errno != ENOENT)
		return fail(w, -errno, "cannot be removed", NEW_NAME);
	size_t records = w->draft->domain_count + w->draft->transport_count;
	for (size_t i = 0; i < w->draft->account_count; i++)
		records += 1 + w->draft->accounts[i].account.address_count;
	int rc = db_open(w->config_fd, NEW_NAME, DB_DURABLE, DB_CREATE,
	    (uint32_t)MIN(records + 3, (size_t)UINT32_MAX), &db);
	if (rc == 0)
		rc = db_begin(db);
	if (rc == 0) {
		rc = write_records(w->draft, db);
		if (rc == 0)
			rc = db_commit(db);
		else
			db_cancel(db);
	}
	db_close(db);
	if (rc == 0)
		rc = file_rename(w->config_fd, NEW_NAME, TABLE_NAME);
	return rc < 0 ? fail(w, rc, "cannot be written", "config/" TABLE_NAME) : 0;
}

static int write_records(const struct config_draft *d, struct db *db)
{
	struct str value cleanup(str_clear) = STR_INIT(CONFIG_RECORD_MAX_BYTES);
	put_u32(&value, CONFIG_FORMAT);
	int rc = put(db, 'V', SPAN(""), &value);
	str_reset(&value);
	record_write_global(&d->global, &value);
	if (rc == 0)
		rc = put(db, 'G', SPAN(""), &value);
	str_reset(&value);
	record_write_routes(&d->routes.list, &value);
	if (rc == 0)
		rc = put(db, 'R', SPAN(""), &value);
	for (size_t i = 0; rc == 0 && i < d->domain_count; i++) {
		str_reset(&value);
		record_write_domain(&d->domains[i].domain, &value);
		rc = put(db, 'D', d->domains[i].domain.name, &value);
	}
	for (size_t i = 0; rc == 0 && i < d->transport_count; i++) {
		str_reset(&value);
		record_write_transport(&d->transports[i].transport, &value);
		rc = put(db, 'T', d->transports[i].transport.name, &value);
	}
	return rc < 0 ? rc : write_accounts(d, db, &value);
}

static int write_accounts(const struct config_draft *d, struct db *db, struct str *value)
{
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < d->account_count; i++) {
		const struct draft_account *account = &d->accounts[i];
		str_reset(value);
		record_write_account(&account->account, value);
		rc = put(db, 'A', account->account.name, value);
		for (size_t k = 0; rc == 0 && k < account->account.address_count; k++) {
			str_reset(value);
			record_write_owner(&(struct config_owner){account->account.name,
					       account->account.addresses[k]},
			    value);
			rc = put(db, '@', account->compared[k], value);
		}
	}
	return rc;
}

static int put(struct db *db, char kind, struct span name, const struct str *value)
{
	struct str key cleanup(str_clear) = STR_INIT(CONFIG_KEY_MAX_BYTES);
	str_append_char(&key, kind);
	str_append(&key, name);
	if (key.failed || value->failed)
		return -EMSGSIZE;
	return db_put(db, str_span(&key), str_span(value));
}

/* Accounts whose record is another than in the table that stands, or is in one of the two only. */
static int find_changed(struct apply *w)
{
	struct db *old = NULL;
	struct str before cleanup(str_clear) = STR_INIT(CONFIG_RECORD_MAX_BYTES);
	struct str now cleanup(str_clear) = STR_INIT(CONFIG_RECORD_MAX_BYTES);
	int rc = db_open(w->config_fd, TABLE_NAME, DB_DURABLE, DB_READ_ONLY, 0, &old);
	if (rc < 0 && rc != -ENOENT && rc != -EUCLEAN)
		return fail(w, rc, "cannot be read", "config/" TABLE_NAME);
	const struct config_draft *d = w->draft;
	for (size_t i = 0; i < d->account_count; i++) {
		if (!old || account_changed(old, &d->accounts[i].account, &before, &now))
			note_changed(w, d->accounts[i].account.name, false);
	}
	rc = old ? find_removed(w, old) : 0;
	db_close(old);
	return rc < 0 ? fail(w, rc, "cannot be read", "config/" TABLE_NAME) : 0;
}

static bool account_changed(
    struct db *old, const struct config_account *account, struct str *before, struct str *now)
{
	struct str key cleanup(str_clear) = STR_INIT(CONFIG_KEY_MAX_BYTES);
	str_append_char(&key, 'A');
	str_append(&key, account->name);
	str_reset(now);
	record_write_account(account, now);
	return db_get(old, str_span(&key), before) < 0 ||
	       !span_equal(str_span(before), str_span(now));
}

/* Those that are configured no longer: their sessions are to end. */
static int find_removed(struct apply *w, struct db *old)
{
	const struct config_draft *d = w->draft;
	struct span *names = ARENA_ARRAY(w->arena, struct span, d->account_count);
	for (size_t i = 0; i < d->account_count; i++)
		names[i] = d->accounts[i].account.name;
	if (d->account_count > 0)
		qsort(names, d->account_count, sizeof(*names), span_compare_elements);
	w->current = names;
	return db_each(old, note_removed, w);
}

static int note_removed(struct span key, struct span value, void *context)
{
	struct apply *w = context;
	struct span name = span_from(key, 1);
	size_t count = w->draft->account_count;
	(void)value;
	if (!span_starts_with(key, SPAN("A")) || !account_name_is_valid(name) ||
	    (count > 0 && bsearch(&name, w->current, count, sizeof(name), span_compare_elements)))
		return 0;
	note_changed(w, arena_span(w->arena, name), true);
	return 0;
}

static void note_changed(struct apply *w, struct span account, bool removed)
{
	struct changed *c = ARENA_NEW(w->arena, struct changed);
	*c = (struct changed){account, removed, w->changed};
	w->changed = c;
}

/* Live sessions watch the file and look their account up again. */
static int touch_changes(struct apply *w, const struct changed *c)
{
	int folder cleanup(close_fd) = -1, fd cleanup(close_fd) = -1;
	const char *name = arena_cstr(w->arena, c->account);
	struct span path = arena_format(w->arena, "accounts/%s/changes", name);
	int rc = folder_open(w->accounts_fd, name, &folder);
	if (rc == -ENOENT && c->removed)
		return 0; /* its folder was removed, too: nobody watches it */
	if (rc < 0)
		return fail(w, rc, "cannot be opened", path.p);
	fd = openat(folder, "changes", O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || futimens(fd, NULL) < 0)
		return fail(w, -errno,
		    "cannot be touched: open sessions of the account go on with what they know",
		    path.p);
	return 0;
}

static int fail(struct apply *w, int error, const char *what, const char *path)
{
	struct span where = path[0] == '/' ? span_cstr(path)
					   : arena_format(w->arena, "%s/%s", w->paths->state, path);
	report_error(w->report, (struct config_place){arena_span(w->arena, where), 0}, "%s: %s",
	    what, strerror(-error));
	return error;
}
