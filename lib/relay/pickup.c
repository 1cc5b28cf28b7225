#include "relay/pickup.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/paths.h"
#include "crypto/crypto.h"
#include "io/file.h"
#include "smtp/data.h"
#include "submitd/intake.h"
#include "submitd/policy.h"
#include "sys/log.h"

enum { BAD_NAME_CHARS = 24 };

enum { TEXT_PIECE_BYTES = 65536 };

static int remove_mark(const char *name, void *context)
{
	const int *wake_fd = context;
	return unlinkat(*wake_fd, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

static int found_mark(const char *name, void *context)
{
	(void)name;
	(void)context;
	return 1;
}

bool pickup_wake_is_empty(int wake_fd)
{
	return folder_each(wake_fd, found_mark, NULL) == 0;
}

struct pickup {
	struct queue *queue;
	struct config *config;
	const struct config_global *global;
	int queue_fd, incoming_fd, bad_fd;
	int account_fd; /* the folder at hand */
	struct span account;
	struct arena *arena;
};

/* From and Sender are the account's (the same check as at submission). 0, -EINVAL, our failure. */
static int check_header(struct pickup *i, int fd, uint64_t offset, uint64_t bytes)
{
	enum { QUEUED_HEADER_MAX_BYTES = INTAKE_HEADER_MAX_BYTES + INTAKE_ADDED_MAX_BYTES };
	struct str header cleanup(str_clear) = STR_INIT(QUEUED_HEADER_MAX_BYTES);
	struct session account = {.config = i->config, .login = {.account = i->account}};
	struct smtp_status refusal;
	size_t n = (size_t)MIN(bytes, (uint64_t)QUEUED_HEADER_MAX_BYTES);
	int error = fd_pread_all(fd, str_extend(&header, n), n, offset);
	if (error)
		return error;
	size_t end = span_find(str_span(&header), SPAN("\r\n\r\n"));
	if (end != SIZE_MAX)
		str_truncate(&header, end + 2);
	error = policy_header(&account, str_span(&header), &refusal);
	return error && refusal.code < 500 ? -EIO : error;
}

/* Canonical CRLF text: a stray CR or LF would end the message elsewhere (SMTP smuggling). */
static int check_text(int fd, uint64_t offset, uint64_t bytes)
{
	struct smtp_text seen = {0};
	char *piece = xmalloc(TEXT_PIECE_BYTES);
	int error = 0;
	for (uint64_t done = 0; !error && done < bytes;) {
		size_t n = (size_t)MIN(bytes - done, (uint64_t)TEXT_PIECE_BYTES);
		error = fd_pread_all(fd, piece, n, offset + done);
		if (!error)
			smtp_text_check(&seen, span_of(piece, n));
		done += n;
	}
	free(piece);
	smtp_text_end(&seen);
	return error || !(seen.bare || seen.nul) ? error : -EINVAL;
}

/*
 * Is the message what this account's session may have committed? *ret_why: the objection, or NULL.
 */
static int examine(struct pickup *i, const struct envelope *e, int fd, uint64_t offset,
    uint64_t bytes, const char **ret_why)
{
	struct span owner, canonical;
	*ret_why = NULL;
	if (e->recipient_count > i->global->recipients_max)
		*ret_why = "too many recipients";
	else if (bytes > i->global->message_size_max + INTAKE_ADDED_MAX_BYTES)
		*ret_why = "too large";
	if (*ret_why)
		return 0;
	int error = e->sender.n ? config_find_address(
				      i->config, e->sender, i->arena, &owner, &canonical, NULL)
				: 0;
	if (error == -ENOENT || error == -EINVAL ||
	    (!error && e->sender.n && !span_equal(owner, i->account))) {
		*ret_why = "the sender is not the account's";
		return 0;
	}
	if (!error) {
		error = check_header(i, fd, offset, bytes);
		*ret_why = error == -EINVAL ? "From or Sender is not the account's" : NULL;
	}
	if (!error) {
		error = check_text(fd, offset, bytes);
		*ret_why = error == -EINVAL ? "its lines do not end in CRLF" : NULL;
	}
	return *ret_why ? 0 : error;
}

/* A file that cannot be dealt with stays where it is: it must not hold up everybody's mail. */
static void leave(struct pickup *i, const char *name, const char *what, int error)
{
	struct str quoted cleanup(str_clear) = STR_INIT(1200);
	log_quote(span_cstr(name), 255, &quoted);
	log_line(LOG_LEVEL_ERROR, "incoming/%.*s/%s cannot be %s: %s", SPAN_ARG(i->account),
	    quoted.data, what, strerror(-error));
}

static void put_aside(struct pickup *i, const char *name, const char *why)
{
	struct str to cleanup(str_clear) = STR_INIT(400);
	struct str quoted cleanup(str_clear) = STR_INIT(1200);
	str_format(&to, "%.*s-%s", SPAN_ARG(i->account), name);
	int error = file_move(i->account_fd, name, i->bad_fd, to.data);
	if (error == -EEXIST || error == -ENAMETOOLONG) {
		/* such a file's name is the session's choice, too */
		char other[BAD_NAME_CHARS + 1];
		random_name(other, BAD_NAME_CHARS);
		str_reset(&to);
		str_format(&to, "%.*s-%s", SPAN_ARG(i->account), other);
		error = file_move(i->account_fd, name, i->bad_fd, to.data);
	}
	if (error) {
		leave(i, name, "moved to queue/bad", error);
		return;
	}
	log_quote(span_cstr(name), 255, &quoted);
	log_line(LOG_LEVEL_ERROR, "bad file incoming/%.*s/%s: %s; moved to queue/bad/%s",
	    SPAN_ARG(i->account), quoted.data, why, to.data);
}

static int take_file(const char *name, void *context)
{
	struct pickup *i = context;
	struct envelope e;
	uint64_t offset, bytes;
	int fd cleanup(close_fd) = -1;
	int error = incoming_id_is_valid(span_cstr(name))
			? queue_read_incoming(
			      i->queue, i->account_fd, name, i->arena, &e, &fd, &offset, &bytes)
			: -EBADMSG;
	const char *why = error == -EBADMSG ? "not a message of ours" : NULL;
	if (error == -ENOENT)
		return 0;
	if (!error)
		error = examine(i, &e, fd, offset, bytes, &why);
	if (error && !why) {
		leave(i, name, "read", error);
		return 0;
	}
	if (!why)
		error = queue_take_in(i->queue, i->account_fd, i->account, name, &e, offset, bytes);
	if (error == -EEXIST)
		why = "another message has its id";
	if (why) {
		put_aside(i, name, why);
		return 0;
	}
	/* other errors end the run: what was taken in by half must not be delivered */
	if (!error) {
		struct str from cleanup(str_clear) = STR_INIT(4096);
		log_quote_word(e.sender, 320, &from);
		log_line(LOG_LEVEL_INFO,
		    "queued id=%s account=%.*s from=<%s> recipients=%zu bytes=%llu", name,
		    SPAN_ARG(i->account), from.data, e.recipient_count, (unsigned long long)bytes);
	}
	return error;
}

static int take_folder(const char *name, void *context)
{
	struct pickup *i = context;
	int fd cleanup(close_fd) = -1;
	if (!account_name_is_valid(span_cstr(name)))
		return 0;
	int error = folder_open(i->incoming_fd, name, &fd);
	if (error)
		return error == -ENOTDIR ? 0 : error;
	i->account_fd = fd;
	i->account = span_cstr(name);
	return folder_each(fd, take_file, i);
}

int pickup_run(struct queue *q, struct config *c, const struct config_global *global, int queue_fd,
    struct arena *a)
{
	int wake cleanup(close_fd) = -1, incoming cleanup(close_fd) = -1,
		 bad cleanup(close_fd) = -1;
	int error = folder_open(queue_fd, "wake", &wake);
	if (!error)
		error = folder_open(queue_fd, "incoming", &incoming);
	if (!error)
		error = folder_make(queue_fd, "bad", 0700, &bad);
	/* first the marks, then the look: what comes in between makes a new mark */
	if (!error)
		error = folder_each(wake, remove_mark, &wake);
	struct pickup i = {q, c, global, queue_fd, incoming, bad, -1, SPAN(""), a};
	return error ? error : folder_each(incoming, take_folder, &i);
}
