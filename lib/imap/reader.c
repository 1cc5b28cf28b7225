#include "imap/reader.h"

#include "base/ascii.h"
#include "imap/command.h"

static enum imap_read assemble(struct imap_reader *r);
static enum imap_read next_line(struct imap_reader *r);
static enum imap_read take_literal(struct imap_reader *r);
static enum imap_read discard(struct imap_reader *r, uint64_t bytes);
static bool is_append_message(struct span text);

void imap_reader_init(
    struct imap_reader *r, struct stream *stream, const struct imap_limits *limits)
{
	*r = (struct imap_reader){.stream = stream, .limits = *limits};
	str_init(&r->text, limits->total_bytes);
	str_init(&r->line, limits->line_bytes + 1); /* and the CR of its end */
}

void imap_reader_clear(struct imap_reader *r)
{
	str_clear_secret(&r->text);
	str_clear_secret(&r->line);
}

enum imap_read imap_reader_next(struct imap_reader *r)
{
	str_reset(&r->text);
	return assemble(r);
}

/* Lines and literals until a line ends without a literal marker. */
static enum imap_read assemble(struct imap_reader *r)
{
	for (;;) {
		enum imap_read got = next_line(r);
		if (got == IMAP_READ_LINE_TOO_LONG && r->text.n == 0)
			str_append(
			    &r->text, span_sub(str_span(&r->line), 0, IMAP_TAG_BYTES_MAX + 1));
		if (got != IMAP_READ_COMMAND)
			return got;
		bool more = imap_literal_marker(str_span(&r->line), &r->literal);
		str_append(&r->text, str_span(&r->line));
		if (more)
			str_append(&r->text, SPAN("\r\n"));
		if (str_error(&r->text))
			return IMAP_READ_LINE_TOO_LONG;
		if (!more)
			return IMAP_READ_COMMAND;
		if (is_append_message(str_span(&r->text)))
			return IMAP_READ_APPEND;
		got = take_literal(r);
		if (got != IMAP_READ_COMMAND)
			return got;
	}
}

static enum imap_read next_line(struct imap_reader *r)
{
	switch (stream_read_line(r->stream, r->limits.line_bytes, &r->line)) {
	case LINE_OK:
	case LINE_BARE_LF: return IMAP_READ_COMMAND;
	case LINE_TOO_LONG: return IMAP_READ_LINE_TOO_LONG;
	case LINE_EOF:
	case LINE_PARTIAL: return IMAP_READ_EOF;
	case LINE_ERROR: break;
	}
	return IMAP_READ_ERROR;
}

/*
 * Is the literal that ends the text APPEND's message? It is, unless it is the mailbox: then the
 * marker is all there is behind "APPEND ". What else may be wrong is the parser's to find.
 */
static bool is_append_message(struct span text)
{
	struct span tag, name;
	if (!span_cut(text, ' ', &tag, &text) || !span_cut(text, ' ', &name, &text))
		return false;
	if (!span_equal_nocase(name, SPAN("APPEND")))
		return false;
	return !span_starts_with(text, SPAN("{")) || span_find(text, SPAN("\r\n")) + 2 != text.n;
}

static enum imap_read take_literal(struct imap_reader *r)
{
	uint64_t bytes = r->literal.bytes;
	if (bytes > r->limits.literal_bytes || bytes > r->limits.total_bytes - r->text.n) {
		enum imap_read got = imap_reader_refuse(r);
		return got == IMAP_READ_COMMAND ? IMAP_READ_LITERAL_TOO_BIG : got;
	}
	imap_reader_accept(r);
	int error = stream_read_all(r->stream, str_extend(&r->text, (size_t)bytes), (size_t)bytes);
	if (error)
		return error == -EPIPE ? IMAP_READ_EOF : IMAP_READ_ERROR;
	return IMAP_READ_COMMAND;
}

void imap_reader_accept(struct imap_reader *r)
{
	if (r->literal.synchronising)
		stream_write(
		    r->stream, SPAN("+ Ready\r\n")); /* leaves before the next read blocks */
}

enum imap_read imap_reader_refuse(struct imap_reader *r)
{
	uint64_t left = r->limits.discard_bytes;
	struct imap_literal literal = r->literal;
	while (!literal.synchronising) {
		if (literal.bytes > left)
			return IMAP_READ_LOST;
		left -= literal.bytes;
		enum imap_read got = discard(r, literal.bytes);
		if (got == IMAP_READ_COMMAND)
			got = next_line(r);
		if (got != IMAP_READ_COMMAND)
			return got;
		if (r->line.n > left)
			return IMAP_READ_LOST;
		left -= r->line.n; /* so that empty literals have an end, too */
		if (!imap_literal_marker(str_span(&r->line), &literal))
			break;
	}
	return IMAP_READ_COMMAND;
}

static enum imap_read discard(struct imap_reader *r, uint64_t bytes)
{
	char piece[4096];
	while (bytes > 0) {
		ssize_t n = stream_read(r->stream, piece, (size_t)MIN(bytes, sizeof(piece)));
		if (n <= 0)
			return n == 0 ? IMAP_READ_EOF : IMAP_READ_ERROR;
		bytes -= (uint64_t)n;
	}
	return IMAP_READ_COMMAND;
}

enum imap_read imap_reader_rest(struct imap_reader *r)
{
	enum imap_read got = next_line(r);
	if (got == IMAP_READ_COMMAND && imap_literal_marker(str_span(&r->line), &r->literal))
		return IMAP_READ_APPEND;
	return got;
}

bool imap_literal_marker(struct span line, struct imap_literal *ret)
{
	if (!span_ends_with(line, SPAN("}")))
		return false;
	size_t end = line.n - 1;
	bool plus = end > 0 && line.p[end - 1] == '+';
	end -= plus;
	size_t start = end;
	while (start > 0 && ascii_is_digit((unsigned char)line.p[start - 1]))
		start--;
	if (start == end || start == 0 || line.p[start - 1] != '{')
		return false;
	uint64_t bytes;
	if (span_to_u64(span_sub(line, start, end - start), INT64_MAX, &bytes) != 0)
		bytes = INT64_MAX;
	*ret = (struct imap_literal){.bytes = bytes,
	    .synchronising = !plus,
	    .binary = start > 1 && line.p[start - 2] == '~'};
	return true;
}
