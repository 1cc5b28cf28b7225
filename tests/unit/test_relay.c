#include "tap.h"

#include "relay/dsn.h"
#include "relay/job.h"

static const struct queue_message message = {
    .id = {"id1", 3},
    .account = {"user", 4},
    .sender = {"user@localhost", 14},
    .received_s = 1000000000,
};

static bool has(const struct str *text, const char *needle)
{
	return span_find(str_span(text), span_cstr(needle)) != SIZE_MAX;
}

static void test_dsn(void)
{
	struct str out cleanup(str_clear) = STR_INIT(DSN_MAX_BYTES);
	struct queue_recipient r[] = {
	    {.address = SPAN("a@example.org"),
		.original = SPAN("rfc822;a@example.org"),
		.history = {{.when_s = 1000000100,
		    .host = SPAN("mx.example.org[192.0.2.1]"),
		    .code = 550,
		    .enhanced = SPAN("5.1.1"),
		    .text = SPAN("no such\r\nInjected: user")}},
		.history_count = 1},
	    {.address = SPAN("b\xc3\xb6@example.org")},
	};
	struct dsn d = {
	    .hostname = SPAN("mail.localhost"),
	    .from = SPAN("postmaster@mail.localhost"),
	    .to = SPAN("user@localhost"),
	    .now_s = 1000000200,
	    .message = &message,
	    .recipients = r,
	    .recipient_count = 1,
	    .notice = QUEUE_NOTICE_FAILED,
	    .returned = SPAN("Subject: hello\r\n"),
	    .boundary = SPAN("boundary123"),
	};
	check_int(dsn_write(&d, &out), 0);
	check(has(&out, "To: <user@localhost>\r\n"));
	check(has(&out, "Auto-Submitted: auto-replied\r\n"));
	check(has(&out,
	    "Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mail.localhost\r\n"));
	check(has(&out,
	    "\r\nFinal-Recipient: rfc822; a@example.org\r\nAction: failed\r\nStatus: 5.1.1\r\n"
	    "Remote-MTA: dns; mx.example.org[192.0.2.1]\r\n"
	    "Diagnostic-Code: smtp; 550 no such  Injected: user\r\n"));
	check(has(&out, "Content-Type: text/rfc822-headers\r\n\r\nSubject: hello\r\n"));
	check(has(&out, "\r\n--boundary123--\r\n"));
	check(!has(&out, "8bit"));

	str_reset(&out);
	d.recipient_count = 2;
	d.notice = QUEUE_NOTICE_DELAYED;
	d.expires_s = 1000432000;
	check_int(dsn_write(&d, &out), 0);
	check(has(&out, "Content-Type: message/global-delivery-status\r\n")); /* RFC 6533 §3 */
	check(has(&out, "Final-Recipient: utf-8; b\xc3\xb6@example.org\r\nAction: "
			"delayed\r\nStatus: 4.0.0\r\n"));
	check(has(&out, "Will-Retry-Until: Fri, 14 Sep 2001 01:46:40 +0000\r\n"));
}

/* What a worker says is checked: it may have met a hostile server. */
static void test_results(void)
{
	struct job_message to_two = {.recipient_count = 2};
	struct job j = {.messages = {&to_two}, .message_count = 1};
	struct str out cleanup(str_clear) = STR_INIT(JOB_RESULT_MAX_BYTES);
	struct job_result in = {0, 1, QUEUE_FAILED,
	    {.when_s = 7,
		.host = SPAN("h"),
		.code = 550,
		.enhanced = SPAN("5.0.0"),
		.text = SPAN("t")}};
	struct job_result got = {0};
	size_t used = 0;
	job_result_write(&in, &out);
	for (size_t cut = 0; cut < out.n; cut++)
		check_int(
		    job_result_read(&j, span_sub(str_span(&out), 0, cut), &got, &used), -EAGAIN);
	check_int(job_result_read(&j, str_span(&out), &got, &used), 0);
	check_int(used, out.n);
	check(got.recipient == 1 && got.result == QUEUE_FAILED && got.attempt.code == 550);
	check_span(got.attempt.text, SPAN("t"));
	to_two.recipient_count = 1;
	check_int(job_result_read(&j, str_span(&out), &got, &used), -EBADMSG);
	check_int(job_result_read(&j, SPAN("\xff\xff\xff\xff"), &got, &used), -EBADMSG);
}

int main(void)
{
	test_dsn();
	test_results();
	return tap_end();
}
