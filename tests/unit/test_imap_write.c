#include "tap.h"

#include "imap/write.h"

static void test_strings(void)
{
	static const struct {
		struct span s;
		enum imap_text mode;
		const char *string, *astring;
	} cases[] = {
	    {{"", 0}, IMAP_TEXT_ASCII, "\"\"", "\"\""},
	    {{"abc", 3}, IMAP_TEXT_ASCII, "\"abc\"", "abc"},
	    {{"nil", 3}, IMAP_TEXT_ASCII, "\"nil\"", "\"nil\""},
	    {{"a b", 3}, IMAP_TEXT_ASCII, "\"a b\"", "\"a b\""},
	    {{"a\"\\", 3}, IMAP_TEXT_ASCII, "\"a\\\"\\\\\"", "\"a\\\"\\\\\""},
	    {{"a\r\nb", 4}, IMAP_TEXT_ASCII, "{4}\r\na\r\nb", "{4}\r\na\r\nb"},
	    {{"a\0b", 3}, IMAP_TEXT_ASCII, "{2}\r\nab", "{2}\r\nab"},
	    {{"\xc3\xbc", 2}, IMAP_TEXT_ASCII, "{2}\r\n\xc3\xbc", "{2}\r\n\xc3\xbc"},
	    {{"\xc3\xbc", 2}, IMAP_TEXT_UTF8, "\"\xc3\xbc\"", "\"\xc3\xbc\""},
	    {{"\xfc", 1}, IMAP_TEXT_UTF8, "{1}\r\n\xfc", "{1}\r\n\xfc"},
	};
	struct str out cleanup(str_clear) = STR_INIT(1000);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		str_reset(&out);
		imap_put_string(&out, cases[i].s, cases[i].mode);
		check_span(str_span(&out), span_cstr(cases[i].string));
		str_reset(&out);
		imap_put_astring(&out, cases[i].s, cases[i].mode);
		check_span(str_span(&out), span_cstr(cases[i].astring));
	}
	str_reset(&out);
	imap_put_nstring(&out, SPAN_NONE, IMAP_TEXT_ASCII);
	imap_put_text(&out, SPAN("a\r\nb\xc3\xbc"), IMAP_TEXT_ASCII);
	imap_put_text(&out, SPAN("\xc3\xbc"), IMAP_TEXT_UTF8);
	check_span(str_span(&out), SPAN("NILa??b?\xc3\xbc"));
	str_reset(&out);
	const struct span keywords[] = {SPAN("$A"), SPAN("b")};
	imap_put_flags(&out, IMAP_FLAG_SEEN | IMAP_FLAG_DELETED, 2, keywords, 2);
	check_span(str_span(&out), SPAN("\\Deleted \\Seen b"));
	str_reset(&out);
	imap_put_date(&out, 0, 60);
	check_span(str_span(&out), SPAN("\" 1-Jan-1970 01:00:00 +0100\""));
}

static void test_mailbox(struct arena *a)
{
	static const struct {
		const char *wire;
		enum imap_text mode;
		int error;
		const char *name, *back;
	} cases[] = {
	    {"inbox", IMAP_TEXT_ASCII, 0, "INBOX", "INBOX"},
	    {"iNbox/Foo", IMAP_TEXT_ASCII, 0, "INBOX/Foo", "INBOX/Foo"},
	    {"inboxes", IMAP_TEXT_ASCII, 0, "inboxes", "inboxes"},
	    {"a&-b", IMAP_TEXT_ASCII, 0, "a&b", "\"a&-b\""},
	    {"a&-b", IMAP_TEXT_UTF8, 0, "a&-b", "\"a&-b\""},
	    {"Entw&APw-rfe", IMAP_TEXT_ASCII, 0, "Entw\xc3\xbcrfe", "\"Entw&APw-rfe\""},
	    {"u\xcc\x88", IMAP_TEXT_UTF8, 0, "\xc3\xbc", "\"\xc3\xbc\""},
	    {"\xc3\xbc", IMAP_TEXT_ASCII, 0, "\xc3\xbc", "\"&APw-\""},
	    {"\xfc", IMAP_TEXT_ASCII, -EINVAL, "", ""},
	    {"a&b", IMAP_TEXT_ASCII, -EINVAL, "", ""},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct span name = SPAN("");
		int error = imap_mailbox_decode(span_cstr(cases[i].wire), cases[i].mode, a, &name);
		check_int(error, cases[i].error);
		if (error)
			continue;
		check_span(name, span_cstr(cases[i].name));
		struct str out cleanup(str_clear) = STR_INIT(1000);
		imap_put_mailbox(&out, name, cases[i].mode);
		check_span(str_span(&out), span_cstr(cases[i].back));
	}
}

/* The obvious matcher, to compare with. */
static bool slow_match(const char *p, const char *s)
{
	if (!*p)
		return !*s;
	if (*p == '*' || *p == '%')
		return slow_match(p + 1, s) ||
		       (*s && (*p == '*' || *s != '/') && slow_match(p, s + 1));
	return *s == *p && slow_match(p + 1, s + 1);
}

static bool matches(struct arena *a, const char *pattern, const char *name)
{
	const struct imap_pattern *p;
	return imap_pattern_compile(span_cstr(pattern), '/', a, &p) == 0 &&
	       imap_pattern_matches(p, span_cstr(name));
}

static void test_pattern(struct arena *a)
{
	check(matches(a, "*", "") && matches(a, "*", "a/b/c") && matches(a, "%", "a"));
	check(!matches(a, "%", "a/b") && matches(a, "%/%", "a/b") && matches(a, "a%*c", "a/b/c"));
	check(matches(a, "inbox", "INBOX") && matches(a, "InB%", "INBOX"));
	check(matches(a, "inbox/%", "INBOX/x") && !matches(a, "inbox/X", "INBOX/x"));
	check(!matches(a, "inboxes", "INBOXES") && !matches(a, "", "a") && matches(a, "", ""));
	/* every pattern of up to 5 and every name of up to 4 letters out of few */
	static const char pattern_letters[] = "ab/*%", name_letters[] = "ab/";
	size_t wrong = 0;
	for (size_t i = 0; i < 5 * 5 * 5 * 5 * 5; i++) {
		char pattern[6] = "";
		for (size_t j = 0, rest = i; j < 5; j++, rest /= 5)
			pattern[j] = pattern_letters[rest % 5];
		const struct imap_pattern *p;
		check_int(imap_pattern_compile(span_cstr(pattern), '/', a, &p), 0);
		for (size_t k = 0; k < 3 * 3 * 3 * 3 * 4; k++) {
			char name[5] = "";
			for (size_t j = 0, rest = k / 4; j <= k % 4; j++, rest /= 3)
				name[j] = name_letters[rest % 3];
			wrong +=
			    imap_pattern_matches(p, span_cstr(name)) != slow_match(pattern, name);
		}
		arena_reset(a);
	}
	check_int(wrong, 0);
	/* longer than one word of bits, and what kills a matcher that tries again */
	struct str pattern cleanup(str_clear) = STR_INIT(5000),
			   name cleanup(str_clear) = STR_INIT(5000);
	for (size_t i = 0; i < 600; i++)
		str_append_cstr(&pattern, "*a");
	for (size_t i = 0; i < 1000; i++)
		str_append_cstr(&name, "a");
	check(matches(a, pattern.data, name.data));
	str_append_cstr(&pattern, "b");
	bool any = false;
	for (size_t i = 0; i < 100; i++)
		any = any || matches(a, pattern.data, name.data);
	check(!any);
	const struct imap_pattern *p;
	check_int(imap_pattern_compile(span_of(pattern.data, 1200), '/', a, &p), 0);
	for (size_t i = 0; i < 600; i++)
		str_append_cstr(&pattern, "*a");
	check_int(imap_pattern_compile(str_span(&pattern), '/', a, &p), -E2BIG);
}

static void put_seqset(struct str *out, const struct seqset *bound)
{
	for (size_t i = 0; i < bound->count; i++) {
		const struct seqset_range *range = &bound->ranges[i];
		str_append_cstr(out, i ? "," : "");
		str_append_u64(out, range->first);
		if (range->last != range->first)
			str_format(out, ":%u", range->last);
	}
}

static void test_seqset(struct arena *a)
{
	static const struct {
		const char *text;
		uint32_t largest;
		const char *bound; /* NULL: malformed */
	} cases[] = {
	    {"1", 9, "1"},
	    {"*", 9, "9"},
	    {"*", 0, ""},
	    {"5:*", 3, "3:5"},
	    {"5:*", 0, "5"},
	    {"*:5", 9, "5:9"},
	    {"9,1:4,*", 20, "1:4,9,20"},
	    {"4:2,3:6,7", 9, "2:7"},
	    {"1,2,3", 9, "1:3"},
	    {"4294967295,1:4294967294", 9, "1:4294967295"},
	    {"4294967295,4294967295:*", 9, "9:4294967295"},
	    {"", 9, NULL},
	    {"1,", 9, NULL},
	    {",1", 9, NULL},
	    {"1:", 9, NULL},
	    {"0", 9, NULL},
	    {"1-2", 9, NULL},
	    {"**", 9, NULL},
	    {"4294967296", 9, NULL},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct seqset set, bound;
		int error = seqset_parse(span_cstr(cases[i].text), a, &set);
		check_named(error == (cases[i].bound ? 0 : -EINVAL), cases[i].text);
		if (error)
			continue;
		bound = seqset_bind(&set, cases[i].largest, a);
		struct str out cleanup(str_clear) = STR_INIT(100);
		put_seqset(&out, &bound);
		check_span(str_span(&out), span_cstr(cases[i].bound));
		for (size_t j = 0; j < bound.count; j++)
			check(seqset_contains(&bound, bound.ranges[j].first) &&
			      !seqset_contains(&bound, bound.ranges[j].first - 1));
	}
}

int main(void)
{
	struct arena a cleanup(arena_clear) = {0};
	test_strings();
	test_mailbox(&a);
	test_seqset(&a);
	test_pattern(&a);
	return tap_end();
}
