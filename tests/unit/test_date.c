#include "tap.h"

#include "base/date.h"

static void test_calendar(void)
{
	check_int(date_days(1970, 1, 1), 0);
	check_int(date_days(2000, 3, 1), 11017);
	check_int(date_days(1969, 12, 31), -1);
	check(date_is_real(2024, 2, 29) && !date_is_real(2023, 2, 29));
	check(!date_is_real(1900, 2, 29) && date_is_real(2000, 2, 29));
	check(!date_is_real(2023, 4, 31) && !date_is_real(0, 1, 1) && !date_is_real(10000, 1, 1));
	bool same = true;
	int64_t days = date_days(DATE_YEAR_MIN, 1, 1);
	for (int year = DATE_YEAR_MIN; year <= DATE_YEAR_MAX && same; year += 7)
		for (int month = 1; month <= 12; month++)
			for (int day = 1; day <= 31; day++) {
				if (!date_is_real(year, month, day))
					continue;
				int64_t at = date_days(year, month, day);
				struct date_civil c;
				date_civil_of(at * 86400 + 86399, &c);
				same = same && c.year == year && c.month == month && c.day == day &&
				       c.hour == 23 && c.second == 59 && at >= days &&
				       c.weekday == (int)(((at % 7) + 11) % 7);
				days = at;
			}
	check_named(same, "every day of every seventh year comes back");
	struct date_civil c;
	date_civil_of(INT64_MIN, &c);
	check_int(c.year, DATE_YEAR_MIN);
	date_civil_of(INT64_MAX, &c);
	check_int(c.year, DATE_YEAR_MAX);
}

static void test_put(void)
{
	static const struct {
		int64_t seconds;
		int zone;
		const char *mail, *imap;
	} cases[] = {
	    {1795456689, 0, "Mon, 23 Nov 2026 17:58:09 +0000", "23-Nov-2026 17:58:09 +0000"},
	    {1795456689, 90, "Mon, 23 Nov 2026 19:28:09 +0130", "23-Nov-2026 19:28:09 +0130"},
	    {0, -480, "Wed, 31 Dec 1969 16:00:00 -0800", "31-Dec-1969 16:00:00 -0800"},
	    {951782400, 0, "Tue, 29 Feb 2000 00:00:00 +0000", "29-Feb-2000 00:00:00 +0000"},
	    {5 * 86400, 0, "Tue, 6 Jan 1970 00:00:00 +0000", " 6-Jan-1970 00:00:00 +0000"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct str s cleanup(str_clear) = STR_INIT(100);
		date_put_mail(&s, cases[i].seconds, cases[i].zone);
		check_span(str_span(&s), span_cstr(cases[i].mail));
		int64_t seconds;
		int16_t zone;
		check_int(date_parse_mail(str_span(&s), &seconds, &zone), 0);
		check(seconds == cases[i].seconds && zone == cases[i].zone);
		str_reset(&s);
		date_put_imap(&s, cases[i].seconds, cases[i].zone);
		check_span(str_span(&s), span_cstr(cases[i].imap));
		check_int(date_parse_imap(str_span(&s), &seconds, &zone), 0);
		check(seconds == cases[i].seconds && zone == cases[i].zone);
	}
}

static void test_parse(void)
{
	static const struct {
		const char *text;
		int error;
		int64_t seconds;
		int zone;
	} cases[] = {
	    {"Fri, 21 Nov 1997 09:55:06 -0600", 0, 880127706, -360},
	    {"21 Nov 97 09:55:06 GMT", 0, 880106106, 0},
	    {"Fri, 21 Nov 1997 09(comment):   55  :  06 -0600", 0, 880127706, -360},
	    {"Thu,\r\n      13\r\n        Feb\r\n          1969\r\n      23:32\r\n"
	     "               -0330 (Newfoundland Time)",
		0, -27723480, -210},
	    {"21 Nov 97 09:55:06 EST", 0, 880124106, -300},
	    {"21 nov 1997 09:55:06", 0, 880106106, 0},
	    {"21-Nov-1997 09:55:06 PDT", 0, 880131306, -420},
	    {"21 Nov 097 09:55:60 Z", 0, 880106159, 0},
	    {"Fri 21 Nov 1997 09:55 +9999", 0, 880106100, 0},
	    {"(a (b) \\) c) 21 Nov 1997 09:55 +0000", 0, 880106100, 0},
	    {"30 Feb 1997 09:55 +0000", -ERANGE, 0, 0},
	    {"21 Nov 10000 09:55 +0000", -ERANGE, 0, 0},
	    {"21 Nov 1997 24:00 +0000", -ERANGE, 0, 0},
	    {"21 Foo 1997 09:55 +0000", -EINVAL, 0, 0},
	    {"", -EINVAL, 0, 0},
	    {"((((((", -EINVAL, 0, 0},
	    {"Fri, Nov 21 1997", -EINVAL, 0, 0},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int64_t seconds = 0;
		int16_t zone = 0;
		int error = date_parse_mail(span_cstr(cases[i].text), &seconds, &zone);
		check_named(error == cases[i].error, cases[i].text);
		check_int(seconds, cases[i].seconds);
		check_int(zone, cases[i].zone);
		for (size_t n = 0; n < strlen(cases[i].text); n++)
			(void)!date_parse_mail(span_of(cases[i].text, n), &seconds, &zone);
	}
	int64_t days = 0;
	int16_t zone;
	check_int(date_parse_imap_day(SPAN("1-Feb-1994"), &days), 0);
	check_int(days, date_days(1994, 2, 1));
	check_int(date_parse_imap_day(SPAN("1-Feb-94"), &days), -EINVAL);
	check_int(date_parse_imap_day(SPAN("31-Feb-1994"), &days), -ERANGE);
	check_int(date_parse_imap(SPAN("1-Feb-1994"), &days, &zone), -EINVAL);
	check_int(date_parse_imap(SPAN("01-Feb-1994 00:00:00 +2400"), &days, &zone), -EINVAL);
}

int main(void)
{
	test_calendar();
	test_put();
	test_parse();
	return tap_end();
}
