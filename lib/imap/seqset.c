#include "imap/seqset.h"

#include "base/ascii.h"

static bool seq_number(struct span *rest, uint32_t *ret);
static int compare_ranges(const void *a, const void *b);

int seqset_parse(struct span text, struct arena *a, struct seqset *ret)
{
	size_t count = 1;
	for (size_t i = 0; i < text.n; i++)
		count += text.p[i] == ',';
	if (count > SEQSET_RANGES_MAX)
		return -E2BIG;
	struct seqset_range *ranges = ARENA_ARRAY(a, struct seqset_range, count);
	struct span rest = text;
	for (size_t i = 0; i < count; i++) {
		if (!seq_number(&rest, &ranges[i].first))
			return -EINVAL;
		ranges[i].last = ranges[i].first;
		if (rest.n && rest.p[0] == ':') {
			rest = span_from(rest, 1);
			if (!seq_number(&rest, &ranges[i].last))
				return -EINVAL;
		}
		if (i + 1 < count) {
			if (rest.n == 0 || rest.p[0] != ',')
				return -EINVAL;
			rest = span_from(rest, 1);
		}
	}
	if (rest.n)
		return -EINVAL;
	*ret = (struct seqset){ranges, count};
	return 0;
}

/* seq-number of RFC 9051 §9: nz-number or "*" */
static bool seq_number(struct span *rest, uint32_t *ret)
{
	if (rest->n && rest->p[0] == '*') {
		*rest = span_from(*rest, 1);
		*ret = SEQSET_STAR;
		return true;
	}
	size_t n = 0;
	while (n < rest->n && ascii_is_digit((unsigned char)rest->p[n]))
		n++;
	uint64_t number;
	if (span_to_u64(span_sub(*rest, 0, n), UINT32_MAX, &number) != 0 || number == 0 ||
	    rest->p[0] == '0')
		return false;
	*rest = span_from(*rest, n);
	*ret = (uint32_t)number;
	return true;
}

struct seqset seqset_bind(const struct seqset *set, uint32_t largest, struct arena *a)
{
	struct seqset_range *ranges =
	    ARENA_ARRAY(a, struct seqset_range, MAX(set->count, (size_t)1));
	size_t count = 0;
	for (size_t i = 0; i < set->count; i++) {
		uint32_t first = set->ranges[i].first, last = set->ranges[i].last;
		first = first == SEQSET_STAR ? largest : first;
		last = last == SEQSET_STAR ? largest : last;
		if (first == 0)
			first = last; /* "*:7" of an empty mailbox */
		if (last == 0)
			last = first;
		if (first == 0)
			continue; /* "*" of an empty mailbox */
		ranges[count].first = MIN(first, last);
		ranges[count++].last = MAX(first, last);
	}
	if (count == 0)
		return (struct seqset){ranges, 0};
	qsort(ranges, count, sizeof(*ranges), compare_ranges);
	size_t kept = 0;
	for (size_t i = 1; i < count; i++) {
		if (ranges[kept].last == UINT32_MAX || ranges[i].first <= ranges[kept].last + 1)
			ranges[kept].last = MAX(ranges[kept].last, ranges[i].last);
		else
			ranges[++kept] = ranges[i];
	}
	return (struct seqset){ranges, kept + 1};
}

static int compare_ranges(const void *a, const void *b)
{
	const struct seqset_range *x = a, *y = b;
	return (x->first > y->first) - (x->first < y->first);
}

bool seqset_contains(const struct seqset *bound, uint32_t number)
{
	size_t low = 0, high = bound->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (number < bound->ranges[middle].first)
			high = middle;
		else if (number > bound->ranges[middle].last)
			low = middle + 1;
		else
			return true;
	}
	return false;
}
