#include "mime/message.h"

#include <assert.h>

#include "base/ascii.h"
#include "mime/fields.h"
#include "mime/header.h"

/*
 * Lines are told apart by their LF as they come. Of a header's line the first MIME_FIELD_BYTES_MAX
 * bytes are kept until it is complete; of a body's line only what a delimiter can be.
 *
 * The stack has the parts that are open, the outermost message first. The last one owns the lines;
 * a delimiter may belong to any multipart below it, and ends everything above that.
 */
enum {
	OPEN_MAX = MIME_DEPTH_MAX + 1,
	DELIMITER_BYTES_MAX = 2 + MIME_BOUNDARY_BYTES_MAX + 2 + 2, /* "--" boundary "--" CRLF */
	NO_FIELD = MIME_FIELD_NONE,
};

struct open_part {
	uint32_t part, last_child;
	uint32_t lines_before_body;
	uint32_t seen; /* set of fields */
	bool in_header;
	bool is_digest;	      /* its children are messages by default */
	struct span boundary; /* of a multipart whose close delimiter was not met yet */
};

struct mime_parser {
	struct arena arena;
	struct mime_part *parts;
	size_t part_count, parts_allocated;
	struct open_part stack[OPEN_MAX];
	size_t depth;
	uint32_t offset, line_start;
	uint32_t lines, lines_before; /* LFs so far; before the line that just ended */
	unsigned previous_end;	      /* bytes of the line end before this line */
	char last_byte;		      /* of this line so far */
	bool plain;		      /* this line is no delimiter and need not be kept */
	bool too_big, cut, ended;
	struct str line;  /* the kept beginning of this line */
	struct str field; /* the header field so far, unfolded, from its name on */
	int field_number; /* NO_FIELD: not one to keep */
	struct mime_message message;
};

static void keep_line(struct mime_parser *p, struct span piece);
static void end_line(struct mime_parser *p, unsigned end_bytes);
static bool delimiter(struct mime_parser *p, struct span line);
static void header_line(struct mime_parser *p, struct span line);
static void end_field(struct mime_parser *p);
static void end_header(struct mime_parser *p, uint32_t body_start);
static void close_above(struct mime_parser *p, size_t depth, uint32_t end, uint32_t lines);
static bool begin_part(struct mime_parser *p, uint32_t header_start, bool is_message);
static void default_type(struct mime_parser *p, struct mime_part *part, bool in_digest);
static void open_container(struct mime_parser *p, uint32_t body_start);
static void append_bounded(struct mime_parser *p, struct str *s, struct span bytes);

struct mime_parser *mime_parser_new(void)
{
	struct mime_parser *p = xcalloc(1, sizeof(*p));
	str_init(&p->line, MIME_FIELD_BYTES_MAX);
	str_init(&p->field, MIME_FIELD_BYTES_MAX);
	p->field_number = NO_FIELD;
	(void)begin_part(p, 0, true);
	return p;
}

void mime_parser_free(struct mime_parser *p)
{
	if (!p)
		return;
	arena_clear(&p->arena);
	str_clear(&p->line);
	str_clear(&p->field);
	free(p->parts);
	free(p);
}

static struct open_part *top(struct mime_parser *p)
{
	assert(p->depth > 0);
	return &p->stack[p->depth - 1];
}

void mime_parser_feed(struct mime_parser *p, struct span bytes)
{
	assert(!p->ended);
	if (p->too_big || bytes.n >= UINT32_MAX - p->offset) {
		p->too_big = true;
		return;
	}
	while (bytes.n) {
		const char *lf = memchr(bytes.p, '\n', bytes.n);
		struct span piece = span_sub(bytes, 0, lf ? (size_t)(lf - bytes.p) + 1 : bytes.n);
		bytes = span_from(bytes, piece.n);
		if (!p->plain)
			keep_line(p, piece);
		p->offset += (uint32_t)piece.n;
		if (lf) {
			char before = piece.n > 1 ? piece.p[piece.n - 2] : p->last_byte;
			end_line(p, before == '\r' ? 2 : 1);
		} else {
			p->last_byte = piece.p[piece.n - 1];
		}
	}
}

static void keep_line(struct mime_parser *p, struct span piece)
{
	if (top(p)->in_header) {
		append_bounded(p, &p->line, piece);
		return;
	}
	if (p->line.n == 0 && piece.p[0] != '-')
		p->plain = true;
	else if (p->line.n < DELIMITER_BYTES_MAX)
		str_append(&p->line, span_sub(piece, 0, DELIMITER_BYTES_MAX - p->line.n));
}

static void append_bounded(struct mime_parser *p, struct str *s, struct span bytes)
{
	if (bytes.n > s->max - s->n) {
		p->cut = true;
		bytes.n = s->max - s->n;
	}
	str_append(s, bytes);
}

/* end_bytes: 2 for CRLF, 1 for LF, 0 at the end of the message. */
static void end_line(struct mime_parser *p, unsigned end_bytes)
{
	size_t whole = p->offset - p->line_start - end_bytes;
	struct span line = span_sub(str_span(&p->line), 0, whole);
	p->lines_before = p->lines;
	p->lines += end_bytes > 0;
	if (!delimiter(p, line) && top(p)->in_header) {
		if (whole > 0)
			header_line(p, line);
		else
			end_header(p, p->offset);
	}
	p->previous_end = end_bytes;
	p->line_start = p->offset;
	p->last_byte = '\0';
	p->plain = false;
	str_reset(&p->line);
}

/* RFC 2046 §5.1.1: is this line a delimiter of an open multipart? Then it is done, too. */
static bool delimiter(struct mime_parser *p, struct span line)
{
	if (!span_starts_with(line, SPAN("--")))
		return false;
	struct span rest = span_from(line, 2);
	size_t found = SIZE_MAX, longest = 0;
	for (size_t i = p->depth; i-- > 0;) {
		struct span boundary = p->stack[i].boundary;
		if (boundary.n > longest && span_starts_with(rest, boundary)) {
			longest = boundary.n;
			found = i;
		}
	}
	if (found == SIZE_MAX)
		return false;
	bool closes = span_starts_with(span_from(rest, longest), SPAN("--"));
	if (!closes && p->part_count == MIME_PARTS_MAX) {
		p->cut = true;
		return false;
	}
	uint32_t lines = p->lines_before - (p->previous_end > 0);
	close_above(p, found + 1, p->line_start - p->previous_end, lines);
	if (closes)
		p->stack[found].boundary = SPAN_NONE;
	else
		(void)begin_part(p, p->offset, false);
	return true;
}

/* Ends all open parts from that depth on; lines: how many LFs there are before `end`. */
static void close_above(struct mime_parser *p, size_t depth, uint32_t end, uint32_t lines)
{
	while (p->depth > depth) {
		if (top(p)
			->in_header) { /* no empty line: the part ends where the delimiter begins */
			end_header(p, p->line_start);
			continue; /* a message inside may have been opened on top */
		}
		struct open_part *o = top(p);
		struct mime_part *part = &p->parts[o->part];
		part->body_end = MAX(end, part->body_start);
		part->body_lines = lines > o->lines_before_body ? lines - o->lines_before_body : 0;
		p->depth--;
	}
}

/* A new part as child of the top. False: no room. */
static bool begin_part(struct mime_parser *p, uint32_t header_start, bool is_message)
{
	if (p->part_count == MIME_PARTS_MAX || p->depth == OPEN_MAX) {
		p->cut = true;
		return false;
	}
	ARRAY_ROOM(p->parts, p->part_count, p->parts_allocated);
	uint32_t index = (uint32_t)p->part_count++;
	p->parts[index] = (struct mime_part){.header_start = header_start};
	if (is_message)
		p->parts[index].envelope = ARENA_NEW(&p->arena, struct mime_envelope);
	if (p->depth > 0) {
		struct open_part *parent = top(p);
		p->parts[index].parent = parent->part;
		if (parent->last_child == MIME_NO_PART)
			p->parts[parent->part].first_child = index;
		else
			p->parts[parent->last_child].next = index;
		parent->last_child = index;
	}
	p->stack[p->depth++] = (struct open_part){.part = index, .in_header = true};
	return true;
}

/* A line of a header, not empty. */
static void header_line(struct mime_parser *p, struct span line)
{
	struct open_part *o = top(p);
	if (line.n && ascii_is_wsp((unsigned char)line.p[0])) {
		if (p->field_number != NO_FIELD)
			append_bounded(p, &p->field, line);
		return;
	}
	end_field(p);
	struct header_field field;
	struct span rest = line;
	if (!header_next(&rest, &field) || !span_is_set(field.name))
		return;
	int number = mime_field_find(field.name, p->parts[o->part].envelope != NULL);
	if (number == MIME_FIELD_NONE || o->seen & UINT32_C(1) << number)
		return;
	p->field_number = number;
	append_bounded(p, &p->field, field.value);
}

static void end_field(struct mime_parser *p)
{
	struct open_part *o = top(p);
	if (p->field_number != NO_FIELD) {
		struct mime_part *part = &p->parts[o->part];
		o->seen |= UINT32_C(1) << p->field_number;
		if (p->arena.total < MIME_KEPT_BYTES_MAX)
			mime_field_take(p->field_number, str_span(&p->field), &p->arena, part,
			    (struct mime_envelope *)part->envelope);
		else
			p->cut = true;
	}
	p->field_number = NO_FIELD;
	str_reset(&p->field);
}

/* The header of the top is complete: what kind of part is this? */
static void end_header(struct mime_parser *p, uint32_t body_start)
{
	end_field(p);
	struct open_part *o = top(p);
	struct mime_part *part = &p->parts[o->part];
	o->in_header = false;
	o->lines_before_body = p->lines;
	part->body_start = part->body_end = body_start;
	if (!span_is_set(part->type))
		default_type(p, part, p->depth > 1 && p->stack[p->depth - 2].is_digest);
	open_container(p, body_start);
}

/* RFC 2045 §5.2, RFC 2046 §5.1.5 */
static void default_type(struct mime_parser *p, struct mime_part *part, bool in_digest)
{
	part->parameters = (struct parameters){NULL, 0};
	if (in_digest) {
		part->type = SPAN("message");
		part->subtype = SPAN("rfc822");
		return;
	}
	part->type = SPAN("text");
	part->subtype = SPAN("plain");
	struct parameter *charset = ARENA_NEW(&p->arena, struct parameter);
	*charset = (struct parameter){SPAN("charset"), SPAN("us-ascii")};
	part->parameters = (struct parameters){charset, 1};
}

static void open_container(struct mime_parser *p, uint32_t body_start)
{
	struct open_part *o = top(p);
	struct mime_part *part = &p->parts[o->part];
	bool room = p->depth < OPEN_MAX && p->part_count < MIME_PARTS_MAX;
	if (span_equal_nocase(part->type, SPAN("multipart"))) {
		struct span boundary = parameter_find(&part->parameters, SPAN("boundary"));
		if (room && boundary.n > 0 && boundary.n <= MIME_BOUNDARY_BYTES_MAX) {
			part->kind = MIME_MULTIPART;
			o->boundary = boundary;
			o->is_digest = span_equal_nocase(part->subtype, SPAN("digest"));
		} else {
			p->cut = p->cut || !room;
			default_type(p, part, false); /* so that its text can be read at all */
		}
	} else if (span_equal_nocase(part->type, SPAN("message")) &&
		   (span_equal_nocase(part->subtype, SPAN("rfc822")) ||
		       span_equal_nocase(part->subtype, SPAN("global")))) {
		if (room) {
			part->kind = MIME_MESSAGE;
			(void)begin_part(p, body_start, true); /* moves parts */
		} else {
			p->cut = true;
			part->type = SPAN("application");
			part->subtype = SPAN("octet-stream");
		}
	}
}

const struct mime_message *mime_parser_end(struct mime_parser *p)
{
	assert(!p->ended);
	p->ended = true;
	if (p->too_big)
		return NULL;
	if (p->line_start < p->offset)
		end_line(p, 0);
	close_above(p, 0, p->offset, p->lines);
	p->message = (struct mime_message){
	    .parts = p->parts, .part_count = p->part_count, .bytes = p->offset, .cut = p->cut};
	return &p->message;
}
