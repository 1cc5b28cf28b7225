/* Commands: the assembler over the raw bytes, the parser over what it yields, and over all. */
#include "imap/command.h"
#include "imap/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void parse(struct span text)
{
	for (int mode = IMAP_TEXT_ASCII; mode <= IMAP_TEXT_UTF8; mode++) {
		struct arena a cleanup(arena_clear) = {0};
		struct imap_command command;
		const char *error = NULL;
		if (imap_command_parse(text, (enum imap_text)mode, &a, &command, &error) != 0 &&
		    !error)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span input = span_of(data, size);
	struct str said cleanup(str_clear) = STR_INIT(1 << 20);
	struct stream *s = stream_memory(input, &said);
	struct imap_reader r;
	imap_reader_init(&r, s, &IMAP_LIMITS_BEFORE_LOGIN);
	enum imap_read got;
	while ((got = imap_reader_next(&r)) <= IMAP_READ_LITERAL_TOO_BIG) {
		parse(str_span(&r.text));
		if (got == IMAP_READ_APPEND && imap_reader_refuse(&r) != IMAP_READ_COMMAND)
			break;
	}
	imap_reader_clear(&r);
	stream_free(s);
	parse(input);
	return 0;
}
