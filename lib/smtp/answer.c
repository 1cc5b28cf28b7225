#include "smtp/answer.h"

#include "base/ascii.h"
#include "text/text.h"

static int take_line(struct span line, unsigned *code, bool *last, struct span *ret_text);
static void keep_enhanced(struct smtp_outcome *o, struct span *text);
static size_t enhanced_length(struct span text, unsigned class);
static void keep_text(struct smtp_outcome *o, size_t *n, struct span text);

int smtp_answer_read(struct stream *s, struct smtp_outcome *ret,
    void (*each_line)(void *context, struct span line), void *context)
{
	struct str line cleanup(str_clear) = STR_INIT(SMTP_ANSWER_LINE_MAX_BYTES);
	struct smtp_outcome o = {0};
	unsigned code = 0;
	size_t kept = 0;
	bool last = false;
	for (unsigned lines = 0; !last; lines++) {
		struct span text;
		if (lines == SMTP_ANSWER_LINES_MAX)
			return -EPROTO;
		switch (stream_read_line(s, SMTP_ANSWER_LINE_MAX_BYTES, &line)) {
		case LINE_OK: break;
		case LINE_BARE_LF:
		case LINE_TOO_LONG: return -EPROTO;
		case LINE_EOF:
		case LINE_PARTIAL: return -EPIPE;
		case LINE_ERROR: return stream_error(s) < 0 ? stream_error(s) : -EIO;
		}
		if (take_line(str_span(&line), &code, &last, &text) < 0)
			return -EPROTO;
		if (lines > 0 && each_line)
			each_line(context, text);
		o.code = code;
		keep_enhanced(&o, &text);
		keep_text(&o, &kept, text);
	}
	o.result = code == 421	 ? SMTP_RESULT_SESSION
		   : code >= 500 ? SMTP_RESULT_PERMANENT
		   : code >= 400 ? SMTP_RESULT_TRANSIENT
				 : SMTP_RESULT_OK;
	*ret = o;
	return 0;
}

/* RFC 5321 §4.2: Reply-line. All lines of a reply have the same code. */
static int take_line(struct span line, unsigned *code, bool *last, struct span *ret_text)
{
	uint64_t value;
	if (line.n < 3 || span_to_u64(span_sub(line, 0, 3), 599, &value) < 0 || value < 200)
		return -EPROTO;
	if (*code && value != *code)
		return -EPROTO;
	if (line.n > 3 && line.p[3] != ' ' && line.p[3] != '-')
		return -EPROTO;
	*code = (unsigned)value;
	*last = line.n == 3 || line.p[3] == ' ';
	*ret_text = span_from(line, 4);
	return 0;
}

/* RFC 2034 §4: taken off the text; that of the first line is kept. A wrong class is no code. */
static void keep_enhanced(struct smtp_outcome *o, struct span *text)
{
	size_t n = enhanced_length(*text, o->code / 100);
	if (n == 0)
		return;
	if (!o->enhanced[0]) {
		memcpy(o->enhanced, text->p, n);
		o->enhanced[n] = '\0';
	}
	*text = span_trim(span_from(*text, n));
}

/* RFC 3463 §2: class "." subject "." detail, each of the latter 1 to 3 digits. */
static size_t enhanced_length(struct span text, unsigned class)
{
	size_t at = 1;
	if (text.n < 5 || text.p[0] != (char)('0' + class))
		return 0;
	for (int part = 0; part < 2; part++) {
		size_t digits = 0;
		if (at >= text.n || text.p[at] != '.')
			return 0;
		at++;
		while (at < text.n && ascii_is_digit((unsigned char)text.p[at]) && digits < 4)
			at++, digits++;
		if (digits == 0 || digits > 3)
			return 0;
	}
	return at == text.n || text.p[at] == ' ' ? at : 0;
}

static void keep_text(struct smtp_outcome *o, size_t *n, struct span text)
{
	bool utf8 = utf8_is_valid(text);
	if (*n && *n < SMTP_ANSWER_TEXT_MAX_BYTES)
		o->text[(*n)++] = '\n';
	size_t room = SMTP_ANSWER_TEXT_MAX_BYTES - *n;
	if (text.n > room) {
		/* Not in the middle of a character: 10xxxxxx continues one. */
		while (utf8 && room && ((unsigned char)text.p[room] & 0xc0) == 0x80)
			room--;
		text.n = room;
	}
	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];
		bool good = !ascii_is_control(c) && (c < 0x80 || utf8);
		o->text[(*n)++] = good ? (char)c : '?';
	}
	o->text[*n] = '\0';
}

void smtp_outcome_set(
    struct smtp_outcome *o, enum smtp_result result, const char *enhanced, const char *format, ...)
{
	va_list args;
	*o = (struct smtp_outcome){.result = result};
	if (enhanced)
		(void)snprintf(
		    o->enhanced, sizeof(o->enhanced), "%s", enhanced); /* our own: fits */
	va_start(args, format);
	(void)vsnprintf(o->text, sizeof(o->text), format, args); /* cut at its end */
	va_end(args);
}
