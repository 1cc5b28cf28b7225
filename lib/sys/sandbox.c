/*
 * Each cage is a set of Landlock rules and a seccomp filter. Which calls are allowed, and why, is
 * in the tables of filters/make_filters.c, from which libseccomp makes the filters while Postern is
 * built: making them anew costs each login 0.5 ms, loading them 0.1.
 */
#include "sys/sandbox.h"

#include <assert.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "sys/sandbox_filters.h" /* generated */

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

/* One of the generated programs. */
struct filter {
	const struct sock_filter *code;
	size_t count;
};
enum { FILTER_MAX = 1024 };
#ifdef FAULT_POINTS /* the probe wants to go on after a forbidden call, and tell */
#define FILTER(name)                                                                        \
	(secure_getenv("POSTERN_PROBE")                                                     \
		? (struct filter){name##_filter_lenient, ARRAY_SIZE(name##_filter_lenient)} \
		: (struct filter){name##_filter, ARRAY_SIZE(name##_filter)})
#else
#define FILTER(name) ((struct filter){name##_filter, ARRAY_SIZE(name##_filter)})
#endif

static int lose_privileges(void);
static int cage(struct filter filter, uint64_t handled_net, const struct sandbox_rule *rules,
    size_t rule_count, struct str *ret_missing);
static int landlock_enter(const struct sandbox_rule *rules, size_t count, uint64_t handled_net);
static int landlock_abi(void);
static uint64_t landlock_rights(unsigned access, uint64_t handled, bool folder);
static int seccomp_enter(struct filter filter);
static void answer_fstat(int signal, siginfo_t *info, void *context);

int sandbox_gate(struct str *ret_missing)
{
	int rc = lose_privileges();
	return rc < 0 ? rc
		      : cage(FILTER(gate), NET_BIND_TCP | NET_CONNECT_TCP, NULL, 0, ret_missing);
}

int sandbox_session(const struct sandbox_rule *rules, size_t count, struct str *ret_missing)
{
	struct sigaction action = {.sa_sigaction = answer_fstat, .sa_flags = SA_SIGINFO};
	int rc = lose_privileges();

	if (rc == 0 && sigaction(SIGSYS, &action, NULL) < 0)
		rc = -errno;
	return rc < 0 ? rc
		      : cage(FILTER(session), NET_BIND_TCP | NET_CONNECT_TCP, rules, count,
			    ret_missing);
}

/* The first cage has done what prctl() does, and forbids it. */
int sandbox_account(const struct sandbox_rule *rules, size_t count, struct str *ret_missing)
{
	return cage(FILTER(account), NET_BIND_TCP | NET_CONNECT_TCP, rules, count, ret_missing);
}

int sandbox_worker(const struct sandbox_rule *rules, size_t count, struct str *ret_missing)
{
	int rc = lose_privileges();
	return rc < 0 ? rc : cage(FILTER(worker), NET_BIND_TCP, rules, count, ret_missing);
}

static int lose_privileges(void)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return -errno;
	return 0;
}

static int cage(struct filter filter, uint64_t handled_net, const struct sandbox_rule *rules,
    size_t rule_count, struct str *ret_missing)
{
	int rc = landlock_enter(rules, rule_count, handled_net);

	if (rc == -ENOSYS || rc == -EOPNOTSUPP)
		str_append_cstr(ret_missing, "Landlock ");
	else if (rc < 0)
		return rc;
	rc = seccomp_enter(filter);
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

/* -ENOSYS, -EINVAL: the kernel has none, or answer_fstat() is not written for this processor. */
static int seccomp_enter(struct filter filter)
{
#ifdef CALL_RESULT
	struct sock_filter code[FILTER_MAX];
	const struct sock_fprog program = {(unsigned short)filter.count, code};

	assert(filter.count <= ARRAY_SIZE(code));
	memcpy(code, filter.code, filter.count * sizeof(code[0]));
	for (size_t i = 0; i < filter.count; i++) {
		if (BPF_CLASS(code[i].code) == BPF_JMP && code[i].k == FILTER_SELF)
			code[i].k = (uint32_t)getpid();
	}
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0 ? -errno : 0;
#else
	(void)filter;
	return -ENOSYS;
#endif
}

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
