#ifndef POSTERN_SYS_SANDBOX_H
#define POSTERN_SYS_SANDBOX_H
/*
 * The cages (gate, session before and after the yes, worker), Landlock and seccomp, all in one
 * file; each hole with a comment naming the code that needs it. no_new_privs and PR_SET_DUMPABLE=0
 * in each. Degrades by the Landlock ABI the kernel offers (POSTERN_LANDLOCK_ABI in debug builds
 * limits it); where seccomp or Landlock is missing, *ret_missing says so and the program goes on.
 *
 * An unlisted call answers ENOSYS, a forbidden one (socket, connect, execve, ptrace, …) ends the
 * process. What else code inside a session must know:
 *   stat by path answers ENOSYS: open the file and fstat() it. O_PATH answers EACCES. (Landlock
 *   governs neither, so both would show every account's files.)
 *   send() works, sendto() with an address and sendmsg() do not.
 *   O_TRUNC needs O_WRONLY or O_RDWR. Times (EPERM: libtdb tries), modes and owners of files cannot
 *   be changed: to wake a watcher, write a byte.
 */
#include "base/str.h"

enum sandbox_access {
	SANDBOX_READ = 1,     /* read files, list folders */
	SANDBOX_WRITE = 2,    /* write existing files, truncate */
	SANDBOX_CREATE = 4,   /* make regular files and link them within the folder */
	SANDBOX_REMOVE = 8,   /* remove and rename files */
	SANDBOX_FOLDERS = 16, /* make and remove folders; with CREATE: link between them */
};
struct sandbox_rule {
	int dirfd;	 /* a folder (or file) beneath which …; -1: the rule is skipped */
	unsigned access; /* … this is allowed */
};

/* The gate: no file at all, no new fd. */
must_use int sandbox_gate(struct str *ret_missing);
/*
 * The session before the gate's first message (a worker of local deliveries needs no more), and in
 * addition, narrower, at the yes: the second only takes away, and is nothing without the first.
 */
must_use int sandbox_session(
    const struct sandbox_rule *rules, size_t count, struct str *ret_missing);
must_use int sandbox_account(
    const struct sandbox_rule *rules, size_t count, struct str *ret_missing);
/*
 * A delivery worker: may connect and resolve; files by the rules only (the CA folder), but stat of
 * any path works, because OpenSSL looks for CA files with it.
 */
must_use int sandbox_worker(
    const struct sandbox_rule *rules, size_t count, struct str *ret_missing);
#ifdef FAULT_POINTS
/*
 * Runs a fixed list of calls that the cage must refuse and writes "where call ERRNO" lines to fd.
 * The targets come from the environment variable POSTERN_PROBE, "name=value" words: file= (any
 * file), folder=, mail= and incoming= (another account's), queue=, limits=, tcp= and udp= (ports),
 * unix= (path), pid= (of another handler). While that variable is set, forbidden calls answer EPERM
 * instead of ending the process; without it the first of them does end it.
 */
void sandbox_probe(const char *where, int fd);
#endif
#endif
