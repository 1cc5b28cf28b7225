#ifndef POSTERN_IO_LOCK_H
#define POSTERN_IO_LOCK_H
/*
 * Waiting for another process's lock, with an end: the kernel's own waits have none, and a process
 * that is stopped would make them last for ever.
 *
 *	struct lock_wait wait = {0};
 *	while (somebody has it)
 *		if (!lock_wait_again(&wait, limit_ms))
 *			return -EBUSY;
 */
#include "base/base.h"

struct lock_wait {
	int64_t deadline_ms;
	unsigned sleep_us;
};
/* Sleeps a little, longer each time; false once limit_ms are over. Starts from a zeroed struct. */
bool lock_wait_again(struct lock_wait *wait, int limit_ms);
/* flock() for writing, until the fd is closed. -EBUSY: somebody else has had it for limit_ms. */
must_use int lock_exclusive(int fd, int limit_ms);
#endif
