#include "relay/worker.h"

#include <assert.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "io/file.h"

void worker_report(struct worker *w, size_t message, size_t recipient, enum queue_result result,
    const struct queue_attempt *attempt)
{
	struct str out cleanup(str_clear) = STR_INIT(JOB_RESULT_MAX_BYTES + 4);
	struct job_result r = {(uint32_t)message, (uint32_t)recipient, result, *attempt};
	r.attempt.when_s = w->environment->now_s;
	job_result_write(&r, &out);
	assert(!out.failed); /* its fields were cut to fit */
	if (fd_write_all(w->results_fd, str_span(&out)))
		_exit(1);
	w->job->messages[message]->recipients[recipient]->reported = true;
}

void worker_report_message(
    struct worker *w, size_t message, enum queue_result result, const struct queue_attempt *attempt)
{
	struct job_message *m = w->job->messages[message];
	for (size_t i = 0; i < m->recipient_count; i++)
		if (!m->recipients[i]->reported)
			worker_report(w, message, i, result, attempt);
}

void worker_report_rest(
    struct worker *w, size_t message, enum queue_result result, const struct queue_attempt *attempt)
{
	for (; message < w->job->message_count; message++)
		worker_report_message(w, message, result, attempt);
}

void worker_run(struct job *j, const struct worker_environment *e, int results_fd)
{
	struct worker w = {.job = j, .environment = e, .results_fd = results_fd};
	(void)signal(SIGTERM, SIG_DFL); /* the runner's handlers are not for us; none can fail */
	(void)signal(SIGINT, SIG_DFL);
	/* a runner that is killed must not leave deliveries behind whose results nobody notes */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* cannot fail for a valid signal */
	switch (j->plan.kind) {
	case PLAN_LOCAL: deliver_local(&w); break;
	case PLAN_TRANSPORT: deliver_transport(&w); break;
	case PLAN_DIRECT: deliver_direct(&w); break;
	case PLAN_ANSWER: break; /* the runner answers these itself */
	}
	_exit(0); /* the runner's buffers and handlers are not ours to flush */
}
