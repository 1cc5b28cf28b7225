#include "relay/jobs.h"

#include <search.h>

struct full_hop {
	struct full_hop *next;
	struct str name;
};

static int compare_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

static const char *recipient_name(struct span id, uint32_t number, struct str *name)
{
	str_reset(name);
	str_append(name, id);
	str_append_char(name, ':');
	str_append_u64(name, number);
	return name->data;
}

static void tree_add(void **tree, struct span id, uint32_t number)
{
	struct str name cleanup(str_clear) = STR_INIT(QUEUE_ID_MAX_BYTES + 16);
	(void)tsearch(xstrdup(recipient_name(id, number, &name)), tree, compare_text);
}

static void tree_remove(void **tree, struct span id, uint32_t number)
{
	struct str name cleanup(str_clear) = STR_INIT(QUEUE_ID_MAX_BYTES + 16);
	char **found = tfind(recipient_name(id, number, &name), tree, compare_text);
	if (!found)
		return;
	char *held = *found;
	(void)tdelete(held, tree, compare_text); /* its parent says nothing */
	free(held);
}

static void forget_put_off(struct jobs *jobs)
{
	tdestroy(jobs->put_off, free);
	jobs->put_off = NULL;
	while (jobs->full) {
		struct full_hop *f = jobs->full;
		jobs->full = f->next;
		str_clear(&f->name);
		free(f);
	}
}

void jobs_clear(struct jobs *jobs)
{
	while (jobs->first)
		jobs_remove(jobs, jobs->first);
	tdestroy(jobs->in_flight, free);
	jobs->in_flight = NULL;
	forget_put_off(jobs);
}

bool jobs_hold(const struct jobs *jobs, struct span id, uint32_t number)
{
	struct str name cleanup(str_clear) = STR_INIT(QUEUE_ID_MAX_BYTES + 16);
	const char *text = recipient_name(id, number, &name);
	return tfind(text, &jobs->in_flight, compare_text) ||
	       tfind(text, &jobs->put_off, compare_text);
}

/* Waiting jobs of the hop; of all where it is unset. */
static size_t waiting(const struct jobs *jobs, struct span hop)
{
	size_t n = 0;
	for (const struct job *j = jobs->first; j; j = j->next)
		n += j->pid == 0 && (!span_is_set(hop) || span_equal(j->plan.hop, hop));
	return n;
}

bool jobs_have_room(const struct jobs *jobs, struct span hop)
{
	return waiting(jobs, hop) < HOP_WAITING_MAX && waiting(jobs, SPAN_NONE) < ALL_WAITING_MAX;
}

void jobs_put_off(struct jobs *jobs, struct span hop, struct span id, uint32_t number)
{
	tree_add(&jobs->put_off, id, number);
	for (const struct full_hop *f = jobs->full; f; f = f->next)
		if (span_equal(str_span(&f->name), hop))
			return;
	struct full_hop *f = xcalloc(1, sizeof(*f));
	str_init(&f->name, hop.n);
	str_append(&f->name, hop);
	f->next = jobs->full;
	jobs->full = f;
}

bool jobs_drained(struct jobs *jobs)
{
	/* half of all must be done, too: else what was put off for that reason came back at once */
	if (waiting(jobs, SPAN_NONE) >= ALL_WAITING_MAX / 2)
		return false;
	for (const struct full_hop *f = jobs->full; f; f = f->next) {
		if (waiting(jobs, str_span(&f->name)) == 0) {
			forget_put_off(jobs);
			return true;
		}
	}
	return false;
}

/* A transport's own limit goes before the general one. */
static size_t messages_max(const struct plan *p)
{
	uint32_t limit = p->kind == PLAN_TRANSPORT ? p->transport.messages_per_connection : 0;
	return limit ? MIN(limit, (uint32_t)JOB_MESSAGES_MAX) : JOB_MESSAGES_MAX;
}

struct job *jobs_for(struct jobs *jobs, struct span hop, struct span id)
{
	struct job **link = &jobs->first;
	for (; *link; link = &(*link)->next) {
		struct job *j = *link;
		const struct job_message *last = job_last_message(j);
		bool same = last && span_equal(last->message.id, id);
		if (j->pid == 0 && span_equal(j->plan.hop, hop) &&
		    (same ? last->recipient_count < JOB_RECIPIENTS_MAX
			  : j->message_count < messages_max(&j->plan)))
			return j;
	}
	struct job *j = xcalloc(1, sizeof(*j));
	*link = j;
	j->results_fd = -1;
	str_init(&j->results, JOB_RESULT_MAX_BYTES * 64);
	return j;
}

void jobs_add_in_flight(struct jobs *jobs, struct span id, uint32_t number)
{
	tree_add(&jobs->in_flight, id, number);
}

void jobs_remove(struct jobs *jobs, struct job *j)
{
	struct job **link = &jobs->first;
	while (*link != j)
		link = &(*link)->next;
	*link = j->next;
	for (size_t i = 0; i < j->message_count; i++) {
		struct job_message *m = j->messages[i];
		for (size_t k = 0; k < m->recipient_count; k++)
			tree_remove(
			    &jobs->in_flight, m->message.id, m->recipients[k]->recipient.number);
	}
	job_close_messages(j);
	close_fd(&j->results_fd);
	str_clear(&j->results);
	arena_clear(&j->arena);
	free(j);
}

size_t jobs_running(const struct jobs *jobs, enum jobs_class class)
{
	size_t n = 0;
	for (const struct job *j = jobs->first; j; j = j->next)
		n += j->pid && (j->plan.kind == PLAN_LOCAL) == (class == JOBS_LOCAL);
	return n;
}

size_t jobs_running_to(const struct jobs *jobs, struct span hop)
{
	size_t n = 0;
	for (const struct job *j = jobs->first; j; j = j->next)
		n += j->pid && span_equal(j->plan.hop, hop);
	return n;
}
