#include "smtp/reply.h"

#include "base/encode.h"
#include "text/text.h"

static void put_line(
    struct stream *out, unsigned code, bool last, const char *enhanced, struct span text);

void smtp_reply(struct stream *out, unsigned code, const char *enhanced, struct span text)
{
	struct span line;
	while (span_cut(text, '\n', &line, &text))
		put_line(out, code, false, enhanced, line);
	put_line(out, code, true, enhanced, line);
}

void smtp_reply_format(
    struct stream *out, unsigned code, const char *enhanced, const char *format, ...)
{
	struct str text cleanup(str_clear) = STR_INIT(8 * SMTP_REPLY_LINE_MAX_BYTES);
	va_list args;
	va_start(args, format);
	str_vformat(&text, format, args);
	va_end(args);
	/* Too long for any reply: the code says enough. */
	smtp_reply(out, code, enhanced, text.failed ? SPAN("-") : str_span(&text));
}

void smtp_reply_status(struct stream *out, const struct smtp_status *status)
{
	smtp_reply(out, status->code, status->enhanced, span_cstr(status->text));
}

void smtp_write_challenge(struct stream *out, struct span challenge)
{
	struct str text cleanup(str_clear) = STR_INIT(4 + challenge.n / 3 * 4 + 4 + 2);
	str_append_cstr(&text, "334 ");
	base64_encode(challenge, &text);
	str_append_cstr(&text, "\r\n");
	stream_write(out, str_span(&text));
}

/* RFC 5321 §4.2: Reply-line; the enhanced code stands in every line (RFC 2034 §4). */
static void put_line(
    struct stream *out, unsigned code, bool last, const char *enhanced, struct span text)
{
	char line[SMTP_REPLY_LINE_MAX_BYTES + 2];
	int head = snprintf(line, sizeof(line), "%03u%c%s%s", code, last ? ' ' : '-',
	    enhanced ? enhanced : "", enhanced ? " " : "");
	struct str printable cleanup(str_clear) = STR_INIT(text.n);
	text_to_printable_ascii(text, &printable);
	struct span shown =
	    span_sub(str_span(&printable), 0, SMTP_REPLY_LINE_MAX_BYTES - (size_t)head);
	memcpy(line + head, shown.p, shown.n);
	size_t n = (size_t)head + shown.n;
	line[n++] = '\r';
	line[n++] = '\n';
	stream_write(out, span_of(line, n));
}

void smtp_write_greeting(struct stream *out, struct span hostname)
{
	smtp_reply_format(out, 220, NULL, "%.*s ESMTP Postern", SPAN_ARG(hostname));
}
