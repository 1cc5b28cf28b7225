#ifndef POSTERN_BASE_DATE_H
#define POSTERN_BASE_DATE_H
/*
 * Dates of mail, by arithmetic of our own on the proleptic Gregorian calendar: no libc, no locale,
 * no time zone files. Times are seconds since 1970 in UTC; zones are minutes east of UTC. Years go
 * from DATE_YEAR_MIN to DATE_YEAR_MAX: what a parser reads outside of them is -ERANGE, what a
 * writer is given outside of them is written as the nearest second inside. Pure: no clock.
 */
#include "base/str.h"

enum { DATE_YEAR_MIN = 1, DATE_YEAR_MAX = 9999, DATE_ZONE_MAX_MINUTES = 24 * 60 - 1 };

struct date_civil {
	int year;  /* DATE_YEAR_MIN to DATE_YEAR_MAX */
	int month; /* 1 to 12 */
	int day;   /* 1 to 31 */
	int hour, minute;
	int second;  /* 0 to 59; a leap second (60) is read as 59 */
	int weekday; /* 0: Sunday */
};

/* Days since 1970-01-01. The date must be a real one (date_is_real()); negative before 1970. */
int64_t date_days(int year, int month, int day);
bool date_is_real(int year, int month, int day);
void date_civil_of(int64_t seconds, struct date_civil *ret);

/* RFC 5322 §3.3: "Mon, 23 Nov 2026 17:58:09 +0000", the local time of the zone. */
void date_put_mail(struct str *out, int64_t seconds, int zone_minutes);
/* RFC 9051 §9 "date-time" without its quotes: "23-Nov-2026 17:58:09 +0000", " 3-Nov-…" */
void date_put_imap(struct str *out, int64_t seconds, int zone_minutes);

/*
 * A Date field's value: RFC 5322 §3.3 and the obsolete forms of §4.3 (comments, two and three digit
 * years, no seconds, zones by name; an unknown name or none at all is +0000). The name of the day
 * is not checked against the date. What follows a complete date is ignored, as other readers do.
 * -EINVAL, -ERANGE.
 */
must_use int date_parse_mail(struct span text, int64_t *ret_seconds, int16_t *ret_zone_minutes);
/* RFC 9051 §9 "date-time" without quotes. -EINVAL, -ERANGE. */
must_use int date_parse_imap(struct span text, int64_t *ret_seconds, int16_t *ret_zone_minutes);
/* RFC 9051 §9 "date-text": "1-Feb-1994" → days since 1970. -EINVAL, -ERANGE. */
must_use int date_parse_imap_day(struct span text, int64_t *ret_days);
#endif
