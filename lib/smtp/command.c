#include "smtp/command.h"

#include "base/ascii.h"

/* A line being taken apart. */
struct parse {
	struct span rest;
	unsigned extensions;
	bool smtputf8;
	struct arena *arena;
	struct smtp_command command;
	struct smtp_status *status;
	unsigned seen; /* parameters given so far: bits by their place in the table */
};

static int refuse(struct parse *p, unsigned code, const char *enhanced, const char *text);
static int parse_name(struct parse *p);
static int parse_optional(struct parse *p);
static int parse_nothing(struct parse *p);
static int parse_auth(struct parse *p);
static int parse_bdat(struct parse *p);
static int parse_mail(struct parse *p);
static int parse_rcpt(struct parse *p);
static int parse_string(struct parse *p);
static int parse_parameters(struct parse *p, enum smtp_verb verb);

static const struct verb {
	const char *name;
	unsigned extension; /* 0: always there */
	int (*parse)(struct parse *p);
} verbs[SMTP_VERB_COUNT] = {
    [SMTP_VERB_AUTH] = {"AUTH", 0, parse_auth}, /* unannounced: the caller knows why */
    [SMTP_VERB_BDAT] = {"BDAT", SMTP_CHUNKING, parse_bdat},
    [SMTP_VERB_DATA] = {"DATA", 0, parse_nothing},
    [SMTP_VERB_EHLO] = {"EHLO", 0, parse_name},
    [SMTP_VERB_EXPN] = {"EXPN", 0, parse_string},
    [SMTP_VERB_HELO] = {"HELO", 0, parse_name},
    [SMTP_VERB_HELP] = {"HELP", 0, parse_optional},
    [SMTP_VERB_MAIL] = {"MAIL", 0, parse_mail},
    [SMTP_VERB_NOOP] = {"NOOP", 0, parse_optional},
    [SMTP_VERB_QUIT] = {"QUIT", 0, parse_nothing},
    [SMTP_VERB_RCPT] = {"RCPT", 0, parse_rcpt},
    [SMTP_VERB_RSET] = {"RSET", 0, parse_nothing},
    [SMTP_VERB_STARTTLS] = {"STARTTLS", 0, parse_nothing},
    [SMTP_VERB_VRFY] = {"VRFY", 0, parse_string},
};

struct span smtp_verb_name(enum smtp_verb v)
{
	return span_cstr(verbs[v].name);
}

int smtp_command_parse(struct span line, unsigned extensions, bool smtputf8, struct arena *a,
    struct smtp_command *ret, struct smtp_status *ret_status)
{
	struct parse p = {
	    .extensions = extensions, .smtputf8 = smtputf8, .arena = a, .status = ret_status};
	struct span word;
	for (size_t i = 0; i < line.n; i++)
		if (ascii_is_control((unsigned char)line.p[i]) && line.p[i] != '\t')
			return refuse(&p, 500, "5.5.2", "Control characters in a command");
	/* §4.1.1: trailing white space should be tolerated. */
	while (line.n && ascii_is_wsp((unsigned char)line.p[line.n - 1]))
		line.n--;
	bool more = span_cut(line, ' ', &word, &p.rest);
	if (more && p.rest.n && p.rest.p[0] == ' ')
		p.rest = span_trim(p.rest);
	for (unsigned v = 0; v < SMTP_VERB_COUNT; v++) {
		if (!span_equal_nocase(word, span_cstr(verbs[v].name)))
			continue;
		if (verbs[v].extension & ~extensions)
			break;
		p.command.verb = (enum smtp_verb)v;
		int error = verbs[v].parse(&p);
		if (error == 0)
			*ret = p.command;
		return error;
	}
	return refuse(&p, 500, "5.5.1", "Unknown command");
}

static int refuse(struct parse *p, unsigned code, const char *enhanced, const char *text)
{
	*p->status = (struct smtp_status){code, enhanced, text};
	return -EINVAL;
}

/* §4.1.1.1: EHLO and HELO. Clients say all kinds of names; a word of visible characters will do. */
static int parse_name(struct parse *p)
{
	struct span name = p->rest;
	if (name.n == 0)
		return refuse(p, 501, "5.5.4", "A name is missing");
	if (name.n > SMTP_DOMAIN_MAX_BYTES)
		return refuse(p, 501, "5.5.4", "The name is too long");
	for (size_t i = 0; i < name.n; i++)
		if (!ascii_is_vchar((unsigned char)name.p[i]))
			return refuse(p, 501, "5.5.4", "This is no name of a host");
	p->command.argument = name;
	return 0;
}

static int parse_optional(struct parse *p)
{
	p->command.argument = p->rest;
	return 0;
}

static int parse_nothing(struct parse *p)
{
	return p->rest.n ? refuse(p, 501, "5.5.4", "This command takes no parameters") : 0;
}

static int parse_string(struct parse *p)
{
	if (p->rest.n == 0)
		return refuse(p, 501, "5.5.4", "A parameter is missing");
	p->command.argument = p->rest;
	return 0;
}

/* RFC 4954 §4: AUTH mechanism [initial-response] */
static int parse_auth(struct parse *p)
{
	bool more = span_cut(p->rest, ' ', &p->command.argument, &p->rest);
	if (p->command.argument.n == 0)
		return refuse(p, 501, "5.5.4", "A mechanism is missing");
	if (!more)
		return 0;
	p->rest = span_trim(p->rest);
	if (span_index(p->rest, ' ') != SIZE_MAX)
		return refuse(p, 501, "5.5.4", "AUTH takes a mechanism and one initial response");
	if (p->rest.n)
		p->command.initial_response = span_equal(p->rest, SPAN("=")) ? SPAN("") : p->rest;
	return 0;
}

/* RFC 3030 §2: BDAT chunk-size [LAST] */
static int parse_bdat(struct parse *p)
{
	struct span size, last;
	bool more = span_cut(p->rest, ' ', &size, &last);
	if (span_to_u64(size, INT64_MAX, &p->command.size) < 0)
		return refuse(p, 501, "5.5.4", "BDAT takes the size of the chunk");
	if (more && !span_equal_nocase(span_trim(last), SPAN("LAST")))
		return refuse(p, 501, "5.5.4", "Only LAST may follow the size");
	p->command.last = more;
	return 0;
}

/* "FROM:" or "TO:"; blanks behind it, which many clients write, do no harm. */
static bool take_keyword(struct parse *p, struct span keyword)
{
	if (!span_starts_with_nocase(p->rest, keyword))
		return false;
	p->rest = span_from(p->rest, keyword.n);
	while (p->rest.n && p->rest.p[0] == ' ')
		p->rest = span_from(p->rest, 1);
	return true;
}

/* §4.1.1.2 */
static int parse_mail(struct parse *p)
{
	if (!take_keyword(p, SPAN("FROM:")))
		return refuse(p, 501, "5.5.2", "Say MAIL FROM:<address>");
	int error = smtp_path_parse(&p->rest, p->arena, &p->command.path);
	if (error == -EMSGSIZE)
		return refuse(p, 501, "5.1.7", "The sender's address is too long");
	if (error < 0 || (p->command.path.address.n && p->command.path.domain.n == 0))
		return refuse(p, 501, "5.1.7", "Bad syntax of the sender's address");
	error = parse_parameters(p, SMTP_VERB_MAIL);
	if (error < 0)
		return error;
	/* RFC 6531 §3.5 */
	if (p->command.path.utf8 && !p->command.smtputf8)
		return refuse(p, 550, "5.6.7", "An address that is not ASCII needs SMTPUTF8");
	return 0;
}

/* §4.1.1.3 */
static int parse_rcpt(struct parse *p)
{
	if (!take_keyword(p, SPAN("TO:")))
		return refuse(p, 501, "5.5.2", "Say RCPT TO:<address>");
	int error = smtp_path_parse(&p->rest, p->arena, &p->command.path);
	if (error == -EMSGSIZE)
		return refuse(p, 501, "5.1.3", "The recipient's address is too long");
	if (error < 0 || p->command.path.address.n == 0)
		return refuse(p, 501, "5.1.3", "Bad syntax of the recipient's address");
	error = parse_parameters(p, SMTP_VERB_RCPT);
	if (error < 0)
		return error;
	if (p->command.path.utf8 && !p->smtputf8)
		return refuse(p, 553, "5.6.7", "An address that is not ASCII needs SMTPUTF8");
	return 0;
}

static bool parameter_auth(struct parse *p, struct span value);
static bool parameter_body(struct parse *p, struct span value);
static bool parameter_envid(struct parse *p, struct span value);
static bool parameter_notify(struct parse *p, struct span value);
static bool parameter_orcpt(struct parse *p, struct span value);
static bool parameter_ret(struct parse *p, struct span value);
static bool parameter_size(struct parse *p, struct span value);
static bool parameter_smtputf8(struct parse *p, struct span value);

/* Each takes its value (unset: there was no "=") and says whether it is good. */
static const struct parameter {
	const char *name;
	enum smtp_verb verb;
	unsigned extension;
	bool (*take)(struct parse *p, struct span value);
} parameters[] = {
    {"AUTH", SMTP_VERB_MAIL, SMTP_AUTH, parameter_auth},
    {"BODY", SMTP_VERB_MAIL, SMTP_8BITMIME, parameter_body},
    {"ENVID", SMTP_VERB_MAIL, SMTP_DSN, parameter_envid},
    {"NOTIFY", SMTP_VERB_RCPT, SMTP_DSN, parameter_notify},
    {"ORCPT", SMTP_VERB_RCPT, SMTP_DSN, parameter_orcpt},
    {"RET", SMTP_VERB_MAIL, SMTP_DSN, parameter_ret},
    {"SIZE", SMTP_VERB_MAIL, SMTP_SIZE, parameter_size},
    {"SMTPUTF8", SMTP_VERB_MAIL, SMTP_SMTPUTF8, parameter_smtputf8},
};

/* §4.1.2: esmtp-param *(SP esmtp-param); unknown ones are 555 (§4.1.1.11). */
static int parse_parameters(struct parse *p, enum smtp_verb verb)
{
	struct span word, name, value;
	if (p->rest.n && p->rest.p[0] != ' ')
		return refuse(p, 501, "5.5.2", "A blank is missing behind the address");
	while (span_next_word(&p->rest, " ", &word)) {
		size_t i = 0;
		bool with_value = span_cut(word, '=', &name, &value);
		while (i < ARRAY_SIZE(parameters) &&
		       !(parameters[i].verb == verb &&
			   (parameters[i].extension & ~p->extensions) == 0 &&
			   span_equal_nocase(name, span_cstr(parameters[i].name))))
			i++;
		if (i == ARRAY_SIZE(parameters))
			return refuse(p, 555, "5.5.4", "Unknown parameter");
		if (p->seen & 1u << i)
			return refuse(p, 501, "5.5.4", "A parameter is there twice");
		p->seen |= 1u << i;
		if (!parameters[i].take(p, with_value ? value : SPAN_NONE))
			return refuse(p, 501, "5.5.4", "Bad value of a parameter");
	}
	return 0;
}

/* RFC 4954 §5: AUTH=xtext or AUTH=<>. Nothing is done with it: the account is known. */
static bool parameter_auth(struct parse *p, struct span value)
{
	(void)p;
	return span_equal(value, SPAN("<>")) || (value.n && xtext_is_valid(value));
}

/* RFC 6152 §2 */
static bool parameter_body(struct parse *p, struct span value)
{
	if (span_equal_nocase(value, SPAN("7BIT")))
		p->command.body = SMTP_BODY_7BIT;
	else if (span_equal_nocase(value, SPAN("8BITMIME")))
		p->command.body = SMTP_BODY_8BITMIME;
	return p->command.body != SMTP_BODY_UNSET;
}

/* RFC 3461 §4.4 */
static bool parameter_envid(struct parse *p, struct span value)
{
	p->command.envid = value;
	return value.n && value.n <= SMTP_ENVID_MAX_BYTES && xtext_is_valid(value);
}

/* RFC 3461 §4.1: NEVER stands alone. */
static bool parameter_notify(struct parse *p, struct span value)
{
	static const struct {
		const char *word;
		unsigned bit;
	} words[] = {{"NEVER", SMTP_NOTIFY_NEVER}, {"SUCCESS", SMTP_NOTIFY_SUCCESS},
	    {"FAILURE", SMTP_NOTIFY_FAILURE}, {"DELAY", SMTP_NOTIFY_DELAY}};
	bool more = true;
	while (more) {
		struct span word;
		size_t i = 0;
		more = span_cut(value, ',', &word, &value);
		while (i < ARRAY_SIZE(words) && !span_equal_nocase(word, span_cstr(words[i].word)))
			i++;
		if (i == ARRAY_SIZE(words) || p->command.notify & words[i].bit)
			return false;
		p->command.notify |= words[i].bit;
	}
	return !(p->command.notify & SMTP_NOTIFY_NEVER) || p->command.notify == SMTP_NOTIFY_NEVER;
}

/* RFC 3461 §4.2: addr-type ";" xtext. Other types than rfc822 (utf-8: RFC 6533 §3) are carried. */
static bool parameter_orcpt(struct parse *p, struct span value)
{
	struct span type, address;
	if (value.n > SMTP_ORCPT_MAX_BYTES || !span_cut(value, ';', &type, &address))
		return false;
	for (size_t i = 0; i < type.n; i++)
		if (!ascii_is_alnum((unsigned char)type.p[i]) && type.p[i] != '-')
			return false;
	p->command.original = value;
	return type.n && address.n && xtext_is_valid(address);
}

/* RFC 3461 §4.3 */
static bool parameter_ret(struct parse *p, struct span value)
{
	if (span_equal_nocase(value, SPAN("FULL")))
		p->command.ret = SMTP_RET_FULL;
	else if (span_equal_nocase(value, SPAN("HDRS")))
		p->command.ret = SMTP_RET_HDRS;
	return p->command.ret != SMTP_RET_UNSET;
}

/* RFC 1870 §4: at most 20 digits; a number past 2^64 is too large in any case. */
static bool parameter_size(struct parse *p, struct span value)
{
	int error = value.n > 20 ? -EINVAL : span_to_u64(value, UINT64_MAX, &p->command.size);
	if (error == -ERANGE)
		p->command.size = UINT64_MAX;
	p->command.has_size = true;
	return error == 0 || error == -ERANGE;
}

/* RFC 6531 §3.4: no value */
static bool parameter_smtputf8(struct parse *p, struct span value)
{
	p->command.smtputf8 = true;
	return !span_is_set(value);
}
