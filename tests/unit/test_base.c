#include "tap.h"

#include "base/arena.h"
#include "base/codec.h"
#include "base/encode.h"
#include "base/utf8.h"

static void test_span(void)
{
	struct span head, rest, word;
	check(span_cut(SPAN("a=b=c"), '=', &head, &rest));
	check_span(head, SPAN("a"));
	check_span(rest, SPAN("b=c"));
	check(!span_cut(SPAN("abc"), '=', &head, &rest));
	check_span(head, SPAN("abc"));
	check_int(rest.n, 0);
	rest = SPAN("  one,two ");
	check(span_next_word(&rest, " ,", &word));
	check_span(word, SPAN("one"));
	check(span_next_word(&rest, " ,", &word));
	check_span(word, SPAN("two"));
	check(!span_next_word(&rest, " ,", &word));
	check_span(span_trim(SPAN(" \tx y\r\n")), SPAN("x y"));
	check(span_equal_nocase(SPAN("InBoX"), SPAN("INBOX")));
	check(!span_equal_nocase(SPAN("INBOX"), SPAN("INBOXES")));
	check_int(span_find(SPAN("hello"), SPAN("llo")), 2);
	check(!span_is_ascii(SPAN("a\0b")));
}

static void test_utf8(void)
{
	static const struct {
		struct span text;
		size_t bytes;
		uint32_t point;
	} cases[] = {
	    {SPAN(""), 0, 0},
	    {SPAN("\0"), 1, 0},
	    {SPAN("ab"), 1, 'a'},
	    {SPAN("\x7f"), 1, 0x7f},
	    {SPAN("\x80"), 0, 0},
	    {SPAN("\xc1\xbf"), 0, 0}, /* overlong */
	    {SPAN("\xc2\x9b"), 2, 0x9b},
	    {SPAN("\xc3"), 0, 0},
	    {SPAN("\xc3x"), 0, 0},
	    {SPAN("\xdf\xbfx"), 2, 0x7ff},
	    {SPAN("\xe0\x9f\xbf"), 0, 0},
	    {SPAN("\xe2\x82\xac"), 3, 0x20ac},
	    {SPAN("\xed\x9f\xbf"), 3, 0xd7ff},
	    {SPAN("\xed\xa0\x80"), 0, 0}, /* surrogate */
	    {SPAN("\xef\xbf\xbf"), 3, 0xffff},
	    {SPAN("\xf0\x8f\xbf\xbf"), 0, 0},
	    {SPAN("\xf4\x8f\xbf\xbf"), 4, 0x10ffff},
	    {SPAN("\xf4\x90\x80\x80"), 0, 0},
	    {SPAN("\xf5\x80\x80\x80"), 0, 0},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint32_t point = 0;
		check_int(utf8_decode(cases[i].text, &point), cases[i].bytes);
		check_int(point, cases[i].point);
	}
	check(utf8_is_control(0) && utf8_is_control(0x1f) && !utf8_is_control(' '));
	check(utf8_is_control(0x7f) && utf8_is_control(0x9f) && !utf8_is_control(0xa0));
}

static void test_number(void)
{
	static const struct {
		const char *text;
		uint64_t max;
		int error;
		uint64_t value;
	} cases[] = {
	    {"0", 10, 0, 0},
	    {"10", 10, 0, 10},
	    {"11", 10, -ERANGE, 0},
	    {"", 10, -EINVAL, 0},
	    {"-1", 10, -EINVAL, 0},
	    {"1x", 10, -EINVAL, 0},
	    {"7", 5, -ERANGE, 0},
	    {"18446744073709551615", UINT64_MAX, 0, UINT64_MAX},
	    {"18446744073709551616", UINT64_MAX, -ERANGE, 0},
	    {"99999999999999999999999", UINT64_MAX, -ERANGE, 0},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t value = 0;
		int error = span_to_u64(span_cstr(cases[i].text), cases[i].max, &value);
		check_named(error == cases[i].error && value == cases[i].value, cases[i].text);
	}
}

static void test_str(void)
{
	struct str s cleanup(str_clear) = STR_INIT(10);
	str_append_cstr(&s, "12345");
	str_append_u64(&s, 678);
	check_span(str_span(&s), SPAN("12345678"));
	str_append_cstr(&s, "901");
	check(s.failed);
	check_int(str_error(&s), -EMSGSIZE);
	check_span(str_span(&s), SPAN("12345678"));
	str_append_cstr(&s, "9");
	check_span(str_span(&s), SPAN("12345678")); /* failure sticks */
	str_reset(&s);
	str_format(&s, "%s-%d", "ab", 7);
	check_span(str_span(&s), SPAN("ab-7"));
	check_int(s.data[s.n], 0);
	str_drop_front(&s, 3);
	check_span(str_span(&s), SPAN("7"));
}

/* RFC 4648 §10 */
static void test_encode(void)
{
	static const char *const vectors[][2] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="},
	    {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}};
	static const char *const bad[] = {"Zg", "Zg=", "Zh==", "Zm9=", "====", "=",
	    "Zm9v Yg==", "Zg==Zg==", "Zm9v\n", "Zm-v", "A==="};
	struct str out cleanup(str_clear) = STR_INIT(100);
	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
		str_reset(&out);
		base64_encode(span_cstr(vectors[i][0]), &out);
		check_span(str_span(&out), span_cstr(vectors[i][1]));
		str_reset(&out);
		check_int(base64_decode(span_cstr(vectors[i][1]), &out), 0);
		check_span(str_span(&out), span_cstr(vectors[i][0]));
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		str_reset(&out);
		check_named(
		    base64_decode(span_cstr(bad[i]), &out) == -EINVAL && out.n == 0, bad[i]);
	}
	str_reset(&out);
	base64url_encode(SPAN("\xfb\xff\xfe"), &out);
	check_span(str_span(&out), SPAN("-__-"));
	str_reset(&out);
	check_int(hex_decode(SPAN("00fFa1"), &out), 0);
	check_span(str_span(&out), SPAN("\0\xff\xa1"));
	check_int(hex_decode(SPAN("0"), &out), -EINVAL);
}

static void test_codec(void)
{
	struct str out cleanup(str_clear) = STR_INIT(1000);
	put_u8(&out, 7);
	put_u16(&out, 0x1234);
	put_u32(&out, 0xdeadbeef);
	put_u64(&out, 0x0123456789abcdef);
	put_span(&out, SPAN("text"));
	for (size_t cut = 0; cut <= out.n; cut++) {
		struct reader r = reader_of(span_sub(str_span(&out), 0, cut));
		uint8_t a = get_u8(&r);
		uint16_t b = get_u16(&r);
		uint32_t c = get_u32(&r);
		uint64_t d = get_u64(&r);
		struct span e = get_span(&r);
		if (cut < out.n) {
			check_named(reader_end(&r) == -EBADMSG, "cut record is refused");
			continue;
		}
		check_int(reader_end(&r), 0);
		check(a == 7 && b == 0x1234 && c == 0xdeadbeef && d == 0x0123456789abcdef);
		check_span(e, SPAN("text"));
	}
}

/* Growing arrays keep what is in them, and what the arena's left behind stays readable. */
static void test_room(void)
{
	struct arena a cleanup(arena_clear) = {0};
	size_t *heap = NULL, *list = NULL, heap_room = 0, list_room = 0;
	const size_t *first = NULL;
	for (size_t i = 0; i < 1000; i++) {
		ARRAY_ROOM(heap, i, heap_room);
		ARENA_ROOM(&a, list, i, list_room);
		check(heap_room > i && list_room > i);
		first = first ? first : list;
		heap[i] = list[i] = i;
	}
	for (size_t i = 0; i < 1000; i++)
		check(heap[i] == i && list[i] == i);
	check(first != list && first[1] == 1);
	free(heap);
}

static void test_arena(void)
{
	struct arena a cleanup(arena_clear) = {0};
	char *first = arena_cstr(&a, SPAN("first"));
	for (size_t i = 0; i < 100; i++)
		memset(arena_alloc(&a, i * 100), 0xff, i * 100);
	check_int(strcmp(first, "first"), 0);
	check_span(arena_format(&a, "%d-%s", 5, "x"), SPAN("5-x"));
	check(!span_is_set(arena_span(&a, SPAN_NONE)));
	arena_reset(&a);
	check_int(a.total, 0);
}

int main(void)
{
	test_span();
	test_utf8();
	test_number();
	test_str();
	test_encode();
	test_codec();
	test_arena();
	test_room();
	return tap_end();
}
