#ifndef POSTERN_RELAY_RUNNER_H
#define POSTERN_RELAY_RUNNER_H
/*
 * The queue run: take in what was submitted, deliver what is due, exit. Only one runs at a time
 * (queue/lock); a second one ends at once. See doc/architecture.md for the loop.
 */
#include "conf/paths.h"

struct runner_options {
	const struct paths *paths;
	bool wait; /* stay and wait for mail instead of ending */
	const char
	    *clock_file; /* for tests: holds the time, seconds since 1970; NULL: the real one */
};
/* The exit status: 0; 75 (EX_TEMPFAIL) when another try may help, 78 (EX_CONFIG). */
int runner_run(const struct runner_options *o);
#endif
