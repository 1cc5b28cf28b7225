#include "queue/incoming.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/codec.h"
#include "io/file.h"
#include "tap.h"

static char folder[] = "/tmp/postern-incoming-XXXXXX";
static int incoming_fd = -1, wake_fd = -1;

static const struct envelope_recipient recipients[] = {
    {SPAN("b@b.example"), NOTIFY_SUCCESS | NOTIFY_DELAY, SPAN("rfc822;b+40b.example")},
    {SPAN("\"c d\"@c.example"), NOTIFY_DEFAULT, SPAN("")},
};
static struct envelope sample(void)
{
	return (struct envelope){.account = SPAN("a"),
	    .sender = SPAN("a@a.example"),
	    .client = SPAN("submission TLS-KEY"),
	    .received_s = 1700000000,
	    .body = QUEUE_BODY_8BITMIME,
	    .smtputf8 = true,
	    .return_headers = true,
	    .envid = SPAN("x+2B"),
	    .recipients = recipients,
	    .recipient_count = ARRAY_SIZE(recipients)};
}

static unsigned count_names(int fd)
{
	unsigned n = 0;
	DIR *d = fdopendir(openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	for (struct dirent *e; (e = readdir(d));)
		n += e->d_name[0] != '.';
	(void)closedir(d);
	return n;
}

static void test_commit(void)
{
	struct arena a cleanup(arena_clear) = {0};
	struct incoming *i;
	struct envelope e = sample(), back;
	check_int(incoming_new(incoming_fd, &i), 0);
	check(incoming_id_is_valid(span_cstr(incoming_id(i))));
	check_int(strlen(incoming_id(i)), INCOMING_ID_BYTES);
	char *id = arena_cstr(&a, span_cstr(incoming_id(i)));
	struct str message cleanup(str_clear) = STR_INIT(1 << 20);
	for (int n = 0; n < 20000; n++)
		str_append_cstr(&message, "From: a line\r\n");
	check_int(incoming_write(i, span_sub(str_span(&message), 0, 5)), 0);
	check_int(incoming_write(i, span_from(str_span(&message), 5)), 0);
	check_int(incoming_message_bytes(i), message.n);
	check_int(count_names(incoming_fd), 0);
	check_int(incoming_commit(i, &e, wake_fd, SPAN("a")), 0);
	incoming_free(i);
	check_int(count_names(incoming_fd), 1);
	check_int(count_names(wake_fd), 1);

	int fd = -1;
	uint64_t offset = 0, bytes = 0;
	check_int(incoming_read(incoming_fd, id, -1, &a, &back, &fd, &offset, &bytes), 0);
	check_int(bytes, message.n);
	char *text = xmalloc(message.n);
	check_int(fd_pread_all(fd, text, message.n, offset), 0);
	check(memcmp(text, message.data, message.n) == 0);
	free(text);
	close_fd(&fd);
	check_span(back.sender, e.sender);
	check_span(back.envid, e.envid);
	check_span(back.client, e.client);
	check(back.smtputf8 && back.return_headers && !back.return_full && !back.require_tls);
	check_int(back.received_s, e.received_s);
	check_int(back.body, e.body);
	check_int(back.recipient_count, 2);
	check_span(back.recipients[1].address, recipients[1].address);
	check_int(back.recipients[0].notify, recipients[0].notify);
	check_span(back.recipients[0].original, recipients[0].original);
	check_int(unlinkat(incoming_fd, id, 0), 0);
}

/* Freed without commit: nothing stays. */
static void test_nothing_kept(void)
{
	struct incoming *i;
	check_int(incoming_new(incoming_fd, &i), 0);
	check_int(incoming_write(i, SPAN("x\r\n")), 0);
	incoming_free(i);
	check_int(count_names(incoming_fd), 0);
}

static void test_ids(void)
{
	char last[INCOMING_ID_BYTES + 1] = "";
	for (int n = 0; n < 3; n++) {
		struct incoming *i;
		check_int(incoming_new(incoming_fd, &i), 0);
		check_named(strcmp(incoming_id(i), last) > 0, "ids sort by time");
		memcpy(last, incoming_id(i), sizeof(last));
		incoming_free(i);
		usleep(2000);
	}
	check(!incoming_id_is_valid(SPAN("")));
	check(!incoming_id_is_valid(SPAN("../x")));
	check(!incoming_id_is_valid(SPAN("A")));
	check(!incoming_id_is_valid(SPAN(".x")));
}

static void put_file(const char *name, struct span bytes)
{
	int fd = openat(incoming_fd, name, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
	if (fd < 0 || fd_write_all(fd, bytes) < 0)
		abort();
	close_fd(&fd);
}

static int try_read(const char *name)
{
	struct arena a cleanup(arena_clear) = {0};
	struct envelope e;
	int fd = -1;
	uint64_t offset, bytes;
	int error = incoming_read(incoming_fd, name, -1, &a, &e, &fd, &offset, &bytes);
	close_fd(&fd);
	return error;
}

/* A good file, torn at every byte and with every byte of its frame changed. */
static void test_torn(void)
{
	struct arena a cleanup(arena_clear) = {0};
	struct envelope e = sample();
	struct incoming *i;
	struct str good cleanup(str_clear) = STR_INIT(4096);
	check_int(incoming_new(incoming_fd, &i), 0);
	check_int(incoming_write(i, SPAN("A: b\r\n\r\nc\r\n")), 0);
	check_int(incoming_commit(i, &e, wake_fd, SPAN("a")), 0);
	char *id = arena_cstr(&a, span_cstr(incoming_id(i)));
	incoming_free(i);
	check_int(file_read(incoming_fd, id, &good), 0);
	unsigned bad = 0;
	for (size_t n = 0; n < good.n; n++) {
		put_file("torn", span_sub(str_span(&good), 0, n));
		bad += try_read("torn") != -EBADMSG;
	}
	check_named(bad == 0, "every torn file is refused");
	for (size_t n = 0; n < good.n; n++) {
		good.data[n] ^= 0x55;
		put_file("torn", str_span(&good));
		int error = try_read("torn");
		bool in_message = n >= 4 && n < 15;
		bad += in_message ? error != 0 : error != 0 && error != -EBADMSG;
		good.data[n] ^= 0x55;
	}
	check_named(bad == 0, "a changed byte is refused or harmless");
	check_int(unlinkat(incoming_fd, "torn", 0), 0);

	check_int(linkat(incoming_fd, id, incoming_fd, "second", 0), 0);
	check_named(try_read(id) == -EBADMSG, "a second name is refused");
	check_int(unlinkat(incoming_fd, "second", 0), 0);
	check_int(try_read(id), 0);
	check_int(symlinkat(id, incoming_fd, "link"), 0);
	check_named(try_read("link") == -EBADMSG, "a symbolic link is refused");
	check_int(unlinkat(incoming_fd, "link", 0), 0);
	check_int(mkfifoat(incoming_fd, "fifo", 0600), 0);
	check_named(try_read("fifo") == -EBADMSG, "a fifo is refused and does not block");
	check_int(unlinkat(incoming_fd, "fifo", 0), 0);
	check_int(mkdirat(incoming_fd, "dir", 0700), 0);
	check_named(try_read("dir") == -EBADMSG, "a folder is refused");
	check_int(unlinkat(incoming_fd, "dir", AT_REMOVEDIR), 0);
	check_int(try_read("../wake"), -EBADMSG);
	check_int(try_read("none"), -ENOENT);
	check_int(unlinkat(incoming_fd, id, 0), 0);
}

static void test_envelope_refused(void)
{
	static const struct span bad_addresses[] = {SPAN(""), SPAN("a"), SPAN("a@b\r\nDATA"),
	    SPAN("a b@c"), SPAN("a@b> SIZE=0"), SPAN("<a@b>"), SPAN("a@b\0")};
	for (size_t i = 0; i < ARRAY_SIZE(bad_addresses); i++) {
		struct arena a cleanup(arena_clear) = {0};
		struct str record cleanup(str_clear) = STR_INIT(4096);
		struct envelope e = sample(), back;
		struct envelope_recipient one = {.address = bad_addresses[i]};
		e.recipients = &one;
		e.recipient_count = 1;
		envelope_write(&e, &record);
		check_int(envelope_read(str_span(&record), &a, &back), -EBADMSG);
	}
	struct arena a cleanup(arena_clear) = {0};
	struct str record cleanup(str_clear) = STR_INIT(4096);
	struct envelope e = sample(), back;
	e.recipient_count = 0;
	envelope_write(&e, &record);
	check_int(envelope_read(str_span(&record), &a, &back), -EBADMSG);
	str_reset(&record);
	e = sample();
	e.envid = SPAN("a=b");
	envelope_write(&e, &record);
	check_int(envelope_read(str_span(&record), &a, &back), -EBADMSG);
	/* a count that the record cannot hold must not become memory */
	str_reset(&record);
	e = sample();
	envelope_write(&e, &record);
	str_truncate(&record, record.n - 20);
	check_int(envelope_read(str_span(&record), &a, &back), -EBADMSG);
}

int main(void)
{
	if (!mkdtemp(folder))
		return 1;
	int top = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder_make(top, "incoming", 0700, &incoming_fd) < 0 ||
	    folder_make(top, "wake", 0700, &wake_fd) < 0)
		return 1;
	test_commit();
	test_nothing_kept();
	test_ids();
	test_torn();
	test_envelope_refused();
	(void)unlinkat(wake_fd, "a", 0);
	check_int(unlinkat(top, "incoming", AT_REMOVEDIR), 0);
	check_int(unlinkat(top, "wake", AT_REMOVEDIR), 0);
	check_int(rmdir(folder), 0);
	close_fd(&incoming_fd);
	close_fd(&wake_fd);
	close_fd(&top);
	return tap_end();
}
