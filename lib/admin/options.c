#include "admin/options.h"

#include <inttypes.h>

#include "base/date.h"

enum { SECONDS_A_DAY = 86400 };

static bool read_numbers(struct span text, char between, uint64_t max, uint64_t ret[3]);

int option_scope(struct admin *admin, unsigned *scope)
{
	const char *text = option_value(admin, "--scope");
	if (!text)
		return STATUS_OK;
	if (strcmp(text, "imap") == 0)
		*scope = SCOPE_IMAP;
	else if (strcmp(text, "submission") == 0)
		*scope = SCOPE_SUBMISSION;
	else if (strcmp(text, "both") == 0)
		*scope = SCOPE_BOTH;
	else
		return problem(STATUS_USAGE, "--scope is imap, submission or both");
	return STATUS_OK;
}

int option_expiry(struct admin *admin, int64_t *expires_s)
{
	const char *text = option_value(admin, "--expires");
	if (!text)
		return STATUS_OK;
	struct span rest = span_cstr(text), date, time;
	bool has_time = span_cut(rest, 'T', &date, &time);
	uint64_t day[3], clock[3] = {24, 0, 0}; /* the end of that day */
	bool good = read_numbers(date, '-', DATE_YEAR_MAX, day) &&
		    date_is_real((int)day[0], (int)day[1], (int)day[2]);
	if (has_time)
		good = good && time.n > 0 && time.p[time.n - 1] == 'Z' &&
		       read_numbers(span_sub(time, 0, time.n - 1), ':', 59, clock) && clock[0] < 24;
	if (!good)
		return problem(STATUS_USAGE,
		    "--expires is a date like 2027-12-31, or a time like 2027-12-31T17:00:00Z");
	*expires_s = date_days((int)day[0], (int)day[1], (int)day[2]) * SECONDS_A_DAY +
		     (int64_t)(clock[0] * 3600 + clock[1] * 60 + clock[2]);
	if (*expires_s <= wall_ms() / 1000)
		return problem(STATUS_USAGE, "--expires lies in the past");
	return STATUS_OK;
}

static bool read_numbers(struct span text, char between, uint64_t max, uint64_t ret[3])
{
	struct span rest = text, word;
	for (size_t i = 0; i < 3; i++) {
		bool more = span_cut(rest, between, &word, &rest);
		if (more != (i < 2) || span_to_u64(word, max, &ret[i]) < 0)
			return false;
	}
	return true;
}

const char *scope_name(unsigned scope)
{
	return scope == SCOPE_IMAP ? "imap" : scope == SCOPE_SUBMISSION ? "submission" : "both";
}

struct span format_expiry(struct arena *a, int64_t expires_s)
{
	if (expires_s != 0 && expires_s % SECONDS_A_DAY == 0) /* the end of the day before */
		return span_sub(format_time(a, expires_s - 1), 0, sizeof("2027-12-31") - 1);
	struct span time = format_time(a, expires_s), date, clock;
	return span_cut(time, ' ', &date, &clock)
		   ? arena_format(a, "%.*sT%.*sZ", SPAN_ARG(date), SPAN_ARG(clock))
		   : time;
}

const char *state_name(bool complete, int64_t expires_s)
{
	bool expired = expires_s != 0 && wall_ms() / 1000 >= expires_s;
	return !complete ? "incomplete" : expired ? "expired" : "active";
}

const struct login_record *find_use(
    int history_fd, bool is_key, struct span credential, int64_t created_s, struct arena *a)
{
	struct login_record *used = ARENA_NEW(a, struct login_record);
	if (history_fd < 0 || login_record_last(history_fd, is_key, credential, a, used) < 0 ||
	    used->when_s < created_s)
		return NULL;
	return used;
}

void print_use(struct arena *a, const struct login_record *used)
{
	printf("%.*s", SPAN_ARG(format_time(a, used ? used->when_s : 0)));
	if (!used)
		return;
	printf(" by ");
	print_word(used->protocol);
	printf(" from ");
	print_word(used->address);
}

void print_json_use(const struct login_record *used)
{
	if (!used) {
		printf(",\"used\":null");
		return;
	}
	printf(",\"used\":{\"when\":%" PRId64 ",\"protocol\":", used->when_s);
	print_json_string(used->protocol);
	printf(",\"address\":");
	print_json_string(used->address);
	printf(",\"client\":");
	print_json_string(used->client);
	printf("}");
}
