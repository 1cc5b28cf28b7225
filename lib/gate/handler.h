#ifndef POSTERN_GATE_HANDLER_H
#define POSTERN_GATE_HANDLER_H
/*
 * The shape of a handler program: adopt the connection, fork into gate and session, let the gate do
 * TLS and what comes before authentication, let the session decide, hand over, serve.
 *
 * A program fills in struct handler and calls handler_main() from main(); serve() runs in the
 * session process, inside its second cage, with the plain conversation in session->peer.
 */
#include "account/login.h"
#include "conf/config.h"
#include "conf/paths.h"
#include "io/stream.h"
#include "sys/activation.h"
#include "sys/log.h"

enum protocol { PROTOCOL_IMAP, PROTOCOL_SUBMISSION };

enum session_start {
	SESSION_GREET,	       /* known key, implicit TLS (or a tunnel): nothing was said yet; IMAP
				* greets PREAUTH, submission 220 */
	SESSION_AFTER_SASL,    /* answer the command: tagged OK, or 235 */
	SESSION_AFTER_STARTTLS /* submission, known key after STARTTLS: wait for EHLO */
};

/* Who is logged in and how. */
struct session_login {
	struct span account, address; /* address: to act as */
	struct span mechanism; /* "EXTERNAL", "TLS-KEY" (no SASL yet), "SCRAM-SHA-256", "LOCAL" … */
	struct span fingerprint; /* of the proven known key; unset: none */
	struct span password_name;
	enum preauth preauth;
	int64_t expires_s; /* of the credential; 0: never */
};

struct session_facts {
	struct span peer_address; /* "192.0.2.1" */
	struct span local_address;
	bool tls, implicit_tls;
	int tls_version;
	struct span cipher;
	struct sasl_binding binding;
	bool client_certificate;
	struct span
	    client_id;	  /* IMAP ID arguments, or SMTP's EHLO name, as far as the gate saw them */
	struct span helo; /* SMTP: EHLO/HELO argument so far */
	bool esmtp;
};

struct session {
	enum protocol protocol;
	enum session_start start;
	struct span tag; /* IMAP: of the authenticating command */
	struct stream *peer;
	struct session_login login;
	struct session_facts facts;
	struct config *config;
	struct config_global global;
	struct config_account account;
	struct arena *arena; /* the connection's */
	unsigned mechanisms; /* set that this listener offers on this connection */
	int account_fd;	     /* accounts/NAME/, read only */
	int mail_fd;	     /* mail/NAME/ (IMAP), else -1 */
	int incoming_fd;     /* queue/incoming/NAME/ (submission), else -1 */
	int wake_fd;	     /* queue/wake/ (submission), else -1 */
	int changes_fd;	     /* inotify instance, watching account and mail `changes`; -1: none */
	struct session_guard *guard; /* gate/session.h: for the functions below */
};

struct handler {
	const char *program; /* "imap-handler" */
	enum protocol protocol;
	/* Runs the protocol until its end; returns the exit status. */
	int (*serve)(struct session *s);
	void (*log)(enum log_level level, const char *format, ...) printf_like(2, 3); /* log_line */
};
/*
 * Options: see handler_usage in handler.c and the man pages. Exit status: 0; 64 bad options; 69 no
 * connection; 75 a folder, the configuration or a certificate is not to be had, said in the log.
 */
int handler_main(int argc, char **argv, const struct handler *h);

/*
 * What the client of a login by key calls itself (IMAP ID's arguments, EHLO's name), if that is
 * said only afterwards: for the history. The first name counts.
 */
void session_name_client(struct session *s, struct span client);
/* No authentication comes on top of the key any more, and no name: gives back what they needed. */
void session_forget_attempts(struct session *s);
/*
 * Is the credential of this session still good? Called after `changes` was touched. LOGIN_OK, or
 * why not (disabled, removed, expired): the caller says BYE / 421. s->config is then the
 * configuration as it is now, and s->login.expires_s what the credential's record says now.
 */
enum login_result session_still_valid(struct session *s);
/*
 * SASL spoken by the session itself, after the handover (tolerant preauth, AUTH over a key): only
 * the session's own account passes. The caller carries challenges and responses; NULL result: the
 * mechanism is not offered.
 */
struct sasl_server *session_sasl(struct session *s, enum sasl_mechanism m);
/*
 * Maps and logs its end: sets s->login on success. A failure takes time, growing from the fourth
 * on; LOGIN_LIMITED: that was one too many, the caller says BYE / 421.
 */
enum login_result session_sasl_end(
    struct session *s, const struct sasl_server *sasl, enum sasl_outcome o);
#endif
