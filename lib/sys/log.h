#ifndef POSTERN_SYS_LOG_H
#define POSTERN_SYS_LOG_H
/*
 * The log: one line per event, to /dev/log (RFC 3164 form, datagram socket connected before the
 * sandbox) or to stderr, there with a "<N>" priority prefix when systemd reads it. Rows 1 to 4 do
 * not log: they return, or call back. Bytes from outside pass log_quote().
 */
#include "base/str.h"

enum log_level {
	LOG_LEVEL_ERROR = 3,
	LOG_LEVEL_WARNING = 4,
	LOG_LEVEL_NOTICE = 5,
	LOG_LEVEL_INFO = 6
};
enum { LOG_LINE_MAX_BYTES = 2000, LOG_CONTEXT_MAX_BYTES = 200 };

/*
 * program: static text. With use_stderr lines go to fd 2, else to /dev/log; where that is not to be
 * had log_fd() is -1 and the log is silent, and a caller whose stderr is no connection opens again
 * with use_stderr. Never fails.
 */
void log_open(const char *program, bool use_stderr);
/* One line; line ends and other control characters in it become blanks. Keeps errno. */
void log_line(enum log_level level, const char *format, ...) printf_like(2, 3);
/*
 * What stands in every line after the program, e.g. "192.0.2.1 user@x"; copied, cut at the limit.
 */
void log_set_context(struct span context);
int log_fd(void); /* -1: none */
/*
 * Appends s with everything but printable ASCII and valid UTF-8 as \xNN, at most max bytes of it.
 */
void log_quote(struct span s, size_t max, struct str *out);
/* The same, and blanks, '<' and '>', too: for a value that stands without quotes, as an address. */
void log_quote_word(struct span s, size_t max, struct str *out);
#endif
