#include "queue/incoming.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ascii.h"
#include "base/codec.h"
#include "base/fault.h"
#include "crypto/crypto.h"
#include "io/file.h"

enum {
	INCOMING_MAGIC = 0x316e4950, /* "PIn1" */
	HEAD_BYTES = 4,
	TAIL_BYTES = 8 + 4,
	BUFFER_BYTES = 32768,
	ID_TIME_CHARS = 9, /* milliseconds since 1970 in base 36: until the year 5188 */
	ID_RANDOM_CHARS =
	    INCOMING_ID_BYTES - ID_TIME_CHARS, /* 62 bits: strangers cannot guess it */
	NAME_MAX_BYTES = 64,
};

struct incoming {
	int folder; /* borrowed */
	int fd;
	int error;	/* sticks */
	uint64_t bytes; /* of the message, buffered ones included */
	struct str out; /* not yet written */
	char id[INCOMING_ID_BYTES + 1];
};

static void draw_id(char id[INCOMING_ID_BYTES + 1]);
static int append(struct incoming *i, struct span bytes);
static int write_out(struct incoming *i);
static void make_wake_mark(int wake_fd, struct span account);
static bool is_same_file(int dirfd, const char *name, const struct stat *st);
static int read_tail(
    int fd, uint64_t size, struct arena *a, struct envelope *ret, uint64_t *ret_end);

int incoming_new(int incoming_fd, struct incoming **ret)
{
	int fd;
	int error = file_draft(incoming_fd, 0600, &fd);
	if (error < 0)
		return error;
	struct incoming *i = xcalloc(1, sizeof(*i));
	i->folder = incoming_fd;
	i->fd = fd;
	str_init(&i->out, ENVELOPE_MAX_BYTES + TAIL_BYTES + BUFFER_BYTES);
	draw_id(i->id);
	put_u32(&i->out, INCOMING_MAGIC);
	*ret = i;
	return 0;
}

void incoming_free(struct incoming *i)
{
	if (!i)
		return;
	close_fd(&i->fd);
	str_clear(&i->out);
	free(i);
}

const char *incoming_id(const struct incoming *i)
{
	return i->id;
}

uint64_t incoming_message_bytes(const struct incoming *i)
{
	return i->bytes;
}

int incoming_write(struct incoming *i, struct span message_bytes)
{
	i->bytes += message_bytes.n;
	return append(i, message_bytes);
}

int incoming_commit(struct incoming *i, const struct envelope *e, int wake_fd, struct span account)
{
	if (i->error < 0)
		return i->error;
	uint64_t offset = HEAD_BYTES + i->bytes;
	envelope_write(e, &i->out);
	put_u64(&i->out, offset);
	put_u32(&i->out, INCOMING_MAGIC);
	int error = str_error(&i->out);
	if (error == 0)
		error = write_out(i);
	if (error == 0)
		error = file_draft_link(i->fd, i->folder, i->id);
	if (error == 0)
		make_wake_mark(wake_fd, account);
	else
		i->error = error;
	return error;
}

/* Time first, so that names sort by age; the rest makes them unique and unguessable. */
static void draw_id(char id[INCOMING_ID_BYTES + 1])
{
	static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
	uint64_t time = (uint64_t)wall_ms(), random;
	random_bytes(&random, sizeof(random));
	for (size_t n = ID_TIME_CHARS; n > 0; n--, time /= 36)
		id[n - 1] = digits[time % 36];
	for (size_t n = INCOMING_ID_BYTES; n > ID_TIME_CHARS; n--, random /= 36)
		id[n - 1] = digits[random % 36];
	id[INCOMING_ID_BYTES] = '\0';
}

bool incoming_id_is_valid(struct span name)
{
	if (name.n == 0 || name.n > NAME_MAX_BYTES)
		return false;
	for (size_t i = 0; i < name.n; i++)
		if (!ascii_is_digit((unsigned char)name.p[i]) &&
		    !ascii_is_lower((unsigned char)name.p[i]))
			return false;
	return true;
}

static int append(struct incoming *i, struct span bytes)
{
	while (i->error == 0 && bytes.n) {
		size_t n = MIN(bytes.n, (size_t)BUFFER_BYTES);
		str_append(&i->out, span_sub(bytes, 0, n));
		bytes = span_from(bytes, n);
		if (i->out.n >= BUFFER_BYTES)
			i->error = write_out(i);
	}
	return i->error;
}

static int write_out(struct incoming *i)
{
	int error = fault("queue-disk-full") ? -ENOSPC : fd_write_all(i->fd, str_span(&i->out));
	str_reset(&i->out);
	return error;
}

/*
 * An existing mark is fine: the runner removes it before it looks, so it has not looked yet.
 * Failure is not told: the message is safe, and the next run finds it.
 */
static void make_wake_mark(int wake_fd, struct span account)
{
	char name[NAME_MAX_BYTES + 1];
	if (account.n == 0 || account.n > NAME_MAX_BYTES)
		return;
	memcpy(name, account.p, account.n);
	name[account.n] = '\0';
	int fd cleanup(close_fd) =
	    openat(wake_fd, name, O_CREAT | O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	(void)fd;
}

int incoming_read(int incoming_fd, const char *name, int taken_fd, struct arena *a,
    struct envelope *ret, int *ret_fd, uint64_t *ret_message_offset, uint64_t *ret_message_bytes)
{
	struct stat st;
	struct envelope e;
	uint64_t end = HEAD_BYTES;
	if (!incoming_id_is_valid(span_cstr(name)))
		return -EBADMSG;
	int fd cleanup(close_fd) =
	    openat(incoming_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return errno == ELOOP || errno == ENXIO ? -EBADMSG : -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	/* Another name could stay when the runner removes this one. */
	nlink_t names = is_same_file(taken_fd, name, &st) ? 2 : 1;
	if (!S_ISREG(st.st_mode) || st.st_nlink != names || st.st_size < HEAD_BYTES + TAIL_BYTES)
		return -EBADMSG;
	int error = read_tail(fd, (uint64_t)st.st_size, a, &e, &end);
	if (error < 0)
		return error;
	*ret = e;
	*ret_fd = fd;
	fd = -1;
	*ret_message_offset = HEAD_BYTES;
	*ret_message_bytes = end - HEAD_BYTES;
	return 0;
}

static bool is_same_file(int dirfd, const char *name, const struct stat *st)
{
	struct stat other;
	return dirfd >= 0 && fstatat(dirfd, name, &other, AT_SYMLINK_NOFOLLOW) == 0 &&
	       other.st_dev == st->st_dev && other.st_ino == st->st_ino;
}

/* Checks both magics and the offset, reads the envelope; *ret_end: where the message ends. */
static int read_tail(
    int fd, uint64_t size, struct arena *a, struct envelope *ret, uint64_t *ret_end)
{
	char head[HEAD_BYTES], tail[TAIL_BYTES];
	int error = fd_pread_all(fd, head, sizeof(head), 0);
	if (error == 0)
		error = fd_pread_all(fd, tail, sizeof(tail), size - TAIL_BYTES);
	if (error < 0)
		return error;
	struct reader h = reader_of(span_of(head, sizeof(head)));
	struct reader t = reader_of(span_of(tail, sizeof(tail)));
	uint32_t first = get_u32(&h);
	uint64_t offset = get_u64(&t);
	uint32_t last = get_u32(&t);
	if (first != INCOMING_MAGIC || last != INCOMING_MAGIC || offset < HEAD_BYTES ||
	    offset > size - TAIL_BYTES || size - TAIL_BYTES - offset > ENVELOPE_MAX_BYTES)
		return -EBADMSG;
	size_t n = (size_t)(size - TAIL_BYTES - offset);
	char *record = arena_alloc(a, n + 1);
	error = fd_pread_all(fd, record, n, offset);
	if (error == 0)
		error = envelope_read(span_of(record, n), a, ret);
	if (error == 0)
		*ret_end = offset;
	return error;
}
