#ifndef POSTERN_BASE_BASE_H
#define POSTERN_BASE_BASE_H
/*
 * What every file needs: attributes, a few macros, and the list of banned functions.
 * Functions that can fail return int: 0 or a negative errno (see doc/architecture.md).
 */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>

#define must_use __attribute__((warn_unused_result))
#define printf_like(f, a) __attribute__((format(printf, f, a)))
#define no_return __attribute__((noreturn))
#define cleanup(f) __attribute__((cleanup(f)))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

/* For a must_use result that really does not matter: say why beside it. */
#define ignore_result(expression) \
	do {                      \
		if (expression) { \
		}                 \
	} while (0)

/* Allocation never fails: out of memory writes one line to stderr and exits 75 (EX_TEMPFAIL). */
void *xmalloc(size_t size) __attribute__((malloc, returns_nonnull));
void *xcalloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
void *xrealloc(void *p, size_t size) __attribute__((returns_nonnull));
char *xstrdup(const char *s) __attribute__((malloc, returns_nonnull));
/* Room for one more item behind the first `count` of a growing array: it may move. */
void *array_room(void *array, size_t count, size_t *allocated, size_t item_bytes);
#define ARRAY_ROOM(array, count, allocated) \
	((array) = array_room((array), (count), &(allocated), sizeof(*(array))))

/* Closes *fd if it is ≥ 0 and sets it to -1; keeps errno. For cleanup(close_fd) too. */
void close_fd(int *fd);

/* Monotonic and wall-clock time, in milliseconds. */
int64_t monotonic_ms(void);
int64_t wall_ms(void);

/* Not to be used: unbounded, locale-dependent, or without error reporting. */
#undef strcpy
#undef strcat
#undef strtok
#define strcpy(...) banned_use_str_or_memcpy
#define strcat(...) banned_use_str
#define strtok(...) banned_use_span
#define sprintf(...) banned_use_str_format
#define vsprintf(...) banned_use_str_format
#define strtol(...) banned_use_number
#define strtoul(...) banned_use_number
#define strtoll(...) banned_use_number
#define strtoull(...) banned_use_number
#define atoi(...) banned_use_number
#define atol(...) banned_use_number
#define sscanf(...) banned_use_cursor
#define gmtime(...) banned_use_gmtime_r
#define localtime(...) banned_use_localtime_r
#define mktemp(...) banned_use_mkostemp
#endif
