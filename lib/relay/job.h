#ifndef POSTERN_RELAY_JOB_H
#define POSTERN_RELAY_JOB_H
/*
 * A job: messages for one next hop, done by one worker process, which reports each recipient's
 * result through a pipe as it comes. The worker is forked from the runner, so it has the job in
 * memory; it cages itself before it meets the message or the network, and dies with the runner.
 */
#include "conf/paths.h"
#include "relay/plan.h"

enum {
	JOB_MESSAGES_MAX = 32,
	JOB_RECIPIENTS_MAX = 100, /* of one message, in one transaction: RFC 5321 §4.5.3.1.8 */
	JOB_RESULT_MAX_BYTES = 4096,
	WORKER_LIFETIME_S = 3600, /* a worker that hangs longer is killed */
};

struct job_recipient {
	struct queue_recipient recipient;
	struct span route; /* of its plan */
	bool reported;
};
struct job_message {
	struct queue_message message;
	int fd; /* msg/ID, opened when the worker starts; -1 before, and in the runner after */
	struct job_recipient *recipients[JOB_RECIPIENTS_MAX];
	size_t recipient_count;
};
struct job {
	struct job *next;
	struct plan plan; /* of the first recipient: kind, account, transport, domain, hop */
	struct job_message *messages[JOB_MESSAGES_MAX];
	size_t message_count;
	struct arena arena; /* everything above lives here */
	/* while it runs */
	pid_t pid; /* 0: waiting */
	int results_fd;
	struct str results;
	int64_t started_ms;
};

struct job_message *job_last_message(const struct job *j); /* NULL: none yet */
void job_close_messages(struct job *j);

struct job_result {
	uint32_t message, recipient; /* indexes */
	enum queue_result result;
	struct queue_attempt attempt; /* without transport and route, which the runner knows */
};
void job_result_write(const struct job_result *r, struct str *out);
/* Takes one result off the front: 0, -EAGAIN (not all there), -EBADMSG. Spans borrow `in`. */
must_use int job_result_read(
    const struct job *j, struct span in, struct job_result *ret, size_t *ret_used);

struct worker_environment {
	const struct paths *paths;
	struct span hostname;
	uint64_t quota_bytes, quota_messages; /* of a local job's account */
	int64_t now_s;
};
/* The worker's main: never returns. */
no_return void worker_run(struct job *j, const struct worker_environment *e, int results_fd);
#endif
