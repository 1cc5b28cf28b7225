#ifndef POSTERN_BASE_ARENA_H
#define POSTERN_BASE_ARENA_H
/*
 * Memory that is freed as a whole: one arena per connection, one scratch arena per command.
 * Allocation never returns NULL (out of memory exits, see base.h). What comes out is 16-byte
 * aligned; hand it on as const unless you own it.
 *
 *	struct arena scratch cleanup(arena_clear) = {0};
 */
#include <stdarg.h>

#include "base/span.h"

struct arena_block;
struct arena {
	struct arena_block *blocks; /* newest first; {0} is an empty arena */
	size_t total;		    /* bytes handed out since the last reset: for limits */
};

void arena_clear(struct arena *a);
void arena_clear_secret(struct arena *a); /* wipes first */
/* Empties; keeps one block of the ordinary size for reuse. */
void arena_reset(struct arena *a);

void *arena_alloc(struct arena *a, size_t size) __attribute__((malloc, returns_nonnull));
/* Zeroed. count * size must not overflow (asserted). */
void *arena_calloc(struct arena *a, size_t count, size_t size)
    __attribute__((malloc, returns_nonnull));
/* A copy with a NUL behind it; an unset span stays unset. */
struct span arena_span(struct arena *a, struct span s);
/* A NUL-terminated copy. */
char *arena_cstr(struct arena *a, struct span s) __attribute__((returns_nonnull));
struct span arena_format(struct arena *a, const char *format, ...) printf_like(2, 3);

/*
 * As array_room() of base.h, for an array in the arena, where what it leaves stays until the end.
 */
void *arena_room(struct arena *a, void *array, size_t count, size_t *allocated, size_t item_bytes);
#define ARENA_ROOM(a, array, count, allocated) \
	((array) = arena_room((a), (array), (count), &(allocated), sizeof(*(array))))

#define ARENA_NEW(a, type) ((type *)arena_calloc((a), 1, sizeof(type)))
#define ARENA_ARRAY(a, type, count) ((type *)arena_calloc((a), (count), sizeof(type)))
#endif
