#ifndef POSTERN_RELAY_WORKER_H
#define POSTERN_RELAY_WORKER_H
/* Inside a worker process: what worker.c gives to the ways of delivering, each in a file. */
#include "relay/job.h"

struct worker {
	struct job *job;
	const struct worker_environment *environment;
	int results_fd;
	struct arena arena;
};
/* Tells the runner; never fails: without its runner a worker exits. */
void worker_report(struct worker *w, size_t message, size_t recipient, enum queue_result result,
    const struct queue_attempt *attempt);
/* The same for all recipients not yet reported of one message, or of all from `message` on. */
void worker_report_message(struct worker *w, size_t message, enum queue_result result,
    const struct queue_attempt *attempt);
void worker_report_rest(struct worker *w, size_t message, enum queue_result result,
    const struct queue_attempt *attempt);

void deliver_local(struct worker *w);
void deliver_transport(struct worker *w);
void deliver_direct(struct worker *w);
#endif
