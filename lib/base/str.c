#include "base/str.h"

char str_empty[1] = "";

enum { STR_FIRST_BYTES = 64 };

void str_init(struct str *s, size_t max)
{
	*s = STR_INIT(max);
}

void str_clear(struct str *s)
{
	if (s->allocated)
		free(s->data);
	*s = STR_INIT(s->max);
}

void str_clear_secret(struct str *s)
{
	if (s->allocated)
		explicit_bzero(s->data, s->allocated);
	str_clear(s);
}

void str_reset(struct str *s)
{
	if (!s->data)
		s->data = str_empty;
	s->n = 0;
	s->failed = false;
	if (s->allocated)
		s->data[0] = '\0';
}

void str_truncate(struct str *s, size_t n)
{
	if (n < s->n) {
		s->n = n;
		s->data[n] = '\0';
	}
}

char *str_extend(struct str *s, size_t n)
{
	if (s->failed || n > s->max - s->n) {
		s->failed = true;
		return NULL;
	}
	if (n == 0)
		return s->data + s->n;
	size_t need = s->n + n + 1;
	if (need > s->allocated) {
		size_t size = s->allocated ? s->allocated : STR_FIRST_BYTES;
		while (size < need)
			size *= 2;
		char *data = xmalloc(size); /* not realloc: old bytes may be secret */
		memcpy(data, s->data, s->n);
		if (s->allocated) {
			explicit_bzero(s->data, s->n);
			free(s->data);
		}
		s->data = data;
		s->allocated = size;
	}
	char *room = s->data + s->n;
	s->n += n;
	s->data[s->n] = '\0';
	return room;
}

void str_append(struct str *s, struct span bytes)
{
	if (bytes.n == 0)
		return;
	char *room = str_extend(s, bytes.n);
	if (room)
		memcpy(room, bytes.p, bytes.n);
}

void str_append_cstr(struct str *s, const char *text)
{
	str_append(s, span_cstr(text));
}

void str_append_char(struct str *s, char c)
{
	str_append(s, span_of(&c, 1));
}

void str_append_u64(struct str *s, uint64_t number)
{
	char digits[20];
	size_t at = sizeof(digits);
	do {
		digits[--at] = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	str_append(s, span_of(digits + at, sizeof(digits) - at));
}

void str_vformat(struct str *s, const char *format, va_list args)
{
	va_list again;
	va_copy(again, args);
	int n = vsnprintf(NULL, 0, format, args);
	if (n < 0) {
		s->failed = true;
	} else {
		char *room = str_extend(s, (size_t)n);
		if (room && n > 0)
			(void)vsnprintf(room, (size_t)n + 1, format, again); /* measured above */
	}
	va_end(again);
}

void str_format(struct str *s, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	str_vformat(s, format, args);
	va_end(args);
}

void str_drop_front(struct str *s, size_t n)
{
	n = MIN(n, s->n);
	if (n == 0)
		return;
	memmove(s->data, s->data + n, s->n - n + 1);
	s->n -= n;
}
