#ifndef POSTERN_CONF_UNITS_H
#define POSTERN_CONF_UNITS_H
/*
 * Times and sizes as people write them: a decimal number, up to three digits behind a point, and a
 * unit: "7.5m", "90s", "4h", "5d", "2w"; "50M", "1.5G", "300k", "1000" (1024-based). A time of zero
 * needs no unit, a size without one counts bytes. Exact: what does not come out whole is -EINVAL.
 * -EINVAL: not of this form; -ERANGE: past what the result holds.
 */
#include "base/span.h"

must_use int units_seconds(struct span text, uint64_t *ret_s);
must_use int units_bytes(struct span text, uint64_t *ret_bytes);
#endif
