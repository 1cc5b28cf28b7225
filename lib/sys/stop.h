#ifndef POSTERN_SYS_STOP_H
#define POSTERN_SYS_STOP_H
/*
 * SIGTERM as a question that is asked at boundaries: once caught, it is held back but for the waits
 * of stop_poll(), so that it neither interrupts what must be done whole nor is missed between a
 * look and a wait.
 */
#include <poll.h>

#include "base/base.h"

void stop_catch(void);
/* From here on SIGTERM ends the process at once, as if it had never been caught. */
void stop_release(void);
/* Has it come? */
bool stop_requested(void);
/* As poll(); -1 with EINTR when SIGTERM comes, or was held back. */
must_use int stop_poll(struct pollfd *p, nfds_t n, int timeout_ms);
#endif
