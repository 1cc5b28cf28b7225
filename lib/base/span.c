#include "base/span.h"

#include "base/ascii.h"

struct span span_sub(struct span s, size_t from, size_t n)
{
	if (from > s.n)
		from = s.n;
	return (struct span){s.p ? s.p + from : NULL, MIN(n, s.n - from)};
}

bool span_equal(struct span a, struct span b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

int span_compare(struct span a, struct span b)
{
	size_t n = MIN(a.n, b.n);
	int order = n ? memcmp(a.p, b.p, n) : 0;
	return order ? order : (a.n > b.n) - (a.n < b.n);
}

int span_compare_elements(const void *a, const void *b)
{
	const struct span *left = a, *right = b;
	return span_compare(*left, *right);
}

int span_compare_nocase(struct span a, struct span b)
{
	for (size_t i = 0; i < a.n && i < b.n; i++) {
		int order = ascii_lower((unsigned char)a.p[i]) - ascii_lower((unsigned char)b.p[i]);
		if (order)
			return order;
	}
	return (a.n > b.n) - (a.n < b.n);
}

bool span_equal_nocase(struct span a, struct span b)
{
	return a.n == b.n && span_compare_nocase(a, b) == 0;
}

bool span_starts_with(struct span s, struct span prefix)
{
	return s.n >= prefix.n && span_equal(span_sub(s, 0, prefix.n), prefix);
}

bool span_starts_with_nocase(struct span s, struct span prefix)
{
	return s.n >= prefix.n && span_equal_nocase(span_sub(s, 0, prefix.n), prefix);
}

bool span_ends_with(struct span s, struct span suffix)
{
	return s.n >= suffix.n && span_equal(span_from(s, s.n - suffix.n), suffix);
}

size_t span_index(struct span s, char c)
{
	const char *at = s.n ? memchr(s.p, c, s.n) : NULL;
	return at ? (size_t)(at - s.p) : SIZE_MAX;
}

size_t span_last_index(struct span s, char c)
{
	const char *at = s.n ? memrchr(s.p, c, s.n) : NULL;
	return at ? (size_t)(at - s.p) : SIZE_MAX;
}

size_t span_find(struct span s, struct span needle)
{
	if (needle.n == 0)
		return 0;
	const char *at = s.n ? memmem(s.p, s.n, needle.p, needle.n) : NULL;
	return at ? (size_t)(at - s.p) : SIZE_MAX;
}

bool span_cut(struct span s, char separator, struct span *head, struct span *rest)
{
	size_t at = span_index(s, separator);
	if (at == SIZE_MAX) {
		*head = s;
		*rest = span_from(s, s.n);
		return false;
	}
	*head = span_sub(s, 0, at);
	*rest = span_from(s, at + 1);
	return true;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct span span_trim(struct span s)
{
	while (s.n && is_blank(s.p[0]))
		s = span_from(s, 1);
	while (s.n && is_blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

bool span_next_word(struct span *rest, const char *separators, struct span *word)
{
	struct span set = span_cstr(separators);
	size_t from = 0;
	while (from < rest->n && span_index(set, rest->p[from]) != SIZE_MAX)
		from++;
	size_t end = from;
	while (end < rest->n && span_index(set, rest->p[end]) == SIZE_MAX)
		end++;
	if (from == end)
		return false;
	*word = span_sub(*rest, from, end - from);
	*rest = span_from(*rest, end);
	return true;
}

bool span_is_ascii(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= 0)
			return false;
	return true;
}

int span_to_u64(struct span s, uint64_t max, uint64_t *ret)
{
	uint64_t value = 0;
	if (s.n == 0)
		return -EINVAL;
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (!ascii_is_digit(c))
			return -EINVAL;
		unsigned digit = c - '0';
		if (value > (max - digit) / 10 || digit > max)
			return -ERANGE;
		value = value * 10 + digit;
	}
	*ret = value;
	return 0;
}
