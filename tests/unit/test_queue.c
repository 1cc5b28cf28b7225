#include "tap.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "io/file.h"
#include "queue/queue.h"

static char folder[] = "/tmp/postern-test-queue.XXXXXX";
static const char message_id[] = "0mq8w3k1a2b3c4d5e6f7g";

static int make_incoming(int dir)
{
	int fd = -1;
	check_int(folder_make(dir, "incoming", 0700, &fd), 0);
	int account = -1;
	check_int(folder_make(fd, "user", 0700, &account), 0);
	close_fd(&fd);
	check_int(file_replace(account, message_id, SPAN("XXXXtext\r\n"), 0600), 0);
	return account;
}

static size_t due(struct queue *q, int64_t now_s, struct arena *a, struct queue_recipient **ret,
    int64_t *ret_next_s)
{
	size_t count = 0;
	check_int(queue_due(q, now_s, 10, NULL, NULL, a, ret, &count, ret_next_s), 0);
	return count;
}

/*
 * A crash after the link into msg/ leaves two names; another file of the same name is none of them.
 */
static void test_cut_short(struct queue *q, int dir, int account, const struct envelope *e)
{
	static const char id[] = "0mq8w3k1a2b3c4d5e6f7h";
	struct arena a cleanup(arena_clear) = {0};
	struct incoming *i = NULL;
	struct envelope back;
	uint64_t offset, bytes;
	int messages = -1, wake = -1, fd = -1;
	check_int(folder_open(dir, "msg", &messages), 0);
	check_int(folder_make(dir, "wake", 0700, &wake), 0);
	check_int(incoming_new(account, &i), 0);
	check_int(incoming_write(i, SPAN("text\r\n")), 0);
	check_int(incoming_commit(i, e, wake, SPAN("user")), 0);
	const char *name = incoming_id(i);
	check_int(linkat(account, name, messages, name, 0), 0);
	check_int(queue_read_incoming(q, account, name, &a, &back, &fd, &offset, &bytes), 0);
	close_fd(&fd);
	check_int(linkat(account, name, account, id, 0), 0);
	check_int(queue_read_incoming(q, account, name, &a, &back, &fd, &offset, &bytes), -EBADMSG);
	check_int(unlinkat(account, id, 0) | unlinkat(account, name, 0), 0);
	check_int(file_replace(account, name, SPAN("XXXXtext\r\n"), 0600), 0);
	check_int(queue_take_in(q, account, SPAN("user"), name, e, 4, 6), -EEXIST);
	check_int(unlinkat(account, name, 0) | unlinkat(messages, name, 0), 0);
	incoming_free(i);
	close_fd(&wake);
	close_fd(&messages);
}

static void test_life_of_a_message(int dir)
{
	struct arena a cleanup(arena_clear) = {0};
	struct queue *q = NULL;
	int account = make_incoming(dir);
	struct envelope_recipient to[] = {{.address = SPAN("a@x")}, {.address = SPAN("b@y")}};
	struct envelope e = {.account = SPAN("user"),
	    .sender = SPAN("user@localhost"),
	    .received_s = 1000,
	    .recipients = to,
	    .recipient_count = 2};
	check_int(queue_open(dir, true, &q), 0);
	check_int(queue_take_in(q, account, SPAN("user"), message_id, &e, 4, 6), 0);
	check_int(faccessat(account, message_id, F_OK, 0), -1);
	/* a crash before the removal: the name is there again */
	check_int(file_replace(account, message_id, SPAN("XXXXtext\r\n"), 0600), 0);
	check_int(queue_take_in(q, account, SPAN("user"), message_id, &e, 4, 6), 0);

	test_cut_short(q, dir, account, &e);
	struct queue_recipient *r = NULL;
	int64_t next = 0;
	check_int(due(q, 999, &a, &r, &next), 0);
	check_int(due(q, 1000, &a, &r, &next), 2);
	check_span(r[1].address, SPAN("b@y"));
	check_int(queue_register_attempts(q, r, (int64_t[]){2000, 5000}, 2), 0);
	struct queue_recipient *again = NULL;
	check_int(due(q, 1999, &a, &again, &next), 0);
	check(next >= 1980 && next <= 2000);
	check_int(due(q, 2000, &a, &again, &next), 1);
	check_int(again[0].attempts, 1);

	struct queue_attempt attempt = {
	    .when_s = 1000, .transport = SPAN("local"), .text = SPAN("ok")};
	struct span id = span_cstr(message_id);
	check_int(queue_record_result(q, id, 0, QUEUE_DELIVERED, &attempt, QUEUE_NOTICE_NONE), 0);
	struct queue_message m;
	check_int(queue_message(q, id, &a, &m), 0);
	check_int(m.recipients_left, 1);
	for (int i = 0; i < 12; i++)
		check_int(
		    queue_record_result(q, id, 1, QUEUE_DEFERRED, &attempt, QUEUE_NOTICE_NONE), 0);
	check_int(queue_record_result(q, id, 1, QUEUE_FAILED, &attempt, QUEUE_NOTICE_FAILED), 0);
	check_int(due(q, 1001, &a, &r, &next), 1); /* its notice */
	check_int(r[0].notice, QUEUE_NOTICE_FAILED);
	check_int(r[0].history_count, QUEUE_ATTEMPTS_KEPT);
	check_int(queue_add_notice(q, SPAN("user"), SPAN("user@localhost"),
		      SPAN("Subject: x\r\n\r\n"), false, 1002, r, 1),
	    0);
	check_int(queue_message(q, id, &a, &m), -ENOENT);
	check_int(due(q, 1002, &a, &r, &next), 1);
	check_span(r[0].address, SPAN("user@localhost"));
	check_int(queue_message(q, r[0].id, &a, &m), 0);
	check(m.is_notice && m.bytes == 14);
	int fd = -1;
	check_int(queue_message_open(q, r[0].id, &fd), 0);
	close_fd(&fd);
	check_int(
	    queue_record_result(q, r[0].id, 0, QUEUE_DELIVERED, &attempt, QUEUE_NOTICE_NONE), 0);
	check_int(due(q, 100000, &a, &r, &next), 0);
	check(next == INT64_MAX);
	check_int(queue_sweep(q, 0), 0);
	queue_close(q);
	/* messages without a database: no new one, which would make them leftovers */
	check_int(unlinkat(dir, "queue.tdb", 0), 0);
	check_int(queue_open(dir, true, &q), 0);
	queue_close(q);
	check_int(unlinkat(dir, "queue.tdb", 0), 0);
	check_int(mknodat(dir, "msg/0x", S_IFREG | 0600, 0), 0);
	check_int(queue_open(dir, true, &q), -EUCLEAN);
	check_int(unlinkat(dir, "msg/0x", 0), 0);
	close_fd(&account);
}

int main(void)
{
	check(crypto_init() == 0 && mkdtemp(folder) != NULL);
	int dir = -1;
	check_int(folder_open(AT_FDCWD, folder, &dir), 0);
	test_life_of_a_message(dir);
	close_fd(&dir);
	char command[100];
	(void)snprintf(
	    command, sizeof(command), "find %s/msg -type f | grep -c . | grep -qx 0", folder);
	check_int(system(command), 0); /* no message file is left */
	(void)snprintf(command, sizeof(command), "rm -r %s", folder);
	check_int(system(command), 0);
	return tap_end();
}
