#include <unistd.h>

#include "mime/summary.h"
#include "store/internal.h"

/*
 * Summaries of messages (mime/summary.h): made while a message comes in, kept in cache.tdb. One
 * that is missing, half-written or of another version is made again from the file.
 */

enum { READ_BYTES = 64 * 1024 };

static int summary_of_file(struct store *s, uint64_t id, struct str *out);
static int feed_file(struct mime_parser *p, int fd);

int store_summary(struct store *s, uint64_t message_id, struct arena *a, struct span *ret)
{
	struct span cached;
	if (cache_get(s, message_id, a, &cached) == 0 && cached.n > 0 &&
	    (unsigned char)cached.p[0] == MIME_SUMMARY_VERSION) {
		*ret = cached;
		return 0;
	}
	struct str summary cleanup(str_clear) = STR_INIT(MIME_SUMMARY_BYTES_MAX);
	int error = summary_of_file(s, message_id, &summary);
	if (error < 0)
		return error;
	cache_put(s, message_id, str_span(&summary));
	*ret = arena_span(a, str_span(&summary));
	return 0;
}

void cache_fill(struct store *s, uint64_t id, struct mime_parser *parser)
{
	struct str summary cleanup(str_clear) = STR_INIT(MIME_SUMMARY_BYTES_MAX);
	if (s->cache && mime_summary_encode(mime_parser_end(parser), &summary) == 0)
		cache_put(s, id, str_span(&summary));
}

static int summary_of_file(struct store *s, uint64_t id, struct str *out)
{
	int fd cleanup(close_fd) = -1;
	int error = store_message_open(s, id, &fd);
	if (error < 0)
		return error;
	struct mime_parser *parser = mime_parser_new();
	error = feed_file(parser, fd);
	if (error == 0)
		error = mime_summary_encode(mime_parser_end(parser), out);
	mime_parser_free(parser);
	return error;
}

static int feed_file(struct mime_parser *p, int fd)
{
	char *buffer = xmalloc(READ_BYTES);
	ssize_t n;
	int error = 0;
	while ((n = read(fd, buffer, READ_BYTES)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			error = -errno;
			break;
		}
		mime_parser_feed(p, span_of(buffer, (size_t)n));
	}
	free(buffer);
	return error;
}
