#include "tap.h"

#include "base/date.h"
#include "imap/command.h"

#define LITERAL_310 "{310}\r\n"

/* RFC 3501 §6, RFC 9051 §6 and what real clients send, with the expected outcome. */
static const struct {
	const char *text;
	int error;
	enum imap_command_kind kind;
	enum imap_text mode;
} cases[] = {
    {"abcd CAPABILITY", 0, IMAP_CAPABILITY, 0},
    {"4 capability", 0, IMAP_CAPABILITY, 0},
    {"a002 NOOP", 0, IMAP_NOOP, 0},
    {"a002 NOOP  ", 0, IMAP_NOOP, 0},
    {"A023 LOGOUT", 0, IMAP_LOGOUT, 0},
    {"6 ID (\"name\" \"Thunderbird\" \"version\" \"153.7.0\")", 0, IMAP_ID, 0},
    {"6 ID NIL", 0, IMAP_ID, 0},
    {"6 ID (\"name\" NIL)", 0, IMAP_ID, 0},
    {"6 ID (\"name\")", -EINVAL, 0, 0},
    {"6 ID", -EINVAL, 0, 0},
    {"a002 STARTTLS", 0, IMAP_STARTTLS, 0},
    {"a002 STARTTLS now", -EINVAL, 0, 0},
    {"A001 AUTHENTICATE GSSAPI", 0, IMAP_AUTHENTICATE, 0},
    {"22 authenticate EXTERNAL bW94QGxvY2FsaG9zdA==", 0, IMAP_AUTHENTICATE, 0},
    {"22 authenticate EXTERNAL =", 0, IMAP_AUTHENTICATE, 0},
    {"22 authenticate EXTERNAL a b", -EINVAL, 0, 0},
    {"a001 LOGIN SMITH SESAME", 0, IMAP_LOGIN, 0},
    {"a001 login {5}\r\nSMITH {6}\r\nSESAME", 0, IMAP_LOGIN, 0},
    {"a001 login {5+}\r\nSMITH {6+}\r\nSESAME", 0, IMAP_LOGIN, 0},
    {"a001 login {5}\r\nSMITH {7}\r\nSESAME", -EINVAL, 0, 0},
    {"a001 login \"sm\\\"i\\\\th\" \"\"", 0, IMAP_LOGIN, 0},
    {"a001 login \"sm\\ith\" \"\"", -EINVAL, 0, 0},
    {"a001 login \"smith", -EINVAL, 0, 0},
    {"a001 login smith", -EINVAL, 0, 0},
    {"a001 login sm(th x", -EINVAL, 0, 0},
    {"7 ENABLE UTF8=ACCEPT", 0, IMAP_ENABLE, 0},
    {"7 ENABLE CONDSTORE QRESYNC", 0, IMAP_ENABLE, 0},
    {"7 ENABLE", -EINVAL, 0, 0},
    {"A142 SELECT INBOX", 0, IMAP_SELECT, 0},
    {"33 select \"INBOX\"", 0, IMAP_SELECT, 0},
    {"33 select \"a&b\"", -EILSEQ, 0, IMAP_TEXT_ASCII},
    {"33 select \"a&b\"", 0, IMAP_SELECT, IMAP_TEXT_UTF8},
    {"33 select", -EINVAL, 0, 0},
    {"33 select INBOX (CONDSTORE)", -EINVAL, 0, 0},
    {"A932 EXAMINE blurdybloop", 0, IMAP_EXAMINE, 0},
    {"A003 CREATE owatagusiam/", 0, IMAP_CREATE, 0},
    {"t1 CREATE MySent (USE (\\Drafts \\Sent))", 0, IMAP_CREATE, 0},
    {"t1 CREATE MySent (USE (\\Foo))", 0, IMAP_CREATE, 0},
    {"A682 DELETE blurdybloop", 0, IMAP_DELETE, 0},
    {"A683 RENAME blurdybloop sarasoop", 0, IMAP_RENAME, 0},
    {"A683 RENAME blurdybloop", -EINVAL, 0, 0},
    {"A002 SUBSCRIBE #news.comp.mail.mime", 0, IMAP_SUBSCRIBE, 0},
    {"A002 UNSUBSCRIBE #news.comp.mail.mime", 0, IMAP_UNSUBSCRIBE, 0},
    {"A101 LIST \"\" \"\"", 0, IMAP_LIST, 0},
    {"A202 LIST ~/Mail/ %", 0, IMAP_LIST, 0},
    {"8 list (subscribed) \"\" \"*\" return (special-use)", 0, IMAP_LIST, 0},
    {"9 list \"\" \"INBOX\"", 0, IMAP_LIST, 0},
    {"A LIST () \"\" (\"INBOX\" \"Drafts\" %/x) RETURN (SUBSCRIBED CHILDREN)", 0, IMAP_LIST, 0},
    {"A LIST (RECURSIVEMATCH) \"\" \"*\"", -EINVAL, 0, 0},
    {"A LIST (SUBSCRIBED RECURSIVEMATCH REMOTE) \"\" \"*\"", 0, IMAP_LIST, 0},
    {"A LIST (FOO) \"\" \"*\"", -EINVAL, 0, 0},
    {"A LIST \"\" * RETURN (FOO)", -EINVAL, 0, 0},
    {"A LIST \"\"", -EINVAL, 0, 0},
    {"A002 LSUB \"#news.\" \"comp.mail.*\"", 0, IMAP_LSUB, 0},
    {"5 namespace", 0, IMAP_NAMESPACE, 0},
    {"A042 STATUS blurdybloop (UIDNEXT MESSAGES)", 0, IMAP_STATUS, 0},
    {"A042 STATUS blurdybloop (UIDNEXT FOO)", -EINVAL, 0, 0},
    {"A042 STATUS blurdybloop ()", -EINVAL, 0, 0},
    {"A003 APPEND saved-messages (\\Seen) " LITERAL_310, 0, IMAP_APPEND, 0},
    {"A003 APPEND {5}\r\nINBOX \"23-Nov-2026 17:58:09 +0000\" {310+}\r\n", 0, IMAP_APPEND, 0},
    {"A003 APPEND INBOX () ~{310}\r\n", 0, IMAP_APPEND, 0},
    {"10 append \"Sent\" (\\Seen) UTF8 (~{439+}\r\n", 0, IMAP_APPEND, 0},
    {"10 append \"Sent\" (\\Seen) UTF8 ({439+}\r\n", -EINVAL, 0, 0},
    {"A003 APPEND INBOX \"23-Nov-2026\" {310+}\r\n", -EINVAL, 0, 0},
    {"A003 APPEND INBOX \"text\"", -EINVAL, 0, 0},
    {"A003 APPEND INBOX (\\Foo) " LITERAL_310, -EINVAL, 0, 0},
    {"42 IDLE", 0, IMAP_IDLE, 0},
    {"FXXZ CHECK", 0, IMAP_CHECK, 0},
    {"A341 CLOSE", 0, IMAP_CLOSE, 0},
    {"A341 UNSELECT", 0, IMAP_UNSELECT, 0},
    {"A202 EXPUNGE", 0, IMAP_EXPUNGE, 0},
    {"A202 EXPUNGE 1", -EINVAL, 0, 0},
    {"A202 UID EXPUNGE 3000:3002", 0, IMAP_EXPUNGE, 0},
    {"A202 UID EXPUNGE", -EINVAL, 0, 0},
    {"A282 SEARCH FLAGGED SINCE 1-Feb-1994 NOT FROM \"Smith\"", 0, IMAP_SEARCH, 0},
    {"A283 SEARCH TEXT \"string not in mailbox\"", 0, IMAP_SEARCH, 0},
    {"A284 SEARCH CHARSET UTF-8 TEXT {6}\r\n\xd0\x9f\xd1\x80\xd0\xb8", 0, IMAP_SEARCH, 0},
    {"A SEARCH OR (SEEN 1:5) NOT (UNDELETED UID 3,7:*)", 0, IMAP_SEARCH, 0},
    {"A SEARCH HEADER Message-ID \"\" LARGER 10 SMALLER 20 NEW OLD RECENT", 0, IMAP_SEARCH, 0},
    {"A UID SEARCH 2,4:7,9,12:* KEYWORD $Junk UNKEYWORD foo ALL", 0, IMAP_SEARCH, 0},
    {"A SEARCH BEFORE \"1-Feb-1994\" ON 2-Feb-1994 SENTSINCE 3-Feb-1994", 0, IMAP_SEARCH, 0},
    {"A SEARCH BEFORE yesterday", -EINVAL, 0, 0},
    {"A SEARCH", -EINVAL, 0, 0},
    {"A SEARCH ()", -EINVAL, 0, 0},
    {"A SEARCH (SEEN", -EINVAL, 0, 0},
    {"A SEARCH OR SEEN", -EINVAL, 0, 0},
    {"A SEARCH NOT", -EINVAL, 0, 0},
    {"A SEARCH FOO", -EINVAL, 0, 0},
    {"A SEARCH SEENX", -EINVAL, 0, 0},
    {"A SEARCH CHARSET UTF-8", -EINVAL, 0, 0},
    {"A654 FETCH 2:4 (FLAGS BODY[HEADER.FIELDS (DATE FROM)])", 0, IMAP_FETCH, 0},
    {"A FETCH 1 ALL", 0, IMAP_FETCH, 0},
    {"A FETCH 1 FAST", 0, IMAP_FETCH, 0},
    {"A FETCH 1 full", 0, IMAP_FETCH, 0},
    {"A FETCH 1 (ALL)", -EINVAL, 0, 0},
    {"35 UID fetch 1:* (FLAGS)", 0, IMAP_FETCH, 0},
    {"37 UID fetch 15 (UID RFC822.SIZE BODY.PEEK[])", 0, IMAP_FETCH, 0},
    {"A FETCH 1 BODY[1.2.MIME]", 0, IMAP_FETCH, 0},
    {"A FETCH 1 BODY[MIME]", -EINVAL, 0, 0},
    {"A FETCH 1 BODY[1.2]<0.1000>", 0, IMAP_FETCH, 0},
    {"A FETCH 1 BODY[]<0.0>", -EINVAL, 0, 0},
    {"A FETCH 1 BODY[]<0>", -EINVAL, 0, 0},
    {"A FETCH 1 BODY[1.]", -EINVAL, 0, 0},
    {"A FETCH 1 BODY[0]", -EINVAL, 0, 0},
    {"A FETCH 1 BODY[HEADER.FIELDS]", -EINVAL, 0, 0},
    {"A FETCH 1 BODY[HEADER.FIELDS ()]", -EINVAL, 0, 0},
    {"A FETCH 1 BODY[3.HEADER.FIELDS.NOT (\"To\" {2}\r\nCc)]", 0, IMAP_FETCH, 0},
    {"A FETCH 1 (RFC822 RFC822.HEADER RFC822.TEXT RFC822.SIZE ENVELOPE BODY BODYSTRUCTURE)", 0,
	IMAP_FETCH, 0},
    {"A FETCH 1 BODY.PEEK", -EINVAL, 0, 0},
    {"A FETCH 1 ()", -EINVAL, 0, 0},
    {"A FETCH 1", -EINVAL, 0, 0},
    {"A FETCH 0 FLAGS", -EINVAL, 0, 0},
    {"A FETCH 01 FLAGS", -EINVAL, 0, 0},
    {"A FETCH 4294967296 FLAGS", -EINVAL, 0, 0},
    {"A FETCH 1:2:3 FLAGS", -EINVAL, 0, 0},
    {"A FETCH 1,,2 FLAGS", -EINVAL, 0, 0},
    {"A003 STORE 2:4 +FLAGS (\\Deleted)", 0, IMAP_STORE, 0},
    {"41 uid store 15 +Flags (\\Seen)", 0, IMAP_STORE, 0},
    {"41 uid store 15 -flags.silent \\Seen $Junk", 0, IMAP_STORE, 0},
    {"41 uid store 15 FLAGS ()", 0, IMAP_STORE, 0},
    {"41 uid store 15 FLAGS (\\Recent \\Seen)", 0, IMAP_STORE, 0},
    {"41 uid store 15 FLAGS (\\*)", -EINVAL, 0, 0},
    {"41 uid store 15 *FLAGS (\\Seen)", -EINVAL, 0, 0},
    {"41 uid store 15 +FLAGS", -EINVAL, 0, 0},
    {"A003 COPY 2:4 MEETING", 0, IMAP_COPY, 0},
    {"A003 UID MOVE 2:4,* \"MEETING\"", 0, IMAP_MOVE, 0},
    {"a FOO", -ENOSYS, 0, 0},
    {"a UID NOOP", -ENOSYS, 0, 0},
    {"a getquotaroot \"INBOX\"", -ENOSYS, 0, 0},
    {"a UID", -EINVAL, 0, 0},
    {"a", -EINVAL, 0, 0},
    {"", -EINVAL, 0, 0},
    {" a NOOP", -EINVAL, 0, 0},
    {"a+ NOOP", -EINVAL, 0, 0},
    {"* NOOP", -EINVAL, 0, 0},
    {"a  NOOP", -EINVAL, 0, 0},
    {"a\tNOOP", -EINVAL, 0, 0},
};

/* Parses an exact copy on the heap, so that the sanitizer sees every byte read past its end. */
static int parse(struct span text, enum imap_text mode, struct arena *a, struct imap_command *ret)
{
	char *copy = xmalloc(text.n ? text.n : 1);
	memcpy(copy, text.p, text.n);
	const char *error = NULL;
	int code = imap_command_parse(span_of(copy, text.n), mode, a, ret, &error);
	if (code != 0)
		check(error != NULL && *error);
	free(copy);
	return code;
}

static void test_cases(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct arena a cleanup(arena_clear) = {0};
		struct span text = span_cstr(cases[i].text);
		struct imap_command command = {0};
		int error = parse(text, cases[i].mode, &a, &command);
		check_named(error == cases[i].error, cases[i].text);
		if (error == 0)
			check_int(command.kind, cases[i].kind);
		for (size_t n = 0; n < text.n; n++)
			(void)!parse(span_sub(text, 0, n), cases[i].mode, &a, &command);
	}
}

static int parse_text(const char *text, struct arena *a, struct imap_command *ret)
{
	const char *error;
	return imap_command_parse(span_cstr(text), IMAP_TEXT_ASCII, a, ret, &error);
}

static void test_arguments(struct arena *a)
{
	struct imap_command c;
	check_int(parse_text("a001 LOGIN \"s\\\"m\" {3}\r\na b", a, &c), 0);
	check_span(c.tag, SPAN("a001"));
	check_span(c.login.user, SPAN("s\"m"));
	check_span(c.login.password, SPAN("a b"));
	check_int(parse_text("a AUTHENTICATE PLAIN", a, &c), 0);
	check(!span_is_set(c.authenticate.initial));
	check_int(parse_text("a AUTHENTICATE PLAIN =", a, &c), 0);
	check(span_is_set(c.authenticate.initial) && c.authenticate.initial.n == 0);
	check_int(parse_text("a ID (\"name\" \"x\" \"os\" NIL)", a, &c), 0);
	check_int(c.id.count, 2);
	check_span(c.id.pairs[0].value, SPAN("x"));
	check(!span_is_set(c.id.pairs[1].value));
	check_int(parse_text("a SELECT inbox", a, &c), 0);
	check_span(c.mailbox.name, SPAN("INBOX"));
	check_int(parse_text("a SELECT \"Entw&APw-rfe/x\"", a, &c), 0);
	check_span(c.mailbox.name, SPAN("Entw\xc3\xbcrfe/x"));
	check_int(parse_text("t CREATE Sent/ (USE (\\Sent))", a, &c), 0);
	check_span(c.create.name, SPAN("Sent"));
	check_int(c.create.uses, 1u << IMAP_USE_SENT);
	check_int(parse_text("8 list (subscribed) \"\" \"*\" return (special-use)", a, &c), 0);
	check(c.list.extended && c.list.selection == IMAP_LIST_SUBSCRIBED &&
	      c.list.returned == IMAP_LIST_SPECIAL_USE && c.list.pattern_count == 1);
	check_span(c.list.patterns[0], SPAN("*"));
	check_int(parse_text("a STATUS x (UNSEEN RECENT)", a, &c), 0);
	check_int(c.status.items, IMAP_STATUS_UNSEEN | IMAP_STATUS_RECENT);
	check_int(parse_text("10 append \"Sent\" (\\Seen foo FOO) UTF8 (~{439+}\r\n", a, &c), 0);
	check(c.append.utf8 && c.append.binary && c.append.bytes == 439 && !c.append.has_date);
	check_int(c.append.flags.system, IMAP_FLAG_SEEN);
	check_int(c.append.flags.keyword_count, 1);
	check_int(imap_append_rest(SPAN(")"), true), 0);
	check_int(imap_append_rest(SPAN(""), true), -EINVAL);
	check_int(imap_append_rest(SPAN(""), false), 0);
	check_int(imap_append_rest(SPAN(" {3}"), false), -EINVAL);
	check_int(parse_text("a APPEND x \"23-Nov-2026 17:58:09 +0100\" {1}\r\n", a, &c), 0);
	check(c.append.has_date && c.append.zone_minutes == 60 && !c.append.binary);
	check_int(parse_text("a UID STORE 5,1:* -FLAGS.SILENT (\\Seen $A)", a, &c), 0);
	check(c.uid && c.store.silent && c.store.mode == IMAP_STORE_REMOVE);
	check_span(c.store.flags.keywords[0], SPAN("$A"));
	check_int(c.store.set.count, 2);
	check_int(c.store.set.ranges[1].last, SEQSET_STAR);
}

static void test_fetch(struct arena *a)
{
	struct imap_command c;
	check_int(parse_text("a FETCH 1 (UID FLAGS uid BODY.PEEK[1.2.HEADER.FIELDS (To Cc)]<5.9> "
			     "RFC822 BODY BODY[])",
		      a, &c),
	    0);
	check_int(c.fetch.item_count, 6);
	const struct imap_fetch_item *item = &c.fetch.items[2];
	check(item->kind == IMAP_FETCH_BODY_SECTION && item->peek && item->partial);
	check(item->offset == 5 && item->count == 9);
	check(item->section.number_count == 2 && item->section.numbers[1] == 2);
	check(item->section.text == IMAP_SECTION_HEADER_FIELDS && item->section.field_count == 2);
	struct str s cleanup(str_clear) = STR_INIT(1000);
	imap_put_section_name(&s, item);
	check_span(str_span(&s), SPAN("BODY[1.2.HEADER.FIELDS (To Cc)]<5>"));
	check(c.fetch.items[3].kind == IMAP_FETCH_RFC822 && !c.fetch.items[3].peek);
	check(c.fetch.items[4].kind == IMAP_FETCH_BODY);
	check(c.fetch.items[5].kind == IMAP_FETCH_BODY_SECTION && !c.fetch.items[5].peek);
	check_int(parse_text("a FETCH 1 full", a, &c), 0);
	check_int(c.fetch.item_count, 5);
}

static void test_search(struct arena *a)
{
	struct imap_command c;
	check_int(parse_text("a SEARCH CHARSET UTF-8 OR (SEEN 1:5) NOT FROM \"x\" NEW", a, &c), 0);
	check_span(c.search.charset, SPAN("UTF-8"));
	const struct imap_search_key *top = c.search.key;
	check_int(top->kind, IMAP_SEARCH_AND);
	const struct imap_search_key *either = top->children;
	check_int(either->kind, IMAP_SEARCH_OR);
	check_int(either->children->kind, IMAP_SEARCH_AND);
	check_int(either->children->children->flag, IMAP_FLAG_SEEN);
	check_int(either->children->children->next->kind, IMAP_SEARCH_SEQUENCE);
	const struct imap_search_key *negation = either->children->next;
	check_int(negation->kind, IMAP_SEARCH_NOT);
	check_int(negation->children->kind, IMAP_SEARCH_ADDRESS);
	check_span(negation->children->name, SPAN("From"));
	check_span(negation->children->text, SPAN("x"));
	check(negation->next == NULL);
	const struct imap_search_key *fresh = either->next;
	check(fresh->kind == IMAP_SEARCH_AND && fresh->children->kind == IMAP_SEARCH_RECENT &&
	      fresh->children->next->kind == IMAP_SEARCH_NOT && fresh->next == NULL);
	check_int(parse_text("a SEARCH SINCE 1-Feb-1994", a, &c), 0);
	check_int(c.search.key->day, date_days(1994, 2, 1));
}

static int parse_repeated(
    const char *front, const char *again, size_t count, const char *back, struct arena *a)
{
	struct str s cleanup(str_clear) = STR_INIT(1 << 22);
	struct imap_command c;
	str_append_cstr(&s, front);
	for (size_t i = 0; i < count; i++)
		str_append_cstr(&s, again);
	str_append_cstr(&s, back);
	return parse(str_span(&s), IMAP_TEXT_ASCII, a, &c);
}

static void test_limits(struct arena *a)
{
	check_int(parse_repeated("a SEARCH ", "(", 90, "SEEN", a), -EINVAL);
	check_int(parse_repeated("a SEARCH ", "NOT ", IMAP_SEARCH_DEPTH_MAX, "SEEN", a), 0);
	check_int(parse_repeated("a SEARCH ", "NOT ", 30000, "SEEN", a), -E2BIG);
	check_int(parse_repeated("a SEARCH ", "(", 60000, "SEEN", a), -E2BIG);
	check_int(
	    parse_repeated("a SEARCH ", "SEEN ", IMAP_SEARCH_KEYS_MAX + 1, "SEEN", a), -E2BIG);
	check_int(parse_repeated("a FETCH 1 (", "BODY[] ", 5000, "UID)", a), -E2BIG);
	check_int(parse_repeated("a FETCH 1 BODY[1", ".1", 5000, "]", a), -E2BIG);
	check_int(parse_repeated("a FETCH 1", ",1", SEQSET_RANGES_MAX, " UID", a), -E2BIG);
	check_int(parse_repeated("a FETCH 1 BODY[HEADER.FIELDS (A", " A", 5000, ")]", a), -E2BIG);
	check_int(parse_repeated("a LIST \"\" ", "*", 5000, "", a), -E2BIG);
	check_int(parse_repeated("a SELECT ", "x", 5000, "", a), -EILSEQ);
	check_int(parse_repeated("", "t", IMAP_TAG_BYTES_MAX + 1, " NOOP", a), -EINVAL);
	check_int(parse_repeated("a LOGIN {", "9", 100, "}\r\n", a), -EINVAL);
}

static void test_tables(void)
{
	for (unsigned i = 0; i < IMAP_COMMAND_COUNT; i++) {
		const char *name = imap_command_name((enum imap_command_kind)i);
		check_named(name && *name && imap_command_states((enum imap_command_kind)i), name);
		for (unsigned j = 0; j < i; j++)
			if (strcmp(name, imap_command_name((enum imap_command_kind)j)) == 0)
				check_named(false, name);
	}
	check_span(imap_command_tag(SPAN("a1 FOO {")), SPAN("a1"));
	check_span(imap_command_tag(SPAN("a1")), SPAN("a1"));
	check(!span_is_set(imap_command_tag(SPAN("a\"1 FOO"))));
	check(!span_is_set(imap_command_tag(SPAN(""))));
}

int main(void)
{
	struct arena a cleanup(arena_clear) = {0};
	test_cases();
	test_arguments(&a);
	test_fetch(&a);
	test_search(&a);
	test_limits(&a);
	test_tables();
	return tap_end();
}
