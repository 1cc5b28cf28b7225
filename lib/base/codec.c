#include "base/codec.h"

static void put_number(struct str *out, uint64_t v, size_t bytes)
{
	char b[8] = {0};
	for (size_t i = 0; i < bytes; i++)
		b[i] = (char)(v >> (8 * i));
	str_append(out, span_of(b, bytes));
}

void put_u8(struct str *out, uint8_t v)
{
	put_number(out, v, 1);
}
void put_u16(struct str *out, uint16_t v)
{
	put_number(out, v, 2);
}
void put_u32(struct str *out, uint32_t v)
{
	put_number(out, v, 4);
}
void put_u64(struct str *out, uint64_t v)
{
	put_number(out, v, 8);
}

void put_span(struct str *out, struct span v)
{
	if (v.n > UINT32_MAX) {
		out->failed = true;
		return;
	}
	put_u32(out, (uint32_t)v.n);
	str_append(out, v);
}

struct span get_bytes(struct reader *r, size_t n)
{
	if (r->failed || n > r->rest.n) {
		r->failed = true;
		return SPAN("");
	}
	struct span s = span_sub(r->rest, 0, n);
	r->rest = span_from(r->rest, n);
	return s;
}

static uint64_t get_number(struct reader *r, size_t bytes)
{
	struct span s = get_bytes(r, bytes);
	uint64_t v = 0;
	for (size_t i = s.n; i-- > 0;)
		v = v << 8 | (unsigned char)s.p[i];
	return v;
}

uint8_t get_u8(struct reader *r)
{
	return (uint8_t)get_number(r, 1);
}
uint16_t get_u16(struct reader *r)
{
	return (uint16_t)get_number(r, 2);
}
uint32_t get_u32(struct reader *r)
{
	return (uint32_t)get_number(r, 4);
}
uint64_t get_u64(struct reader *r)
{
	return get_number(r, 8);
}

struct span get_span(struct reader *r)
{
	return get_bytes(r, get_u32(r));
}

int reader_end(const struct reader *r)
{
	return r->failed || r->rest.n ? -EBADMSG : 0;
}
