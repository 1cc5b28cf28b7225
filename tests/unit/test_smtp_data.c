#include "smtp/data.h"

#include "tap.h"

static void append(void *context, struct span bytes)
{
	str_append(context, bytes);
}

/* Unstuffs in pieces of `piece` bytes; what was not taken is left in *ret_rest. */
static bool unstuff(struct span in, size_t piece, struct str *out, struct span *ret_rest)
{
	struct smtp_unstuffer u = {0};
	while (in.n && u.state != SMTP_DATA_END)
		in = span_from(in, smtp_unstuff(&u, span_sub(in, 0, piece), append, out));
	*ret_rest = in;
	return u.state == SMTP_DATA_END;
}

static const struct {
	struct span in, out, rest;
	bool end, bare;
} cases[] = {
    {SPAN(".\r\n"), SPAN(""), SPAN(""), true, false},
    {SPAN("a\r\n.\r\nQUIT\r\n"), SPAN("a\r\n"), SPAN("QUIT\r\n"), true, false},
    {SPAN("..a\r\n..\r\n.\r\n"), SPAN(".a\r\n.\r\n"), SPAN(""), true, false},
    {SPAN(".a\r\n.\r\n"), SPAN("a\r\n"), SPAN(""), true, false},
    {SPAN("a.\r\n.\r\n"), SPAN("a.\r\n"), SPAN(""), true, false},
    /* None of these is an end: SMTP smuggling */
    {SPAN("a\n.\r\nx\r\n.\r\n"), SPAN("a\n.\r\nx\r\n"), SPAN(""), true, true},
    {SPAN("a\r.\r\nx\r\n.\r\n"), SPAN("a\r.\r\nx\r\n"), SPAN(""), true, true},
    {SPAN("a\n.\nx\r\n.\r\n"), SPAN("a\n.\nx\r\n"), SPAN(""), true, true},
    {SPAN("a\r\n.\nx\r\n.\r\n"), SPAN("a\r\n\nx\r\n"), SPAN(""), true, true},
    {SPAN("a\r\n.\rx\r\n.\r\n"), SPAN("a\r\n\rx\r\n"), SPAN(""), true, true},
    {SPAN("a\r\n.\r\r\n.\r\n"), SPAN("a\r\n\r\r\n"), SPAN(""), true, true},
    {SPAN("a\r\r\n.\r\n"), SPAN("a\r\r\n"), SPAN(""), true, true},
    {SPAN("a\r\n\n.\r\nb\r\n.\r\n"), SPAN("a\r\n\n.\r\nb\r\n"), SPAN(""), true, true},
    {SPAN("a\r\n."), SPAN("a\r\n"), SPAN(""), false, false},
    {SPAN("a\r\n.\r"), SPAN("a\r\n"), SPAN(""), false, false},
};

static void test_unstuff(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		for (size_t piece = 1; piece <= cases[i].in.n; piece++) {
			struct str out cleanup(str_clear) = STR_INIT(1000);
			struct span rest;
			bool end = unstuff(cases[i].in, piece, &out, &rest);
			struct smtp_text t = {0};
			smtp_text_check(&t, str_span(&out));
			smtp_text_end(&t);
			bool good = end == cases[i].end && t.bare == cases[i].bare &&
				    span_equal(str_span(&out), cases[i].out) &&
				    span_equal(rest, cases[i].rest);
			check_named(good, "unstuff");
			if (!good)
				printf("# case %zu, pieces of %zu: \"%.*s\"\n", i, piece,
				    SPAN_ARG(str_span(&out)));
		}
	}
}

static void test_text(void)
{
	struct smtp_text t = {0};
	smtp_text_check(&t, SPAN("abc\r\nd\0e\xe4\r\n"));
	smtp_text_end(&t);
	check(!t.bare && t.nul && t.eight_bit && !t.line_too_long);
	check_int(t.bytes, 11);
	t = (struct smtp_text){0};
	smtp_text_check(&t, SPAN("abc\r"));
	smtp_text_end(&t);
	check(t.bare);
	t = (struct smtp_text){0};
	for (int i = 0; i < SMTP_TEXT_LINE_MAX_BYTES / 8; i++)
		smtp_text_check(&t, SPAN("12345678"));
	check(!t.line_too_long);
	smtp_text_check(&t, SPAN("x"));
	check(t.line_too_long);
}

/* What was stuffed comes back, whatever the pieces were. */
static void test_stuff(void)
{
	static const struct span texts[] = {SPAN(""), SPAN("a\r\n"), SPAN(".\r\n"),
	    SPAN("..\r\n.a\r\n"), SPAN("\r\n.\r\n\r\n"), SPAN("a.b\r\n.\r\n.")};
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		for (size_t piece = 1; piece <= 4; piece++) {
			struct str wire cleanup(str_clear) = STR_INIT(1000);
			struct str back cleanup(str_clear) = STR_INIT(1000);
			struct smtp_stuffer s = {0};
			struct span in = texts[i], rest;
			int error = 0;
			for (; in.n && !error; in = span_from(in, piece))
				error = smtp_stuff(&s, span_sub(in, 0, piece), append, &wire);
			check_int(error, 0);
			check_int(smtp_stuff_end(&s, append, &wire), 0);
			check(unstuff(str_span(&wire), 3, &back, &rest));
			if (texts[i].n && !span_ends_with(texts[i], SPAN("\r\n")))
				str_truncate(&back, back.n - 2);
			check_span(str_span(&back), texts[i]);
			check_int(rest.n, 0);
		}
	}
	static const struct span bad[] = {
	    SPAN("a\nb"), SPAN("\n"), SPAN("a\rb"), SPAN("\r\r\n"), SPAN("a\r\n\n")};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct str wire cleanup(str_clear) = STR_INIT(1000);
		struct smtp_stuffer s = {0};
		check_int(smtp_stuff(&s, bad[i], append, &wire), -EBADMSG);
	}
	struct str wire cleanup(str_clear) = STR_INIT(1000);
	struct smtp_stuffer s = {0};
	check_int(smtp_stuff(&s, SPAN("a\r"), append, &wire), 0);
	check_int(smtp_stuff_end(&s, append, &wire), -EBADMSG);
}

int main(void)
{
	test_unstuff();
	test_text();
	test_stuff();
	return tap_end();
}
