#include "base/date.h"

#include "base/ascii.h"

enum { DAY_S = 86400, COMMENT_DEPTH_MAX = 100 };

static const char month_names[12][4] = {
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
static const char weekday_names[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};

static void local_civil(int64_t seconds, int *zone_minutes, struct date_civil *ret);
static void skip_blanks(struct span *rest);
static struct span next_word(struct span *rest);
static bool take_char(struct span *rest, char c);
static bool number(struct span word, size_t digits_min, size_t digits_max, int *ret);
static int month_number(struct span name);
static int year_of(struct span word);
static bool clock_time(struct span *rest, struct date_civil *c);
static int zone_of(struct span word);
static int seconds_of(const struct date_civil *c, int zone_minutes, int64_t *ret);
static bool take_day(struct span *rest, struct date_civil *c);

/*
 * The calendar in eras of 400 years, the year beginning in March, so that the leap day is the last
 * day of a year: month m of that year begins at day (153 m + 2) / 5.
 */
int64_t date_days(int year, int month, int day)
{
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t year_of_era = y - era * 400;
	int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
	int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
	return era * 146097 + day_of_era - 719468;
}

bool date_is_real(int year, int month, int day)
{
	static const int days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	return year >= DATE_YEAR_MIN && year <= DATE_YEAR_MAX && month >= 1 && month <= 12 &&
	       day >= 1 && day <= days[month - 1] + (month == 2 && leap);
}

void date_civil_of(int64_t seconds, struct date_civil *ret)
{
	int64_t first = date_days(DATE_YEAR_MIN, 1, 1) * DAY_S;
	int64_t last = (date_days(DATE_YEAR_MAX, 12, 31) + 1) * DAY_S - 1;
	seconds = MAX(first, MIN(seconds, last));
	int64_t days = seconds >= 0 ? seconds / DAY_S : (seconds - (DAY_S - 1)) / DAY_S;
	int second_of_day = (int)(seconds - days * DAY_S);
	int64_t shifted = days + 719468;
	int64_t era = shifted / 146097; /* never negative: years begin at 1 */
	int64_t day_of_era = shifted - era * 146097;
	int64_t year_of_era =
	    (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	int64_t day_of_year =
	    day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int64_t march_month = (5 * day_of_year + 2) / 153;
	int month = (int)(march_month < 10 ? march_month + 3 : march_month - 9);
	*ret = (struct date_civil){
	    .year = (int)(year_of_era + era * 400 + (month <= 2)),
	    .month = month,
	    .day = (int)(day_of_year - (153 * march_month + 2) / 5 + 1),
	    .hour = second_of_day / 3600,
	    .minute = second_of_day / 60 % 60,
	    .second = second_of_day % 60,
	    .weekday = (int)((days % 7 + 11) % 7), /* 1970-01-01 was a Thursday */
	};
}

/* Local time of the zone; a zone outside of the range counts as UTC. */
static void local_civil(int64_t seconds, int *zone_minutes, struct date_civil *ret)
{
	if (*zone_minutes < -DATE_ZONE_MAX_MINUTES || *zone_minutes > DATE_ZONE_MAX_MINUTES)
		*zone_minutes = 0;
	int64_t far = INT64_MAX / 2;
	date_civil_of(MAX(-far, MIN(seconds, far)) + *zone_minutes * 60, ret);
}

void date_put_mail(struct str *out, int64_t seconds, int zone_minutes)
{
	struct date_civil c;
	local_civil(seconds, &zone_minutes, &c);
	int zone = abs(zone_minutes);
	str_format(out, "%s, %d %s %04d %02d:%02d:%02d %c%02d%02d", weekday_names[c.weekday], c.day,
	    month_names[c.month - 1], c.year, c.hour, c.minute, c.second,
	    zone_minutes < 0 ? '-' : '+', zone / 60, zone % 60);
}

void date_put_imap(struct str *out, int64_t seconds, int zone_minutes)
{
	struct date_civil c;
	local_civil(seconds, &zone_minutes, &c);
	int zone = abs(zone_minutes);
	str_format(out, "%2d-%s-%04d %02d:%02d:%02d %c%02d%02d", c.day, month_names[c.month - 1],
	    c.year, c.hour, c.minute, c.second, zone_minutes < 0 ? '-' : '+', zone / 60, zone % 60);
}

/* [day-name ","] day month year hour ":" minute [":" second] zone */
int date_parse_mail(struct span text, int64_t *ret_seconds, int16_t *ret_zone_minutes)
{
	struct span rest = text;
	struct date_civil c = {0};
	struct span word = next_word(&rest);
	if (word.n && ascii_is_alpha((unsigned char)word.p[0])) {
		(void)take_char(&rest, ',');
		word = next_word(&rest);
	}
	if (!number(word, 1, 2, &c.day))
		return -EINVAL;
	(void)take_char(&rest, '-'); /* "23-Nov-2026", seen in old mail */
	c.month = month_number(next_word(&rest));
	(void)take_char(&rest, '-');
	c.year = year_of(next_word(&rest));
	if (c.month == 0 || c.year < 0 || !clock_time(&rest, &c))
		return -EINVAL;
	skip_blanks(&rest);
	char sign = rest.n && (rest.p[0] == '-' || rest.p[0] == '+') ? rest.p[0] : '\0';
	if (sign)
		rest = span_from(rest, 1);
	word = next_word(&rest);
	int zone = 0, hours_minutes;
	if (!sign)
		zone = zone_of(word);
	else if (number(word, 4, 4, &hours_minutes) && hours_minutes % 100 < 60 &&
		 hours_minutes / 100 < 24)
		zone = (hours_minutes / 100 * 60 + hours_minutes % 100) * (sign == '-' ? -1 : 1);
	int64_t seconds;
	int error = seconds_of(&c, zone, &seconds);
	if (error)
		return error;
	*ret_seconds = seconds;
	*ret_zone_minutes = (int16_t)zone;
	return 0;
}

/* date-day-fixed "-" date-month "-" date-year SP time SP zone */
int date_parse_imap(struct span text, int64_t *ret_seconds, int16_t *ret_zone_minutes)
{
	struct date_civil c = {0};
	struct span rest = text;
	int zone;
	if (!take_day(&rest, &c) || !take_char(&rest, ' ') || !clock_time(&rest, &c) ||
	    !take_char(&rest, ' ') || rest.n != 5 || (rest.p[0] != '+' && rest.p[0] != '-') ||
	    !number(span_from(rest, 1), 4, 4, &zone) || zone % 100 > 59 || zone / 100 > 23)
		return -EINVAL;
	zone = (zone / 100 * 60 + zone % 100) * (rest.p[0] == '-' ? -1 : 1);
	int64_t seconds;
	int error = seconds_of(&c, zone, &seconds);
	if (error)
		return error;
	*ret_seconds = seconds;
	*ret_zone_minutes = (int16_t)zone;
	return 0;
}

int date_parse_imap_day(struct span text, int64_t *ret_days)
{
	struct date_civil c = {0};
	struct span rest = text;
	if (!take_day(&rest, &c) || rest.n)
		return -EINVAL;
	if (!date_is_real(c.year, c.month, c.day))
		return -ERANGE;
	*ret_days = date_days(c.year, c.month, c.day);
	return 0;
}

/* "23-Nov-2026", also " 3-Nov-2026" */
static bool take_day(struct span *rest, struct date_civil *c)
{
	struct span day, month;
	if (rest->n && rest->p[0] == ' ')
		*rest = span_from(*rest, 1);
	if (!span_cut(*rest, '-', &day, rest) || !number(day, 1, 2, &c->day) ||
	    !span_cut(*rest, '-', &month, rest) || (c->month = month_number(month)) == 0 ||
	    !number(span_sub(*rest, 0, 4), 4, 4, &c->year))
		return false;
	*rest = span_from(*rest, 4);
	return true;
}

static int seconds_of(const struct date_civil *c, int zone_minutes, int64_t *ret)
{
	if (!date_is_real(c->year, c->month, c->day) || c->hour > 23 || c->minute > 59 ||
	    c->second > 60)
		return -ERANGE;
	*ret = date_days(c->year, c->month, c->day) * DAY_S + c->hour * 3600 + c->minute * 60 +
	       MIN(c->second, 59) - zone_minutes * 60;
	return 0;
}

/* hour ":" minute [":" second] */
static bool clock_time(struct span *rest, struct date_civil *c)
{
	if (!number(next_word(rest), 1, 2, &c->hour) || !take_char(rest, ':') ||
	    !number(next_word(rest), 1, 2, &c->minute))
		return false;
	struct span ahead = *rest;
	if (take_char(&ahead, ':')) {
		*rest = ahead;
		return number(next_word(rest), 1, 2, &c->second);
	}
	return true;
}

static bool take_char(struct span *rest, char c)
{
	struct span ahead = *rest;
	if (c != ' ')
		skip_blanks(&ahead);
	if (ahead.n == 0 || ahead.p[0] != c)
		return false;
	*rest = span_from(ahead, 1);
	return true;
}

/* Folding white space and comments (RFC 5322 §3.2.2); a comment that does not end takes all. */
static void skip_blanks(struct span *rest)
{
	size_t i = 0, depth = 0;
	for (; i < rest->n; i++) {
		char c = rest->p[i];
		if (c == '(' && depth < COMMENT_DEPTH_MAX)
			depth++;
		else if (c == ')' && depth > 0)
			depth--;
		else if (c == '\\' && depth > 0)
			i++;
		else if (depth == 0 && c != ' ' && c != '\t' && c != '\r' && c != '\n')
			break;
	}
	*rest = span_from(*rest, i);
}

/* Letters, or digits, behind blanks; empty when there is neither. */
static struct span next_word(struct span *rest)
{
	skip_blanks(rest);
	size_t n = 0;
	if (rest->n && ascii_is_digit((unsigned char)rest->p[0]))
		while (n < rest->n && ascii_is_digit((unsigned char)rest->p[n]))
			n++;
	else
		while (n < rest->n && ascii_is_alpha((unsigned char)rest->p[n]))
			n++;
	struct span word = span_sub(*rest, 0, n);
	*rest = span_from(*rest, n);
	return word;
}

static bool number(struct span word, size_t digits_min, size_t digits_max, int *ret)
{
	uint64_t value;
	if (word.n < digits_min || word.n > digits_max ||
	    span_to_u64(word, (uint64_t)INT32_MAX, &value) != 0)
		return false;
	*ret = (int)value;
	return true;
}

static int month_number(struct span name)
{
	for (int i = 0; i < 12; i++)
		if (span_equal_nocase(name, span_cstr(month_names[i])))
			return i + 1;
	return 0;
}

/* RFC 5322 §4.3: two digits are 1950 to 2049, three count from 1900. -1: no year. */
static int year_of(struct span word)
{
	int year;
	if (!number(word, 2, 6, &year))
		return -1;
	if (word.n == 2)
		return year < 50 ? year + 2000 : year + 1900;
	return word.n == 3 ? year + 1900 : year;
}

/* obs-zone of RFC 5322 §4.3, in minutes. Military letters and unknown names count as UTC. */
static int zone_of(struct span word)
{
	static const struct {
		char name[4];
		int hours;
	} table[] = {
	    {"EDT", -4},
	    {"EST", -5},
	    {"CDT", -5},
	    {"CST", -6},
	    {"MDT", -6},
	    {"MST", -7},
	    {"PDT", -7},
	    {"PST", -8},
	};
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (span_equal_nocase(word, span_cstr(table[i].name)))
			return table[i].hours * 60;
	return 0;
}
