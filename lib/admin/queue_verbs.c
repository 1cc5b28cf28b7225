#include <inttypes.h>

#include "admin/admin.h"
#include "base/date.h"
#include "queue/queue.h"

struct lister {
	const struct admin *admin;
	bool any;
};

static int list_one(const struct queue_message *m, const struct queue_recipient *r, void *context);
static void list_text(const struct queue_message *m, const struct queue_recipient *r);
static void list_json(const struct queue_message *m, const struct queue_recipient *r);
static const struct queue_attempt *last_attempt(const struct queue_recipient *r);
static void print_time(int64_t seconds);

int verb_queue_list(struct admin *admin)
{
	int fd cleanup(close_fd) = -1;
	struct queue *queue = NULL;
	struct lister l = {admin, false};
	int status = operands_check(admin, 0, 0);
	if (status == STATUS_OK)
		status = open_state(admin, "queue", &fd);
	if (status != STATUS_OK)
		return status;
	int rc = queue_open(fd, false, &queue);
	if (admin->json)
		printf("[");
	if (rc == 0)
		rc = queue_each(queue, list_one, &l);
	else if (rc == -ENOENT)
		rc = 0; /* nothing was ever queued */
	queue_close(queue);
	if (admin->json)
		printf("]\n");
	if (rc < 0)
		return problem(status_of(rc), "%s/queue/queue.tdb cannot be read: %s",
		    admin->paths.state, strerror(-rc));
	if (!admin->json && !l.any)
		fprintf(stderr, "the queue is empty\n");
	return STATUS_OK;
}

static int list_one(const struct queue_message *m, const struct queue_recipient *r, void *context)
{
	struct lister *l = context;
	if (l->admin->json) {
		printf("%s", l->any ? "," : "");
		list_json(m, r);
	} else {
		list_text(m, r);
	}
	l->any = true;
	return 0;
}

/* One line for the recipient, and one for what happened last. */
static void list_text(const struct queue_message *m, const struct queue_recipient *r)
{
	const struct queue_attempt *last = last_attempt(r);
	printf("%.*s %.*s <%.*s> -> <%.*s> %" PRIu64 " bytes, %u attempts, next ", SPAN_ARG(m->id),
	    SPAN_ARG(m->account), SPAN_ARG(m->sender), SPAN_ARG(r->address), m->bytes, r->attempts);
	print_time(r->next_attempt_s);
	printf("\n");
	if (last)
		printf("    %.*s %.*s: %u %.*s %.*s\n", SPAN_ARG(last->transport),
		    SPAN_ARG(last->host), last->code, SPAN_ARG(last->enhanced),
		    SPAN_ARG(last->text));
}

static void list_json(const struct queue_message *m, const struct queue_recipient *r)
{
	const struct queue_attempt *last = last_attempt(r);
	static const struct queue_attempt none;
	if (!last)
		last = &none;
	const struct {
		const char *label;
		struct span text;
	} fields[] = {{"id", m->id}, {"account", m->account}, {"sender", m->sender},
	    {"recipient", r->address}, {"transport", last->transport}, {"route", last->route},
	    {"host", last->host}, {"text", last->text}};
	printf("{");
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		printf("\"%s\":", fields[i].label);
		print_json_string(fields[i].text);
		printf(",");
	}
	printf("\"code\":%u,\"bytes\":%" PRIu64 ",\"attempts\":%u,\"received\":%" PRId64
	       ",\"next\":%" PRId64 "}",
	    last->code, m->bytes, r->attempts, m->received_s, r->next_attempt_s);
}

static const struct queue_attempt *last_attempt(const struct queue_recipient *r)
{
	return r->history_count > 0 ? &r->history[r->history_count - 1] : NULL;
}

static void print_time(int64_t seconds)
{
	struct date_civil d;
	date_civil_of(seconds, &d);
	printf("%04d-%02d-%02d %02d:%02d:%02d UTC", d.year, d.month, d.day, d.hour, d.minute,
	    d.second);
}
