#ifndef POSTERN_ADMIN_LOCALSERVE_H
#define POSTERN_ADMIN_LOCALSERVE_H
/*
 * `postern localserve`: an instance of its own on the loopback, for trying Postern and for tests. A
 * small acceptor stands in for systemd: it forks and executes the same handlers per connection, and
 * the queue-runner when queue/wake/ says so, and at least every minute. Never installed as a
 * service.
 */
#include <signal.h>

#include "admin/admin.h"

enum localserve_service {
	LOCALSERVE_IMAP,
	LOCALSERVE_IMAPS,
	LOCALSERVE_SUBMISSION,
	LOCALSERVE_SUBMISSIONS,
	LOCALSERVE_SERVICE_COUNT
};
enum { LOCALSERVE_LISTENERS = 2 * LOCALSERVE_SERVICE_COUNT, LOCALSERVE_CHILDREN_MAX = 200 };

struct localserve {
	struct admin *admin;
	char *dir;	/* absolute */
	char *programs; /* folder of the handlers */
	bool throwaway; /* dir is ours: made at the start, removed at the end */
	bool demo;
	uint16_t ports[LOCALSERVE_SERVICE_COUNT];
	int listeners[LOCALSERVE_LISTENERS]; /* -1: none */
	enum localserve_service services[LOCALSERVE_LISTENERS];
	int dir_fd, lock_fd, log_fd, signal_fd, wake_watch_fd;
	sigset_t signals_before;
	pid_t handlers[LOCALSERVE_CHILDREN_MAX]; /* 0: free */
	size_t handler_count;
	pid_t runner, demo_client; /* 0: not running */
	bool woken;		   /* while the runner ran */
	int64_t next_run_ms, last_run_ms, demo_deadline_ms;
	int demo_status;
};

/* Each: an exit status; it has said what is wrong. */
/* localserve_setup.c: makes what is missing in dir: configuration, certificate, keys, passwords. */
must_use int localserve_setup(struct localserve *s);
/* localserve_listen.c */
must_use int localserve_listen(struct localserve *s, uint16_t port_base /* 0: any free ports */);
/* localserve_run.c: serves until SIGINT, SIGTERM, or the end of the demo; ends all children. */
must_use int localserve_run(struct localserve *s);
/* localserve_demo.c: one message there and back, in a process of its own. */
int localserve_demo(const struct localserve *s);
#endif
