#ifndef POSTERN_SYS_ACCEPTOR_H
#define POSTERN_SYS_ACCEPTOR_H
/*
 * One process that accepts on the listening sockets of systemd (Accept=no) and forks, without exec,
 * per connection: for busy hosts, where starting a program each time costs too much. It counts
 * connections, total and per source, executes itself anew when its binary changes, and exits when
 * it has had neither children nor connections for a while. Children go on when it ends.
 */
#include "sys/log.h"

enum {
	ACCEPTOR_CONNECTIONS_MAX = 2000,
	ACCEPTOR_PER_SOURCE_MAX = 100, /* IPv4 address, or IPv6 /64 */
	ACCEPTOR_IDLE_MS = 60000,
	ACCEPTOR_LISTENERS_MAX = 16,
};
struct acceptor {
	char **argv; /* to execute itself anew */
	int (*prepare)(
	    void); /* once, before the first fork: what all children share; 0 or -errno */
	void (*log)(enum log_level level, const char *format, ...) printf_like(2, 3);
};
enum acceptor_outcome {
	ACCEPTOR_CONNECTION, /* this is a child: the connection is fd 0 */
	ACCEPTOR_END,	     /* idle for long, or SIGTERM */
};
/*
 * -ENOTCONN: no listening sockets were passed (LISTEN_FDS, sd_listen_fds(3)). Otherwise returns in
 * each child, and in the acceptor at its end.
 */
must_use int acceptor_run(const struct acceptor *a, enum acceptor_outcome *ret);
#endif
