/*
 * The filters are written by hand instead of with libseccomp: a table of calls, sorted once and
 * emitted as a binary tree of comparisons. A whole cage costs 0.13 ms; with libseccomp the filter
 * alone is 0.3 ms, because the kernel runs a new filter once for each call number to fill its cache,
 * and libseccomp's is a linear list. Every login pays for three cages.
 */
#include "sys/sandbox.h"

#include <assert.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

/* Debian 12's headers end at ABI 2; the numbers are the kernel's. */
#define FS_EXECUTE_TO_MAKE_SYM ((1ULL << 13) - 1) /* ABI 1 */
#define FS_REFER (1ULL << 13)			  /* ABI 2 */
#define FS_TRUNCATE (1ULL << 14)		  /* ABI 3 */
#define FS_IOCTL_DEV (1ULL << 15)		  /* ABI 5 */
#define NET_BIND_TCP (1ULL << 0)		  /* ABI 4 */
#define NET_CONNECT_TCP (1ULL << 1)
#define SCOPE_ABSTRACT_UNIX (1ULL << 0) /* ABI 6 */
#define SCOPE_SIGNAL (1ULL << 1)
enum { LANDLOCK_ABI_NEWEST = 7 };
struct ruleset_attributes {
	uint64_t handled_fs, handled_net, scoped;
};

enum verdict {
	UNLISTED, /* ENOSYS, so that a newer libc falls back to what is listed */
	ALLOW,
	FORBID,		  /* ends the process */
	ALLOW_TO_SELF,	  /* first argument is our own pid */
	ALLOW_NO_ADDRESS, /* sendto: on the connected socket only */
	ALLOW_OPEN,	  /* neither O_PATH nor O_TRUNC without writing */
	ALLOW_FCNTL,	  /* no F_SETOWN: it sends signals to others */
	ALLOW_NO_EXEC,	  /* no memory that is executable */
	ALLOW_FIONREAD,
	ALLOW_QUICKACK,
	EMULATE_FSTAT, /* see answer_fstat() */
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
    {SYS_lseek, ALLOW},
#ifdef SYS_readlink
    {SYS_readlink, ALLOW},
    {SYS_getrlimit, ALLOW},
#endif
#endif
};

/* What no gate and no session ever does on purpose: asking for it means that it was taken over. */
static const struct call forbidden_calls[] = {
    /* new connections */
    {SYS_socket, FORBID},
    {SYS_socketpair, FORBID},
    {SYS_connect, FORBID},
    {SYS_bind, FORBID},
    {SYS_listen, FORBID},
    {SYS_accept, FORBID},
    {SYS_accept4, FORBID},
    /* new programs and processes */
    {SYS_execve, FORBID},
    {SYS_execveat, FORBID},
    {SYS_clone, FORBID},
    {SYS_clone3, FORBID},
#ifdef SYS_fork
    {SYS_fork, FORBID},
    {SYS_vfork, FORBID},
#endif
    {SYS_unshare, FORBID},
    {SYS_setns, FORBID},
    /* other processes of the same user */
    {SYS_ptrace, FORBID},
    {SYS_process_vm_readv, FORBID},
    {SYS_process_vm_writev, FORBID},
    {SYS_process_madvise, FORBID},
    {SYS_pidfd_open, FORBID},
    {SYS_pidfd_getfd, FORBID},
    {SYS_pidfd_send_signal, FORBID},
    {SYS_kcmp, FORBID},
    {SYS_tkill, FORBID},
    {SYS_rt_sigqueueinfo, FORBID},
    {SYS_rt_tgsigqueueinfo, FORBID},
    /* what Landlock does not govern: modes, owners, times, attributes of others' files */
    {SYS_fchmod, FORBID},
    {SYS_fchmodat, FORBID},
    {SYS_fchown, FORBID},
    {SYS_fchownat, FORBID},
    {SYS_utimensat, FORBID},
#ifdef SYS_chmod
    {SYS_chmod, FORBID},
    {SYS_chown, FORBID},
    {SYS_lchown, FORBID},
    {SYS_utime, FORBID},
    {SYS_utimes, FORBID},
    {SYS_futimesat, FORBID},
    {SYS_mknod, FORBID},
#endif
    {SYS_mknodat, FORBID},
    {SYS_setxattr, FORBID},
    {SYS_lsetxattr, FORBID},
    {SYS_fsetxattr, FORBID},
    {SYS_removexattr, FORBID},
    {SYS_lremovexattr, FORBID},
    {SYS_fremovexattr, FORBID},
    {SYS_name_to_handle_at, FORBID},
    {SYS_open_by_handle_at, FORBID},
    /* the file systems */
    {SYS_mount, FORBID},
    {SYS_umount2, FORBID},
    {SYS_move_mount, FORBID},
    {SYS_open_tree, FORBID},
    {SYS_fsopen, FORBID},
    {SYS_fsconfig, FORBID},
    {SYS_fsmount, FORBID},
    {SYS_fspick, FORBID},
    {SYS_pivot_root, FORBID},
    {SYS_chroot, FORBID},
    /* identities */
    {SYS_setuid, FORBID},
    {SYS_setgid, FORBID},
    {SYS_setreuid, FORBID},
    {SYS_setregid, FORBID},
    {SYS_setresuid, FORBID},
    {SYS_setresgid, FORBID},
    {SYS_setfsuid, FORBID},
    {SYS_setfsgid, FORBID},
    {SYS_setgroups, FORBID},
    {SYS_capset, FORBID},
    /* large, and often broken, parts of the kernel */
    {SYS_bpf, FORBID},
    {SYS_io_uring_setup, FORBID},
    {SYS_io_uring_enter, FORBID},
    {SYS_io_uring_register, FORBID},
    {SYS_userfaultfd, FORBID},
    {SYS_perf_event_open, FORBID},
    {SYS_keyctl, FORBID},
    {SYS_add_key, FORBID},
    {SYS_request_key, FORBID},
    {SYS_init_module, FORBID},
    {SYS_finit_module, FORBID},
    {SYS_delete_module, FORBID},
    {SYS_kexec_load, FORBID},
};

static const struct call gate_calls[] = {
    {SYS_sendto, ALLOW_NO_ADDRESS},		       /* the log, and the conversation */
    {SYS_setsockopt, ALLOW_QUICKACK},		       /* gate/relay.c */
    {SYS_mmap, ALLOW_NO_EXEC},			       /* malloc */
    {SYS_mprotect, ALLOW_NO_EXEC}, {SYS_wait4, ALLOW}, /* gate/handler.c: how the session ended */
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
    {SYS_prctl, ALLOW},
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
#ifndef __SANITIZE_ADDRESS__
    {SYS_prctl, UNLISTED},
#endif
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
#define CALLS(table) ((struct call_list){(table), ARRAY_SIZE(table)})

enum { CALLS_MAX = 256, RANGES_MAX = 2 * CALLS_MAX + 1, PROGRAM_MAX = 1024 };
struct range { /* call numbers from first up to the next range's */
	uint32_t first;
	enum verdict verdict;
};
struct program {
	struct sock_filter code[PROGRAM_MAX];
	unsigned short n;
	uint32_t forbidden_action;
};

static int cage(const struct call_list *lists, size_t list_count, enum verdict unlisted,
    uint64_t handled_net, const struct sandbox_rule *rules, size_t rule_count,
    struct str *ret_missing);
static int landlock_enter(const struct sandbox_rule *rules, size_t count, uint64_t handled_net);
static int landlock_abi(void);
static uint64_t landlock_rights(unsigned access, uint64_t handled, bool folder);
static int seccomp_enter(const struct call_list *lists, size_t count, enum verdict unlisted);
static size_t make_ranges(const struct call_list *lists, size_t count, enum verdict unlisted,
    struct range ranges[RANGES_MAX]);
static void emit(struct program *p, uint16_t code, uint32_t k, uint8_t yes, uint8_t no);
static void emit_tree(struct program *p, const struct range *ranges, size_t from, size_t to);
static void emit_verdict(struct program *p, enum verdict verdict);
static void emit_zero_or_forbidden(struct program *p, unsigned argument, uint32_t low);
static void answer_fstat(int signal, siginfo_t *info, void *context);

int sandbox_gate(struct str *ret_missing)
{
	static const struct call_list lists[] = {
	    CALLS(common_calls), CALLS(forbidden_calls), CALLS(gate_calls)};
	return cage(lists, ARRAY_SIZE(lists), UNLISTED, NET_BIND_TCP | NET_CONNECT_TCP, NULL, 0,
	    ret_missing);
}

int sandbox_session(const struct sandbox_rule *rules, size_t count, struct str *ret_missing)
{
	static const struct call_list lists[] = {
	    CALLS(common_calls), CALLS(forbidden_calls), CALLS(file_calls), CALLS(session_calls)};
	struct sigaction action = {.sa_sigaction = answer_fstat, .sa_flags = SA_SIGINFO};

	if (sigaction(SIGSYS, &action, NULL) < 0)
		return -errno;
	return cage(lists, ARRAY_SIZE(lists), UNLISTED, NET_BIND_TCP | NET_CONNECT_TCP, rules,
	    count, ret_missing);
}

int sandbox_account(const struct sandbox_rule *rules, size_t count, struct str *ret_missing)
{
	static const struct call_list lists[] = {CALLS(account_calls)};
	return cage(lists, ARRAY_SIZE(lists), ALLOW, NET_BIND_TCP | NET_CONNECT_TCP, rules, count,
	    ret_missing);
}

/* Its calls may open connections: the rest of the forbidden list stands. */
int sandbox_worker(const struct sandbox_rule *rules, size_t count, struct str *ret_missing)
{
	static const struct call_list lists[] = {
	    CALLS(worker_calls), CALLS(common_calls), CALLS(forbidden_calls), CALLS(file_calls)};
	return cage(lists, ARRAY_SIZE(lists), UNLISTED, NET_BIND_TCP, rules, count, ret_missing);
}

static int cage(const struct call_list *lists, size_t list_count, enum verdict unlisted,
    uint64_t handled_net, const struct sandbox_rule *rules, size_t rule_count,
    struct str *ret_missing)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return -errno;
	int rc = landlock_enter(rules, rule_count, handled_net);
	if (rc == -ENOSYS || rc == -EOPNOTSUPP)
		str_append_cstr(ret_missing, "Landlock ");
	else if (rc < 0)
		return rc;
	rc = seccomp_enter(lists, list_count, unlisted);
	if (rc == -ENOSYS || rc == -EINVAL)
		str_append_cstr(ret_missing, "seccomp ");
	else if (rc < 0)
		return rc;
	return 0;
}

/* -ENOSYS, -EOPNOTSUPP: the kernel has none, or it is turned off. */
static int landlock_enter(const struct sandbox_rule *rules, size_t count, uint64_t handled_net)
{
	int abi = landlock_abi(), rc = 0;
	struct ruleset_attributes attributes = {.handled_fs = FS_EXECUTE_TO_MAKE_SYM};
	size_t size = sizeof(attributes.handled_fs);

	if (abi < 0)
		return abi;
	if (abi >= 2)
		attributes.handled_fs |= FS_REFER;
	if (abi >= 3)
		attributes.handled_fs |= FS_TRUNCATE;
	if (abi >= 4) {
		attributes.handled_net = handled_net;
		size = offsetof(struct ruleset_attributes, scoped);
	}
	if (abi >= 5)
		attributes.handled_fs |= FS_IOCTL_DEV;
	if (abi >= 6) {
		attributes.scoped = SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL;
		size = sizeof(attributes);
	}
	int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attributes, size, 0);
	if (ruleset < 0)
		return -errno;
	for (size_t i = 0; i < count && rc == 0; i++) {
		struct stat status;
		if (rules[i].dirfd < 0)
			continue;
		struct landlock_path_beneath_attr rule = {.parent_fd = rules[i].dirfd};
		if (fstat(rules[i].dirfd, &status) < 0) {
			rc = -errno;
			break;
		}
		rule.allowed_access = landlock_rights(
		    rules[i].access, attributes.handled_fs, S_ISDIR(status.st_mode));
		if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) <
		    0)
			rc = -errno;
	}
	if (rc == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		rc = -errno;
	close_fd(&ruleset);
	return rc;
}

static int landlock_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	if (abi < 0)
		return -errno;
#ifdef FAULT_POINTS
	const char *limit = secure_getenv("POSTERN_LANDLOCK_ABI");
	uint64_t n;
	if (limit && span_to_u64(span_cstr(limit), LANDLOCK_ABI_NEWEST, &n) == 0) {
		if (n == 0)
			return -ENOSYS;
		abi = MIN(abi, (long)n);
	}
#endif
	return (int)MIN(abi, LANDLOCK_ABI_NEWEST);
}

static uint64_t landlock_rights(unsigned access, uint64_t handled, bool folder)
{
	uint64_t file_rights = 0, folder_rights = 0;

	if (access & SANDBOX_READ) {
		file_rights |= LANDLOCK_ACCESS_FS_READ_FILE;
		folder_rights |= LANDLOCK_ACCESS_FS_READ_DIR;
	}
	if (access & SANDBOX_WRITE)
		file_rights |= LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE;
	if (access & SANDBOX_CREATE) {
		file_rights |= LANDLOCK_ACCESS_FS_WRITE_FILE;
		folder_rights |= LANDLOCK_ACCESS_FS_MAKE_REG;
	}
	if (access & SANDBOX_REMOVE)
		folder_rights |= LANDLOCK_ACCESS_FS_REMOVE_FILE;
	if (access & SANDBOX_FOLDERS)
		folder_rights |= LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_REMOVE_DIR;
	if ((access & SANDBOX_FOLDERS) && (access & SANDBOX_CREATE))
		folder_rights |= FS_REFER;
	return (file_rights | (folder ? folder_rights : 0)) & handled;
}

#if defined(__x86_64__)
#define NATIVE_ARCHITECTURE AUDIT_ARCH_X86_64
#define FIRST_FOREIGN_CALL 0x40000000U /* x32's numbers would pass by our table */
#elif defined(__aarch64__)
#define NATIVE_ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#define NATIVE_ARCHITECTURE 0 /* nobody read the call table for it: none, and it is said */
#endif

/* -ENOSYS, -EINVAL: the kernel has none, or our tables are not for this processor. */
static int seccomp_enter(const struct call_list *lists, size_t count, enum verdict unlisted)
{
	struct range ranges[RANGES_MAX];
	struct program program = {.forbidden_action = SECCOMP_RET_KILL_PROCESS}, *p = &program;

	if (NATIVE_ARCHITECTURE == 0)
		return -ENOSYS;
#ifdef FAULT_POINTS
	if (secure_getenv("POSTERN_PROBE")) /* the probe wants to go on and tell */
		p->forbidden_action = SECCOMP_RET_ERRNO | EPERM;
#endif
	size_t range_count = make_ranges(lists, count, unlisted, ranges);
	emit(p, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch), 0, 0);
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, NATIVE_ARCHITECTURE, 1, 0);
	emit(p, BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS, 0, 0);
	emit(p, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0, 0);
#ifdef FIRST_FOREIGN_CALL
	emit(p, BPF_JMP | BPF_JGE | BPF_K, FIRST_FOREIGN_CALL, 0, 1);
	emit(p, BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS, 0, 0);
#endif
	emit_tree(p, ranges, 0, range_count);
	struct sock_fprog loaded = {.len = p->n, .filter = p->code};
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &loaded) < 0)
		return -errno;
	return 0;
}

struct ranked_call {
	struct call call;
	size_t rank; /* of its list */
};

static int compare_calls(const void *a, const void *b)
{
	const struct ranked_call *first = a, *second = b;
	if (first->call.number != second->call.number)
		return first->call.number < second->call.number ? -1 : 1;
	return (first->rank > second->rank) - (first->rank < second->rank);
}

/*
 * Sorted, gaps filled with `unlisted`, neighbours of one verdict joined. Of a call that stands in
 * two lists the first list's verdict counts.
 */
static size_t make_ranges(const struct call_list *lists, size_t count, enum verdict unlisted,
    struct range ranges[RANGES_MAX])
{
	struct ranked_call calls[CALLS_MAX] = {0};
	enum verdict current = unlisted;
	uint32_t next = 0;
	size_t n = 0, range_count = 0;

	for (size_t i = 0; i < count; i++) {
		for (size_t k = 0; k < lists[i].count; k++) {
			assert(n < CALLS_MAX);
			calls[n++] = (struct ranked_call){lists[i].calls[k], i};
		}
	}
	qsort(calls, n, sizeof(calls[0]), compare_calls);
	ranges[range_count++] = (struct range){0, unlisted};
	for (size_t i = 0; i < n; i++) {
		uint32_t number = (uint32_t)calls[i].call.number;
		if (number < next) /* again */
			continue;
		if (number > next && current != unlisted) {
			ranges[range_count++] = (struct range){next, unlisted};
			current = unlisted;
		}
		if (calls[i].call.verdict != current) {
			ranges[range_count++] = (struct range){number, calls[i].call.verdict};
			current = calls[i].call.verdict;
		}
		next = number + 1;
	}
	if (current != unlisted)
		ranges[range_count++] = (struct range){next, unlisted};
	return range_count;
}

static void emit(struct program *p, uint16_t code, uint32_t k, uint8_t yes, uint8_t no)
{
	assert(p->n < PROGRAM_MAX);
	p->code[p->n++] = (struct sock_filter){.code = code, .jt = yes, .jf = no, .k = k};
}

static void emit_tree(struct program *p, const struct range *ranges, size_t from, size_t to)
{
	if (to - from == 1) {
		emit_verdict(p, ranges[from].verdict);
		return;
	}
	size_t middle = from + (to - from) / 2;
	unsigned short branch = p->n;
	emit(p, BPF_JMP | BPF_JGE | BPF_K, ranges[middle].first, 0, 0);
	emit_tree(p, ranges, from, middle);
	int distance = p->n - branch - 1;
	assert(distance <= UINT8_MAX);
	p->code[branch].jt = (uint8_t)distance;
	emit_tree(p, ranges, middle, to);
}

/* Offset of the lower half of an argument; the machines of our table are little-endian. */
static uint32_t argument_low(unsigned argument)
{
	return (uint32_t)(offsetof(struct seccomp_data, args) + argument * sizeof(uint64_t));
}

static void emit_verdict(struct program *p, enum verdict verdict)
{
	static const uint32_t fcntl_commands[] = {
	    F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_GETLK, F_SETLK, F_SETLKW, F_DUPFD_CLOEXEC};

	switch (verdict) {
	case UNLISTED: emit(p, BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS, 0, 0); return;
	case ALLOW: emit(p, BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0); return;
	case FORBID: emit(p, BPF_RET | BPF_K, p->forbidden_action, 0, 0); return;
	case EMULATE_FSTAT: emit(p, BPF_RET | BPF_K, SECCOMP_RET_TRAP, 0, 0); return;
	case ALLOW_TO_SELF: emit_zero_or_forbidden(p, 0, (uint32_t)getpid()); return;
	case ALLOW_NO_ADDRESS: emit_zero_or_forbidden(p, 4, 0); return;
	case ALLOW_OPEN:
		emit(p, BPF_LD | BPF_W | BPF_ABS, argument_low(2), 0, 0);
		emit(p, BPF_JMP | BPF_JSET | BPF_K, O_PATH, 3, 0);
		emit(p, BPF_ALU | BPF_AND | BPF_K, O_ACCMODE | O_TRUNC, 0, 0);
		emit(p, BPF_JMP | BPF_JEQ | BPF_K, O_TRUNC | O_RDONLY, 1, 0);
		emit(p, BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
		emit(p, BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES, 0, 0);
		return;
	case ALLOW_FCNTL:
		emit(p, BPF_LD | BPF_W | BPF_ABS, argument_low(1), 0, 0);
		for (size_t i = 0; i < ARRAY_SIZE(fcntl_commands); i++)
			emit(p, BPF_JMP | BPF_JEQ | BPF_K, fcntl_commands[i],
			    (uint8_t)(ARRAY_SIZE(fcntl_commands) - i), 0);
		emit(p, BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL, 0, 0);
		emit(p, BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
		return;
	case ALLOW_NO_EXEC:
		emit(p, BPF_LD | BPF_W | BPF_ABS, argument_low(2), 0, 0);
		emit(p, BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 1);
		emit(p, BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES, 0, 0);
		emit(p, BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
		return;
	case ALLOW_FIONREAD:
		emit(p, BPF_LD | BPF_W | BPF_ABS, argument_low(1), 0, 0);
		emit(p, BPF_JMP | BPF_JEQ | BPF_K, FIONREAD, 1, 0);
		emit(p, BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOTTY, 0, 0);
		emit(p, BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
		return;
	case ALLOW_QUICKACK:
		emit(p, BPF_LD | BPF_W | BPF_ABS, argument_low(1), 0, 0);
		emit(p, BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_TCP, 0, 2);
		emit(p, BPF_LD | BPF_W | BPF_ABS, argument_low(2), 0, 0);
		emit(p, BPF_JMP | BPF_JEQ | BPF_K, TCP_QUICKACK, 1, 0);
		emit(p, BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOPROTOOPT, 0, 0);
		emit(p, BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
		return;
	}
}

/* Both halves of the argument must be as given, the upper one zero; else the call is forbidden. */
static void emit_zero_or_forbidden(struct program *p, unsigned argument, uint32_t low)
{
	emit(p, BPF_LD | BPF_W | BPF_ABS, argument_low(argument), 0, 0);
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, low, 0, 3);
	emit(p, BPF_LD | BPF_W | BPF_ABS, argument_low(argument) + 4, 0, 0);
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1);
	emit(p, BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
	emit(p, BPF_RET | BPF_K, p->forbidden_action, 0, 0);
}

#if defined(__x86_64__)
#define CALL_ARGUMENT_0(u) ((u)->uc_mcontext.gregs[REG_RDI])
#define CALL_ARGUMENT_1(u) ((u)->uc_mcontext.gregs[REG_RSI])
#define CALL_ARGUMENT_2(u) ((u)->uc_mcontext.gregs[REG_RDX])
#define CALL_ARGUMENT_3(u) ((u)->uc_mcontext.gregs[REG_R10])
#define CALL_RESULT(u) ((u)->uc_mcontext.gregs[REG_RAX])
#elif defined(__aarch64__)
#define CALL_ARGUMENT_0(u) ((u)->uc_mcontext.regs[0])
#define CALL_ARGUMENT_1(u) ((u)->uc_mcontext.regs[1])
#define CALL_ARGUMENT_2(u) ((u)->uc_mcontext.regs[2])
#define CALL_ARGUMENT_3(u) ((u)->uc_mcontext.regs[3])
#define CALL_RESULT(u) ((u)->uc_mcontext.regs[0])
#endif

/*
 * glibc 2.33 to 2.38 makes newfstatat(fd, "", buffer, AT_EMPTY_PATH) of fstat(), inside itself too.
 * A filter sees the pointer but not that the string is empty, and stat by path must not be: the
 * kernel would show every file of the user, Landlock or not. So the call traps to here, which does
 * the one about an open fd and answers ENOSYS to the other.
 */
static void answer_fstat(int signal, siginfo_t *info, void *context)
{
#ifdef CALL_RESULT
	ucontext_t *u = context;
	int saved = errno;
	long result = -ENOSYS;

	(void)signal;
	if (info->si_syscall == SYS_newfstatat && (CALL_ARGUMENT_3(u) & AT_EMPTY_PATH) &&
	    ((const char *)CALL_ARGUMENT_1(u))[0] == '\0') {
		result = syscall(SYS_fstat, CALL_ARGUMENT_0(u), CALL_ARGUMENT_2(u));
		result = result < 0 ? -errno : result;
	}
	CALL_RESULT(u) = result;
	errno = saved;
#else
	(void)signal, (void)info, (void)context;
#endif
}

#ifdef __SANITIZE_ADDRESS__
/* The leak check at exit stops the process by ptrace, which no cage allows. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1;
}
#endif
