/* A message in two pieces, its record, what FETCH says of it; then the bytes as a record. */
#include "imap/body.h"
#include "mime/header.h"
#include "mime/summary.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void show(const struct mime_message *m)
{
	struct str out cleanup(str_clear) = STR_INIT(1 << 24);
	imap_put_envelope(&out, m, IMAP_TEXT_ASCII);
	imap_put_body(&out, m, IMAP_BODYSTRUCTURE, IMAP_TEXT_UTF8);
	if (str_error(&out) != 0 || str_span(&out).n == 0)
		abort();
}

static void summarise(struct span text, size_t cut, struct str *record)
{
	struct mime_parser *p = mime_parser_new();
	mime_parser_feed(p, span_sub(text, 0, cut));
	mime_parser_feed(p, span_from(text, cut));
	if (mime_summary_encode(mime_parser_end(p), record) != 0)
		abort();
	mime_parser_free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = span_of(data, size);
	struct arena a cleanup(arena_clear) = {0};
	struct str record cleanup(str_clear) = STR_INIT(MIME_SUMMARY_BYTES_MAX);
	struct str other cleanup(str_clear) = STR_INIT(MIME_SUMMARY_BYTES_MAX);
	const struct mime_message *m;
	summarise(text, 0, &record);
	summarise(text, size / 2, &other);
	if (!span_equal(str_span(&record), str_span(&other)) ||
	    mime_summary_decode(str_span(&record), &a, &m) != 0)
		abort();
	show(m);
	if (mime_summary_decode(text, &a, &m) == 0)
		show(m);
	header_select(text, HEADER_NOT_NAMED, NULL, 0, &other);
	return 0;
}
