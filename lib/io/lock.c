#include "io/lock.h"

#include <sys/file.h>

enum { SLEEP_FIRST_US = 100, SLEEP_MAX_US = 4000 };

bool lock_wait_again(struct lock_wait *wait, int limit_ms)
{
	int64_t now_ms = monotonic_ms();
	if (wait->sleep_us == 0)
		*wait = (struct lock_wait){now_ms + limit_ms, SLEEP_FIRST_US};
	else if (now_ms >= wait->deadline_ms)
		return false;
	struct timespec pause = {0, (long)wait->sleep_us * 1000};
	(void)nanosleep(&pause, NULL); /* woken early by a signal is fine */
	wait->sleep_us = MIN(wait->sleep_us * 2, (unsigned)SLEEP_MAX_US);
	return true;
}

int lock_exclusive(int fd, int limit_ms)
{
	struct lock_wait wait = {0};
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		if (!lock_wait_again(&wait, limit_ms))
			return -EBUSY;
	}
	return 0;
}
