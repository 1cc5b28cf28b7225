#include "base/arena.h"

#include <assert.h>

enum { ARENA_BLOCK_BYTES = 4096 - 64 };

struct arena_block {
	struct arena_block *next;
	size_t size, used;
	_Alignas(16) char data[];
};

void arena_clear(struct arena *a)
{
	while (a->blocks) {
		struct arena_block *b = a->blocks;
		a->blocks = b->next;
		free(b);
	}
	a->total = 0;
}

void arena_clear_secret(struct arena *a)
{
	for (struct arena_block *b = a->blocks; b; b = b->next)
		explicit_bzero(b->data, b->used);
	arena_clear(a);
}

void arena_reset(struct arena *a)
{
	struct arena_block *keep = NULL;
	while (a->blocks) {
		struct arena_block *b = a->blocks;
		a->blocks = b->next;
		if (!keep && b->size == ARENA_BLOCK_BYTES) {
			keep = b;
			keep->next = NULL;
			keep->used = 0;
		} else {
			free(b);
		}
	}
	a->blocks = keep;
	a->total = 0;
}

void *arena_alloc(struct arena *a, size_t size)
{
	assert(size < SIZE_MAX / 2);
	size = (MAX(size, 1) + 15) & ~(size_t)15;
	struct arena_block *b = a->blocks;
	if (!b || b->size - b->used < size) {
		size_t room = MAX(size, (size_t)ARENA_BLOCK_BYTES);
		struct arena_block *fresh = xmalloc(sizeof(*fresh) + room);
		*fresh = (struct arena_block){.size = room};
		if (b && room > ARENA_BLOCK_BYTES) {
			/* a large piece goes behind the current block, which stays in use */
			fresh->next = b->next;
			b->next = fresh;
		} else {
			fresh->next = b;
			a->blocks = fresh;
		}
		b = fresh;
	}
	void *p = b->data + b->used;
	b->used += size;
	a->total += size;
	return p;
}

void *arena_calloc(struct arena *a, size_t count, size_t size)
{
	size_t bytes = 0;
	bool overflow = __builtin_mul_overflow(count, size, &bytes);
	assert(!overflow);
	return memset(arena_alloc(a, bytes), 0, bytes);
}

void *arena_room(struct arena *a, void *array, size_t count, size_t *allocated, size_t item_bytes)
{
	if (count < *allocated)
		return array;
	*allocated = *allocated ? *allocated * 2 : 8;
	void *larger = arena_calloc(a, *allocated, item_bytes);
	return count ? memcpy(larger, array, count * item_bytes) : larger;
}

char *arena_cstr(struct arena *a, struct span s)
{
	char *p = arena_alloc(a, s.n + 1);
	if (s.n)
		memcpy(p, s.p, s.n);
	p[s.n] = '\0';
	return p;
}

struct span arena_span(struct arena *a, struct span s)
{
	return span_is_set(s) ? span_of(arena_cstr(a, s), s.n) : SPAN_NONE;
}

struct span arena_format(struct arena *a, const char *format, ...)
{
	va_list args, again;
	va_start(args, format);
	va_copy(again, args);
	int n = vsnprintf(NULL, 0, format, args);
	assert(n >= 0);
	char *p = arena_alloc(a, (size_t)n + 1);
	(void)vsnprintf(p, (size_t)n + 1, format, again); /* measured above */
	va_end(again);
	va_end(args);
	return span_of(p, (size_t)n);
}
