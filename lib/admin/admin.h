#ifndef POSTERN_ADMIN_ADMIN_H
#define POSTERN_ADMIN_ADMIN_H
/*
 * The administrator's program, `postern VERB …`. One table of verbs (admin.c), one file per group
 * of them. Results go to stdout, what is wrong to stderr: what it was, where, and what to do.
 *
 * As root on the system's instance it becomes user `postern` before a verb runs, but for the verbs
 * that write below /etc/postern: those write that one file first. With --instance DIR it stays who
 * it is.
 */
#include "base/arena.h"
#include "conf/compile.h"

#define POSTERN_VERSION "0.1"

enum {
	STATUS_OK = 0,
	STATUS_PROBLEM = 1, /* something was found to be wrong */
	STATUS_USAGE = 2,
	/* sysexits.h */
	STATUS_NO_INPUT = 66,
	STATUS_CANNOT_CREATE = 73,
	STATUS_IO = 74,
	STATUS_TEMPORARY = 75,
	STATUS_NO_PERMISSION = 77,
	STATUS_CONFIGURATION = 78,
};

/* Options are taken out of it; what is left are operands. */
struct arguments {
	char **items;
	int count;
};
struct admin {
	struct paths paths;
	const char *instance; /* NULL: the system's */
	bool json, yes;
	struct arena arena;
	struct arguments arguments;
	const struct verb *verb;
	const char *valueless; /* an option that came without its value; NULL: none */
};
struct verb {
	const char *group, *name; /* name NULL: the group is the verb */
	const char *usage;	  /* operands and options */
	const char *summary;	  /* one line */
	const char *help;	  /* paragraphs, may be NULL */
	int (*run)(struct admin *admin);
	bool stays; /* does not become `postern`, or does so itself */
};

/* main() of bin/postern.c: the exit status. */
int admin_main(int argc, char **argv);

/* Takes "--name" out; whether it was there. */
bool option_flag(struct admin *admin, const char *name);
/*
 * Takes "--name=value" or "--name value" out; NULL: not there. "" where the value is missing, which
 * operands_check() then complains about.
 */
const char *option_value(struct admin *admin, const char *name);
/*
 * After all options: operands within min..max and no option left, or says so: STATUS_USAGE.
 * Operands are what does not begin with "--", what stands behind a "--" alone, and fingerprints,
 * however they begin.
 */
must_use int operands_check(struct admin *admin, int min, int max);

/* "postern: …" on stderr; answers status. */
int problem(int status, const char *format, ...) printf_like(2, 3);
int status_of(int error);  /* of a negative errno */
bool is_damage(int error); /* does a negative errno mean that a file is not what it should be? */
/* Of a negative errno, for people; of damage, with what to do about it. */
const char *error_text(int error);
void print_report(const struct config_report *report);
/* Becomes `postern` when root on the system's instance. STATUS_OK, or it has said why not. */
must_use int become_postern(const struct admin *admin);
/* Opens a folder below the state: STATUS_OK, or it has said why not. */
must_use int open_state(struct admin *admin, const char *name, int *ret_fd);
/* The compiled configuration, likewise. */
must_use int open_config(struct admin *admin, struct config **ret);
/* The compiled configuration cannot be used: says why, and what to do. A status. */
int problem_config(struct admin *admin, int error);
/* The account's record in effect; STATUS_OK, or it has said that there is none, or why not. */
must_use int find_account(struct admin *admin, const char *name, struct config_account *ret);
/* accounts/NAME/, likewise. */
must_use int open_account(struct admin *admin, const char *name, int *ret_fd);
/* accounts/NAME/credentials.tdb cannot be used: says why, and what to do. A status. */
int problem_credentials(struct admin *admin, const char *name, int error);
/* history/NAME/FILE, likewise; being damaged is no error there. */
int problem_history(struct admin *admin, const char *name, const char *file, int error);
/* history/NAME/; -1 where nothing has happened yet. */
int open_history(struct admin *admin, const char *name);
/*
 * fn for each account in effect, by name, or for the one that is given. What fn cannot do for one
 * it says itself, and the next comes: STATUS_PROBLEM in the end; fn's own status for the given one.
 */
must_use int each_account(struct admin *admin, const char *name,
    int (*fn)(struct admin *admin, const struct config_account *account, void *context),
    void *context);
/*
 * A verb that lists something of each account, or of the one that is the operand: each_account(),
 * and with --json the brackets around it all.
 */
must_use int list_accounts(struct admin *admin,
    int (*fn)(struct admin *admin, const struct config_account *account, void *context),
    void *context);
/*
 * Before something is taken away: asks "QUESTION [y/N]", unless --yes is given. STATUS_OK, or it
 * has said that nothing was changed. Without a terminal to ask on and without --yes: STATUS_USAGE.
 * The question names what goes; it is what is said in every case.
 */
must_use int confirm(struct admin *admin, const char *question);
/*
 * config_check(), and prints the report: STATUS_PROBLEM where it has errors. Of a verb without
 * operands.
 */
must_use int check_config(struct admin *admin, struct config_draft *ret);
/* config_apply(), and what it cannot do: keys/secret. Prints the report. 0 or -errno. */
must_use int apply_config(struct admin *admin);
/* The same after conf.d/FILE was written; says so where it cannot be applied. A status. */
must_use int apply_written(struct admin *admin, struct span file);
/* Makes keys/secret and keys/nobody, or sets the count (account/credentials.h). A status. */
must_use int make_secret(struct admin *admin, uint32_t iterations);
/* That count; untouched before there is one. A status. */
must_use int installed_iterations(struct admin *admin, uint32_t *ret);
/*
 * Warns of accounts whose passwords were made with another count: it tells them from unknown users.
 */
void warn_of_iterations(struct admin *admin, const struct config_draft *draft, uint32_t iterations);
/* Of the account's passwords; 0: it has none. */
uint32_t account_iterations(struct admin *admin, const char *name);
/* "2026-11-23 22:04:05", UTC; "never" for 0. */
struct span format_time(struct arena *a, int64_t seconds);
/*
 * What somebody else may have chosen, on stdout: nothing of it reaches the terminal raw
 * (sys/log.h). As it is; in quotes; or, where one word is expected, with blanks escaped, too.
 */
void print_text(struct span s);
void print_quoted(struct span s);
void print_word(struct span s);
/*
 * A string in JSON's quotes (RFC 8259 §7) on stdout: whatever the bytes, the text is UTF-8 and
 * holds no control character. Bytes that are no UTF-8 become U+FFFD.
 */
void print_json_string(struct span s);

int verb_config_check(struct admin *admin);
int verb_config_apply(struct admin *admin);
int verb_config_show(struct admin *admin);
int verb_config_keys(struct admin *admin);
int verb_account_add(struct admin *admin);
int verb_account_list(struct admin *admin);
int verb_account_show(struct admin *admin);
int verb_account_disable(struct admin *admin);
int verb_account_enable(struct admin *admin);
int verb_account_password(struct admin *admin);
int verb_apppassword_add(struct admin *admin);
int verb_apppassword_list(struct admin *admin);
int verb_apppassword_rm(struct admin *admin);
int verb_logins(struct admin *admin);
int verb_key_add(struct admin *admin);
int verb_key_list(struct admin *admin);
int verb_key_get(struct admin *admin);
int verb_key_rm(struct admin *admin);
int verb_key_gen(struct admin *admin);
int verb_key_pending(struct admin *admin);
int verb_key_approve(struct admin *admin);
int verb_queue_list(struct admin *admin);
int verb_localserve(struct admin *admin);
#endif
