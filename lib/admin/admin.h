#ifndef POSTERN_ADMIN_ADMIN_H
#define POSTERN_ADMIN_ADMIN_H
/*
 * The administrator's program, `postern VERB …`. One table of verbs (admin.c), one file per group of
 * them. Results go to stdout, what is wrong to stderr: what it was, where, and what to do.
 *
 * As root on the system's instance it becomes user `postern` before a verb runs, but for the verbs
 * that write below /etc/postern: those write that one file first. With --instance DIR it stays who
 * it is.
 */
#include "base/arena.h"
#include "conf/compile.h"

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
	bool json;
	struct arena arena;
	struct arguments arguments;
	const struct verb *verb;
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
/* Takes "--name=value" or "--name value" out; NULL: not there. "" where the value is missing. */
const char *option_value(struct admin *admin, const char *name);
/* After all options: operands within min..max and no option left, or says so: STATUS_USAGE. */
must_use int operands_check(struct admin *admin, int min, int max);

/* "postern: …" on stderr; answers status. */
int problem(int status, const char *format, ...) printf_like(2, 3);
int status_of(int error); /* of a negative errno */
void print_report(const struct config_report *report);
/* Becomes `postern` when root on the system's instance. STATUS_OK, or it has said why not. */
must_use int become_postern(const struct admin *admin);
/* Opens a folder below the state: STATUS_OK, or it has said why not. */
must_use int open_state(struct admin *admin, const char *name, int *ret_fd);
/* The compiled configuration, likewise. */
must_use int open_config(struct admin *admin, struct config **ret);
/* A string in JSON's quotes (RFC 8259 §7) on stdout. */
void print_json_string(struct span s);

int verb_config_check(struct admin *admin);
int verb_config_apply(struct admin *admin);
int verb_config_show(struct admin *admin);
int verb_config_keys(struct admin *admin);
int verb_account_add(struct admin *admin);
int verb_account_list(struct admin *admin);
int verb_account_password(struct admin *admin);
int verb_key_add(struct admin *admin);
int verb_key_list(struct admin *admin);
int verb_key_get(struct admin *admin);
int verb_key_rm(struct admin *admin);
int verb_key_gen(struct admin *admin);
int verb_queue_list(struct admin *admin);
int verb_localserve(struct admin *admin);
#endif
