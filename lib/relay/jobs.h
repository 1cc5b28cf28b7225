#ifndef POSTERN_RELAY_JOBS_H
#define POSTERN_RELAY_JOBS_H
/*
 * The jobs of a run, waiting and running, and which recipients are in hand. A next hop has room for
 * so many waiting jobs; recipients beyond are put off, unregistered, until the hop has drained. So
 * a slow hop never holds up another, however much waits for it.
 */
#include "relay/job.h"

enum {
	HOP_WAITING_MAX = 64, /* jobs */
	ALL_WAITING_MAX = 4000,
};

struct full_hop;
struct jobs {
	struct job *first; /* oldest first */
	void *in_flight;   /* tsearch() trees of "ID:N" */
	void *put_off;
	struct full_hop *full; /* hops that recipients were put off for */
};
void jobs_clear(struct jobs *jobs);

/* In a job, or put off: not to be planned now. */
bool jobs_hold(const struct jobs *jobs, struct span id, uint32_t number);
bool jobs_have_room(const struct jobs *jobs, struct span hop);
void jobs_put_off(struct jobs *jobs, struct span hop, struct span id, uint32_t number);
/* Forgets who was put off when a full hop has drained: true, then planning is due. */
bool jobs_drained(struct jobs *jobs);

/* A waiting job of the hop with room for this message, or a new one at the end. */
struct job *jobs_for(struct jobs *jobs, struct span hop, struct span id);
void jobs_add_in_flight(struct jobs *jobs, struct span id, uint32_t number);
/* Takes it out of the list and frees it; its recipients are no longer in flight. */
void jobs_remove(struct jobs *jobs, struct job *j);

enum jobs_class { JOBS_LOCAL, JOBS_REMOTE };
size_t jobs_running(const struct jobs *jobs, enum jobs_class class);
size_t jobs_running_to(const struct jobs *jobs, struct span hop);
#endif
