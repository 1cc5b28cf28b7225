#include "smtp/data.h"

void smtp_text_check(struct smtp_text *t, struct span bytes)
{
	t->bytes += bytes.n;
	for (size_t i = 0; i < bytes.n; i++) {
		unsigned char c = (unsigned char)bytes.p[i];
		if (c == '\n') {
			t->bare = t->bare || !t->after_cr;
			t->line_bytes = 0;
		} else {
			t->bare = t->bare || t->after_cr;
			t->nul = t->nul || c == '\0';
			t->eight_bit = t->eight_bit || c >= 0x80;
			t->line_bytes++;
			t->line_too_long =
			    t->line_too_long || t->line_bytes > SMTP_TEXT_LINE_MAX_BYTES;
		}
		t->after_cr = c == '\r';
	}
}

void smtp_text_end(struct smtp_text *t)
{
	t->bare = t->bare || t->after_cr;
	t->after_cr = false;
}

/* RFC 5321 §4.5.2: the state behind byte c. Whatever is no exact CR LF "." CR LF is text. */
static enum smtp_data_state next_state(enum smtp_data_state state, char c)
{
	if (c == '\n')
		return state == SMTP_DATA_CR	   ? SMTP_DATA_LINE_START
		       : state == SMTP_DATA_DOT_CR ? SMTP_DATA_END
						   : SMTP_DATA_TEXT;
	if (c == '\r')
		return state == SMTP_DATA_DOT ? SMTP_DATA_DOT_CR : SMTP_DATA_CR;
	return c == '.' && state == SMTP_DATA_LINE_START ? SMTP_DATA_DOT : SMTP_DATA_TEXT;
}

size_t smtp_unstuff(struct smtp_unstuffer *u, struct span input,
    void (*sink)(void *context, struct span bytes), void *context)
{
	size_t from = 0; /* what is before it was handed on, or was stuffing */
	for (size_t i = 0; i < input.n; i++) {
		enum smtp_data_state before = u->state;
		u->state = next_state(before, input.p[i]);
		if (u->state == SMTP_DATA_DOT) {
			/* A dot that begins a line is stuffing, or the end: never text. */
			if (i > from)
				sink(context, span_sub(input, from, i - from));
			from = i + 1;
		} else if (u->state == SMTP_DATA_DOT_CR) {
			from = i + 1; /* kept back: text only if no LF follows */
		} else if (u->state == SMTP_DATA_END) {
			return i + 1;
		} else if (before == SMTP_DATA_DOT_CR) {
			sink(context, SPAN("\r")); /* it was a bare one */
		}
	}
	if (input.n > from)
		sink(context, span_from(input, from));
	return input.n;
}

int smtp_stuff(struct smtp_stuffer *s, struct span input,
    void (*sink)(void *context, struct span bytes), void *context)
{
	size_t from = 0;
	for (size_t i = 0; i < input.n; i++) {
		char c = input.p[i];
		if ((c == '\n') != (s->state == SMTP_DATA_CR))
			return -EBADMSG;
		if (c == '.' && s->state == SMTP_DATA_LINE_START) {
			if (i > from)
				sink(context, span_sub(input, from, i - from));
			sink(context, SPAN("."));
			from = i;
		}
		s->state = c == '\r'   ? SMTP_DATA_CR
			   : c == '\n' ? SMTP_DATA_LINE_START
				       : SMTP_DATA_TEXT;
	}
	if (input.n > from)
		sink(context, span_from(input, from));
	return 0;
}

int smtp_stuff_end(
    struct smtp_stuffer *s, void (*sink)(void *context, struct span bytes), void *context)
{
	if (s->state == SMTP_DATA_CR)
		return -EBADMSG;
	if (s->state == SMTP_DATA_TEXT)
		sink(context, SPAN("\r\n"));
	sink(context, SPAN(".\r\n"));
	s->state = SMTP_DATA_END;
	return 0;
}
