/*
 * Which system calls each cage of sys/sandbox.h allows, and why; made into filters by libseccomp
 * when Postern is built. Writes a C header to its standard output: for each cage an array of struct
 * sock_filter, NAME_filter, and NAME_filter_lenient, where a forbidden call answers EPERM instead
 * of ending the process (for the probe of builds with fault points).
 *
 * The arrays are for the processor and the flavour that this program is built for. They are binary
 * trees (SCMP_FLTATR_CTL_OPTIMIZE): the kernel runs a new filter once for each call number to fill
 * its cache, and a plain list takes twice as long to load.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/base.h"

/* libseccomp's macros leave out the second datum where a comparison has but one. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

/* In the place of the process's own pid, which sandbox.c puts there; no pid is so large. */
enum { FILTER_SELF = 0x7fffffff };

enum verdict {
	UNLISTED, /* ENOSYS, so that a newer libc falls back to what is listed */
	ALLOW,
	FORBID,		  /* ends the process */
	REFUSE,		  /* EPERM: a library asks for it, and goes on without */
	ALLOW_TO_SELF,	  /* first argument is our own pid; else FORBID */
	ALLOW_NO_ADDRESS, /* sendto: on the connected socket only; else FORBID */
	ALLOW_OPEN,	  /* neither O_PATH nor O_TRUNC without writing; else EACCES */
	ALLOW_FCNTL,	  /* no F_SETOWN: it sends signals to others; else ENOSYS */
	ALLOW_NO_EXEC,	  /* no memory that is executable; else EACCES */
	ALLOW_FIONREAD,	  /* else ENOSYS */
	ALLOW_QUICKACK,	  /* setsockopt; else ENOSYS */
	EMULATE_FSTAT,	  /* see answer_fstat() */
};
struct call {
	int number;
	enum verdict verdict;
};

/* What every caged process may do. */
static const struct call common_calls[] = {
    /* io/stream.c: the conversation; base: log lines */
    {SYS_read, ALLOW},
    {SYS_write, ALLOW},
    {SYS_readv, ALLOW},
    {SYS_writev, ALLOW},
    {SYS_recvfrom, ALLOW},
    {SYS_shutdown, ALLOW},
    {SYS_close, ALLOW},
    {SYS_ppoll, ALLOW},
    {SYS_fcntl, ALLOW_FCNTL},
    {SYS_fstat, ALLOW},
    /* malloc */
    {SYS_brk, ALLOW},
    {SYS_munmap, ALLOW},
    {SYS_mremap, ALLOW},
    {SYS_madvise, ALLOW},
    /* clocks where the vdso cannot tell the time, and waits */
    {SYS_clock_gettime, ALLOW},
    {SYS_clock_getres, ALLOW},
    {SYS_gettimeofday, ALLOW},
    {SYS_clock_nanosleep, ALLOW},
    {SYS_nanosleep, ALLOW},
    {SYS_restart_syscall, ALLOW},
    /* OpenSSL: its generator asks for the pid to notice a fork, its locks are futexes */
    {SYS_getrandom, ALLOW},
    {SYS_getpid, ALLOW},
    {SYS_futex, ALLOW},
    /* log lines, abort() of an assert, the end */
    {SYS_getppid, ALLOW},
    {SYS_gettid, ALLOW},
    {SYS_getuid, ALLOW},
    {SYS_geteuid, ALLOW},
    {SYS_getgid, ALLOW},
    {SYS_getegid, ALLOW},
    {SYS_rt_sigaction, ALLOW},
    {SYS_rt_sigprocmask, ALLOW},
    {SYS_rt_sigreturn, ALLOW},
    {SYS_kill, ALLOW_TO_SELF},
    {SYS_tgkill, ALLOW_TO_SELF},
    {SYS_exit, ALLOW},
    {SYS_exit_group, ALLOW},
#ifdef SYS_poll /* x86-64 only */
    {SYS_poll, ALLOW},
    {SYS_time, ALLOW},
#endif
#ifdef __SANITIZE_ADDRESS__
    /* the sanitizers' runtime: reports, stack traces, its own locks */
    {SYS_sched_yield, ALLOW},
    {SYS_sigaltstack, ALLOW},
    {SYS_readlinkat, ALLOW},
    {SYS_prctl, ALLOW},
    {SYS_sched_getaffinity, ALLOW},
#ifdef SYS_readlink
    {SYS_readlink, ALLOW},
    {SYS_getrlimit, ALLOW},
#endif
#endif
};

/*
 * What nobody in a cage ever does on purpose: asking for it means that the process was taken over.
 * The list is short because each line costs every login some time; whatever is neither here nor
 * allowed (identities, modules, bpf, io_uring, …) is not to be had either.
 */
static const struct call forbidden_calls[] = {
    /* new programs and processes */
    {SYS_execve, FORBID},
    {SYS_execveat, FORBID},
    {SYS_clone, FORBID},
    {SYS_clone3, FORBID},
#ifdef SYS_fork
    {SYS_fork, FORBID},
    {SYS_vfork, FORBID},
#endif
    /* other processes of the same user */
    {SYS_ptrace, FORBID},
    {SYS_process_vm_readv, FORBID},
    {SYS_process_vm_writev, FORBID},
    {SYS_pidfd_open, FORBID},
    {SYS_pidfd_getfd, FORBID},
    {SYS_pidfd_send_signal, FORBID},
    {SYS_tkill, FORBID},
    {SYS_rt_sigqueueinfo, FORBID},
    {SYS_rt_tgsigqueueinfo, FORBID},
    /* what Landlock does not govern: modes, owners, attributes of others' files */
    {SYS_fchmod, FORBID},
    {SYS_fchmodat, FORBID},
    {SYS_fchown, FORBID},
    {SYS_fchownat, FORBID},
#ifdef SYS_chmod
    {SYS_chmod, FORBID},
    {SYS_chown, FORBID},
    {SYS_lchown, FORBID},
#endif
    {SYS_setxattr, FORBID},
    {SYS_lsetxattr, FORBID},
    {SYS_fsetxattr, FORBID},
    {SYS_removexattr, FORBID},
    {SYS_lremovexattr, FORBID},
    {SYS_fremovexattr, FORBID},
    {SYS_open_by_handle_at, FORBID},
    {SYS_mount, FORBID},
    /* and times: libtdb ends each commit with utime(), whose result it ignores */
    {SYS_utimensat, REFUSE},
#ifdef SYS_utime
    {SYS_utime, REFUSE},
    {SYS_utimes, REFUSE},
    {SYS_futimesat, REFUSE},
#endif
};

/* Of gate and session; a worker connects. */
static const struct call connecting_calls[] = {
    {SYS_socket, FORBID},
    {SYS_socketpair, FORBID},
    {SYS_connect, FORBID},
    {SYS_bind, FORBID},
    {SYS_listen, FORBID},
    {SYS_accept, FORBID},
    {SYS_accept4, FORBID},
};

static const struct call gate_calls[] = {
    {SYS_sendto, ALLOW_NO_ADDRESS},   /* the log, and the conversation */
    {SYS_setsockopt, ALLOW_QUICKACK}, /* gate/relay.c */
    {SYS_mmap, ALLOW_NO_EXEC},	      /* malloc */
    {SYS_mprotect, ALLOW_NO_EXEC},
    {SYS_wait4, ALLOW}, /* gate/handler.c: how the session ended */
#ifdef __SANITIZE_ADDRESS__
    {SYS_lseek, ALLOW},
#endif
};

/* Files of accounts: db/, store/, queue/, iconv. Which ones is Landlock's part. */
static const struct call file_calls[] = {
    {SYS_openat, ALLOW_OPEN}, {SYS_pread64, ALLOW}, {SYS_pwrite64, ALLOW}, {SYS_preadv, ALLOW},
    {SYS_pwritev, ALLOW}, {SYS_lseek, ALLOW}, {SYS_ftruncate, ALLOW}, {SYS_fallocate, ALLOW},
    {SYS_fadvise64, ALLOW}, {SYS_fsync, ALLOW}, {SYS_fdatasync, ALLOW}, {SYS_getdents64, ALLOW},
    {SYS_linkat, ALLOW}, /* io/file.c: gives a draft its name */
    {SYS_renameat, ALLOW}, {SYS_renameat2, ALLOW}, {SYS_unlinkat, ALLOW}, {SYS_mkdirat, ALLOW},
    {SYS_sendfile, ALLOW},
    {SYS_mmap, ALLOW}, /* executable too: iconv loads charsets as shared objects */
    {SYS_mprotect, ALLOW}, {SYS_sysinfo, ALLOW}, /* qsort() asks how much memory there is */
};

static const struct call session_calls[] = {
    {SYS_sendto, ALLOW_NO_ADDRESS},
    {SYS_newfstatat, EMULATE_FSTAT},
    {SYS_setitimer, ALLOW}, /* imapd/wait.c: alarm() */
#ifdef SYS_alarm
    {SYS_alarm, ALLOW},
#endif
    /* gate/session.c: watches, and the second cage; taken away by it */
    {SYS_inotify_init1, ALLOW},
    {SYS_inotify_add_watch, ALLOW},
    {SYS_seccomp, ALLOW},
    {SYS_landlock_create_ruleset, ALLOW},
    {SYS_landlock_add_rule, ALLOW},
    {SYS_landlock_restrict_self, ALLOW},
};

/* A second filter lies over the first: the stricter answer counts, so this one only takes away. */
static const struct call account_calls[] = {
    {SYS_inotify_init1, UNLISTED},
    {SYS_inotify_add_watch, FORBID}, /* Landlock does not govern watches on others' files */
    {SYS_seccomp, UNLISTED},
    {SYS_landlock_create_ruleset, UNLISTED},
    {SYS_landlock_add_rule, UNLISTED},
    {SYS_landlock_restrict_self, UNLISTED},
};

static const struct call worker_calls[] = {
    /* smtp/client.c and dns/: connecting out, by UDP too */
    {SYS_socket, ALLOW},
    {SYS_connect, ALLOW},
    {SYS_bind, ALLOW},
    {SYS_getsockname, ALLOW},
    {SYS_getpeername, ALLOW},
    {SYS_getsockopt, ALLOW},
    {SYS_setsockopt, ALLOW},
    {SYS_sendto, ALLOW},
    {SYS_sendmsg, ALLOW},
    {SYS_sendmmsg, ALLOW},
    {SYS_recvmsg, ALLOW},
    {SYS_ioctl, ALLOW_FIONREAD}, /* glibc's resolver: how long an answer is */
    /* OpenSSL's CA folder, by stat() */
    {SYS_newfstatat, ALLOW},
    {SYS_uname, ALLOW},
};

struct call_list {
	const struct call *calls;
	size_t count;
};
#define CALLS(table)                       \
	{                                  \
		(table), ARRAY_SIZE(table) \
	}
enum { LISTS_MAX = 5 };
static const struct cage {
	const char *name;
	enum verdict unlisted;
	struct call_list lists[LISTS_MAX];
} cages[] = {
    {"gate", UNLISTED,
	{CALLS(common_calls), CALLS(forbidden_calls), CALLS(connecting_calls), CALLS(gate_calls)}},
    {"session", UNLISTED,
	{CALLS(common_calls), CALLS(forbidden_calls), CALLS(connecting_calls), CALLS(file_calls),
	    CALLS(session_calls)}},
    {"account", ALLOW, {CALLS(account_calls)}},
    {"worker", UNLISTED,
	{CALLS(common_calls), CALLS(forbidden_calls), CALLS(file_calls), CALLS(worker_calls)}},
};

static int write_filter(const struct cage *cage, bool lenient);
static int make_filter(const struct cage *cage, uint32_t forbidden, scmp_filter_ctx filter);
static int add_call(scmp_filter_ctx filter, struct call call, uint32_t forbidden);
static int add_open(scmp_filter_ctx filter, int number);
static int add_rule(
    scmp_filter_ctx filter, int number, uint32_t action, const struct scmp_arg_cmp *condition);
static int print_code(scmp_filter_ctx filter);

int main(void)
{
	printf("/* Made by lib/sys/filters/make_filters.c. */\n#define FILTER_SELF %#xU\n",
	    FILTER_SELF);
	for (size_t i = 0; i < ARRAY_SIZE(cages); i++) {
		int rc = write_filter(&cages[i], false);
#ifdef FAULT_POINTS
		if (rc == 0)
			rc = write_filter(&cages[i], true);
#endif
		if (rc < 0) {
			fprintf(stderr, "filter \"%s\": %s\n", cages[i].name, strerror(-rc));
			return 1;
		}
	}
	return fflush(stdout) == 0 ? 0 : 1;
}

static int write_filter(const struct cage *cage, bool lenient)
{
	scmp_filter_ctx filter =
	    seccomp_init(cage->unlisted == ALLOW ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(ENOSYS));
	int rc = filter ? make_filter(
			      cage, lenient ? SCMP_ACT_ERRNO(EPERM) : SCMP_ACT_KILL_PROCESS, filter)
			: -ENOMEM;

	if (rc == 0) {
		printf("static const struct sock_filter %s_filter%s[] = {\n", cage->name,
		    lenient ? "_lenient" : "");
		rc = print_code(filter);
		printf("};\n");
	}
	seccomp_release(filter);
	return rc;
}

static int make_filter(const struct cage *cage, uint32_t forbidden, scmp_filter_ctx filter)
{
	/* i386 and x32 have numbers of their own; a binary tree */
	int rc = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (rc == 0)
		rc = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	for (size_t i = 0; i < LISTS_MAX; i++) {
		for (size_t k = 0; k < cage->lists[i].count && rc == 0; k++)
			rc = add_call(filter, cage->lists[i].calls[k], forbidden);
	}
	return rc;
}

/*
 * A call with conditions has a rule for each; an argument that meets none gets the filter's ENOSYS.
 */
static int add_call(scmp_filter_ctx filter, struct call call, uint32_t forbidden)
{
	const uint32_t refused = SCMP_ACT_ERRNO(EACCES);
	const int n = call.number;
	int rc = -EINVAL;

	static_assert(F_GETFD < F_SETLKW && F_SETLK < F_SETLKW && F_SETOWN > F_SETLKW, "fcntl.h");
	switch (call.verdict) {
	case UNLISTED: return add_rule(filter, n, SCMP_ACT_ERRNO(ENOSYS), NULL);
	case ALLOW: return add_rule(filter, n, SCMP_ACT_ALLOW, NULL);
	case FORBID: return add_rule(filter, n, forbidden, NULL);
	case REFUSE: return add_rule(filter, n, SCMP_ACT_ERRNO(EPERM), NULL);
	case EMULATE_FSTAT: return add_rule(filter, n, SCMP_ACT_TRAP, NULL);
	case ALLOW_TO_SELF:
		rc = add_rule(filter, n, SCMP_ACT_ALLOW, &SCMP_A0(SCMP_CMP_EQ, FILTER_SELF));
		return rc < 0 ? rc
			      : add_rule(filter, n, forbidden, &SCMP_A0(SCMP_CMP_NE, FILTER_SELF));
	case ALLOW_NO_ADDRESS:
		rc = add_rule(filter, n, SCMP_ACT_ALLOW, &SCMP_A4(SCMP_CMP_EQ, 0));
		return rc < 0 ? rc : add_rule(filter, n, forbidden, &SCMP_A4(SCMP_CMP_NE, 0));
	case ALLOW_OPEN: return add_open(filter, n);
	case ALLOW_FCNTL:
		rc = add_rule(filter, n, SCMP_ACT_ALLOW, &SCMP_A1(SCMP_CMP_LE, F_SETLKW));
		return rc < 0 ? rc
			      : add_rule(filter, n, SCMP_ACT_ALLOW,
				    &SCMP_A1(SCMP_CMP_EQ, F_DUPFD_CLOEXEC));
	case ALLOW_NO_EXEC:
		rc =
		    add_rule(filter, n, SCMP_ACT_ALLOW, &SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
		return rc < 0 ? rc
			      : add_rule(filter, n, refused,
				    &SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC));
	case ALLOW_QUICKACK:
		return seccomp_rule_add_exact(filter, SCMP_ACT_ALLOW, n, 2,
		    SCMP_A1(SCMP_CMP_EQ, IPPROTO_TCP), SCMP_A2(SCMP_CMP_EQ, TCP_QUICKACK));
	case ALLOW_FIONREAD:
		return add_rule(filter, n, SCMP_ACT_ALLOW, &SCMP_A1(SCMP_CMP_EQ, FIONREAD));
	}
	return rc;
}

static int add_open(scmp_filter_ctx filter, int number)
{
	const uint32_t refused = SCMP_ACT_ERRNO(EACCES);
	const scmp_datum_t both = O_PATH | O_TRUNC, all = O_PATH | O_TRUNC | O_ACCMODE;
	const struct {
		uint32_t action;
		scmp_datum_t mask, value;
	} rules[] = {
	    {SCMP_ACT_ALLOW, both, 0},
	    {SCMP_ACT_ALLOW, all, O_TRUNC | O_WRONLY},
	    {SCMP_ACT_ALLOW, all, O_TRUNC | O_RDWR},
	    {refused, all, O_TRUNC | O_RDONLY},
	    {refused, O_PATH, O_PATH},
	};
	int rc = 0;

	for (size_t i = 0; i < ARRAY_SIZE(rules) && rc == 0; i++)
		rc = add_rule(filter, number, rules[i].action,
		    &SCMP_A2(SCMP_CMP_MASKED_EQ, rules[i].mask, rules[i].value));
	return rc;
}

static int add_rule(
    scmp_filter_ctx filter, int number, uint32_t action, const struct scmp_arg_cmp *condition)
{
	return seccomp_rule_add_exact_array(filter, action, number, condition ? 1 : 0, condition);
}

/* libseccomp 2.5 exports to a file only. */
static int print_code(scmp_filter_ctx filter)
{
	struct sock_filter instruction;
	FILE *file = tmpfile();

	if (!file)
		return -errno;
	int rc = seccomp_export_bpf(filter, fileno(file));
	rewind(file);
	while (rc == 0 && fread(&instruction, sizeof(instruction), 1, file) == 1)
		printf("\t{%#x, %u, %u, %#xU},\n", instruction.code, instruction.jt, instruction.jf,
		    instruction.k);
	(void)fclose(file);
	return rc;
}
