#include "conf/units.h"

#include "base/ascii.h"

enum { FRACTION_DIGITS_MAX = 3 };

struct unit {
	char letter;
	uint64_t factor;
};
static const struct unit time_units[] = {
    {'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 604800}};
static const struct unit size_units[] = {
    {'k', 1024}, {'m', 1024 * 1024}, {'g', 1024 * 1024 * 1024}, {'t', 1099511627776}};

static int parse(
    struct span text, const struct unit *units, size_t count, uint64_t *ret, bool *ret_bare);

int units_seconds(struct span text, uint64_t *ret_s)
{
	uint64_t value;
	bool bare;
	int rc = parse(text, time_units, ARRAY_SIZE(time_units), &value, &bare);
	if (rc == 0 && bare && value > 0)
		return -EINVAL;
	if (rc == 0)
		*ret_s = value;
	return rc;
}

int units_bytes(struct span text, uint64_t *ret_bytes)
{
	bool bare;
	return parse(text, size_units, ARRAY_SIZE(size_units), ret_bytes, &bare);
}

static int parse(
    struct span text, const struct unit *units, size_t count, uint64_t *ret, bool *ret_bare)
{
	uint64_t factor = 1, scale = 1;
	bool bare = true;
	unsigned char last = text.n > 0 ? ascii_lower((unsigned char)text.p[text.n - 1]) : 0;
	for (size_t i = 0; i < count; i++) {
		if ((unsigned char)units[i].letter == last) {
			factor = units[i].factor;
			bare = false;
		}
	}
	if (!bare)
		text.n--;
	struct span whole, fraction;
	bool point = span_cut(text, '.', &whole, &fraction);
	if (point && (fraction.n == 0 || fraction.n > FRACTION_DIGITS_MAX))
		return -EINVAL;
	uint64_t value, thousandths = 0;
	int rc = span_to_u64(whole, UINT64_MAX / 1000 / factor, &value);
	if (rc == 0 && point)
		rc = span_to_u64(fraction, UINT64_MAX, &thousandths);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < fraction.n; i++)
		scale *= 10;
	uint64_t total = (value * scale + thousandths) * factor;
	if (total % scale != 0)
		return -EINVAL;
	*ret = total / scale;
	*ret_bare = bare;
	return 0;
}
