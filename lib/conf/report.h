#ifndef POSTERN_CONF_REPORT_H
#define POSTERN_CONF_REPORT_H
/* What is wrong with a configuration, for people: sentences with file and line. */
#include "base/arena.h"

struct config_place {
	struct span file; /* as given: "/etc/postern/conf.d/a.conf"; unset: no place */
	unsigned line;	  /* from 1; 0: the file as a whole */
};
enum config_severity { CONFIG_ERROR, CONFIG_WARNING };
struct config_message {
	enum config_severity severity;
	struct config_place place;
	struct span text;
};
/* In the order found; memory is the arena's. {.arena = &a} is an empty one. */
struct config_report {
	struct arena *arena;
	struct config_message *messages;
	size_t count, allocated;
	size_t error_count;
};
void report_error(struct config_report *r, struct config_place place, const char *format, ...)
    printf_like(3, 4);
void report_warning(struct config_report *r, struct config_place place, const char *format, ...)
    printf_like(3, 4);
/*
 * "FILE cannot be read …": why, and for want of permission by which user. path unset: it is the
 * place.
 */
void report_unreadable(
    struct config_report *r, struct config_place place, struct span path, int error);
/* "file:line" in the arena; "" for no place. */
struct span report_place(struct arena *a, struct config_place place);
#endif
