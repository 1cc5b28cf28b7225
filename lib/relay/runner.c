#include "relay/runner.h"

#include <assert.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "io/file.h"
#include "relay/pickup.h"
#include "relay/jobs.h"
#include "relay/notice.h"
#include "sys/log.h"

enum {
	DUE_MAX = 1000,	       /* recipients looked at in one pass */
	LOCAL_WORKERS_MAX = 4, /* besides the others: a slow host never holds up local mail */
	FAILED_PAUSE_S = 10,   /* before a failed exit: systemd starts the next run at once */
	LINGER_S = 30,	       /* the run stays for what is due so soon */
	JITTER_PERCENT = 10,   /* of a wait, either way */
	RETRY_OWN_FAILURE_S = 60,
};

struct runner {
	const struct runner_options *options;
	struct arena arena; /* of one pass */
	struct config *config;
	struct config_global global;
	struct queue *queue;
	int state_fd, queue_fd, wake_fd, inotify_fd, lock_fd;
	struct jobs jobs;
	const char *at;	 /* the file at hand, for the message when all fails */
	bool look, plan; /* what the next pass has to do */
	int64_t next_due_s;
};

static volatile sig_atomic_t stop_requested;

static void log_result(struct span transport, const struct queue_message *m,
    const struct queue_recipient *to, uint32_t attempt, enum queue_result result,
    const struct queue_attempt *a);
static int setup(struct runner *r);
static void teardown(struct runner *r);
static int pass(struct runner *r);
static int plan_due(struct runner *r);
static void start_jobs(struct runner *r);
static bool wait_for_events(struct runner *r);
static bool read_results(struct runner *r, struct job *j);
static void finish_job(struct runner *r, struct job *j);

static int64_t now_s(const struct runner *r)
{
	if (!r->options->clock_file)
		return wall_ms() / 1000;
	struct str text cleanup(str_clear) = STR_INIT(32);
	uint64_t seconds = 0;
	if (file_read(AT_FDCWD, r->options->clock_file, &text) ||
	    span_to_u64(span_trim(str_span(&text)), INT64_MAX, &seconds))
		return wall_ms() / 1000;
	return (int64_t)seconds;
}

static void request_stop(int signal_number)
{
	(void)signal_number;
	stop_requested = 1;
}

int runner_run(const struct runner_options *o)
{
	struct runner r = {.options = o,
	    .state_fd = -1,
	    .queue_fd = -1,
	    .wake_fd = -1,
	    .inotify_fd = -1,
	    .lock_fd = -1,
	    .look = true};
	struct sigaction on_stop = {.sa_handler = request_stop};
	(void)sigaction(SIGTERM, &on_stop, NULL); /* cannot fail for these signals */
	(void)sigaction(SIGINT, &on_stop, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	int error = setup(&r);
	while (error == 0 && !stop_requested) {
		error = pass(&r);
		if (error || !wait_for_events(&r))
			break;
	}
	teardown(&r);
	if (error == 0 || error == -EALREADY) /* the latter: another run is at work */
		return 0;
	const char *cure = error == -ENOENT ? "; run \"postern config apply\""
			   : error == -EUCLEAN
			       ? "; it is damaged: config.tdb is made again by "
				 "\"postern config apply\", others come from a backup"
			       : "";
	log_line(LOG_LEVEL_ERROR, "queue run failed at %s: %s%s", r.at, strerror(-error), cure);
	/* the wake marks are still there, and systemd would start the next run at once */
	if (!stop_requested && getenv("INVOCATION_ID"))
		(void)sleep(FAILED_PAUSE_S); /* a signal may end it early */
	return error == -ENOENT ? EX_CONFIG : EX_TEMPFAIL;
}

/*
 * -- begin and end ------------------------------------------------------------------------------
 */

static int take_lock(struct runner *r)
{
	r->lock_fd = openat(r->queue_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (r->lock_fd < 0)
		return -errno;
	if (flock(r->lock_fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	return errno == EWOULDBLOCK ? -EALREADY : -errno;
}

static int setup(struct runner *r)
{
	int error = crypto_init();
	r->at = "the state folder";
	if (!error)
		error = paths_open_state(r->options->paths, &r->state_fd);
	if (!error)
		error = folder_open(r->state_fd, "queue", &r->queue_fd);
	if (!error)
		error = take_lock(r);
	if (!error)
		error = folder_open(r->queue_fd, "wake", &r->wake_fd);
	r->at = "queue/queue.tdb";
	if (!error)
		error = queue_open(r->queue_fd, true, &r->queue);
	if (error)
		return error;
	r->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	char path[64];
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", r->wake_fd); /* always fits */
	/* without inotify (instances used up) wait_for_events() looks every second */
	if (r->inotify_fd >= 0 &&
	    inotify_add_watch(r->inotify_fd, path, IN_CREATE | IN_MOVED_TO) < 0)
		close_fd(&r->inotify_fd);
	return queue_sweep(r->queue, wall_ms() / 1000);
}

static void teardown(struct runner *r)
{
	/* what a worker has reported is noted, or it would be delivered again */
	for (struct job *j = r->jobs.first; j; j = j->next)
		if (j->pid)
			(void)kill(j->pid, SIGTERM); /* it may have ended */
	for (struct job *j = r->jobs.first, *next; j; j = next) {
		next = j->next;
		if (!j->pid)
			continue;
		while (read_results(r, j))
			;
		finish_job(r, j);
	}
	jobs_clear(&r->jobs);
	queue_close(r->queue);
	config_close(r->config);
	arena_clear(&r->arena);
	close_fd(&r->inotify_fd);
	close_fd(&r->wake_fd);
	close_fd(&r->queue_fd);
	close_fd(&r->lock_fd);
	close_fd(&r->state_fd);
}

/*
 * -- one pass -----------------------------------------------------------------------------------
 */

/*
 * The configuration as it is now: each attempt is planned by what the administrator last applied.
 */
static int load_config(struct runner *r)
{
	int fd cleanup(close_fd) = -1;
	config_close(r->config);
	r->config = NULL;
	r->at = "config/config.tdb";
	int error = folder_open(r->state_fd, "config", &fd);
	if (!error)
		error = config_open(fd, &r->config);
	return error ? error : config_global(r->config, &r->arena, &r->global);
}

static int pass(struct runner *r)
{
	arena_reset(&r->arena);
	int error = load_config(r);
	if (!error && r->look) {
		r->at = "queue/incoming";
		error = pickup_run(r->queue, r->config, &r->global, r->queue_fd, &r->arena);
		r->plan = true;
	}
	r->plan = jobs_drained(&r->jobs) || r->plan || r->next_due_s <= now_s(r);
	r->look = false;
	if (!error && r->plan) {
		r->at = "queue/queue.tdb";
		r->plan = false;
		error = plan_due(r);
	}
	if (!error)
		start_jobs(r);
	return error;
}

/*
 * -- planning -----------------------------------------------------------------------------------
 */

static bool is_in_hand(struct span id, uint32_t number, void *context)
{
	const struct runner *r = context;
	return jobs_hold(&r->jobs, id, number);
}

/* Attempt number `attempts` (from 1) has been made at now: when does the next one come? */
static int64_t next_attempt_s(const struct runner *r, uint32_t attempts, int64_t now)
{
	const struct config_global *g = &r->global;
	if (g->schedule_count == 0)
		return now + RETRY_OWN_FAILURE_S;
	uint32_t wait = g->schedule_s[MIN(attempts - 1, g->schedule_count - 1)];
	uint32_t spread = wait / 100 * JITTER_PERCENT;
	uint32_t random = 0;
	random_bytes(&random, sizeof(random));
	return now + wait - spread + (spread ? random % (2 * spread + 1) : 0);
}

static size_t workers_max(const struct runner *r, const struct plan *p)
{
	uint32_t limit = p->kind == PLAN_TRANSPORT ? p->transport.connections : 0;
	if (p->kind == PLAN_LOCAL)
		return 1; /* two would only wait for each other's lock */
	return limit ? limit : r->global.concurrency_per_host;
}

static int add_message(struct runner *r, struct job *j, struct span id)
{
	struct job_message *m = ARENA_NEW(&j->arena, struct job_message);
	int error = queue_message(r->queue, id, &j->arena, &m->message);
	if (error)
		return error;
	m->fd = -1; /* until a worker starts: thousands may wait, and fds are few */
	j->messages[j->message_count++] = m;
	return 0;
}

/* Read again, into the job's own memory: the pass's arena is reset before the job ends. */
static int add_to_job(struct runner *r, const struct plan *p, const struct queue_recipient *due)
{
	struct job *j = jobs_for(&r->jobs, p->hop, due->id);
	const struct job_message *last = job_last_message(j);
	bool known = last && span_equal(last->message.id, due->id);
	int error = known ? 0 : add_message(r, j, due->id);
	if (error)
		return error;
	struct job_message *m = job_last_message(j);
	struct job_recipient *to = ARENA_NEW(&j->arena, struct job_recipient);
	error = queue_recipient(r->queue, due->id, due->number, &j->arena, &to->recipient);
	to->recipient.attempts = due->attempts; /* routes count those made before this one */
	if (!error && j->plan.hop.n == 0)
		error = plan_recipient(r->config, &m->message, &to->recipient, &j->arena, &j->plan);
	if (error)
		return error;
	to->route = arena_span(&j->arena, p->route);
	m->recipients[m->recipient_count++] = to;
	jobs_add_in_flight(&r->jobs, due->id, due->number);
	return 0;
}

/* What is answered without an attempt elsewhere. */
static int settle(struct runner *r, const struct queue_message *m,
    const struct queue_recipient *due, const struct plan *p)
{
	struct queue_attempt a = {.when_s = now_s(r),
	    .transport = p->name,
	    .route = p->route,
	    .code = p->code,
	    .enhanced = p->enhanced,
	    .text = p->text};
	enum queue_result result = p->code >= 500 ? QUEUE_FAILED : QUEUE_DEFERRED;
	struct notice_context c = {r->queue, r->config, &r->global, a.when_s};
	log_result(p->name, m, due, due->attempts + 1, result, &a);
	return notice_record(&c, m, due, result, &a);
}

/* One notice for all recipients of a message that failed together. */
static int send_notices(struct runner *r, struct queue_recipient *about, size_t count)
{
	struct notice_context c = {r->queue, r->config, &r->global, now_s(r)};
	uint32_t *numbers = ARENA_ARRAY(&r->arena, uint32_t, count);
	int error = 0;
	for (size_t i = 0; i < count && !error; i++) {
		size_t n = 0;
		struct span id = about[i].id;
		if (id.n == 0)
			continue; /* done with an earlier one */
		for (size_t k = i; k < count; k++) {
			if (!span_equal(about[k].id, id))
				continue;
			numbers[n++] = about[k].number;
			about[k].id = SPAN("");
		}
		error = notice_send(&c, id, numbers, n);
	}
	return error;
}

/* A message whose file is lost stays in the queue, and does not hold up the others. */
static bool has_file(struct runner *r, struct span id)
{
	int fd cleanup(close_fd) = -1;
	int error = queue_message_open(r->queue, id, &fd);
	if (error)
		log_line(LOG_LEVEL_ERROR, "queue/msg/%.*s cannot be opened: %s", SPAN_ARG(id),
		    strerror(-error));
	return error == 0;
}

static int plan_due(struct runner *r)
{
	struct queue_recipient *due;
	size_t count, registered = 0, noticed = 0;
	int64_t now = now_s(r);
	int error = queue_due(
	    r->queue, now, DUE_MAX, is_in_hand, r, &r->arena, &due, &count, &r->next_due_s);
	if (error || count == 0)
		return error;
	struct plan *plans = ARENA_ARRAY(&r->arena, struct plan, count);
	struct queue_message *messages = ARENA_ARRAY(&r->arena, struct queue_message, count);
	struct queue_recipient *notices = ARENA_ARRAY(&r->arena, struct queue_recipient, count);
	int64_t *next_s = ARENA_ARRAY(&r->arena, int64_t, count);
	for (size_t i = 0; i < count && !error; i++) {
		if (due[i].notice != QUEUE_NOTICE_NONE) { /* left by an earlier run */
			notices[noticed++] = due[i];
			continue;
		}
		size_t at = registered++;
		due[at] = due[i];
		error = queue_message(r->queue, due[at].id, &r->arena, &messages[at]);
		if (!error)
			error = plan_recipient(
			    r->config, &messages[at], &due[at], &r->arena, &plans[at]);
		next_s[at] = next_attempt_s(r, due[at].attempts + 1, now);
		if (!error && plans[at].kind != PLAN_ANSWER &&
		    !jobs_have_room(&r->jobs, plans[at].hop)) {
			jobs_put_off(&r->jobs, plans[at].hop, due[at].id, due[at].number);
			registered--; /* it stays due */
		}
	}
	/* before any worker starts: whatever crashes from here on cannot make a hot loop */
	if (!error && registered)
		error = queue_register_attempts(r->queue, due, next_s, registered);
	for (size_t i = 0; i < registered && !error; i++) {
		if (plans[i].kind != PLAN_ANSWER) {
			error = has_file(r, due[i].id) ? add_to_job(r, &plans[i], &due[i]) : 0;
			continue;
		}
		error = settle(r, &messages[i], &due[i], &plans[i]);
		notices[noticed++] = due[i];
	}
	if (noticed || count == DUE_MAX) { /* the notices, and what did not fit into this pass */
		r->next_due_s = now;
		r->plan = true;
	}
	return error ? error : send_notices(r, notices, noticed);
}

/*
 * -- workers ------------------------------------------------------------------------------------
 */

/* For the worker. One that is lost stays -1: reading it fails there, and holds up no other mail. */
static int open_messages(struct runner *r, struct job *j)
{
	for (size_t i = 0; i < j->message_count; i++) {
		struct job_message *m = j->messages[i];
		int error = queue_message_open(r->queue, m->message.id, &m->fd);
		if (error == -EMFILE || error == -ENFILE || error == -ENOMEM)
			return error;
		if (error)
			log_line(LOG_LEVEL_ERROR, "message %.*s cannot be opened: %s",
			    SPAN_ARG(m->message.id), strerror(-error));
	}
	return 0;
}

static int start_worker(struct runner *r, struct job *j)
{
	int fds[2];
	struct config_account account = {0};
	struct worker_environment e = {
	    .paths = r->options->paths, .hostname = r->global.hostname, .now_s = now_s(r)};
	if (j->plan.kind == PLAN_LOCAL &&
	    config_account(r->config, j->plan.account, &r->arena, &account) == 0) {
		e.quota_bytes = account.quota_bytes;
		e.quota_messages = account.quota_messages;
	}
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	int error = open_messages(r, j);
	pid_t pid = error ? -1 : fork();
	if (pid < 0) {
		error = error ? error : -errno;
		job_close_messages(j);
		close_fd(&fds[0]);
		close_fd(&fds[1]);
		return error;
	}
	if (pid == 0) {
		/* not the queue's database: its fd stays open but is never touched again */
		close_fd(&fds[0]);
		worker_run(j, &e, fds[1]);
	}
	close_fd(&fds[1]);
	job_close_messages(j);
	j->pid = pid;
	j->results_fd = fds[0];
	j->started_ms = monotonic_ms();
	return 0;
}

static bool may_start(const struct runner *r, const struct job *j)
{
	bool local = j->plan.kind == PLAN_LOCAL;
	size_t others = jobs_running(&r->jobs, local ? JOBS_LOCAL : JOBS_REMOTE);
	return j->pid == 0 && others < (local ? LOCAL_WORKERS_MAX : r->global.concurrency) &&
	       jobs_running_to(&r->jobs, j->plan.hop) < workers_max(r, &j->plan);
}

static void start_jobs(struct runner *r)
{
	for (struct job *j = r->jobs.first; j; j = j->next) {
		int error = may_start(r, j) ? start_worker(r, j) : 0;
		if (error) {
			log_line(LOG_LEVEL_ERROR, "cannot start a worker: %s", strerror(-error));
			return;
		}
	}
}

static void record_result(struct runner *r, struct job *j, const struct job_result *result)
{
	struct job_message *m = j->messages[result->message];
	struct job_recipient *to = m->recipients[result->recipient];
	struct queue_attempt a = result->attempt;
	if (to->reported)
		return;
	a.transport = j->plan.name;
	a.route = to->route;
	a.when_s = now_s(r);
	struct notice_context c = {r->queue, r->config, &r->global, a.when_s};
	int error = notice_record(&c, &m->message, &to->recipient, result->result, &a);
	if (error)
		log_line(LOG_LEVEL_ERROR, "cannot note the result of %.*s: %s",
		    SPAN_ARG(m->message.id), strerror(-error));
	to->reported = true;
	log_result(j->plan.name, &m->message, &to->recipient, to->recipient.attempts + 1,
	    result->result, &a);
}

static void log_result(struct span transport, const struct queue_message *m,
    const struct queue_recipient *to, uint32_t attempt, enum queue_result result,
    const struct queue_attempt *a)
{
	static const char *const names[] = {"delivered", "relayed", "deferred", "failed"};
	struct str text cleanup(str_clear) = STR_INIT(4096);
	struct str from cleanup(str_clear) = STR_INIT(4096);
	struct str recipient cleanup(str_clear) = STR_INIT(4096);
	log_quote(a->text, 300, &text);
	log_quote_word(m->sender, 320, &from);
	log_quote_word(to->address, 320, &recipient);
	log_line(result >= QUEUE_DEFERRED ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO,
	    "%s id=%.*s account=%.*s from=<%s> to=<%s> transport=%.*s host=%.*s attempt=%u "
	    "answer=\"%u %s\"",
	    names[result], SPAN_ARG(m->id), SPAN_ARG(m->account), from.data, recipient.data,
	    SPAN_ARG(transport), SPAN_ARG(a->host), attempt, a->code, text.data);
}

/* Reads what the worker says; false at its end. */
static bool read_results(struct runner *r, struct job *j)
{
	char piece[4096];
	ssize_t n = read(j->results_fd, piece, sizeof(piece));
	if (n < 0 && errno == EINTR)
		return true;
	if (n <= 0)
		return false;
	str_append(&j->results, span_of(piece, (size_t)n));
	for (;;) {
		struct job_result result;
		size_t used = 0;
		int error = job_result_read(j, str_span(&j->results), &result, &used);
		if (error == -EAGAIN)
			return !j->results.failed;
		if (error)
			return false;
		record_result(r, j, &result);
		str_drop_front(&j->results, used);
	}
}

static void finish_job(struct runner *r, struct job *j)
{
	struct notice_context c = {r->queue, r->config, &r->global, now_s(r)};
	int status = 0;
	(void)kill(j->pid, SIGKILL); /* it has closed its pipe: it is at its end, or broken */
	(void)waitpid(j->pid, &status, 0);
	for (uint32_t i = 0; i < j->message_count; i++) {
		struct job_message *m = j->messages[i];
		uint32_t numbers[JOB_RECIPIENTS_MAX] = {0};
		for (uint32_t k = 0; k < m->recipient_count; k++) {
			numbers[k] = m->recipients[k]->recipient.number;
			struct job_result lost = {i, k, QUEUE_DEFERRED,
			    {.enhanced = SPAN("4.3.0"),
				.text = SPAN("the delivery was interrupted")}};
			if (!m->recipients[k]->reported)
				record_result(r, j, &lost);
		}
		int error = notice_send(&c, m->message.id, numbers, m->recipient_count);
		if (error)
			log_line(LOG_LEVEL_ERROR, "cannot make the notice about %.*s: %s",
			    SPAN_ARG(m->message.id), strerror(-error));
	}
	jobs_remove(&r->jobs, j);
	r->plan = true; /* the notices are due */
}

/*
 * -- waiting ------------------------------------------------------------------------------------
 */

/* How long nothing can happen by itself, in ms; -1: for ever; -2: nothing to wait for, end. */
static int idle_ms(const struct runner *r)
{
	int64_t left_s = r->next_due_s == INT64_MAX ? INT64_MAX : MAX(r->next_due_s - now_s(r), 0);
	bool busy = r->jobs.first != NULL;
	/* a clock of the tests stands still while the run waits */
	int64_t linger_s = r->options->clock_file ? 0 : LINGER_S;
	if (!busy && !r->options->wait && left_s > linger_s)
		return -2;
	int64_t ms = left_s > 3600 ? 3600 * 1000 : left_s * 1000;
	if (r->inotify_fd < 0 || (r->options->clock_file && !busy))
		ms = MIN(ms, 1000);
	return (int)MAX(ms, busy ? 1000 : 100);
}

static bool wake_is_empty(const struct runner *r)
{
	return pickup_wake_is_empty(r->wake_fd);
}

/* False when the run is over. */
static bool wait_for_events(struct runner *r)
{
	size_t room = 1 + jobs_running(&r->jobs, JOBS_LOCAL) + jobs_running(&r->jobs, JOBS_REMOTE);
	struct pollfd *p = ARENA_ARRAY(&r->arena, struct pollfd, room);
	struct job **at = ARENA_ARRAY(&r->arena, struct job *, room);
	nfds_t n = 1;
	p[0] = (struct pollfd){.fd = r->inotify_fd, .events = POLLIN};
	for (struct job *j = r->jobs.first; j; j = j->next) {
		if (!j->pid)
			continue;
		at[n] = j;
		p[n++] = (struct pollfd){.fd = j->results_fd, .events = POLLIN};
	}
	int ms = r->plan ? 0 : idle_ms(r);
	if (ms == -2) {
		r->look = !wake_is_empty(r);
		return r->look;
	}
	int ready = poll(p, n, ms);
	if (ready < 0)
		return true; /* a signal: the loop looks at stop_requested */
	r->look = p[0].revents || r->inotify_fd < 0 || (ready == 0 && !r->plan);
	if (p[0].revents) {
		char events[4096];
		ignore_result(read(r->inotify_fd, events, sizeof(events)) < 0); /* the pass looks */
	}
	for (nfds_t i = 1; i < n; i++) {
		bool hangs = monotonic_ms() - at[i]->started_ms > WORKER_LIFETIME_S * 1000LL;
		if (hangs || (p[i].revents && !read_results(r, at[i])))
			finish_job(r, at[i]);
	}
	return true;
}
