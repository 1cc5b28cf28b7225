#ifndef POSTERN_BASE_STR_H
#define POSTERN_BASE_STR_H
/*
 * An owned, growing byte string with a maximum. `data` is never NULL and a NUL stands behind the
 * end; the contents may hold NULs. What would pass the maximum is not added at all and sets
 * `failed`, which sticks until str_reset(): append freely, ask once.
 *
 *	struct str s cleanup(str_clear) = STR_INIT(1024);
 */
#include <stdarg.h>

#include "base/span.h"

struct str {
	char *data;
	size_t n;	  /* bytes used, without the NUL */
	size_t allocated; /* 0: data is static and empty */
	size_t max;	  /* n never exceeds it */
	bool failed;
};

extern char str_empty[1];
#define STR_INIT(maximum) ((struct str){.data = str_empty, .max = (maximum)})

void str_init(struct str *s, size_t max);
/* Frees and leaves an empty string with the same maximum. Accepts a zeroed one. */
void str_clear(struct str *s);
/* As str_clear(), overwriting the bytes first: for secrets. */
void str_clear_secret(struct str *s);
/* Empties, keeps the memory, forgets `failed`. */
void str_reset(struct str *s);
void str_truncate(struct str *s, size_t n);

void str_append(struct str *s, struct span bytes);
void str_append_cstr(struct str *s, const char *text);
void str_append_char(struct str *s, char c);
void str_append_u64(struct str *s, uint64_t number);
void str_format(struct str *s, const char *format, ...) printf_like(2, 3);
void str_vformat(struct str *s, const char *format, va_list args) printf_like(2, 0);
/* Room for n more bytes, to be filled by the caller; NULL (and failed) past the maximum. */
char *str_extend(struct str *s, size_t n);
/* Removes n bytes (clamped) at the front. */
void str_drop_front(struct str *s, size_t n);

static inline struct span str_span(const struct str *s)
{
	return (struct span){s->data, s->n};
}
/* 0, or -EMSGSIZE when something did not fit. */
static inline must_use int str_error(const struct str *s)
{
	return s->failed ? -EMSGSIZE : 0;
}
#endif
