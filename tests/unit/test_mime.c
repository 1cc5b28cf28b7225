#include "tap.h"

#include "imap/body.h"
#include "mime/header.h"
#include "mime/summary.h"

static void put_list(struct str *out, const struct address_list *list)
{
	static const char *const kinds[] = {"m", "group", "end"};
	for (size_t i = 0; i < list->count; i++) {
		const struct address *a = &list->items[i];
		str_format(out, "%s<%.*s|%.*s|%.*s|%.*s>", kinds[a->kind], SPAN_ARG(a->name),
		    SPAN_ARG(a->route), SPAN_ARG(a->local), SPAN_ARG(a->domain));
	}
	str_append_cstr(out, list->complete ? "" : "!");
}

static void test_addresses(void)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
	    {"", ""},
	    {"a@x", "m<||a|x>"},
	    {" a@x , b@y ,, c@z,", "m<||a|x>m<||b|y>m<||c|z>"},
	    {"Joe Q. Public <john.q.public@example.com>",
		"m<Joe Q. Public||john.q.public|example.com>"},
	    {"\"Joe \\\"Q\\\"\" <j@x>, =?utf-8?q?J=C3=B6?= <k@x>",
		"m<Joe \"Q\"||j|x>m<=?utf-8?q?J=C3=B6?=||k|x>"},
	    {"Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>",
		"m<Pete||pete|silly.test>"},
	    {"A Group(Some people)\r\n :Chris Jones <c@(Chris's host.)public.example>,\r\n"
	     "  joe@example.org,\r\n John <jdoe@one.test> (my dear friend); (the end)",
		"group<A Group|||>m<Chris Jones||c|public.example>m<||joe|example.org>"
		"m<John||jdoe|one.test>end<|||>"},
	    {"(Empty list)(start)Hidden recipients  :(nobody(that I know))  ;",
		"group<Hidden recipients|||>end<|||>"},
	    {"Mary Smith <@node.test,@b.test:mary@example.net>, , jdoe@test  . example",
		"m<Mary Smith|@node.test,@b.test|mary|example.net>m<||jdoe|test.example>"},
	    {"Carl@x (Carl)", "m<Carl||Carl|x>"},
	    {"\"a b\"@x", "m<||a b|x>"},
	    {"j@[192.0.2.1]", "m<||j|[192.0.2.1]>"},
	    {"<j@x>", "m<||j|x>"},
	    {"J\xc3\xb6rg <j\xc3\xb6@\xc3\xbc.example>",
		"m<J\xc3\xb6rg||j\xc3\xb6|\xc3\xbc.example>"},
	    /* not well-formed: shown somehow, but never complete */
	    {"root", "m<||root|>!"},
	    {"<>", "m<|||>!"},
	    {"a@", "m<||a|>!"},
	    {"@x", "m<|||x>!"},
	    {"a@x b@y", "m<||a|x>!"},
	    {"A <a@x> <b@y>", "m<A||a|x>!"},
	    {"A <a@x> B", "m<A||a|x>!"},
	    {"A B a@x", "m<||a|x>!"},
	    {"<a@x, b@y>", "m<||a|x>m<||b|y>!"},
	    {"<a b@x>", "m<||b|x>!"},
	    {"<a@x", "m<||a|x>!"},
	    {"\"a <b@x>", "m<||a <b@x>|>!"},
	    {"g: a@x", "group<g|||>m<||a|x>end<|||>!"},
	    {"g: h: a@x;", "group<g|||>m<||a|x>end<|||>!"},
	    {"a@x;", "m<||a|x>!"},
	    {"(((((", "!"},
	    {"a..b@x", "m<||a..b|x>!"},
	    {"a@x.", "m<||a|x.>!"},
	    {"[]\\)>a@x", "m<||a|x>!"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct arena a cleanup(arena_clear) = {0};
		struct str out cleanup(str_clear) = STR_INIT(10000);
		struct address_list list = address_parse(span_cstr(cases[i].text), &a);
		put_list(&out, &list);
		check_span(str_span(&out), span_cstr(cases[i].want));
		for (size_t n = 0; n < strlen(cases[i].text); n++) {
			char *copy = xmalloc(n ? n : 1);
			memcpy(copy, cases[i].text, n);
			list = address_parse(span_of(copy, n), &a);
			free(copy);
		}
	}
	struct str out cleanup(str_clear) = STR_INIT(100);
	address_put(&out, &(struct address){.local = SPAN("a.b"), .domain = SPAN("x")});
	address_put(&out, &(struct address){.local = SPAN("a \"b"), .domain = SPAN("x")});
	address_put(&out, &(struct address){.local = SPAN(""), .domain = SPAN("x")});
	check_span(str_span(&out), SPAN("a.b@x\"a \\\"b\"@x\"\"@x"));
}

static void test_parameters(void)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
	    {"text/plain", "text/plain"},
	    {" text / plain (c) ; (c) charset (c) = (c) us-ascii (Plain; text)",
		"text/plain charset=us-ascii"},
	    {"a/b; x=\"q \\\" ; \\\\\"; y=z;", "a/b x=q \" ; \\ y=z"},
	    {"a/b; boundary=----=_Part_1; name=my file.pdf ; z=1",
		"a/b boundary=----=_Part_1 name=my file.pdf z=1"},
	    {"a/b (x; c=no) ; junk (d=no; e=no) ; f=\"(\" (;) ; g=1", "a/b f=( g=1"},
	    {"a/b; junk; =x; c=\"unterminated", "a/b c=unterminated"},
	    {"message/external-body; access-type=URL;\r\n URL*0=\"ftp://\";\r\n "
	     "URL*1=\"cs.utk.edu\"",
		"message/external-body access-type=URL URL=ftp://cs.utk.edu"},
	    {"a/b; title*=us-ascii'en-us'This%20is", "a/b title*=us-ascii'en-us'This%20is"},
	    {"a/b; t*1*=%2A%2A; t*0*=us-ascii'en'x; t*2=\"isn't it\"; t*4=no",
		"a/b t*=us-ascii'en'x%2A%2Aisn%27t%20it"},
	    {"a/b; t*0=x; t*1*=%20y", "a/b t*=''x%20y"},
	    {"a/b; t*1=lost; *=x; u*x=1", "a/b *=x u*x=1"},
	    {"text", "-"},
	    {"/plain", "-"},
	    {"", "-"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct arena a cleanup(arena_clear) = {0};
		struct str out cleanup(str_clear) = STR_INIT(10000);
		for (size_t n = 0; n <= strlen(cases[i].text); n++) {
			struct span type, subtype;
			struct parameters list;
			char *copy = xmalloc(n ? n : 1);
			memcpy(copy, cases[i].text, n);
			str_reset(&out);
			if (content_type_parse(span_of(copy, n), &a, &type, &subtype, &list) == 0) {
				str_format(&out, "%.*s/%.*s", SPAN_ARG(type), SPAN_ARG(subtype));
				for (size_t j = 0; j < list.count; j++)
					str_format(&out, " %.*s=%.*s", SPAN_ARG(list.items[j].name),
					    SPAN_ARG(list.items[j].value));
			} else {
				str_append_char(&out, '-');
			}
			free(copy);
		}
		check_span(str_span(&out), span_cstr(cases[i].want));
	}
}

static void test_header(void)
{
	static const char text[] = "From: a@x\r\nSubject : one\r\n two\r\nfrom junk\r\nB ad: 1\r\n"
				   "X:\nTo: b@y\n\r\nBody: no\r\n";
	struct span rest = SPAN(text);
	struct header_field f;
	check(header_next(&rest, &f));
	check_span(f.name, SPAN("From"));
	check_span(f.value, SPAN(" a@x"));
	check(header_next(&rest, &f));
	check_span(f.name, SPAN("Subject"));
	struct str out cleanup(str_clear) = STR_INIT(1000);
	header_unfold(f.value, &out);
	check_span(str_span(&out), SPAN("one two"));
	check(header_next(&rest, &f) && !span_is_set(f.name));
	check(header_next(&rest, &f) && !span_is_set(f.name));
	check(header_next(&rest, &f) && header_next(&rest, &f));
	check_span(f.whole, SPAN("To: b@y\n"));
	check(!header_next(&rest, &f));
	check_span(rest, SPAN("\r\nBody: no\r\n"));
	check(
	    header_find(SPAN(text), SPAN("TO"), &f) && !header_find(SPAN(text), SPAN("body"), &f));
	check_int(header_count(SPAN(text), SPAN("from")), 1);
	const struct span names[] = {SPAN("subject"), SPAN("FROM")};
	str_reset(&out);
	header_select(SPAN(text), HEADER_NAMED, names, 2, &out);
	check_span(str_span(&out), SPAN("From: a@x\r\nSubject : one\r\n two\r\n\r\n"));
	str_reset(&out);
	header_select(SPAN(text), HEADER_NOT_NAMED, names, 2, &out);
	check_span(str_span(&out), SPAN("from junk\r\nB ad: 1\r\nX:\nTo: b@y\n\r\n"));
}

/* Feeds in pieces of that size (the first one shorter by `shift`), gives the record. */
static void summarise(struct span text, size_t piece, size_t shift, struct str *out)
{
	struct mime_parser *p = mime_parser_new();
	size_t first = MIN(shift, text.n);
	mime_parser_feed(p, span_sub(text, 0, first));
	for (size_t i = first; i < text.n; i += piece)
		mime_parser_feed(p, span_sub(text, i, piece));
	str_reset(out);
	check_int(mime_summary_encode(mime_parser_end(p), out), 0);
	mime_parser_free(p);
}

static const char envelope_example[] =
    "Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\n"
    "From: Terry Gray <gray@cac.washington.edu>\r\n"
    "Subject: IMAP4rev1 WG mtg summary and minutes\r\n"
    "To: imap@cac.washington.edu\r\n"
    "cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\r\n"
    "Message-Id: <B27397-0100000@cac.washington.edu>\r\n"
    "MIME-Version: 1.0\r\n"
    "Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n\r\nhello\r\nworld\r\n";

static const char nested[] =
    "Subject: s\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\npreamble\r\n"
    "--a\r\n\r\none\r\n"
    "--a \r\nContent-Type: message/rfc822\r\nContent-ID: <2>\r\n\r\n"
    "Subject: in\r\nContent-Type: multipart/alternative; boundary=ab\r\n\r\n"
    "--ab\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\nPGI+\r\n\r\n"
    "--ab\r\nContent-Type: image/gif; name=\"x\"\r\nContent-Disposition: inline; filename=y\r\n"
    "Content-Language: en, de\r\nContent-Location: http://x\r\nContent-MD5: q\r\n\r\n\r\n"
    "--ab--\r\nepilogue\r\n--a--\r\n--a\r\nmore\r\n";

static const struct {
	const char *text, *structure, *body;
} structures[] = {
    {"", "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0 NIL NIL NIL NIL)",
	"(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0)"},
    {envelope_example,
	"(\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7bit\" 14 2 NIL NIL NIL NIL)",
	"(\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7bit\" 14 2)"},
    {nested,
	"((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 3 0 NIL NIL NIL NIL)"
	"(\"message\" \"rfc822\" NIL \"<2>\" NIL \"7bit\" 313 "
	"(NIL \"in\" NIL NIL NIL NIL NIL NIL NIL NIL) "
	"((\"text\" \"html\" NIL NIL NIL \"base64\" 6 1 NIL NIL NIL NIL)"
	"(\"image\" \"gif\" (\"name\" \"x\") NIL NIL \"7bit\" 0 \"q\" "
	"(\"inline\" (\"filename\" \"y\")) (\"en\" \"de\") \"http://x\") "
	"\"alternative\" (\"boundary\" \"ab\") NIL NIL NIL) 18 NIL NIL NIL NIL) "
	"\"mixed\" (\"boundary\" \"a\") NIL NIL NIL)",
	NULL},
    /* no parts at all, no boundary, an unknown end */
    {"Content-Type: multipart/mixed; boundary=x\n\nabc\n",
	"((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0 NIL NIL NIL NIL) "
	"\"mixed\" (\"boundary\" \"x\") NIL NIL NIL)",
	NULL},
    {"Content-Type: multipart/mixed\r\n\r\nabc",
	"(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 3 0 NIL NIL NIL NIL)",
	NULL},
    {"Content-Type: nonsense\r\n\r\nabc\r\n",
	"(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 5 1 NIL NIL NIL NIL)",
	NULL},
    /* a delimiter in a header, and a part that has nothing */
    {"Content-Type: multipart/digest; boundary=x\r\n\r\n--x\r\n--x\r\n\r\nSubject: q\r\n--x--",
	"((\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 0 (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL) "
	"(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0 NIL NIL NIL NIL) 0 "
	"NIL NIL NIL NIL)"
	"(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 10 "
	"(NIL \"q\" NIL NIL NIL NIL NIL NIL NIL NIL) "
	"(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0 NIL NIL NIL NIL) 0 "
	"NIL NIL NIL NIL) \"digest\" (\"boundary\" \"x\") NIL NIL NIL)",
	NULL},
};

static void test_structures(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(structures); i++) {
		struct arena a cleanup(arena_clear) = {0};
		struct span text = span_cstr(structures[i].text);
		struct str record cleanup(str_clear) = STR_INIT(MIME_SUMMARY_BYTES_MAX);
		struct str again cleanup(str_clear) = STR_INIT(MIME_SUMMARY_BYTES_MAX);
		struct str out cleanup(str_clear) = STR_INIT(100000);
		summarise(text, SIZE_MAX / 4, 0, &record);
		bool same = true;
		for (size_t cut = 0; cut <= text.n; cut++) { /* two pieces, cut everywhere */
			summarise(text, SIZE_MAX / 4, cut, &again);
			same = same && span_equal(str_span(&record), str_span(&again));
			summarise(span_sub(text, 0, cut), 1, 0, &again); /* and the end cut off */
		}
		summarise(text, 1, 0, &again);
		check_named(same && span_equal(str_span(&record), str_span(&again)), "pieces");
		const struct mime_message *m = NULL;
		check_int(mime_summary_decode(str_span(&record), &a, &m), 0);
		imap_put_body(&out, m, IMAP_BODYSTRUCTURE, IMAP_TEXT_ASCII);
		check_span(str_span(&out), span_cstr(structures[i].structure));
		str_reset(&out);
		imap_put_body(&out, m, IMAP_BODY, IMAP_TEXT_ASCII);
		if (structures[i].body)
			check_span(str_span(&out), span_cstr(structures[i].body));
		for (size_t n = 0; n < record.n; n++) {
			char *copy = xmalloc(n ? n : 1);
			memcpy(copy, record.data, n);
			same = same && mime_summary_decode(span_of(copy, n), &a, &m) == -EBADMSG;
			free(copy);
			record.data[n] = (char)~record.data[n];
			(void)!mime_summary_decode(str_span(&record), &a, &m);
			record.data[n] = (char)~record.data[n];
		}
		check_named(same, "a short record is refused");
	}
}

static const struct mime_message *structure_of(
    struct span text, struct arena *a, struct str *record)
{
	const struct mime_message *m = NULL;
	summarise(text, 1000, 0, record);
	check_int(mime_summary_decode(str_span(record), a, &m), 0);
	return m;
}

static void test_envelope(void)
{
	struct arena a cleanup(arena_clear) = {0};
	struct str record cleanup(str_clear) = STR_INIT(MIME_SUMMARY_BYTES_MAX);
	struct str out cleanup(str_clear) = STR_INIT(100000);
	const struct mime_message *m = structure_of(SPAN(envelope_example), &a, &record);
	imap_put_envelope(&out, m, IMAP_TEXT_ASCII);
	/* the example of RFC 3501 §7.4.2 */
	check_span(str_span(&out), SPAN("(\"Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\" "
					"\"IMAP4rev1 WG mtg summary and minutes\" "
					"((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) "
					"((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) "
					"((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) "
					"((NIL NIL \"imap\" \"cac.washington.edu\")) "
					"((NIL NIL \"minutes\" \"CNRI.Reston.VA.US\")"
					"(\"John Klensin\" NIL \"KLENSIN\" \"MIT.EDU\")) NIL NIL "
					"\"<B27397-0100000@cac.washington.edu>\")"));
	const struct mime_envelope *e = m->parts[0].envelope;
	check(e->date_is_valid && e->date_s == 837595405 && e->date_zone_minutes == -420);
	m = structure_of(SPAN("To: g:a@x;, root\r\nSubject: a\r\n\tb\"\xfc\r\n\r\n"), &a, &record);
	str_reset(&out);
	imap_put_envelope(&out, m, IMAP_TEXT_UTF8);
	check_span(str_span(&out),
	    SPAN("(NIL {5}\r\na\tb\"\xfc NIL NIL NIL ((NIL NIL \"g\" NIL)(NIL NIL \"a\" \"x\")"
		 "(NIL NIL NIL NIL)(NIL NIL \"root\" \"\")) NIL NIL NIL NIL)"));
}

static void test_sections(void)
{
	static const struct {
		uint32_t numbers[4];
		size_t count;
		enum imap_section_text text;
		const char *want; /* its beginning; NULL: no such part */
		size_t bytes;
	} cases[] = {
	    {{0}, 0, IMAP_SECTION_ALL, "Subject: s\r\n", sizeof(nested) - 1},
	    {{0}, 0, IMAP_SECTION_HEADER, "Subject: s\r\n", 57},
	    {{0}, 0, IMAP_SECTION_TEXT, "preamble", sizeof(nested) - 1 - 57},
	    {{1}, 1, IMAP_SECTION_ALL, "one", 3},
	    {{1}, 1, IMAP_SECTION_MIME, "\r\n", 2},
	    {{2}, 1, IMAP_SECTION_HEADER, "Subject: in", 65},
	    {{2}, 1, IMAP_SECTION_TEXT, "--ab\r\n", 313 - 65},
	    {{2, 1}, 2, IMAP_SECTION_ALL, "PGI+\r\n", 6},
	    {{2, 2}, 2, IMAP_SECTION_ALL, "", 0},
	    {{2, 2}, 2, IMAP_SECTION_MIME, "Content-Type: image/gif", 148},
	    {{1}, 1, IMAP_SECTION_HEADER, NULL, 0},
	    {{1, 1}, 2, IMAP_SECTION_ALL, NULL, 0},
	    {{3}, 1, IMAP_SECTION_ALL, NULL, 0},
	    {{2, 3}, 2, IMAP_SECTION_ALL, NULL, 0},
	    {{2, 2, 1}, 3, IMAP_SECTION_ALL, NULL, 0},
	};
	struct arena a cleanup(arena_clear) = {0};
	struct str record cleanup(str_clear) = STR_INIT(MIME_SUMMARY_BYTES_MAX);
	const struct mime_message *m = structure_of(SPAN(nested), &a, &record);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct imap_section s = {.numbers = cases[i].numbers,
		    .number_count = cases[i].count,
		    .text = cases[i].text};
		struct imap_range range = {0};
		int error = imap_section_locate(m, &s, &range);
		check_int(error, cases[i].want ? 0 : -ENOENT);
		if (error)
			continue;
		check_int(range.bytes, cases[i].bytes);
		check(span_starts_with(
		    span_sub(SPAN(nested), range.offset, range.bytes), span_cstr(cases[i].want)));
	}
	struct imap_range range = {100, 50};
	imap_range_cut(
	    &range, &(struct imap_fetch_item){.partial = true, .offset = 40, .count = 20});
	check(range.offset == 140 && range.bytes == 10);
	imap_range_cut(
	    &range, &(struct imap_fetch_item){.partial = true, .offset = INT64_MAX, .count = 1});
	check(range.bytes == 0);
	m = structure_of(SPAN("A: b\r\n\r\nbody"), &a, &record);
	uint32_t one = 1;
	struct imap_section s = {.numbers = &one, .number_count = 1};
	check(imap_section_locate(m, &s, &range) == 0 && range.offset == 8 && range.bytes == 4);
}

/* front, then `count` times again, then back; fed in pieces of 64 KiB. Gives the record. */
static const struct mime_message *hostile(const char *front, const char *again, size_t count,
    const char *back, struct arena *a, struct str *record)
{
	struct str text cleanup(str_clear) = STR_INIT(1 << 26);
	str_append_cstr(&text, front);
	for (size_t i = 0; i < count; i++)
		str_append_cstr(&text, again);
	str_append_cstr(&text, back);
	const struct mime_message *m = NULL;
	clock_t start = clock(); /* of CPU: the machine may have other work */
	summarise(str_span(&text), 65536, 0, record);
	check_int(mime_summary_decode(str_span(record), a, &m), 0);
	struct str out cleanup(str_clear) = STR_INIT(1 << 24);
	imap_put_body(&out, m, IMAP_BODYSTRUCTURE, IMAP_TEXT_ASCII);
	imap_put_envelope(&out, m, IMAP_TEXT_ASCII);
	check_int(str_error(&out), 0);
	check_named(clock() - start < 5 * CLOCKS_PER_SEC, "hostile, in time");
	return m;
}

static void test_hostile(void)
{
	struct arena a cleanup(arena_clear) = {0};
	struct str r cleanup(str_clear) = STR_INIT(MIME_SUMMARY_BYTES_MAX);
	const struct mime_message *m;
	m = hostile("Content-Type: multipart/mixed; boundary=x\r\n\r\n", "--x\r\n\r\nb\r\n", 10000,
	    "--x--\r\n", &a, &r);
	check(m->part_count == MIME_PARTS_MAX && m->cut);
	m = hostile(
	    "", "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n", 10000, "", &a, &r);
	check(m->part_count == MIME_PARTS_MAX && m->cut);
	m = hostile("", "Content-Type: message/rfc822\r\n\r\n", 100000, "", &a, &r);
	check(m->part_count == MIME_DEPTH_MAX + 1 && m->cut);
	m = hostile("To: ", "a@x,", 1000000, "\r\n\r\n", &a, &r);
	check(m->cut && m->parts[0].envelope->to.count == ADDRESS_LIST_MAX);
	m = hostile("Subject: ", "x", 30000000, "", &a, &r);
	check_int(m->parts[0].envelope->subject.n, MIME_FIELD_BYTES_MAX - 9);
	(void)hostile("", "To: ((((((((((((((((((((((((((((((((((((\r\n ", 100000, "", &a, &r);
	(void)hostile("Content-Type: a/b", "; x*0=\"y\"", 100000, "\r\n\r\n", &a, &r);
	(void)hostile("Content-Type: a/b", ";", 1000000, "\r\n\r\n", &a, &r);
	(void)hostile("", "\r\n", 5000000, "", &a, &r);
	(void)hostile("", "\r", 5000000, "", &a, &r);
	(void)hostile(
	    "Content-Type: multipart/mixed; boundary=x\r\n\r\n", "--\n", 5000000, "", &a, &r);
	(void)hostile("", "X", 3000000, ": y", &a, &r);
	m = hostile("Content-Type: multipart/mixed; boundary=x\r\n\r\n",
	    "--x\r\nContent-Type: message/rfc822\r\n\r\n"
	    "From: a@b, c@d, e@f, \"very long name here\" <x@y>\r\nSubject: something\r\n\r\n",
	    10000, "", &a, &r);
	check(m->cut && r.n <= MIME_SUMMARY_BYTES_MAX);
	m = structure_of(SPAN("Subject: a\0b\r\n\0: x\r\nTo: \0a@x\r\n\r\n\0"), &a, &r);
	check_span(m->parts[0].envelope->subject, SPAN("ab"));
	check_int(m->parts[0].envelope->to.count, 1);
	check_int(mime_summary_encode(NULL, &r), -EFBIG);
}

int main(void)
{
	test_addresses();
	test_parameters();
	test_header();
	test_structures();
	test_envelope();
	test_sections();
	test_hostile();
	return tap_end();
}
