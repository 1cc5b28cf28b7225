#ifndef POSTERN_BASE_CODEC_H
#define POSTERN_BASE_CODEC_H
/*
 * Little-endian, length-prefixed binary records: database values, queue envelopes, the messages
 * between gate and session. Writers append to a str; the reader checks every bound, and once
 * something did not fit it has `failed` and yields zeros and empty spans. Spans borrow the input.
 */
#include "base/str.h"

void put_u8(struct str *out, uint8_t v);
void put_u16(struct str *out, uint16_t v);
void put_u32(struct str *out, uint32_t v);
void put_u64(struct str *out, uint64_t v);
/* u32 length, then the bytes. An unset span comes back as an empty one. */
void put_span(struct str *out, struct span v);

struct reader {
	struct span rest;
	bool failed;
};
static inline struct reader reader_of(struct span input)
{
	return (struct reader){input, false};
}
uint8_t get_u8(struct reader *r);
uint16_t get_u16(struct reader *r);
uint32_t get_u32(struct reader *r);
uint64_t get_u64(struct reader *r);
struct span get_span(struct reader *r);
struct span get_bytes(struct reader *r, size_t n);
/* 0 when everything was there and nothing is left, else -EBADMSG. */
must_use int reader_end(const struct reader *r);
#endif
