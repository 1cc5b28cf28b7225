#include "imapd/content.h"

#include "base/ascii.h"

#include "imapd/connection.h"
#include "io/file.h"
#include "mime/header.h"
#include "mime/summary.h"
#include "mime/transfer.h"
#include "text/text.h"

enum { SECONDS_PER_DAY = 86400 };

/*
 * A body on its way through: decoded bytes that are not searched yet, and what was searched last.
 */
struct scan {
	struct span charset, needle;
	struct str decoded, utf8, window;
};

static bool load(struct content *t);
static struct span read_header(struct content *t, uint32_t start, uint32_t end, struct arena *a);
static bool part_header_has(struct content *t, const struct mime_part *part, struct span needle);
static bool any_field_has(struct span header, struct span needle);
static bool value_has(struct span value, struct span needle);
static bool address_has(struct span value, struct span needle);
static bool is_text(const struct mime_part *part);
static bool leaf_has(struct content *t, const struct mime_part *part, struct span needle);
static bool scan_piece(struct scan *scan, bool last);
static size_t cut_point(struct span bytes, bool last);
static void casemap(struct span utf8, struct str *out);

void content_close(struct content *t)
{
	close_fd(&t->fd);
}

struct span content_needle(struct span utf8, struct arena *a)
{
	struct str clean cleanup(str_clear) = STR_INIT(CONTENT_NEEDLE_BYTES_MAX);
	struct str mapped cleanup(str_clear) = STR_INIT(CONTENT_NEEDLE_BYTES_MAX);
	text_to_utf8(SPAN("utf-8"), utf8, &clean);
	casemap(str_span(&clean), &mapped);
	return arena_span(a, str_span(&mapped));
}

bool content_header_has(struct content *t, struct span name, struct span needle)
{
	if (!load(t))
		return false;
	struct span rest = t->header;
	struct header_field field;
	while (header_next(&rest, &field)) {
		if (!span_is_set(field.name) || !span_equal_nocase(field.name, name))
			continue;
		if (!needle.n || value_has(field.value, needle))
			return true;
	}
	return false;
}

/*
 * RFC 3501 §6.4.4 searches "the envelope structure's FROM field": comments and blanks within an
 * address, which the header's text has, do not hide it.
 */
bool content_address_has(struct content *t, struct span name, struct span needle)
{
	if (content_header_has(t, name, needle))
		return true;
	struct span rest = t->header;
	struct header_field field;
	while (header_next(&rest, &field))
		if (span_is_set(field.name) && span_equal_nocase(field.name, name) &&
		    address_has(field.value, needle))
			return true;
	return false;
}

bool content_body_has(struct content *t, struct span needle, bool with_header)
{
	if (!load(t))
		return false;
	if (with_header && any_field_has(t->header, needle))
		return true;
	for (size_t i = 0; i < t->structure->part_count && !t->error; i++) {
		const struct mime_part *part = &t->structure->parts[i];
		if (i && part_header_has(t, part, needle))
			return true;
		if (part->kind == MIME_LEAF && is_text(part) && leaf_has(t, part, needle))
			return true;
	}
	return false;
}

bool content_sent_day(struct content *t, int64_t *ret_day)
{
	if (!load(t))
		return false;
	const struct mime_envelope *envelope = t->structure->parts[0].envelope;
	if (!envelope || !envelope->date_is_valid)
		return false;
	int64_t local_s = envelope->date_s + envelope->date_zone_minutes * 60;
	*ret_day = local_s / SECONDS_PER_DAY - (local_s % SECONDS_PER_DAY < 0);
	return true;
}

static bool load(struct content *t)
{
	if (t->error)
		return false;
	if (t->fd >= 0)
		return true;
	struct span record = SPAN_NONE;
	t->error = store_message_open(t->store, t->message_id, &t->fd);
	if (!t->error)
		t->error = store_summary(t->store, t->message_id, t->arena, &record);
	if (!t->error)
		t->error = mime_summary_decode(record, t->arena, &t->structure);
	if (!t->error)
		t->header = read_header(t, t->structure->parts[0].header_start,
		    t->structure->parts[0].body_start, t->arena);
	return !t->error;
}

/* In memory of its own: a message may have many parts, and a command many keys. */
static bool part_header_has(struct content *t, const struct mime_part *part, struct span needle)
{
	struct arena scratch cleanup(arena_clear) = {0};
	return any_field_has(
	    read_header(t, part->header_start, part->body_start, &scratch), needle);
}

static struct span read_header(struct content *t, uint32_t start, uint32_t end, struct arena *a)
{
	size_t bytes = MIN(end - start, (uint32_t)IMAPD_HEADER_BYTES_MAX);
	char *text = arena_alloc(a, MAX(bytes, 1));
	if (!t->error)
		t->error = fd_pread_all(t->fd, text, bytes, start);
	return span_of(text, t->error ? 0 : bytes);
}

static bool any_field_has(struct span header, struct span needle)
{
	struct header_field field;
	while (header_next(&header, &field)) {
		if (span_is_set(field.name) && value_has(field.name, needle))
			return true;
		if (value_has(field.value, needle))
			return true;
	}
	return false;
}

static bool value_has(struct span value, struct span needle)
{
	struct str unfolded cleanup(str_clear) = STR_INIT(IMAPD_HEADER_BYTES_MAX);
	struct str decoded cleanup(str_clear) = STR_INIT(IMAPD_HEADER_BYTES_MAX * 3);
	struct str mapped cleanup(str_clear) = STR_INIT(IMAPD_OUT_BYTES_MAX * 2);
	header_unfold(value, &unfolded);
	text_decode_words(str_span(&unfolded), &decoded);
	casemap(str_span(&decoded), &mapped);
	return span_find(str_span(&mapped), needle) != SIZE_MAX;
}

static bool address_has(struct span value, struct span needle)
{
	struct arena scratch cleanup(arena_clear) = {0};
	struct address_list list = address_parse(value, &scratch);
	struct str address cleanup(str_clear) = STR_INIT(IMAPD_HEADER_BYTES_MAX * 2);
	struct str mapped cleanup(str_clear) = STR_INIT(IMAPD_OUT_BYTES_MAX * 2);
	for (size_t i = 0; i < list.count; i++) {
		if (list.items[i].kind != ADDRESS_MAILBOX)
			continue;
		str_reset(&address);
		str_reset(&mapped);
		address_put(&address, &list.items[i]);
		casemap(str_span(&address), &mapped);
		if (span_find(str_span(&mapped), needle) != SIZE_MAX)
			return true;
	}
	return false;
}

static bool is_text(const struct mime_part *part)
{
	return span_equal_nocase(part->type, SPAN("text"));
}

static bool leaf_has(struct content *t, const struct mime_part *part, struct span needle)
{
	char piece[CONTENT_PIECE_BYTES / 3];
	struct scan scan = {
	    .charset = parameter_find(&part->parameters, SPAN("charset")), .needle = needle};
	str_init(&scan.decoded, CONTENT_PIECE_BYTES * 2);
	str_init(&scan.utf8, CONTENT_PIECE_BYTES * 8);
	str_init(&scan.window, CONTENT_PIECE_BYTES * 64 + CONTENT_NEEDLE_BYTES_MAX);
	struct transfer_decoder decoder = transfer_decoder_of(transfer_encoding_of(part->encoding));
	bool found = false;
	for (uint32_t at = part->body_start; at < part->body_end && !found && !t->error;) {
		size_t n = MIN(part->body_end - at, (uint32_t)sizeof(piece));
		if ((t->error = fd_pread_all(t->fd, piece, n, at)))
			break;
		at += (uint32_t)n;
		transfer_decode(&decoder, span_of(piece, n), &scan.decoded);
		if (at == part->body_end)
			transfer_decode_end(&decoder, &scan.decoded);
		found = scan_piece(&scan, at == part->body_end);
	}
	str_clear(&scan.decoded);
	str_clear(&scan.utf8);
	str_clear(&scan.window);
	return found;
}

/* Searches what is complete of scan->decoded; keeps of the text what may begin the needle. */
static bool scan_piece(struct scan *scan, bool last)
{
	size_t cut = cut_point(str_span(&scan->decoded), last);
	str_reset(&scan->utf8);
	text_to_utf8(scan->charset, span_sub(str_span(&scan->decoded), 0, cut), &scan->utf8);
	str_drop_front(&scan->decoded, cut);
	if (scan->window.n >= scan->needle.n)
		str_drop_front(&scan->window, scan->window.n - scan->needle.n + 1);
	casemap(str_span(&scan->utf8), &scan->window);
	return span_find(str_span(&scan->window), scan->needle) != SIZE_MAX;
}

/*
 * How much can be converted on its own: whole lines, as charsets with shifts begin each line anew
 * (RFC 1468); of a longer piece without one, a multiple of four bytes, for UTF-16 and UTF-32.
 */
static size_t cut_point(struct span bytes, bool last)
{
	if (last)
		return bytes.n;
	size_t line_end = span_last_index(bytes, '\n');
	if (line_end != SIZE_MAX)
		return line_end + 1;
	return bytes.n < CONTENT_PIECE_BYTES ? 0 : bytes.n & ~(size_t)3;
}

/* Most text is ASCII, for which casemap is upper case. text_casemap() refuses NULs. */
static void casemap(struct span utf8, struct str *out)
{
	char *text = NULL;
	if (span_is_ascii(utf8)) {
		text = str_extend(out, utf8.n);
		for (size_t i = 0; text && i < utf8.n; i++)
			text[i] = (char)ascii_upper((unsigned char)utf8.p[i]);
		return;
	}
	struct str clean cleanup(str_clear) = STR_INIT(IMAPD_OUT_BYTES_MAX * 2);
	str_append(&clean, utf8);
	for (size_t i = 0; i < clean.n; i++)
		if (!clean.data[i])
			clean.data[i] = ' ';
	ignore_result(text_casemap(str_span(&clean), out)); /* text_to_utf8() made it UTF-8 */
}
