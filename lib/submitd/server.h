#ifndef POSTERN_SUBMITD_SERVER_H
#define POSTERN_SUBMITD_SERVER_H
/* Inside of submitd/: the conversation's state and what its files share. */
#include "submitd/submitd.h"
#include "submitd/transaction.h"

enum {
	/* RFC 5321 §4.5.3.2: 5 minutes for a command, 3 for a block of data */
	SUBMITD_COMMAND_TIMEOUT_MS = 5 * 60 * 1000,
	SUBMITD_DATA_TIMEOUT_MS = 3 * 60 * 1000,
	SUBMITD_LINE_TIMEOUT_MS = 10 * 60 * 1000,	 /* for one whole command line */
	SUBMITD_MESSAGE_TIMEOUT_MS = 3 * 60 * 60 * 1000, /* for one whole message */
	/* Commands that were nonsense: 5xx about syntax, order, or a failed AUTH */
	SUBMITD_ERRORS_MAX = 20,
	/* How often a session without inotify looks after its credential */
	SUBMITD_CREDENTIAL_CHECK_MS = 1000,
};

struct server {
	struct session *session;
	struct stream *peer;
	struct transaction *transaction; /* NULL: none */
	struct str helo;		 /* "" : nothing said yet */
	bool esmtp;			 /* by EHLO */
	bool sasl_done;			 /* one SASL authentication per connection */
	bool in_message;		 /* its bytes are read: SIGTERM waits for their end */
	bool over;			 /* after QUIT, 421 and lost connections */
	unsigned errors;
	int64_t checked_ms; /* the credential, last */
};

/* End of the transaction, whatever became of it. */
void server_reset(struct server *v);
/* A reply to a client's mistake: counted, and after SUBMITD_ERRORS_MAX the connection ends. */
void server_mistake(struct server *v, unsigned code, const char *enhanced, const char *text);
/* 421 and the end (RFC 5321 §3.8). */
void server_shut(struct server *v, const char *enhanced, const char *text);
/*
 * Until input is there, at most timeout_ms: false when it is over, by time, by a lost connection,
 * or because the credential is no longer good; the client has been told then.
 */
bool server_wait(struct server *v, int timeout_ms);
/*
 * Waits and reads a line. LINE_ERROR: it is over, as above, or the line took too long. A line is
 * only given to a caller while the credential is good.
 */
enum line_result server_read_line(struct server *v, size_t max, struct str *line);
/* 525 5.7.13 if the account is disabled (whatever the mode of its key). */
bool server_is_disabled(struct server *v);

/* The commands that have files of their own. */
void server_auth(struct server *v, const struct smtp_command *c, struct arena *scratch);
void server_data(struct server *v, const struct smtp_command *c, struct arena *scratch);
void server_bdat(struct server *v, const struct smtp_command *c, struct arena *scratch);
#endif
