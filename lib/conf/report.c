#include "conf/report.h"

#include <pwd.h>
#include <unistd.h>

#include "base/str.h"

enum { SENTENCE_MAX_BYTES = 8192 };

static void add(struct config_report *r, enum config_severity severity, struct config_place place,
    const char *format, va_list args) printf_like(4, 0);

void report_error(struct config_report *r, struct config_place place, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	add(r, CONFIG_ERROR, place, format, args);
	va_end(args);
	r->error_count++;
}

void report_warning(struct config_report *r, struct config_place place, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	add(r, CONFIG_WARNING, place, format, args);
	va_end(args);
}

void report_unreadable(
    struct config_report *r, struct config_place place, struct span path, int error)
{
	const struct passwd *user = error == -EACCES ? getpwuid(geteuid()) : NULL;
	report_error(r, place, "%.*s%scannot be read%s%s: %s", SPAN_ARG(path), path.n ? " " : "",
	    user ? " by user " : "", user ? user->pw_name : "", strerror(-error));
}

struct span report_place(struct arena *a, struct config_place place)
{
	if (!span_is_set(place.file))
		return SPAN("");
	if (place.line == 0)
		return place.file;
	return arena_format(a, "%.*s:%u", SPAN_ARG(place.file), place.line);
}

static void add(struct config_report *r, enum config_severity severity, struct config_place place,
    const char *format, va_list args)
{
	ARENA_ROOM(r->arena, r->messages, r->count, r->allocated);
	struct str text cleanup(str_clear) = STR_INIT(SENTENCE_MAX_BYTES);
	str_vformat(&text, format, args);
	r->messages[r->count++] = (struct config_message){severity, place,
	    text.failed ? SPAN("(too long to say)") : arena_span(r->arena, str_span(&text))};
}
