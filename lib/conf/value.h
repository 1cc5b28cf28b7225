#ifndef POSTERN_CONF_VALUE_H
#define POSTERN_CONF_VALUE_H
/*
 * Values of a parsed section, by type, checked against the table of keys. What is absent has the
 * table's fallback; what is wrong is reported, and the fallback (or nothing) stands in for it.
 */
#include "conf/parse.h"

struct values {
	const struct config_section *section;
	struct arena *arena;
	struct config_report *report;
	const char *etc; /* absolute: paths are relative to it */
};
/* Where a key was set, or where its section begins. */
struct config_place value_place(const struct values *v, const char *name);
bool value_is_set(const struct values *v, const char *name);
/* Reports a key that must be there and is not. */
bool value_is_required(const struct values *v, const char *name);

struct span value_text(const struct values *v, const char *name);
/* Absolute; unset when absent. */
struct span value_file(const struct values *v, const char *name);
uint32_t value_number(const struct values *v, const char *name);
uint64_t value_size(const struct values *v, const char *name);
uint32_t value_time(const struct values *v, const char *name);
bool value_yes_no(const struct values *v, const char *name);
/* Index of the word in the key's choices; `otherwise` when absent and without fallback. */
unsigned value_choice(const struct values *v, const char *name, unsigned otherwise);
size_t value_list(const struct values *v, const char *name, const struct span **ret);
size_t value_times(const struct values *v, const char *name, const uint32_t **ret);
#endif
