#ifndef POSTERN_RELAY_PICKUP_H
#define POSTERN_RELAY_PICKUP_H
/*
 * Taking in what sessions committed to queue/incoming/ACCOUNT/. The account is the folder's name,
 * and what the session checked is checked again: a session may be in a stranger's hand.
 */
#include "conf/config.h"
#include "queue/queue.h"

/*
 * Removes the wake marks, then takes everything in; what cannot be taken in goes to queue/bad/ with
 * a log line. Errors are our own failures.
 */
must_use int pickup_run(struct queue *q, struct config *c, const struct config_global *global,
    int queue_fd, struct arena *a);
bool pickup_wake_is_empty(int wake_fd);
#endif
