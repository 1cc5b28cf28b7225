#include "imapd/connection.h"

#include "sys/log.h"
#include "text/text.h"

static void serve_commands(struct imapd *c);
static void greet(struct imapd *c);
static void put_address(struct str *out, struct span address);
static bool next_command(struct imapd *c);
static void one_command(struct imapd *c, bool append);
static void no_command(struct imapd *c, struct answer answer);
static bool state_allows(const struct imapd *c, const struct imap_command *command);
static void finish(struct imapd *c, struct span tag, bool tell_expunges, struct answer answer);
static void put_answer(struct imapd *c, struct span tag, struct answer answer);
static void count_bad(struct imapd *c);
static bool refuse_append(struct imapd *c);

enum command_flags {
	/* RFC 3501 §7.4.1: no EXPUNGE while sequence numbers are in use; with UID it is allowed */
	KEEPS_SEQUENCE = 1,
	/* may stand before AUTHENTICATE in tolerant preauth */
	TOLERATED = 2,
	/* answered in any state: it says itself why not */
	ANY_STATE = 4,
};
static const struct {
	struct answer (*run)(struct imapd *c);
	unsigned flags;
} commands[IMAP_COMMAND_COUNT] = {
    [IMAP_CAPABILITY] = {imapd_capability, TOLERATED},
    [IMAP_NOOP] = {imapd_noop, TOLERATED},
    [IMAP_LOGOUT] = {imapd_logout, 0},
    [IMAP_ID] = {imapd_id, TOLERATED},
    [IMAP_STARTTLS] = {imapd_starttls, ANY_STATE},
    [IMAP_AUTHENTICATE] = {imapd_authenticate, ANY_STATE | TOLERATED},
    [IMAP_LOGIN] = {imapd_login, ANY_STATE | TOLERATED},
    [IMAP_ENABLE] = {imapd_enable, 0},
    [IMAP_SELECT] = {imapd_select, 0},
    [IMAP_EXAMINE] = {imapd_select, 0},
    [IMAP_CREATE] = {imapd_create, 0},
    [IMAP_DELETE] = {imapd_delete, 0},
    [IMAP_RENAME] = {imapd_rename, 0},
    [IMAP_SUBSCRIBE] = {imapd_subscribe, 0},
    [IMAP_UNSUBSCRIBE] = {imapd_subscribe, 0},
    [IMAP_LIST] = {imapd_list, 0},
    [IMAP_LSUB] = {imapd_list, 0},
    [IMAP_NAMESPACE] = {imapd_namespace, 0},
    [IMAP_STATUS] = {imapd_status, 0},
    [IMAP_APPEND] = {imapd_append, 0},
    [IMAP_IDLE] = {imapd_idle, 0},
    [IMAP_CHECK] = {imapd_check, 0},
    [IMAP_CLOSE] = {imapd_close, 0},
    [IMAP_UNSELECT] = {imapd_close, 0},
    [IMAP_EXPUNGE] = {imapd_expunge, 0},
    [IMAP_SEARCH] = {imapd_search, KEEPS_SEQUENCE},
    [IMAP_FETCH] = {imapd_fetch, KEEPS_SEQUENCE},
    [IMAP_STORE] = {imapd_store, KEEPS_SEQUENCE},
    [IMAP_COPY] = {imapd_copy, 0},
    [IMAP_MOVE] = {imapd_copy, 0},
};

int imapd_serve(struct session *s)
{
	struct imapd c = {.session = s, .peer = s->peer};
	str_init(&c.out, IMAPD_OUT_BYTES_MAX);
	imap_reader_init(&c.reader, s->peer, &IMAP_LIMITS_AFTER_LOGIN);
	stream_set_timeout(s->peer, IMAPD_READ_TIMEOUT_MS, IMAPD_WRITE_TIMEOUT_MS);
	imapd_wait_start(&c);
	c.tolerant = s->start == SESSION_GREET && s->login.preauth == PREAUTH_TOLERANT;

	int error = store_open(s->mail_fd, true, &c.store);
	if (error) {
		struct answer answer = answer_error(error);
		if (s->start == SESSION_AFTER_SASL)
			put_answer(&c, s->tag, answer);
		imapd_bye(&c, answer.text);
	} else {
		store_set_quota(c.store, s->account.quota_bytes, s->account.quota_messages);
		greet(&c);
		serve_commands(&c);
	}
	ignore_result(stream_shutdown(s->peer)); /* the peer may be gone: nobody is left to tell */

	view_close(c.view);
	store_close(c.store);
	arena_clear(&c.scratch);
	imap_reader_clear(&c.reader);
	str_clear(&c.out);
	return error ? EXIT_FAILURE : EXIT_SUCCESS;
}

static void serve_commands(struct imapd *c)
{
	while (next_command(c)) {
		arena_reset(&c->scratch);
		c->command = NULL;
		if (c->out.allocated > IMAPD_OUT_KEPT_BYTES)
			str_clear(&c->out);
	}
	int error = stream_error(c->peer);
	if (c->withdrawn != LOGIN_OK)
		return; /* the log has it */
	if (error == -ETIMEDOUT && monotonic_ms() >= c->expires_ms)
		log_line(LOG_LEVEL_NOTICE, "session ended: %s", login_result_name(LOGIN_EXPIRED));
	else if (error && error != -EPIPE && error != -ECONNRESET && error != -ECANCELED)
		log_line(LOG_LEVEL_NOTICE, "connection lost: %s", strerror(-error));
}

/* RFC 3501 §7.1.4; the address in ASCII, as no charset was agreed on yet. */
static void greet(struct imapd *c)
{
	const struct session *s = c->session;
	if (s->start == SESSION_AFTER_SASL)
		str_append(&c->out, s->tag);
	else
		str_append_cstr(&c->out, "*");
	str_append_cstr(&c->out, s->start == SESSION_AFTER_SASL ? " OK" : " PREAUTH");
	str_append_cstr(&c->out, " [CAPABILITY ");
	str_append(&c->out, imapd_capabilities(c));
	str_append_cstr(&c->out, "] Postern: logged in as ");
	put_address(&c->out, s->login.address);
	str_append_cstr(&c->out, "\r\n");
	imapd_put_out(c);
}

static void put_address(struct str *out, struct span address)
{
	size_t at = span_last_index(address, '@');
	struct span local = span_sub(address, 0, at == SIZE_MAX ? address.n : at);
	if (span_is_ascii(local))
		imap_put_text(out, local, IMAP_TEXT_ASCII);
	if (at == SIZE_MAX)
		return;
	str_append_char(out, '@');
	if (text_domain_ascii(span_from(address, at + 1), out))
		imap_put_text(out, span_from(address, at + 1), IMAP_TEXT_ASCII);
}

/* Reads and runs one command; false when the connection is at its end. */
static bool next_command(struct imapd *c)
{
	/* what is pipelined is answered in one write; otherwise it is time to wait */
	if (!stream_buffered(c->peer).n && imapd_wait(c, false) != WAKE_INPUT)
		return false;
	imapd_line_begins(c);
	enum imap_read read = imap_reader_next(&c->reader);
	if (!imapd_line_ends(c))
		return false;
	switch (read) {
	case IMAP_READ_COMMAND:
	case IMAP_READ_APPEND: one_command(c, read == IMAP_READ_APPEND); return !c->ended;
	case IMAP_READ_LITERAL_TOO_BIG:
		no_command(
		    c, (struct answer){ANSWER_BAD, SPAN("TOOBIG"), "The literal is too large"});
		return !c->ended;
	case IMAP_READ_LINE_TOO_LONG:
		imapd_give_up(c, answer_bad("The line is too long"), "The line is too long");
		return false;
	case IMAP_READ_LOST:
		imapd_give_up(
		    c, answer_bad("The literal is too large"), "The literal is far too large");
		return false;
	case IMAP_READ_EOF:
	case IMAP_READ_ERROR: break;
	}
	return false;
}

static void one_command(struct imapd *c, bool append)
{
	struct span text = str_span(&c->reader.text);
	struct span tag = arena_span(&c->scratch, imap_command_tag(text));
	struct imap_command *command = ARENA_NEW(&c->scratch, struct imap_command);
	const char *problem = "Syntax error";
	int error = imap_command_parse(text, IMAP_TEXT_ASCII, &c->scratch, command, &problem);
	if (append && (error || command->kind != IMAP_APPEND) && !refuse_append(c))
		return;
	if (error) {
		no_command(
		    c, error == -EILSEQ ? answer_no("CANNOT", problem) : answer_bad(problem));
		return;
	}
	c->command = command;
	unsigned flags = commands[command->kind].flags;
	c->tolerant = c->tolerant && flags & TOLERATED;
	if (!(flags & ANY_STATE) && !state_allows(c, command)) {
		finish(c, tag, true, answer_bad("No mailbox is selected"));
		count_bad(c);
		return;
	}
	if (!(flags & TOLERATED))
		session_forget_attempts(c->session);
	struct answer answer = commands[command->kind].run(c);
	finish(c, tag, !(flags & KEEPS_SEQUENCE) || command->uid, answer);
	if (answer.kind == ANSWER_BAD)
		count_bad(c);
	else
		c->bad_commands = 0;
	c->command = NULL;
}

/* What was read cannot be carried out; in tolerant preauth nothing is tolerated behind it. */
static void no_command(struct imapd *c, struct answer answer)
{
	struct span rest = str_span(&c->reader.text), name, mechanism;
	struct span tag = arena_span(&c->scratch, imap_command_tag(rest));
	(void)span_cut(rest, ' ', &name, &rest);
	(void)span_cut(rest, ' ', &name, &rest);
	(void)span_cut(rest, ' ', &mechanism, &rest);
	if (c->tolerant && span_equal_nocase(name, SPAN("AUTHENTICATE")))
		answer = imapd_malformed_authentication(c, tag, sasl_by_name(mechanism));
	else if (c->tolerant && span_equal_nocase(name, SPAN("LOGIN")))
		answer = imapd_malformed_authentication(c, tag, SASL_PLAIN);
	c->tolerant = false;
	finish(c, tag, true, answer);
	if (answer.kind == ANSWER_BAD)
		count_bad(c);
}

static bool state_allows(const struct imapd *c, const struct imap_command *command)
{
	unsigned state = c->view ? IMAP_STATE_SELECTED : IMAP_STATE_AUTHENTICATED;
	return imap_command_states(command->kind) & state;
}

static bool refuse_append(struct imapd *c)
{
	if (imap_reader_refuse(&c->reader) == IMAP_READ_COMMAND)
		return true;
	imapd_give_up(c, answer_bad("The literal is too large"), "The literal is far too large");
	return false;
}

static void finish(struct imapd *c, struct span tag, bool tell_expunges, struct answer answer)
{
	if (answer.kind == ANSWER_NONE || c->ended)
		return;
	int error = imapd_tell_updates(c, tell_expunges);
	if (error == -ENOENT) { /* RFC 2180 §3.3 */
		put_answer(c, tag, answer);
		imapd_bye(c, "The selected mailbox was deleted");
		return;
	}
	/* what the command did stands all the same: only the log is told of other errors */
	if (error && error != -EBUSY)
		log_line(LOG_LEVEL_ERROR, "looking for changes: %s", strerror(-error));
	put_answer(c, tag, answer);
}

static void put_answer(struct imapd *c, struct span tag, struct answer answer)
{
	static const char *const kinds[] = {
	    [ANSWER_OK] = " OK ", [ANSWER_NO] = " NO ", [ANSWER_BAD] = " BAD "};
	str_append(&c->out, tag.n ? tag : SPAN("*"));
	str_append_cstr(&c->out, kinds[answer.kind]);
	if (span_is_set(answer.code)) {
		str_append_char(&c->out, '[');
		str_append(&c->out, answer.code);
		str_append_cstr(&c->out, "] ");
	}
	imap_put_text(&c->out, span_cstr(answer.text), IMAP_TEXT_ASCII);
	str_append_cstr(&c->out, "\r\n");
	imapd_put_out(c);
}

static void count_bad(struct imapd *c)
{
	if (++c->bad_commands >= IMAPD_BAD_COMMANDS_MAX)
		imapd_bye(c, "Too many bad commands");
}

void imapd_give_up(struct imapd *c, struct answer answer, const char *text)
{
	struct span tag = imap_command_tag(str_span(&c->reader.text));
	if (span_is_set(tag) && !c->ended)
		put_answer(c, tag, answer);
	imapd_bye(c, text);
}

void imapd_bye(struct imapd *c, const char *text)
{
	if (c->ended)
		return;
	stream_write_cstr(c->peer, "* BYE ");
	stream_write_cstr(c->peer, text);
	stream_write_cstr(c->peer, "\r\n");
	c->ended = true;
}

void imapd_put_out(struct imapd *c)
{
	if (c->out.failed) {
		/* half a response is worse than none: the client would misread what follows */
		log_line(LOG_LEVEL_ERROR, "a response passed %d bytes", IMAPD_OUT_BYTES_MAX);
		stream_fail(c->peer, -EMSGSIZE);
		c->ended = true;
	}
	stream_write(c->peer, str_span(&c->out));
	str_reset(&c->out);
}

struct answer answer_error(int error)
{
	switch (error) {
	case -EBUSY: return answer_no("INUSE", "The mail store is busy, try again");
	case -EDQUOT: return answer_no("OVERQUOTA", "The account's quota is used up");
	case -ENOENT: return answer_no("NONEXISTENT", "There is no such mailbox");
	case -EEXIST: return answer_no("ALREADYEXISTS", "There is such a mailbox already");
	case -EINVAL:
	case -EILSEQ:
	case -ENAMETOOLONG: return answer_no("CANNOT", "The name is not allowed");
	case -ENOTUNIQ: /* RFC 6154 §3 */
		return answer_no("USEATTR", "Another mailbox has that special use");
	case -EPERM: return answer_no("CANNOT", "That is not possible with this mailbox");
	case -EROFS: return answer_no("CANNOT", "The mailbox was opened read-only");
	case -E2BIG:
	case -EFBIG: return answer_no("LIMIT", "A limit of the server was met");
	case -ENOSPC:
		return answer_no("LIMIT", "A limit of the server was met, or its disk is full");
	case -EPIPE:
	case -ECONNRESET:
	case -ETIMEDOUT: /* the peer's, from the middle of a response: nobody hears this */
		return answer_no("UNAVAILABLE", "The connection is lost");
	default: break;
	}
	log_line(LOG_LEVEL_ERROR, "mail store: %s", strerror(-error));
	if (error == -EUCLEAN || error == -EBADMSG)
		return answer_no(
		    "CORRUPTION", "The mail store is damaged; the administrator was told");
	return answer_no("UNAVAILABLE", "The mail store failed; the administrator was told");
}
