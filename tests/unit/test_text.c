#include "text/text.h"

#include "tap.h"

typedef int text_function(struct span s, struct str *out);

struct text_case {
	const char *input, *want; /* want NULL: must fail */
};

static void run_cases(
    text_function *f, const struct text_case *cases, size_t count, const char *label)
{
	for (size_t i = 0; i < count; i++) {
		struct str out cleanup(str_clear) = STR_INIT(1000);
		int rc = f(span_cstr(cases[i].input), &out);
		char name[200];
		(void)snprintf(name, sizeof(name), "%s \"%s\"", label, cases[i].input);
		if (!cases[i].want)
			check_named(rc < 0, name);
		else if (!check_named(
			     rc == 0 && span_equal(str_span(&out), span_cstr(cases[i].want)), name))
			printf("#   rc %d, got \"%s\"\n", rc, out.data);
	}
}

static void test_utf8(void)
{
	check(utf8_is_valid(SPAN_NONE));
	check(utf8_is_valid(SPAN("Stra\xc3\x9f"
				 "e \xf0\x9f\x90\xa2")));
	check(!utf8_is_valid(SPAN("a\0b")));
	check(!utf8_is_valid(SPAN("\xc0\xaf")));
	check(!utf8_is_valid(SPAN("\xed\xa0\x80"))); /* a surrogate */
	check(!utf8_is_valid(SPAN("\xf4\x90\x80\x80")));
	check(!utf8_is_valid(SPAN("\xe2\x82")));
	static const struct {
		struct span s;
		const char *printable;
	} shown[] = {
	    {SPAN(""), ""}, {SPAN("a b~"), "a b~"}, {SPAN("a\tb\r\n\0\x7f"), "a?b????"},
	    {SPAN("h\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\xa2x"), "h???x"},
	    {SPAN("e\xcc\x81"), "e?"},	 /* by code point, not by grapheme */
	    {SPAN("\xf0\x9f\x90"), "?"}, /* cut */
	    {SPAN("\x80\x80"
		  "a\xe9t\xe9"),
		"?a?t?"}, /* no UTF-8 */
	};
	for (size_t i = 0; i < ARRAY_SIZE(shown); i++) {
		struct str out cleanup(str_clear) = STR_INIT(100);
		text_to_printable_ascii(shown[i].s, &out);
		check_span(str_span(&out), span_cstr(shown[i].printable));
	}
	check_int(utf8_count(SPAN("h\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\xa2")), 4);
}

static void test_forms(void)
{
	static const struct text_case nfc[] = {
	    {"", ""},
	    {"plain", "plain"},
	    {"mo\xcc\x81x", "m\xc3\xb3x"},
	    {"\xe1\x84\x80\xe1\x85\xa1", "\xea\xb0\x80"},
	    {"\xff", NULL},
	};
	static const struct text_case fold[] = {
	    {"User", "user"},
	    {"M\xc3\x93X", "m\xc3\xb3x"},
	    {"MO\xcc\x81X", "m\xc3\xb3x"},
	    {"\xc4\xb0", "i"}, /* the simple mapping */
	    {"\xc3", NULL},
	};
	static const struct text_case casemap[] = {
	    {"abc", "ABC"},
	    {"\xc3\xa9", "E\xcc\x81"},
	    {"\xc3\x9f", "\xc3\x9f"},
	    {"\xef\xbd\x81", "A"},	/* FULLWIDTH a */
	    {"\xc7\x84", "Dz\xcc\x8c"}, /* the title-case form, taken apart */
	    {"\x80", NULL},
	};
	run_cases(text_nfc, nfc, ARRAY_SIZE(nfc), "nfc");
	run_cases(text_fold, fold, ARRAY_SIZE(fold), "fold");
	run_cases(text_casemap, casemap, ARRAY_SIZE(casemap), "casemap");
	struct str small cleanup(str_clear) = STR_INIT(3);
	check_int(text_nfc(SPAN("abcd"), &small), -EMSGSIZE);
}

static void test_domains(void)
{
	static const struct text_case ascii[] = {
	    {"Example.ORG", "example.org"},
	    {"b\xc3\xbc"
	     "cher.example",
		"xn--bcher-kva.example"},
	    {"BU\xcc\x88"
	     "CHER.example",
		"xn--bcher-kva.example"},
	    {"XN--Bcher-KVA.example", "xn--bcher-kva.example"},
	    {"fa\xc3\x9f.example", "xn--fa-hia.example"}, /* IDNA2008, not "fass" */
	    {"xn--a\xc3\xbc.example", NULL},
	    {"xn--zzzzzzzzzz99999.example", NULL},
	    {"xn--abc-.example", NULL},
	    {"", NULL},
	    {".", NULL},
	    {"a..b", NULL},
	    {"a.", NULL},
	    {".a", NULL},
	    {"-a.b", NULL},
	    {"a-.b", NULL},
	    {"a b.c", NULL},
	    {"a_b.c", NULL},
	    {"a@b.c", NULL},
	    {"\xff.example", NULL},
	    {"a\xe2\x80\x8d.example", NULL}, /* ZERO WIDTH JOINER without its context */
	    {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example", NULL},
	};
	run_cases(text_domain_ascii, ascii, ARRAY_SIZE(ascii), "to A-labels");
	struct str short_one = STR_INIT(9);
	check_int(text_domain_ascii(SPAN("a\0.example"), &short_one), -EINVAL);
}

struct password_case {
	const char *input, *want;
	uint32_t bad;
};

/* RFC 8265 §4.3, and what FreeformClass refuses. */
static const struct password_case passwords[] = {
    {"correct horse battery staple", "correct horse battery staple", 0},
    {"Correct Horse Battery Staple", "Correct Horse Battery Staple", 0},
    {"\xcf\x80\xc3\x9f\xc3\xa5", "\xcf\x80\xc3\x9f\xc3\xa5", 0},
    {"Jack of \xe2\x99\xa6s", "Jack of \xe2\x99\xa6s", 0},
    {"foo\xe1\x9a\x80"
     "bar",
	"foo bar", 0}, /* OGHAM SPACE MARK */
    {"", NULL, 0},
    {"my cat is a \tby", NULL, 0x9},
    {"te\xcc\x81st \xc2\xa0\xe2\x80\x82\xe2\x80\x8a", "t\xc3\xa9st    ", 0},
    {"\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab", "\xed\x95\x9c", 0}, /* conjoining jamo compose */
    {"\xe1\x84\x92", NULL, 0x1112},
    {"a\xef\xb8\x8f", NULL, 0xfe0f},				    /* VARIATION SELECTOR-16 */
    {"\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x92\xbb", NULL, 0x200d}, /* ZWJ between emoji */
    {"\xf0\x9f\x90\xa2", "\xf0\x9f\x90\xa2", 0},
    {"\xc2\xad", NULL, 0xad}, /* SOFT HYPHEN */
    {"\xc2\x85", NULL, 0x85}, /* C1 */
    {"\x7f", NULL, 0x7f},
    {"\xe2\x80\xa8", NULL, 0x2028},
    {"\xee\x80\x80", NULL, 0xe000}, /* private use */
    {"\xef\xb7\x90", NULL, 0xfdd0}, /* noncharacter */
    {"\xcd\xb8", NULL, 0x378},	    /* unassigned */
    {"\xe2\x80\x8b", NULL, 0x200b},
    {"\xef\xac\x81", "\xef\xac\x81", 0}, /* HasCompat: ligature fi */
    {"\xd9\x80", NULL, 0x640},
    {"\xc3\x9f\xcf\x82", "\xc3\x9f\xcf\x82", 0},
    /* CONTEXTJ */
    {"\xe0\xa4\x95\xe0\xa5\x8d\xe2\x80\x8d\xe0\xa4\xb7",
	"\xe0\xa4\x95\xe0\xa5\x8d\xe2\x80\x8d\xe0\xa4\xb7", 0},
    {"\xe0\xa4\x95\xe0\xa5\x8d\xe2\x80\x8c\xe0\xa4\xb7",
	"\xe0\xa4\x95\xe0\xa5\x8d\xe2\x80\x8c\xe0\xa4\xb7", 0},
    {"\xd8\xa8\xe2\x80\x8c\xd8\xa8", "\xd8\xa8\xe2\x80\x8c\xd8\xa8", 0}, /* BEH ZWNJ BEH */
    {"\xd8\xa8\xd9\x8b\xe2\x80\x8c\xd9\x8b\xd8\xa8", "\xd8\xa8\xd9\x8b\xe2\x80\x8c\xd9\x8b\xd8\xa8",
	0}, /* with transparent marks */
    {"a\xe2\x80\x8c"
     "b",
	NULL, 0x200c},
    {"\xd8\xa8\xe2\x80\x8c", NULL, 0x200c},
    {"\xe2\x80\x8c", NULL, 0x200c},
    /* CONTEXTO */
    {"l\xc2\xb7l", "l\xc2\xb7l", 0},
    {"a\xc2\xb7l", NULL, 0xb7},
    {"l\xc2\xb7", NULL, 0xb7},
    {"\xcd\xb5\xce\xb1", "\xcd\xb5\xce\xb1", 0},
    {"\xcd\xb5"
     "a",
	NULL, 0x375},
    {"\xd7\x90\xd7\xb3", "\xd7\x90\xd7\xb3", 0},
    {"\xd7\xb4", NULL, 0x5f4},
    {"a\xe3\x83\xbb", NULL, 0x30fb},
    {"\xe3\x83\xbb\xe3\x82\xa2", "\xe3\x83\xbb\xe3\x82\xa2", 0},
    {"\xd9\xa0", "\xd9\xa0", 0},
    {"\xdb\xb0", "\xdb\xb0", 0},
    {"\xd9\xa0\xdb\xb0", NULL, 0x660},
};

/* Rules that ask for something anywhere in the password, not beside the code point. */
static const struct password_case context_passwords[] = {
    {"\xdb\xb0\xd9\xa0", NULL, 0x6f0}, /* the first one of the two is named */
    {"x\xd9\xa9y\xdb\xb9", NULL, 0x669},
    {"\xd9\xa0 1 \xd9\xa9", "\xd9\xa0 1 \xd9\xa9", 0}, /* ASCII digits mix with either */
    {"\xdb\xb9 1 \xdb\xb0", "\xdb\xb9 1 \xdb\xb0", 0},
    {"\xe3\x81\x82x\xe3\x83\xbb", "\xe3\x81\x82x\xe3\x83\xbb", 0}, /* Hiragana, before it */
    {"\xe3\x83\xbbx\xe4\xb8\x80", "\xe3\x83\xbbx\xe4\xb8\x80", 0}, /* Han */
    {"\xe3\x83\xbb\xe3\x83\xbc", NULL, 0x30fb},			   /* U+30FC is common to scripts */
    {"\xe3\x83\xbb\xe3\x83\xbb", NULL, 0x30fb},			   /* and so is U+30FB */
};

static void check_passwords(const struct password_case *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct password_case *p = &cases[i];
		struct str out cleanup(str_clear) = STR_INIT(1000);
		uint32_t bad = 0x110000;
		int rc = text_opaque_string(span_cstr(p->input), &out, &bad);
		char name[200];
		(void)snprintf(name, sizeof(name), "OpaqueString %zu \"%s\"", i, p->input);
		bool good = p->want ? rc == 0 && span_equal(str_span(&out), span_cstr(p->want)) &&
					  bad == 0x110000
				    : rc == -EINVAL && bad == p->bad;
		if (!check_named(good, name))
			printf("#   rc %d, bad %x, got \"%s\"\n", rc, bad, out.data);
	}
}

static void test_passwords(void)
{
	check_passwords(passwords, ARRAY_SIZE(passwords));
	check_passwords(context_passwords, ARRAY_SIZE(context_passwords));
	uint32_t bad = 1;
	struct str out cleanup(str_clear) = STR_INIT(1000);
	check_int(text_opaque_string(SPAN("\xff"), &out, &bad), -EILSEQ);
	check_int(text_opaque_string(SPAN("a\0b"), &out, &bad), -EINVAL);
	check_int(bad, 0);
}

/*
 * As long as a SASL message: what a rule asks of the whole string is found out once, and still
 * answered for each code point. Where the one that it depends on stands makes no difference.
 */
static void test_long_passwords(void)
{
	enum { MANY = 2700, MAX_BYTES = (MANY + 1) * 3 };
	static const struct {
		const char *many, *one; /* MANY times the first, and the second somewhere */
		uint32_t bad;		/* 0: allowed */
		uint32_t bad_if_first;	/* with `one` before all others */
	} cases[] = {
	    {"\xe3\x83\xbb", "\xe3\x82\xa2", 0, 0}, /* KATAKANA MIDDLE DOT, LETTER A */
	    {"\xe3\x83\xbb", "\xe4\xb8\x80", 0, 0}, /* Han */
	    {"\xe3\x83\xbb", "", 0x30fb, 0x30fb},
	    {"\xe3\x83\xbb", "a", 0x30fb, 0x30fb},
	    {"\xd9\xa3", "", 0, 0}, /* ARABIC-INDIC DIGIT THREE */
	    {"\xd9\xa3", "3", 0, 0},
	    {"\xd9\xa3", "\xdb\xb3", 0x663, 0x6f3}, /* EXTENDED ARABIC-INDIC DIGIT THREE */
	    {"\xdb\xb3", "", 0, 0},
	    {"\xdb\xb3", "\xd9\xa3", 0x6f3, 0x663},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		for (size_t at = 0; at <= MANY; at += MANY / 2) {
			struct str in cleanup(str_clear) = STR_INIT(MAX_BYTES);
			struct str out cleanup(str_clear) = STR_INIT(MAX_BYTES);
			uint32_t bad = 0, want = at ? cases[i].bad : cases[i].bad_if_first;
			for (size_t j = 0; j <= MANY; j++) {
				str_append_cstr(&in, j == at ? cases[i].one : "");
				str_append_cstr(&in, j < MANY ? cases[i].many : "");
			}
			check_int(str_error(&in), 0);
			check_int(
			    text_opaque_string(str_span(&in), &out, &bad), want ? -EINVAL : 0);
			check_int(bad, want);
			check(want || span_equal(str_span(&out), str_span(&in)));
		}
	}
}

static void test_utf7(void)
{
	static const struct text_case decode[] = {
	    {"INBOX", "INBOX"},
	    {"", ""},
	    {"&-", "&"},
	    {"a&-b", "a&b"},
	    {"~peter/mail/&U,BTFw-/&ZeVnLIqe-",
		"~peter/mail/\xe5\x8f\xb0\xe5\x8c\x97/\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e"},
	    {"&2D3cIg-", "\xf0\x9f\x90\xa2"},
	    {"&AOQ-&-", "\xc3\xa4&"},
	    {"&AOQ-a&AOQ-", "\xc3\xa4"
			    "a\xc3\xa4"},
	    {"&AOQ-&AOQ-", NULL}, /* a superfluous shift */
	    {"&AGE-", NULL},	  /* printable */
	    {"&AOQ", NULL},
	    {"&AOR-", NULL}, /* bits left over */
	    {"&A-", NULL},
	    {"&AO-", NULL},
	    {"&AOQA-", NULL},
	    {"&AOQAA-", NULL},
	    {"&", NULL},
	    {"&!-", NULL},
	    {"&AO/-", NULL},
	    {"&AAA-", NULL},	/* NUL */
	    {"&2D0-", NULL},	/* half a pair */
	    {"&3CLYPQ-", NULL}, /* the halves exchanged */
	    {"&2D0A5A-", NULL},
	    {"\xc3\xa4", NULL},
	    {"a\tb", NULL},
	};
	run_cases(text_utf7_decode, decode, ARRAY_SIZE(decode), "modified UTF-7");
	for (size_t i = 0; i < ARRAY_SIZE(decode); i++) {
		if (!decode[i].want)
			continue;
		struct text_case back = {decode[i].want, decode[i].input};
		run_cases(text_utf7_encode, &back, 1, "to modified UTF-7");
	}
	/* Every code point survives the way there and back, alone and beside a letter. */
	struct str encoded cleanup(str_clear) = STR_INIT(100);
	struct str decoded cleanup(str_clear) = STR_INIT(100);
	bool all = true;
	for (uint32_t c = 1; c < 0x110000; c += c < 0x3000 ? 1 : 97) {
		if (c >= 0xd800 && c <= 0xdfff)
			continue;
		char utf8[8] = {0};
		size_t n = 0;
		if (c < 0x80) {
			utf8[n++] = (char)c;
		} else {
			int shift = c < 0x800 ? 6 : c < 0x10000 ? 12 : 18;
			utf8[n++] = (char)((c < 0x800	     ? 0xc0
					       : c < 0x10000 ? 0xe0
							     : 0xf0) |
					   c >> shift);
			while (shift > 0) {
				shift -= 6;
				utf8[n++] = (char)(0x80 | (c >> shift & 0x3f));
			}
		}
		utf8[n++] = 'a';
		str_reset(&encoded);
		str_reset(&decoded);
		all = all && text_utf7_encode(span_of(utf8, n), &encoded) == 0 &&
		      text_utf7_decode(str_span(&encoded), &decoded) == 0 &&
		      span_equal(str_span(&decoded), span_of(utf8, n));
	}
	check_named(all, "modified UTF-7 there and back");
}

#define REPLACEMENT "\xef\xbf\xbd"

static void test_charsets(void)
{
	static const struct {
		struct span charset, bytes, want;
	} cases[] = {
	    {SPAN("iso-8859-1"), SPAN("\xe4 \x80"), SPAN("\xc3\xa4 \xe2\x82\xac")},
	    {SPAN("UTF-8"), SPAN("\xc3\xa4\xff\xe2\x82"),
		SPAN("\xc3\xa4" REPLACEMENT REPLACEMENT REPLACEMENT)},
	    {SPAN("koi8-r"), SPAN("\xf4\xc5\xd3\xd4"), SPAN("\xd0\xa2\xd0\xb5\xd1\x81\xd1\x82")},
	    {SPAN("iso-2022-jp"), SPAN("\x1b$B$3$s\x1b(B!"), SPAN("\xe3\x81\x93\xe3\x82\x93!")},
	    {SPAN("shift_jis"), SPAN("\x83\x65"), SPAN("\xe3\x83\x86")},
	    {SPAN("no-such-charset"), SPAN("a\xc3\xa4\xff"), SPAN("a\xc3\xa4" REPLACEMENT)},
	    {SPAN("utf-16//TRANSLIT"), SPAN("ab"), SPAN("ab")},
	    {SPAN("utf-16be"), SPAN("\0a\0\0\0b"), SPAN("a" REPLACEMENT "b")},
	    {SPAN("utf-16be"), SPAN("\0a\0"), SPAN("a" REPLACEMENT)},
	    {SPAN("gb2312"), SPAN("\xc4\xe3\xff!"), SPAN("\xe4\xbd\xa0" REPLACEMENT "!")},
	    {SPAN(""), SPAN("x"), SPAN("x")},
	    {SPAN("us-ascii"), SPAN(""), SPAN("")},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct str out cleanup(str_clear) = STR_INIT(1000);
		text_to_utf8(cases[i].charset, cases[i].bytes, &out);
		check_span(str_span(&out), cases[i].want);
	}
	/* Long input passes the converter's piece; the maximum never cuts a character. */
	char many[5000];
	memset(many, 0xe4, sizeof(many));
	for (size_t max = 0; max < 9; max++) {
		struct str out cleanup(str_clear) = STR_INIT(max);
		text_to_utf8(SPAN("iso-8859-1"), span_of(many, sizeof(many)), &out);
		check_int(out.n, max / 2 * 2);
	}
	struct str out cleanup(str_clear) = STR_INIT(20000);
	text_to_utf8(SPAN("iso-8859-15"), span_of(many, sizeof(many)), &out);
	check_int(out.n, 2 * sizeof(many));
}

static void test_words(void)
{
	static const struct text_case cases[] = {
	    {"plain text", "plain text"},
	    {"=?ISO-8859-1?Q?a?=", "a"},
	    {"=?ISO-8859-1?Q?a?= b", "a b"},
	    {"=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=", "ab"},
	    {"=?ISO-8859-1?Q?a?= \r\n  =?ISO-8859-2?B?Yg==?=", "ab"},
	    {"=?ISO-8859-1?Q?a_b?=", "a b"},
	    {"x =?ISO-8859-1?Q?a?= y =?ISO-8859-1?Q?b?= z", "x a y b z"},
	    {"=?utf-8*en?q?=C3=A4?=", "\xc3\xa4"},
	    {"=?utf-8?q?=C3?= =?UTF-8*de?b?pA==?=", "\xc3\xa4"}, /* a character cut in two */
	    {"=?utf-8?b?pA?=", REPLACEMENT},
	    {"=?utf-8?b?w6Q?=!", "\xc3\xa4!"},
	    {"=?iso-8859-1?q?=E4=?=", "\xc3\xa4="},
	    {"=?x?z?a?=", "=?x?z?a?="},
	    {"=?utf-8?q?a", "=?utf-8?q?a"},
	    {"=?utf-8?q?a b?=", "=?utf-8?q?a b?="},
	    {"=?utf-8?q?"
	     "?=x",
		"x"},
	    {"=?utf-8?", "=?utf-8?"},
	    {"=?utf-8?q", "=?utf-8?q"},
	    {"=?=?utf-8?q?a?=", "=?a"},
	    {"(=?utf-8?q?a?=)", "(a)"},
	    {"raw \xc3\xa4 \xff", "raw \xc3\xa4 " REPLACEMENT},
	    {"=?utf-8?q?a?= ", "a "},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct span whole = span_cstr(cases[i].input);
		struct str out cleanup(str_clear) = STR_INIT(1000);
		text_decode_words(whole, &out);
		check_span(str_span(&out), span_cstr(cases[i].want));
		for (size_t cut = 0; cut < whole.n; cut++) {
			str_reset(&out);
			text_decode_words(span_sub(whole, 0, cut), &out);
		}
	}
}

int main(void)
{
	test_utf8();
	test_forms();
	test_domains();
	test_passwords();
	test_long_passwords();
	test_utf7();
	test_charsets();
	test_words();
	return tap_end();
}
