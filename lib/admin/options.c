#include "admin/options.h"

#include <inttypes.h>

#include "base/date.h"

enum { SECONDS_A_DAY = 86400 };

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
	uint64_t part[3];
	if (!text)
		return STATUS_OK;
	struct span rest = span_cstr(text);
	bool good = true;
	for (size_t i = 0; i < ARRAY_SIZE(part); i++) {
		struct span word;
		bool more = span_cut(rest, '-', &word, &rest);
		good = good && more == (i < 2) && span_to_u64(word, DATE_YEAR_MAX, &part[i]) == 0;
	}
	if (!good || !date_is_real((int)part[0], (int)part[1], (int)part[2]))
		return problem(STATUS_USAGE, "--expires is a date like 2027-12-31");
	*expires_s = (date_days((int)part[0], (int)part[1], (int)part[2]) + 1) * SECONDS_A_DAY;
	if (*expires_s <= wall_ms() / 1000)
		return problem(STATUS_USAGE, "--expires lies in the past");
	return STATUS_OK;
}

const char *scope_name(unsigned scope)
{
	return scope == SCOPE_IMAP ? "imap" : scope == SCOPE_SUBMISSION ? "submission" : "both";
}

void print_use(struct arena *a, const struct login_record *used)
{
	if (used)
		printf("used=%.*s by %.*s from %.*s", SPAN_ARG(format_time(a, used->when_s)),
		    SPAN_ARG(used->protocol), SPAN_ARG(used->address));
	else
		printf("used=never");
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
