#ifndef POSTERN_IMAPD_CONNECTION_H
#define POSTERN_IMAPD_CONNECTION_H
/*
 * What the files of imapd/ share: the connection, the answers of commands, telling the client what
 * changed, waiting. Private to this folder.
 *
 * A command runs in two steps: imap_command_parse() checks its syntax, then one function of the
 * table in serve.c takes effect and returns its answer. The dispatcher tells the updates of the
 * selected mailbox and then says the tagged line. What a command allocates lives in `scratch`.
 */
#include "imap/command.h"
#include "imap/reader.h"
#include "imapd/imapd.h"
#include "sasl/server.h"
#include "store/store.h"

enum {
	IMAPD_READ_TIMEOUT_MS = 30 * 60 * 1000, /* RFC 3501 §5.4 wants at least 30 minutes */
	IMAPD_LINE_TIMEOUT_MS = 10 * 60 * 1000, /* for a whole command, once it has begun */
	IMAPD_WRITE_TIMEOUT_MS = 5 * 60 * 1000, /* of a client that does not read */
	IMAPD_POLL_MS = 1000,		 /* between looks for changes where there is no inotify */
	IMAPD_WITHDRAWN_GRACE_MS = 5000, /* for the response that runs when the credential ends */
	IMAPD_LOOK_MS = 100,		 /* between looks inside a long answer */
	IMAPD_FRESH_MS = 2000,		 /* a younger change of the account is looked at again */
	IMAPD_STOP_S = 30,		 /* for the command that runs at SIGTERM */
	IMAPD_BAD_COMMANDS_MAX = 20,	 /* in a row; then BYE */
	IMAPD_OUT_BYTES_MAX = 16 << 20,	 /* of one response's part that is put together in memory */
	IMAPD_OUT_KEPT_BYTES = 65536,	 /* what the connection keeps of it between commands */
	IMAPD_HEADER_BYTES_MAX = 4 << 20, /* of a header that is read for fields or search */
	IMAPD_SASL_LINE_BYTES_MAX = 65536,
	IMAPD_IDLE_LINE_BYTES_MAX = 1000,
};

struct imapd {
	struct session *session;
	struct stream *peer;
	struct store *store;
	struct view *view; /* the selected mailbox; NULL: none */
	bool read_only;	   /* as it was selected: EXAMINE */

	struct imap_reader reader;
	struct arena scratch;		    /* of the command that runs */
	const struct imap_command *command; /* likewise */
	struct str out;			    /* a response that is being put together */

	bool ended;	       /* BYE was said, or the peer is gone */
	bool tolerant;	       /* tolerant preauth: AUTHENTICATE and LOGIN are still answered */
	bool in_message;       /* of APPEND: SIGTERM waits for its end */
	unsigned bad_commands; /* in a row */
	struct timespec account_changed; /* of accounts/NAME/changes, when last looked at */
	enum login_result withdrawn;	 /* not LOGIN_OK: the credential has ended; BYE is due */
	bool stirred;	       /* events were taken while the client was being told something */
	int64_t next_look_ms;  /* monotonic: the next one inside a long answer */
	int64_t expires_ms;    /* monotonic; INT64_MAX: never */
	int64_t line_until_ms; /* likewise: what is being read must end then */
};

/* The tagged line that ends a command. */
enum answer_kind {
	ANSWER_OK,
	ANSWER_NO,
	ANSWER_BAD,
	ANSWER_NONE, /* nothing more is said: the connection has ended */
};
struct answer {
	enum answer_kind kind;
	struct span code; /* response code without brackets; unset: none */
	const char *text;
};
static inline struct answer answer_ok(const char *text)
{
	return (struct answer){ANSWER_OK, SPAN_NONE, text};
}
static inline struct answer answer_ok_code(struct span code, const char *text)
{
	return (struct answer){ANSWER_OK, code, text};
}
static inline struct answer answer_no(const char *code, const char *text) /* code NULL: none */
{
	return (struct answer){ANSWER_NO, span_cstr(code), text};
}
static inline struct answer answer_bad(const char *text)
{
	return (struct answer){ANSWER_BAD, SPAN_NONE, text};
}
/*
 * The peer is gone in the middle of a response, or has heard BYE: nobody is left to answer, nor to
 * run for what is pipelined.
 */
static inline struct answer answer_lost(struct imapd *c)
{
	c->ended = true;
	return (struct answer){.kind = ANSWER_NONE};
}
/* What an error of the store means to the client (RFC 5530); logged when it is not his. */
struct answer answer_error(int error);

/* serve.c: "* BYE text", once; sets `ended`. */
void imapd_bye(struct imapd *c, const char *text);
/*
 * What follows in the stream cannot be understood: the command that was being read gets its answer,
 * then BYE.
 */
void imapd_give_up(struct imapd *c, struct answer answer, const char *text);
/* Hands `out` to the stream and empties it. */
void imapd_put_out(struct imapd *c);

/* session.c: "IMAP4rev1 …", without "CAPABILITY". */
struct span imapd_capabilities(struct imapd *c);

/*
 * update.c: Untagged EXPUNGE, EXISTS, FETCH, FLAGS of the selected mailbox. -ENOENT: it was
 * deleted.
 */
must_use int imapd_tell_updates(struct imapd *c, bool tell_expunges);
/* "* FLAGS", "* OK [PERMANENTFLAGS". */
void imapd_tell_flags(struct imapd *c);
/* "FLAGS (\Seen)", to `out`. */
void imapd_put_flags(struct imapd *c, unsigned flags, uint64_t keywords);

/* wait.c */
enum wake {
	WAKE_INPUT,   /* also at the end of input */
	WAKE_CHANGES, /* somebody changed the selected mailbox */
	WAKE_END,     /* BYE was said, or the stream failed */
};
/*
 * Takes over the signals, computes the end of the session's credential. From here on every read
 * that must wait notices what imapd_look_around() does, and then fails; writes notice withdrawal.
 */
void imapd_wait_start(struct imapd *c);
/* The same computation again: session->login changed. */
void imapd_note_expiry(struct imapd *c);
/* Until the client says something; with want_changes, also until the mailbox changed. */
enum wake imapd_wait(struct imapd *c, bool want_changes);
/* The same look at signals, credential and account, without waiting. False: the session ends. */
must_use bool imapd_look_around(struct imapd *c);
/*
 * Between the responses of a long answer: has the credential ended? Then BYE was said. Looked after
 * every IMAPD_LOOK_MS, and while a response waits for a slow client, which is cut off in it
 * IMAPD_WITHDRAWN_GRACE_MS later.
 */
must_use bool imapd_is_withdrawn(struct imapd *c);
/*
 * Around the reading of what the client says in one go: it has IMAPD_LINE_TIMEOUT_MS for that, and
 * when it is complete the session looks around before anything is done with it. False: the session
 * ends.
 */
void imapd_line_begins(struct imapd *c);
must_use bool imapd_line_ends(struct imapd *c);
/* Between them: a line that is no command. LINE_ERROR, too, when the session ends. */
must_use enum line_result imapd_read_line(struct imapd *c, size_t max, struct str *line);

/* set.c: a command's sequence set (numbers or, with UID, UIDs) as UIDs of the view. False: a number
 * that does not exist. */
must_use bool imapd_resolve(struct imapd *c, const struct seqset *set, struct uid_set *ret);
/* A growing list of UIDs in ascending order, as ranges in the scratch arena. */
struct uid_list {
	struct uid_range *ranges;
	size_t count, allocated;
};
void uid_list_add(struct uid_list *list, struct arena *a, uint32_t uid);
static inline struct uid_set uid_list_set(const struct uid_list *list)
{
	return (struct uid_set){list->ranges, list->count};
}

/* The commands, by file. */
/* session.c */
struct answer imapd_capability(struct imapd *c);
struct answer imapd_noop(struct imapd *c);
struct answer imapd_logout(struct imapd *c);
struct answer imapd_id(struct imapd *c);
struct answer imapd_starttls(struct imapd *c);
struct answer imapd_authenticate(struct imapd *c);
struct answer imapd_login(struct imapd *c);
/*
 * Tolerant preauth: what was to be an authentication (by which mechanism, if that is known) and is
 * none fails like any other, and ends the connection.
 */
struct answer imapd_malformed_authentication(
    struct imapd *c, struct span tag, enum sasl_mechanism m);
struct answer imapd_enable(struct imapd *c);
struct answer imapd_namespace(struct imapd *c);
struct answer imapd_idle(struct imapd *c);
/* mailbox.c */
struct answer imapd_select(struct imapd *c);
struct answer imapd_create(struct imapd *c);
struct answer imapd_delete(struct imapd *c);
struct answer imapd_rename(struct imapd *c);
struct answer imapd_subscribe(struct imapd *c);
struct answer imapd_status(struct imapd *c);
struct answer imapd_check(struct imapd *c);
struct answer imapd_close(struct imapd *c);
/* list.c */
struct answer imapd_list(struct imapd *c);
/* append.c: reads the message and the rest of the command, or refuses them. */
struct answer imapd_append(struct imapd *c);
/* message.c */
struct answer imapd_store(struct imapd *c);
struct answer imapd_copy(struct imapd *c);
struct answer imapd_expunge(struct imapd *c);
/* fetch.c, search.c */
struct answer imapd_fetch(struct imapd *c);
struct answer imapd_search(struct imapd *c);
#endif
