#include "relay/dsn.h"

#include "base/date.h"

struct wording {
	const char *action;  /* RFC 3464 §2.3.3 */
	const char *subject; /* of our message */
	const char *sentence;
	const char *status; /* when the answer had none */
};

static const struct wording wordings[] = {
    [QUEUE_NOTICE_FAILED] = {"failed", "Undelivered mail",
	"Your message could not be delivered to the following recipients, and will not be tried "
	"again.",
	"5.0.0"},
    [QUEUE_NOTICE_DELAYED] = {"delayed", "Delayed mail",
	"Your message could not be delivered yet. You need not do anything: it will be tried "
	"again.",
	"4.0.0"},
    [QUEUE_NOTICE_RELAYED] = {"relayed", "Relayed mail",
	"Your message has been handed to the next server, which gives no notices of delivery.",
	"2.0.0"},
    [QUEUE_NOTICE_DELIVERED] = {"delivered", "Delivered mail", "Your message has been delivered.",
	"2.0.0"},
};

/* Texts of other servers: one line, no control bytes. */
static void append_line(struct str *out, struct span text)
{
	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];
		if (c == '\n' || c == '\r')
			str_append_char(out, ' ');
		else
			str_append_char(out, c < 0x20 || c == 0x7f ? '?' : (char)c);
	}
}

static const struct queue_attempt *last_attempt(const struct queue_recipient *r)
{
	return r->history_count ? &r->history[r->history_count - 1] : NULL;
}

static void write_for_people(const struct dsn *d, const struct wording *w, struct str *out)
{
	str_format(out, "This is the mail system of %.*s.\r\n\r\n%s\r\n", SPAN_ARG(d->hostname),
	    w->sentence);
	if (d->notice == QUEUE_NOTICE_DELAYED && d->expires_s) {
		str_append_cstr(out, "It will be given up at ");
		date_put_mail(out, d->expires_s, 0);
		str_append_cstr(out, ".\r\n");
	}
	for (size_t i = 0; i < d->recipient_count; i++) {
		const struct queue_attempt *a = last_attempt(&d->recipients[i]);
		str_append_cstr(out, "\r\n    ");
		append_line(out, d->recipients[i].address);
		str_append_cstr(out, "\r\n");
		if (!a)
			continue;
		str_append_cstr(out, "      ");
		if (a->host.n) {
			append_line(out, a->host);
			str_append_cstr(out, ": ");
		}
		if (a->code)
			str_format(out, "%u ", a->code);
		append_line(out, a->text);
		str_append_cstr(out, "\r\n");
	}
}

/* RFC 3464 §2.2, and RFC 6533 §3 for addresses that are not ASCII */
static void write_for_machines(const struct dsn *d, const struct wording *w, struct str *out)
{
	str_format(out, "Reporting-MTA: dns; %.*s\r\nArrival-Date: ", SPAN_ARG(d->hostname));
	date_put_mail(out, d->message->received_s, 0);
	str_append_cstr(out, "\r\n");
	if (d->message->envid.n) {
		str_append_cstr(out, "Original-Envelope-Id: ");
		append_line(out, d->message->envid);
		str_append_cstr(out, "\r\n");
	}
	for (size_t i = 0; i < d->recipient_count; i++) {
		const struct queue_recipient *r = &d->recipients[i];
		const struct queue_attempt *a = last_attempt(r);
		str_append_cstr(out, "\r\n");
		if (r->original.n) {
			str_append_cstr(out, "Original-Recipient: ");
			append_line(out, r->original);
			str_append_cstr(out, "\r\n");
		}
		str_format(
		    out, "Final-Recipient: %s; ", span_is_ascii(r->address) ? "rfc822" : "utf-8");
		append_line(out, r->address);
		str_format(out, "\r\nAction: %s\r\nStatus: ", w->action);
		append_line(out, a && a->enhanced.n ? a->enhanced : span_cstr(w->status));
		str_append_cstr(out, "\r\n");
		if (a && a->host.n) {
			str_append_cstr(out, "Remote-MTA: dns; ");
			append_line(out, a->host);
			str_append_cstr(out, "\r\n");
		}
		if (a && a->code) {
			str_format(out, "Diagnostic-Code: smtp; %u ", a->code);
			append_line(out, a->text);
			str_append_cstr(out, "\r\n");
		}
		if (a) {
			str_append_cstr(out, "Last-Attempt-Date: ");
			date_put_mail(out, a->when_s, 0);
			str_append_cstr(out, "\r\n");
		}
		if (d->notice == QUEUE_NOTICE_DELAYED && d->expires_s) {
			str_append_cstr(out, "Will-Retry-Until: ");
			date_put_mail(out, d->expires_s, 0);
			str_append_cstr(out, "\r\n");
		}
	}
}

static void boundary_line(const struct dsn *d, const char *type, struct str *out)
{
	str_format(out, "\r\n--%.*s\r\nContent-Type: %s\r\n", SPAN_ARG(d->boundary), type);
}

int dsn_write(const struct dsn *d, struct str *out)
{
	const struct wording *w = &wordings[d->notice];
	bool utf8 = false;
	for (size_t i = 0; i < d->recipient_count; i++)
		utf8 = utf8 || !span_is_ascii(d->recipients[i].address);
	bool eight_bit = utf8 || !span_is_ascii(d->returned);
	str_append_cstr(out, "Date: ");
	date_put_mail(out, d->now_s, 0);
	str_format(out,
	    "\r\nFrom: Mail delivery <%.*s>\r\nTo: <%.*s>\r\nSubject: %s\r\n"
	    "Message-ID: <%.*s@%.*s>\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
	    "Content-Type: multipart/report; report-type=delivery-status;\r\n"
	    "\tboundary=\"%.*s\"\r\n",
	    SPAN_ARG(d->from), SPAN_ARG(d->to), w->subject, SPAN_ARG(d->boundary),
	    SPAN_ARG(d->hostname), SPAN_ARG(d->boundary));
	if (eight_bit)
		str_append_cstr(out, "Content-Transfer-Encoding: 8bit\r\n");
	boundary_line(d, "text/plain; charset=utf-8", out);
	if (eight_bit)
		str_append_cstr(out, "Content-Transfer-Encoding: 8bit\r\n");
	str_append_cstr(out, "\r\n");
	write_for_people(d, w, out);
	boundary_line(d, utf8 ? "message/global-delivery-status" : "message/delivery-status", out);
	str_append_cstr(out, "\r\n");
	write_for_machines(d, w, out);
	boundary_line(d, d->returned_is_full ? "message/rfc822" : "text/rfc822-headers", out);
	if (eight_bit)
		str_append_cstr(out, "Content-Transfer-Encoding: 8bit\r\n");
	str_append_cstr(out, "\r\n");
	str_append(out, d->returned);
	str_format(out, "\r\n--%.*s--\r\n", SPAN_ARG(d->boundary));
	return str_error(out);
}
