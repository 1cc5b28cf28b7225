#include "submitd/intake.h"

#include "base/date.h"
#include "mime/header.h"
#include "submitd/policy.h"
#include "sys/log.h"
#include "text/text.h"

struct intake {
	struct session *session;
	const struct transaction *transaction;
	bool esmtp;
	struct incoming *file; /* NULL after a failure */
	struct smtp_text text;
	struct str header; /* until the empty line behind it */
	bool in_header;
	bool header_utf8;
	int64_t received_s;
	struct smtp_status refusal; /* code 0: none so far */
	int error;		    /* our own failure behind it, or 0 */
};

static void fail(struct intake *i, unsigned code, const char *enhanced, const char *text);
static void fail_file(struct intake *i, int error);
static struct span push_header(struct intake *i, struct span bytes);
static void end_header(struct intake *i);
static void put_new_fields(struct intake *i, struct span section, struct str *out);
static void put_received(struct intake *i, struct str *out);
static void write_kept_fields(struct intake *i, struct span section);
static void write_bytes(struct intake *i, struct span bytes);
static void judge_text(struct intake *i);
static void put_client(struct intake *i, struct str *out);

struct intake *intake_new(struct session *s, const struct transaction *t, bool esmtp)
{
	struct intake *i = xcalloc(1, sizeof(*i));
	i->session = s;
	i->transaction = t;
	i->esmtp = esmtp;
	i->in_header = true;
	i->received_s = wall_ms() / 1000;
	str_init(&i->header, INTAKE_HEADER_MAX_BYTES);
	int error = incoming_new(s->incoming_fd, &i->file);
	if (error < 0)
		fail_file(i, error);
	return i;
}

void intake_free(struct intake *i)
{
	if (!i)
		return;
	incoming_free(i->file);
	str_clear(&i->header);
	free(i);
}

void intake_push(struct intake *i, struct span bytes)
{
	smtp_text_check(&i->text, bytes);
	if (i->text.bytes > i->session->global.message_size_max)
		fail(i, 552, "5.3.4", "The message is too large");
	if (i->text.bare) /* whatever follows, this message is lost: stop writing it */
		judge_text(i);
	if (i->in_header)
		bytes = push_header(i, bytes);
	write_bytes(i, bytes);
}

const struct smtp_status *intake_refusal(const struct intake *i)
{
	return i->refusal.code ? &i->refusal : NULL;
}

int intake_commit(struct intake *i, const char **ret_id, uint64_t *ret_bytes,
    struct smtp_status *ret_refusal, int *ret_error)
{
	const struct transaction *t = i->transaction;
	if (i->text.line_bytes && !i->text.after_cr)
		intake_push(i, SPAN("\r\n")); /* BDAT's last line may be unended, the queue's not */
	smtp_text_end(&i->text);
	judge_text(i);
	if (i->in_header && !i->refusal.code) {
		/*
		 * No empty line: all of it is header, and whatever comes behind must not fuse with
		 * it.
		 */
		end_header(i);
	}
	if (!i->refusal.code) {
		struct str client cleanup(str_clear) = STR_INIT(ENVELOPE_FIELD_MAX_BYTES);
		put_client(i, &client);
		struct envelope e = {
		    .account = i->session->login.account,
		    .sender = t->sender,
		    .client = str_span(&client),
		    .received_s = i->received_s,
		    .body = i->text.eight_bit ? QUEUE_BODY_8BITMIME : QUEUE_BODY_7BIT,
		    .smtputf8 = t->utf8_address || i->header_utf8,
		    .return_full = t->ret == SMTP_RET_FULL,
		    .return_headers = t->ret == SMTP_RET_HDRS,
		    .envid = t->envid,
		    .recipients = t->recipients,
		    .recipient_count = t->recipient_count,
		};
		int error =
		    incoming_commit(i->file, &e, i->session->wake_fd, i->session->login.account);
		if (error < 0)
			fail_file(i, error);
	}
	if (i->refusal.code) {
		*ret_refusal = i->refusal;
		*ret_error = i->error;
		return -EINVAL;
	}
	*ret_id = incoming_id(i->file);
	*ret_bytes = incoming_message_bytes(i->file);
	return 0;
}

/* The first failure is the one that is answered, and nothing is kept. */
static void fail(struct intake *i, unsigned code, const char *enhanced, const char *text)
{
	if (i->refusal.code)
		return;
	i->refusal = (struct smtp_status){code, enhanced, text};
	incoming_free(i->file);
	i->file = NULL;
	str_clear(&i->header);
}

static void fail_file(struct intake *i, int error)
{
	if (!i->refusal.code)
		i->error = error;
	if (error == -ENOSPC || error == -EDQUOT)
		fail(i, 452, "4.3.1", "There is no room for the message now");
	else
		fail(i, 451, "4.3.0", "The message cannot be stored now");
}

/* What makes a text no message (RFC 5321 §2.3.8, §4.1.1.4); overrides what was found on the way. */
static void judge_text(struct intake *i)
{
	if (i->text.bare) {
		i->refusal.code = 0;
		i->error = 0;
		fail(i, 550, "5.5.2", "The message has a bare CR or LF: lines end in CR LF");
	} else if (i->text.nul) {
		fail(i, 550, "5.6.0", "The message has a NUL byte");
	} else if (i->text.line_too_long) {
		fail(i, 550, "5.6.0", "The message has too long a line");
	}
}

/* Takes bytes up to the end of the header section; answers what is left: of the body. */
static struct span push_header(struct intake *i, struct span bytes)
{
	size_t before = i->header.n;
	size_t from = before < 3 ? 0 : before - 3; /* CR LF CR LF may lie across pieces */
	size_t room = INTAKE_HEADER_MAX_BYTES - before;
	if (i->refusal.code)
		return bytes;
	str_append(&i->header, span_sub(bytes, 0, room));
	struct span all = str_span(&i->header);
	size_t end;
	if (span_starts_with(all, SPAN("\r\n")))
		end = 2;
	else if ((end = span_find(span_from(all, from), SPAN("\r\n\r\n"))) != SIZE_MAX)
		end += from + 4;
	else {
		if (bytes.n > room)
			fail(i, 552, "5.3.4", "The header of the message is too large");
		return SPAN("");
	}
	struct span body = span_from(bytes, end - before);
	str_truncate(&i->header, end);
	end_header(i);
	return body;
}

/* Checks the section and writes it as it is to be queued, with the empty line. */
static void end_header(struct intake *i)
{
	struct smtp_status refusal;
	struct span section = str_span(&i->header);
	i->in_header = false;
	i->header_utf8 = !span_is_ascii(section) && utf8_is_valid(section);
	if (policy_header(i->session, section, &refusal) < 0) {
		fail(i, refusal.code, refusal.enhanced, refusal.text);
		return;
	}
	struct str fields cleanup(str_clear) = STR_INIT(INTAKE_ADDED_MAX_BYTES - 8); /* line ends */
	put_received(i, &fields);
	put_new_fields(i, section, &fields);
	write_bytes(i, str_span(&fields));
	write_kept_fields(i, section);
	write_bytes(i, SPAN("\r\n"));
	str_clear(&i->header);
}

/*
 * RFC 5321 §4.4. "from" is ourselves too: name and address of the client are nobody's business. The
 * protocol's name as RFC 3848 and RFC 6531 §4.3 register it; a TLS key authenticates as well as
 * AUTH.
 */
static void put_received(struct intake *i, struct str *out)
{
	const struct session *s = i->session;
	str_format(out, "Received: from %.*s by %.*s\r\n\twith ", SPAN_ARG(s->global.hostname),
	    SPAN_ARG(s->global.hostname));
	if (i->esmtp)
		str_format(out, "%s%sA", i->transaction->smtputf8 ? "UTF8SMTP" : "ESMTP",
		    s->facts.tls ? "S" : "");
	else
		str_append_cstr(out, "SMTP");
	str_format(out, " id %s;\r\n\t", incoming_id(i->file));
	date_put_mail(out, i->received_s, 0);
	str_append_cstr(out, "\r\n");
}

/* RFC 6409 §8.2, §8.3 */
static void put_new_fields(struct intake *i, struct span section, struct str *out)
{
	struct header_field f;
	if (!header_find(section, SPAN("Date"), &f)) {
		str_append_cstr(out, "Date: ");
		date_put_mail(out, i->received_s, 0);
		str_append_cstr(out, "\r\n");
	}
	if (!header_find(section, SPAN("Message-ID"), &f))
		str_format(out, "Message-ID: <%s@%.*s>\r\n", incoming_id(i->file),
		    SPAN_ARG(i->session->global.hostname));
}

static void write_kept_fields(struct intake *i, struct span section)
{
	static const struct span removed[] = {SPAN("Bcc"), SPAN("Resent-Bcc"), SPAN("Return-Path")};
	struct header_field f;
	while (header_next(&section, &f)) {
		bool keep = true;
		for (size_t n = 0; n < ARRAY_SIZE(removed); n++)
			keep = keep && !span_equal_nocase(f.name, removed[n]);
		if (keep)
			write_bytes(i, f.whole);
	}
}

static void write_bytes(struct intake *i, struct span bytes)
{
	if (i->refusal.code || bytes.n == 0)
		return;
	int error = incoming_write(i->file, bytes);
	if (error < 0)
		fail_file(i, error);
}

/* For the runner's log: "submission TLS-KEY fingerprint…", "submission SCRAM-SHA-256 name". */
static void put_client(struct intake *i, struct str *out)
{
	const struct session_login *l = &i->session->login;
	str_format(out, "submission %.*s", SPAN_ARG(l->mechanism));
	if (l->fingerprint.n)
		str_format(out, " %.*s", SPAN_ARG(l->fingerprint));
	if (l->password_name.n) {
		str_append_char(out, ' ');
		log_quote(l->password_name, 100, out);
	}
}
