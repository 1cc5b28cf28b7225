/* The answer to EHLO: a file of its own because it names SASL mechanisms. */
#include "sasl/server.h"
#include "smtp/reply.h"

static const struct {
	unsigned bit;
	const char *word;
} keywords[] = {
    {SMTP_PIPELINING, "PIPELINING"},
    {SMTP_8BITMIME, "8BITMIME"},
    {SMTP_SMTPUTF8, "SMTPUTF8"},
    {SMTP_ENHANCEDSTATUSCODES, "ENHANCEDSTATUSCODES"},
    {SMTP_DSN, "DSN"},
    {SMTP_CHUNKING, "CHUNKING"},
    {SMTP_STARTTLS, "STARTTLS"},
};

/* RFC 5321 §4.1.1.1: ehlo-ok-rsp */
void smtp_write_ehlo_reply(struct stream *out, const struct smtp_announcement *a)
{
	struct str text cleanup(str_clear) = STR_INIT(4096);
	str_append(&text, a->hostname);
	for (size_t i = 0; i < ARRAY_SIZE(keywords); i++)
		if (a->extensions & keywords[i].bit)
			str_format(&text, "\n%s", keywords[i].word);
	if (a->extensions & SMTP_SIZE)
		str_format(&text, "\nSIZE %llu", (unsigned long long)a->message_size_max);
	if (a->mechanisms) {
		str_append_cstr(&text, "\nAUTH");
		for (unsigned m = 0; m < SASL_MECHANISM_COUNT; m++) {
			if (!(a->mechanisms & 1u << m))
				continue;
			str_append_char(&text, ' ');
			str_append(&text, sasl_name((enum sasl_mechanism)m));
		}
	}
	smtp_reply(out, 250, NULL, str_span(&text));
}
