#ifndef POSTERN_BASE_SPAN_H
#define POSTERN_BASE_SPAN_H
/*
 * A borrowed piece of memory: what parsers yield. Not NUL-terminated; may hold NULs. {NULL, 0} is
 * the empty span and is also how "absent" is spelled where a function says so (span_is_set()).
 */
#include "base/base.h"

struct span {
	const char *p;
	size_t n;
};

#define SPAN(literal) ((struct span){(literal), sizeof(literal) - 1})
#define SPAN_NONE ((struct span){NULL, 0})
/* For printf: "%.*s", SPAN_ARG(s) */
#define SPAN_ARG(s) (int)MIN((s).n, (size_t)INT32_MAX), (s).p ? (s).p : ""

static inline struct span span_of(const void *p, size_t n)
{
	return (struct span){p, n};
}
static inline struct span span_cstr(const char *s)
{
	return (struct span){s, s ? strlen(s) : 0};
}
static inline bool span_is_set(struct span s)
{
	return s.p != NULL;
}
/* The part from `from` on (clamped), and at most n bytes of it. */
struct span span_sub(struct span s, size_t from, size_t n);
static inline struct span span_from(struct span s, size_t from)
{
	return span_sub(s, from, SIZE_MAX);
}

bool span_equal(struct span a, struct span b);
/* Bytewise order, the shorter first: <0, 0, >0. */
int span_compare(struct span a, struct span b);
/* The same for qsort() and bsearch() over struct span. */
int span_compare_elements(const void *a, const void *b);
/* As above, with ASCII letters folded; other bytes as they are. */
bool span_equal_nocase(struct span a, struct span b);
int span_compare_nocase(struct span a, struct span b);
bool span_starts_with(struct span s, struct span prefix);
bool span_starts_with_nocase(struct span s, struct span prefix);
bool span_ends_with(struct span s, struct span suffix);
/* Index of the first / last such byte, or SIZE_MAX. */
size_t span_index(struct span s, char c);
size_t span_last_index(struct span s, char c);
/* Index of the first occurrence of needle, or SIZE_MAX; an empty needle is at 0. */
size_t span_find(struct span s, struct span needle);
/*
 * Cuts at the first separator: *head gets what is before it, *rest what is after. Without one,
 * *head is all, *rest is empty, and the answer is false. Both may alias &s of the caller.
 */
bool span_cut(struct span s, char separator, struct span *head, struct span *rest);
/* Without leading and trailing SP, HTAB, CR, LF. */
struct span span_trim(struct span s);
/*
 * Next word of a list separated by any of the bytes in separators (empty words are skipped);
 * *rest moves on. False at the end.
 */
bool span_next_word(struct span *rest, const char *separators, struct span *word);
/* True when every byte is in 0x01..0x7f; NUL is not counted as text. */
bool span_is_ascii(struct span s);

/* Unsigned decimal number: digits only, at least one, ≤ max. -EINVAL or -ERANGE. */
must_use int span_to_u64(struct span s, uint64_t max, uint64_t *ret);
#endif
