#ifndef POSTERN_GATE_SESSION_H
#define POSTERN_GATE_SESSION_H
/*
 * The session process until it serves: the decision who this is, from the gate's facts and a SASL
 * conversation carried by the gate, with limits, delays, history and the log; then the second cage.
 */
#include "account/history.h"
#include "account/limits.h"
#include "gate/message.h"
#include "sys/sandbox.h"

enum {
	SESSION_FAILURES_FREE =
	    3, /* on one connection; after these each answer takes a second more */
	SESSION_FAILURES_MAX = 10, /* the last one closes */
	SESSION_DELAY_MAX_MS = 8000,
	SESSION_TLS_1_3 = 0x0304,
	SESSION_READ_MS = 30 * 60 * 1000, /* of the peer, unless serve() says otherwise */
	SESSION_WRITE_MS = 5 * 60 * 1000,
};

/* What handler.c hands to the session process. Folders that are not there are -1. */
struct session_setup {
	const struct handler *handler;
	struct config *config;
	struct config_global global;
	struct span peer_address, local_address;
	uint8_t nonce[TLS_NONCE_BYTES];
	unsigned mechanisms; /* set: what this invocation allows */
	int config_fd, keys_fd;
	int accounts_fd; /* O_PATH: nobody lists the accounts with it */
	int history_fd, limits_fd;
	int mail_fd;		  /* IMAP */
	int incoming_fd, wake_fd; /* submission */
	int gconv_fd;		  /* glibc's charsets */
	pid_t gate_pid;
	struct arena *arena; /* the connection's */
};
/* How a login of this process is checked again later. */
struct session_guard {
	const struct handler *handler;
	int config_fd;
	struct login_lookup lookup; /* config is the session's */
	struct sasl_lookup inner;   /* over `lookup` */
	uint64_t password_version;
	unsigned enabled;  /* set of mechanisms of this listener, hidden or not */
	unsigned failures; /* of SASL after the handover */
	/*
	 * Of a login by key: what a second authentication, and a client that names itself, still
	 * write.
	 */
	struct limits_plus_mark plus_mark;
	struct login_history *history;
	bool limited; /* a guess over the key was not told */
};

/* The decision in the making, and after the yes what it was made of. */
struct decision {
	const struct session_setup *setup;
	const struct handler *handler;
	struct session session;
	struct session_guard guard;
	struct stream *gate;
	struct str body;       /* of the message in hand */
	struct limits *limits; /* NULL: not to be had; logins go on without */
	int facts_count;
	unsigned failures;
	struct span fingerprint; /* of the client's proven key, known or not; unset: none */
	struct span spki;	 /* of the same */
	struct login_key key;	 /* of that key */
	bool key_is_known;	 /* LOGIN_OK */
	bool unknown_key_tried;	 /* EXTERNAL with an unknown key is free once */
	bool limited;		 /* a bucket was full, seen in the middle of a login */
	bool counted;		 /* the verdict was: by limits_settle() */
	struct span
	    counted_as; /* by limits: the account, or what stands for an unknown user; or unset */
	struct span client_id; /* of the attempt in hand */
};
/* What a step comes to. */
enum step {
	STEP_GO_ON,
	STEP_YES,      /* everything is decided, the second cage is closed: serve */
	STEP_END,      /* the client is gone, or was refused for good */
	STEP_NONSENSE, /* the gate says what it may not, or nothing any more */
};

/*
 * Runs from the first cage to the end of serve(); answers the exit status. `gate` is the session's
 * end of the socketpair, owned from here on.
 */
int session_run(const struct session_setup *setup, struct stream *gate);
/* The same without a gate: a tunnel on a pipe, already authenticated by who started it. */
int session_run_tunnel(const struct session_setup *setup, struct span account, struct stream *peer);

/* session.c: messages to the gate. Refusing with `close` ends. */
enum step session_refuse(struct decision *d, enum refusal refusal, bool close, struct span text);
enum step session_send_body(struct decision *d, enum message_type type);
void session_report_missing(const struct decision *d, const struct str *missing);

/* session_auth.c: one AUTH message and the conversation behind it. */
enum step session_handle_auth(struct decision *d);
/* The words for this result, which is not LOGIN_OK. */
enum refusal session_refusal_of(enum login_result result);
/* False: refused. Waits where the limits want that. */
bool session_within_limits(struct decision *d);
/* After so many failures of one connection (growing from the fourth on). */
void session_delay_after(unsigned failures);
/* The earlier of two times at which something expires; 0 is never. */
int64_t session_earlier(int64_t one_s, int64_t other_s);
/* The listener, as limits and log name it: "imap", "submission". */
struct span session_listener(const struct session *s);

/*
 * session_serve.c. s->login is filled in: opens the account, records, closes the second cage, tells
 * the gate. STEP_YES; or refuses (our own failure) and goes on.
 */
enum step session_say_yes(struct decision *d, struct span user);
must_use int session_open_account(struct decision *d, struct span account); /* -ENOENT */
must_use int session_enter_account_cage(struct decision *d);
int session_serve(struct decision *d);

/* One attempt: a stable line in the log, and a row in the account's history. */
struct session_attempt {
	enum login_result result;
	struct span account; /* unset: nobody's, and no history */
	struct span user;    /* as the client named it */
	struct span mechanism, fingerprint, password_name;
};
void session_log_attempt(const struct session *s, const struct session_attempt *a);
void session_record(struct decision *d, const struct session_attempt *a);
/* The account's, or where attempts go that name none (unset); NULL: not to be had. */
struct login_history *session_open_history(const struct decision *d, struct span account);
/*
 * Why a look-up failed. Whose it was says the attempt's line, in a place where nothing can be
 * forged.
 */
void session_log_lookup(const struct session *s, int error);
/* With the hint what to configure. */
void session_log_plus_hidden(const struct session *s, struct span mechanism);
enum login_result session_result_of(enum sasl_outcome o, const struct sasl_result *r);
#endif
