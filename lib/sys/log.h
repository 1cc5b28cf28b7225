#ifndef POSTERN_SYS_LOG_H
#define POSTERN_SYS_LOG_H
/*
 * The log: one line per event, to /dev/log (RFC 3164 form, datagram socket connected before the
 * sandbox) or, when stderr is not the connection and --log=stderr or no /dev/log, to stderr with a
 * "<N>" priority prefix when under systemd. Rows 1 to 4 do not log: they return, or call back.
 * Bytes from outside pass log_quote().
 */
#include "base/str.h"

enum log_level { LOG_LEVEL_ERROR = 3, LOG_LEVEL_WARNING = 4, LOG_LEVEL_NOTICE = 5, LOG_LEVEL_INFO = 6 };
/* program: static text. use_stderr: fd 2 may be written to. Never fails: worst case it is silent. */
void log_open(const char *program, bool use_stderr);
void log_line(enum log_level level, const char *format, ...) printf_like(2, 3);
/* What stands in every line after the program, e.g. " 192.0.2.1 user@x"; copied, cut at 200. */
void log_set_context(struct span context);
int log_fd(void); /* for the sandbox; -1: none */
/* Appends s with everything but printable ASCII and valid UTF-8 as \xNN, at most max bytes of it. */
void log_quote(struct span s, size_t max, struct str *out);
#endif
