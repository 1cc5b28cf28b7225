#include "relay/job.h"

#include "base/codec.h"

struct job_message *job_last_message(const struct job *j)
{
	return j->message_count ? j->messages[j->message_count - 1] : NULL;
}

void job_close_messages(struct job *j)
{
	for (size_t i = 0; i < j->message_count; i++)
		close_fd(&j->messages[i]->fd);
}

void job_result_write(const struct job_result *r, struct str *out)
{
	struct str record cleanup(str_clear) = STR_INIT(JOB_RESULT_MAX_BYTES);
	put_u32(&record, r->message);
	put_u32(&record, r->recipient);
	put_u8(&record, (uint8_t)r->result);
	put_u64(&record, (uint64_t)r->attempt.when_s);
	put_u32(&record, r->attempt.code);
	put_span(&record, span_sub(r->attempt.host, 0, 512));
	put_span(&record, span_sub(r->attempt.enhanced, 0, 16));
	put_span(&record, span_sub(r->attempt.text, 0, QUEUE_TEXT_MAX_BYTES));
	put_span(out, str_span(&record));
}

int job_result_read(const struct job *j, struct span in, struct job_result *ret, size_t *ret_used)
{
	struct reader outer = reader_of(in);
	uint32_t n = get_u32(&outer);
	if (!outer.failed && n > JOB_RESULT_MAX_BYTES)
		return -EBADMSG;
	struct reader r = reader_of(get_bytes(&outer, n));
	if (outer.failed)
		return -EAGAIN;
	struct job_result result = {.message = get_u32(&r), .recipient = get_u32(&r)};
	result.result = (enum queue_result)get_u8(&r);
	result.attempt.when_s = (int64_t)get_u64(&r);
	result.attempt.code = get_u32(&r);
	result.attempt.host = get_span(&r);
	result.attempt.enhanced = get_span(&r);
	result.attempt.text = get_span(&r);
	if (reader_end(&r) || result.result > QUEUE_FAILED || result.message >= j->message_count ||
	    result.recipient >= j->messages[result.message]->recipient_count)
		return -EBADMSG;
	*ret = result;
	*ret_used = 4 + (size_t)n;
	return 0;
}
