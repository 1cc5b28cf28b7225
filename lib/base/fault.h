#ifndef POSTERN_BASE_FAULT_H
#define POSTERN_BASE_FAULT_H
/*
 * Named fault points, in debug builds only: FAULT=name in the environment makes fault("name") true.
 * A release build has none (tested). fault_check() at the end of main reports a requested point
 * that was never reached, which is a failure of the test that asked.
 */
#include "base/base.h"

#ifdef FAULT_POINTS
bool fault(const char *name);
int fault_check(void);
#else
#define fault(name) false
#define fault_check() 0
#endif
#endif
