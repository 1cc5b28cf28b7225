#ifndef POSTERN_CONF_PATHS_H
#define POSTERN_CONF_PATHS_H
/*
 * Where things are. Programs take --instance DIR for a self-contained instance (localserve, tests):
 *             system                      --instance DIR
 *   etc       /etc/postern                DIR               (postern.conf, conf.d/)
 *   state     /var/lib/postern            DIR/state
 *   run       /run/postern                DIR/run           (submit, lmtp; state/limits.tdb)
 *   drop      /var/spool/postern/drop     DIR/drop
 */
#include "base/str.h"

struct paths {
	char *etc, *state, *run, *drop;
};
void paths_init(struct paths *p, const char *instance /* NULL: system */);
void paths_clear(struct paths *p);
/* Folders under state: opened by name, -errno. "config", "keys", "accounts", "mail", "queue". */
must_use int paths_open_state(const struct paths *p, int *ret_fd);
/* May this be the name of an account, and so of a folder? [a-z0-9._-], 1..64, no leading dot. */
bool account_name_is_valid(struct span name);
#endif
