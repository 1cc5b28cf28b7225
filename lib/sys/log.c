#include "sys/log.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/ascii.h"
#include "base/utf8.h"

enum {
	FACILITY_MAIL = 2 << 3,
	SEND_TIMEOUT_S = 1, /* a syslog daemon that hangs must not hang the mail */
};

static struct {
	const char *program;
	int fd;
	bool is_syslog, with_prefix;
	char context[LOG_CONTEXT_MAX_BYTES + 1];
} log_state = {.program = "postern", .fd = -1};

static int connect_syslog(void);
static void put_header(enum log_level level, struct str *line);

void log_open(const char *program, bool use_stderr)
{
	if (log_state.is_syslog)
		close_fd(&log_state.fd);
	log_state.program = program;
	log_state.is_syslog = !use_stderr;
	log_state.with_prefix = use_stderr && getenv("JOURNAL_STREAM");
	log_state.fd = use_stderr ? STDERR_FILENO : connect_syslog();
	tzset(); /* reads /etc/localtime now: the sandbox will not let it later */
}

/*
 * Connected once. Sending with an address each time would survive a restart of a syslog daemon that
 * owns its socket, but would let a taken-over process write to every datagram socket of the host;
 * under systemd PID 1 keeps /dev/log open across restarts.
 */
static int connect_syslog(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/dev/log"};
	struct timeval timeout = {.tv_sec = SEND_TIMEOUT_S};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0 ||
	    connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		close_fd(&fd);
	return fd;
}

void log_line(enum log_level level, const char *format, ...)
{
	struct str line cleanup(str_clear) = STR_INIT(LOG_LINE_MAX_BYTES);
	int saved = errno;
	char text[LOG_LINE_MAX_BYTES];
	va_list args;

	if (log_state.fd < 0)
		return;
	va_start(args, format);
	int n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	put_header(level, &line);
	size_t used = MIN((size_t)MAX(n, 0), sizeof(text) - 1);
	used = MIN(used, LOG_LINE_MAX_BYTES - 1 - line.n);
	for (size_t i = 0; i < used; i++)
		str_append_char(&line, ascii_is_control((unsigned char)text[i]) ? ' ' : text[i]);
	if (log_state.is_syslog) {
		(void)send(log_state.fd, line.data, line.n, MSG_NOSIGNAL);
	} else {
		str_append_char(&line, '\n');
		(void)!write(log_state.fd, line.data, line.n); /* there is nobody to tell */
	}
	errno = saved;
}

/* "<22>Nov 23 20:50:01 imap-handler[4711]: 192.0.2.1 " (RFC 3164 §4.1) */
static void put_header(enum log_level level, struct str *line)
{
	static const char months[12][4] = {
	    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	time_t now = time(NULL);
	struct tm t;

	if (log_state.is_syslog) {
		str_format(line, "<%d>", FACILITY_MAIL | (int)level);
		if (localtime_r(&now, &t))
			str_format(line, "%s %2d %02d:%02d:%02d ", months[t.tm_mon], t.tm_mday,
			    t.tm_hour, t.tm_min, t.tm_sec);
	} else if (log_state.with_prefix) {
		str_format(line, "<%d>", (int)level);
	}
	str_format(line, "%s[%d]: ", log_state.program, (int)getpid());
	if (log_state.context[0])
		str_format(line, "%s ", log_state.context);
}

void log_set_context(struct span context)
{
	struct span cut = span_sub(context, 0, LOG_CONTEXT_MAX_BYTES);
	if (cut.n)
		memcpy(log_state.context, cut.p, cut.n);
	log_state.context[cut.n] = '\0';
}

int log_fd(void)
{
	return log_state.fd;
}

static void quote(struct span s, size_t max, const char *escaped, struct str *out)
{
	struct span rest = span_sub(s, 0, max);

	while (rest.n) {
		uint32_t point;
		size_t n = utf8_decode(rest, &point);
		if (n > 0 && !utf8_is_control(point) && !(n == 1 && strchr(escaped, (int)point))) {
			str_append(out, span_sub(rest, 0, n));
		} else {
			str_format(out, "\\x%02x", (unsigned char)rest.p[0]);
			n = 1;
		}
		rest = span_from(rest, n);
	}
	if (s.n > max)
		str_append_cstr(out, "...");
}

void log_quote(struct span s, size_t max, struct str *out)
{
	quote(s, max, "\\\"", out);
}

void log_quote_word(struct span s, size_t max, struct str *out)
{
	quote(s, max, "\\\" <>", out);
}
