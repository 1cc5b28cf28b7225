#ifndef POSTERN_CONF_KEYS_H
#define POSTERN_CONF_KEYS_H
/*
 * Every key of the configuration, in one table: it feeds the parser, the check of values, `postern
 * config keys` and the manual page postern.conf(5).
 */
#include "base/span.h"

enum config_section_kind {
	CONFIG_GLOBAL,
	CONFIG_CERTIFICATE,
	CONFIG_DOMAIN,
	CONFIG_ACCOUNT,
	CONFIG_TRANSPORT,
	CONFIG_ROUTE, /* in an account, in a domain, or outside of both */
	CONFIG_SECTION_COUNT
};
const char *config_section_name(enum config_section_kind kind); /* "" for CONFIG_GLOBAL */
bool config_section_has_title(enum config_section_kind kind);

enum config_type {
	CONFIG_TEXT,   /* min..max bytes */
	CONFIG_LIST,   /* of texts */
	CONFIG_NUMBER, /* min..max */
	CONFIG_TIME,   /* min..max seconds; conf/units.h */
	CONFIG_TIMES,  /* list of times */
	CONFIG_SIZE,   /* min..max bytes; conf/units.h */
	CONFIG_YES_NO,
	CONFIG_CHOICE, /* one of the words in `choices` */
	CONFIG_FILE,   /* a path; relative ones are below the folder of postern.conf */
};

struct config_key {
	enum config_section_kind section;
	const char *name;
	enum config_type type;
	const char *fallback; /* value when absent, in the file's form; NULL: none */
	uint64_t min, max;
	const char *choices; /* separated by "|" */
	const char *help;
};
extern const struct config_key config_keys[];
extern const size_t config_key_count;
/* NULL: there is none. */
const struct config_key *config_key_find(enum config_section_kind section, struct span name);
static inline bool config_type_is_list(enum config_type type)
{
	return type == CONFIG_LIST || type == CONFIG_TIMES;
}
const char *config_type_name(enum config_type type); /* for people: "text", "list of times" */
#endif
