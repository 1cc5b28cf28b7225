#ifndef POSTERN_TESTS_TAP_H
#define POSTERN_TESTS_TAP_H
/*
 * Unit tests in TAP: each test_X.c is a main() that calls check() and friends and ends with
 * `return tap_end();`. A failing check names file, line and values and goes on.
 */
#include "base/span.h"
#include "base/str.h"

static int tap_count, tap_failed;

static inline bool tap_report(bool good, const char *file, int line, const char *what)
{
	tap_count++;
	if (!good) {
		tap_failed++;
		printf("not ok %d - %s:%d: %s\n", tap_count, file, line, what);
	} else {
		printf("ok %d - %s\n", tap_count, what);
	}
	return good;
}

static inline bool tap_int(
    long long got, long long want, const char *file, int line, const char *what)
{
	bool good = tap_report(got == want, file, line, what);
	if (!good)
		printf("#   got %lld, wanted %lld\n", got, want);
	return good;
}

static inline bool tap_span(
    struct span got, struct span want, const char *file, int line, const char *what)
{
	bool good = tap_report(span_equal(got, want), file, line, what);
	if (!good)
		printf("#   got    \"%.*s\"\n#   wanted \"%.*s\"\n", SPAN_ARG(got), SPAN_ARG(want));
	return good;
}

static inline int tap_end(void)
{
	printf("1..%d\n", tap_count);
	return tap_failed ? 1 : 0;
}

#define check(condition) tap_report((condition), __FILE__, __LINE__, #condition)
#define check_int(got, want) \
	tap_int((long long)(got), (long long)(want), __FILE__, __LINE__, #got " == " #want)
#define check_span(got, want) tap_span((got), (want), __FILE__, __LINE__, #got " == " #want)
/* With a label of your own, for table-driven tests. */
#define check_named(condition, label) tap_report((condition), __FILE__, __LINE__, (label))
#endif
