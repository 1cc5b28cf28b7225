#ifndef POSTERN_SYS_SANDBOX_H
#define POSTERN_SYS_SANDBOX_H
/*
 * The cages (ARCHITECTURE: gate, session before and after the yes, worker), Landlock and seccomp,
 * all in one file; each hole with a comment naming the code that needs it. no_new_privs and
 * PR_SET_DUMPABLE=0 in each. Degrades by the Landlock ABI the kernel offers (POSTERN_LANDLOCK_ABI
 * in debug builds limits it); where seccomp or Landlock is missing, *ret_missing says so, once, and
 * the program goes on.
 *
 * An unlisted call answers ENOSYS, a forbidden one (socket, connect, execve, ptrace, …) ends the
 * process.
 */
#include "base/str.h"

enum sandbox_access {
	SANDBOX_READ = 1,   /* read files, list folders */
	SANDBOX_WRITE = 2,  /* write existing files, truncate */
	SANDBOX_CREATE = 4, /* make regular files and link them within the folder */
	SANDBOX_REMOVE = 8, /* remove and rename files */
	SANDBOX_FOLDERS = 16, /* make and remove folders */
};
struct sandbox_rule {
	int dirfd;	  /* a folder (or file) beneath which … */
	unsigned access;  /* … this is allowed */
};

/* The gate: no file at all, no new fd. */
must_use int sandbox_gate(struct str *ret_missing);
/* The session before the gate's first message, and again, narrower, at the yes. */
must_use int sandbox_session(const struct sandbox_rule *rules, size_t count, struct str *ret_missing);
must_use int sandbox_account(const struct sandbox_rule *rules, size_t count, struct str *ret_missing);
/* A delivery worker: may connect and resolve; files by the rules only (the CA folder). */
must_use int sandbox_worker(const struct sandbox_rule *rules, size_t count, struct str *ret_missing);
#ifdef FAULT_POINTS
/*
 * Runs a fixed list of calls that the cage must refuse (the targets' paths come from the
 * environment variable POSTERN_PROBE, "name=value" words) and writes "call errno" lines to fd.
 */
void sandbox_probe(const char *where, int fd);
#endif
#endif
