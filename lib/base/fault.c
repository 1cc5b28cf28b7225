#include "base/fault.h"

#ifdef FAULT_POINTS
static bool hit;

bool fault(const char *name)
{
	const char *wanted = secure_getenv("FAULT");
	bool on = wanted && strcmp(wanted, name) == 0;
	hit = hit || on;
	return on;
}

int fault_check(void)
{
	const char *wanted = secure_getenv("FAULT");
	if (!wanted || hit)
		return 0;
	fprintf(stderr, "fault point \"%s\" was never reached\n", wanted);
	return -ENOENT;
}
#else
typedef int fault_is_compiled_out;
#endif
