#ifndef POSTERN_CONF_PARSE_H
#define POSTERN_CONF_PARSE_H
/*
 * From the files to one tree: postern.conf, then conf.d/NAME.conf in sorted order, in libConfuse's
 * syntax (sole user of libConfuse). Knows the table of keys and nothing of what they mean together.
 *
 * libConfuse 3.3 counts lines wrongly around comments, stays inside a string or comment that one
 * file left open, expands ${X}, and lets a scalar be set twice. So config_clean() takes comments
 * away and refuses what it would stumble over, before it sees the text.
 */
#include "conf/keys.h"
#include "conf/report.h"

struct str;

enum {
	CONFIG_FILE_MAX_BYTES = 16 << 20,
	CONFIG_FILES_MAX = 200000, /* in conf.d: one per account or domain */
};

struct config_value {
	struct config_value *next;
	const struct config_key *key;
	struct config_place place;
	struct span *items; /* one, or a list */
	size_t count, allocated;
};
struct config_section {
	struct config_section *next; /* of the same parent */
	enum config_section_kind kind;
	struct span title;
	struct config_place place;
	struct config_value *values;
	struct config_section *first, **tail; /* children in the order of the files */
};

/*
 * Reads etc/postern.conf and etc/conf.d/. Mistakes of people go to the report (an unreadable file
 * is one); the tree is then what could be understood. The tree is the arena's. extra_text, if set,
 * is read last, as if it stood in the file extra_path.
 */
void config_parse(const char *etc, struct span extra_path, struct span extra_text, struct arena *a,
    struct config_report *report, struct config_section **ret);
/* The value of a key, or NULL. */
const struct config_value *config_get(const struct config_section *s, const char *name);

/* conf/clean.c: `text` with comments blanked, lines kept, appended to *out. False: reported. */
bool config_clean(
    struct span text, struct span file, struct config_report *report, struct str *out);
#endif
