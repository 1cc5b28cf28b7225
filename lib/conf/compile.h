#ifndef POSTERN_CONF_COMPILE_H
#define POSTERN_CONF_COMPILE_H
/*
 * From text to table: `postern config check` and `apply`. Only this writes config/config.tdb:
 * aside, under the name config.tdb.new, and renamed over it, so that programs see the old one or
 * the new one. A crash leaves at most config.tdb.new, which the next apply removes; folders that
 * were made stay, empty. Folders of accounts that are no longer configured stay, too: they hold
 * mail.
 */
#include "conf/draft.h"
#include "conf/paths.h"

/* A file of conf.d that is not there yet: text that `account add` is about to write. */
struct config_extra {
	struct span path, text;
};
/*
 * Reads and checks everything, changes nothing. What is wrong is in the report; *ret is usable when
 * the report has no error. extra may be NULL.
 */
void config_check(const struct paths *p, const struct config_extra *extra, struct arena *a,
    struct config_report *report, struct config_draft *ret);
/*
 * config_check(), then makes the folders of the state and of new accounts, writes the table, and
 * touches `changes` of each account whose record changed or that is configured no longer. Whatever
 * fails is in the report, too. -EINVAL: the configuration has errors, and nothing was changed;
 * -EBUSY: another apply runs, and did so for ten seconds.
 */
must_use int config_apply(
    const struct paths *p, struct arena *a, struct config_report *report, struct config_draft *ret);
#endif
