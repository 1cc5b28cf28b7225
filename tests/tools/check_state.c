/*
 * check_state DIR: looks at all databases below the state folder DIR as a clean process would find
 * them, lets libtdb recover them, and says what a crash left in stores and queue, one line each.
 * Exit status 1: something is wrong, and was said.
 */
#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/arena.h"
#include "crypto/crypto.h"
#include "db/db.h"
#include "io/file.h"
#include "queue/queue.h"
#include "store/store.h"

static int problems;

static void problem(const char *where, struct span text)
{
	printf("problem: %s: %.*s\n", where, SPAN_ARG(text));
	problems++;
}

static void show_problem(void *context, struct span text)
{
	problem(context, text);
}

static void check_db(int dirfd, const char *folder, const char *name)
{
	int fd cleanup(close_fd) = -1;
	struct db *db = NULL;
	int error = folder_open(dirfd, folder, &fd);
	if (error == 0)
		error = db_open(fd, name, DB_DURABLE, DB_READ_WRITE, 0, &db);
	if (error == -ENOENT)
		return; /* never made */
	if (error == 0)
		error = db_check(db);
	db_close(db);
	if (error < 0)
		problem(folder, span_cstr(strerror(-error)));
}

static void check_store(int dirfd, const char *name)
{
	int fd cleanup(close_fd) = -1;
	struct store *s = NULL;
	struct store_check options = {.problem = show_problem, .context = (void *)name};
	struct store_check_result result = {0};
	int error = folder_open(dirfd, name, &fd);
	if (error == 0)
		error = store_open(fd, false, &s);
	if (error == -ENOENT)
		return;
	if (error == 0)
		error = store_check(s, &options, &result);
	store_close(s);
	if (error < 0 && error != -EUCLEAN)
		problem(name, span_cstr(strerror(-error)));
	printf("mail %s: unreferenced=%llu missing=%llu\n", name,
	    (unsigned long long)result.unreferenced_files,
	    (unsigned long long)result.missing_files);
}

static void each_folder(int dirfd, const char *folder, void (*fn)(int dirfd, const char *name))
{
	int fd;
	if (folder_open(dirfd, folder, &fd) < 0)
		return;
	DIR *d = fdopendir(fd);
	if (!d) {
		close_fd(&fd);
		return;
	}
	for (struct dirent *e; (e = readdir(d));)
		if (e->d_name[0] != '.')
			fn(fd, e->d_name);
	(void)closedir(d); /* was only read */
}

static void check_credentials(int dirfd, const char *name)
{
	check_db(dirfd, name, "credentials.tdb");
}

struct queue_count {
	struct queue *queue;
	struct arena arena;
	struct span last; /* message, whose recipients come in a row */
	uint32_t last_left, last_seen;
	unsigned messages, recipients;
};

static void end_message(struct queue_count *c)
{
	if (c->last.n && c->last_left != c->last_seen)
		problem("queue", SPAN("a message's count of recipients is wrong"));
}

static int count_recipient(
    const struct queue_message *m, const struct queue_recipient *r, void *context)
{
	struct queue_count *c = context;
	(void)r;
	if (!span_equal(c->last, m->id)) {
		int fd cleanup(close_fd) = -1;
		end_message(c);
		c->last = arena_span(&c->arena, m->id);
		c->last_left = m->recipients_left;
		c->last_seen = 0;
		c->messages++;
		if (queue_message_open(c->queue, m->id, &fd) < 0)
			problem("queue", SPAN("a message has no file"));
	}
	c->last_seen++;
	c->recipients++;
	return 0;
}

static void check_queue(int state_fd)
{
	int fd cleanup(close_fd) = -1, files cleanup(close_fd) = -1;
	struct queue_count c = {0};
	unsigned names = 0;
	check_db(state_fd, "queue", "queue.tdb");
	if (folder_open(state_fd, "queue", &fd) < 0 || queue_open(fd, false, &c.queue) < 0)
		return; /* never made */
	if (queue_each(c.queue, count_recipient, &c) < 0)
		problem("queue", SPAN("cannot be read"));
	end_message(&c);
	queue_close(c.queue);
	arena_clear(&c.arena);
	if (folder_open(fd, "msg", &files) == 0) {
		DIR *d = fdopendir(files);
		for (struct dirent *e; d && (e = readdir(d));)
			names += e->d_name[0] != '.';
		if (d) {
			(void)closedir(d); /* was only read */
			files = -1;
		}
	}
	printf("queue: messages=%u recipients=%u files=%u\n", c.messages, c.recipients, names);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 64;
	int state cleanup(close_fd) = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (state < 0 || crypto_init() < 0)
		return 64;
	check_db(state, "config", "config.tdb");
	check_db(state, "keys", "keys.tdb");
	each_folder(state, "accounts", check_credentials);
	each_folder(state, "mail", check_store);
	check_queue(state);
	return problems > 0;
}
