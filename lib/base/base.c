#include "base/base.h"

#include <sysexits.h>
#include <unistd.h>

static no_return void out_of_memory(void)
{
	static const char text[] = "postern: out of memory\n";
	(void)!write(STDERR_FILENO, text, sizeof(text) - 1); /* nothing can be done about it */
	_exit(EX_TEMPFAIL);
}

void *xmalloc(size_t size)
{
	void *p = malloc(size ? size : 1);
	if (!p)
		out_of_memory();
	return p;
}

void *xcalloc(size_t count, size_t size)
{
	void *p = calloc(count ? count : 1, size ? size : 1);
	if (!p)
		out_of_memory();
	return p;
}

void *xrealloc(void *p, size_t size)
{
	void *q = realloc(p, size ? size : 1);
	if (!q)
		out_of_memory();
	return q;
}

char *xstrdup(const char *s)
{
	size_t n = strlen(s) + 1;
	return memcpy(xmalloc(n), s, n);
}

void *array_room(void *array, size_t count, size_t *allocated, size_t item_bytes)
{
	if (count < *allocated)
		return array;
	*allocated = *allocated ? *allocated * 2 : 8;
	return xrealloc(array, *allocated * item_bytes);
}

void close_fd(int *fd)
{
	int saved = errno;
	if (*fd >= 0)
		(void)close(*fd); /* read-only or already synced: the result says nothing useful */
	*fd = -1;
	errno = saved;
}

static int64_t clock_ms(clockid_t id)
{
	struct timespec t;
	(void)clock_gettime(id, &t); /* cannot fail for these ids */
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t monotonic_ms(void)
{
	return clock_ms(CLOCK_MONOTONIC);
}

int64_t wall_ms(void)
{
	return clock_ms(CLOCK_REALTIME);
}
