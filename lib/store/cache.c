#include "store/internal.h"

/* FNV-1a, 32 bits: tells a value that a crash left half-written, not one that somebody forged. */
static uint32_t checksum(struct span bytes)
{
	uint32_t sum = UINT32_C(2166136261);
	for (size_t i = 0; i < bytes.n; i++)
		sum = (sum ^ (unsigned char)bytes.p[i]) * UINT32_C(16777619);
	return sum;
}

void cache_put(struct store *s, uint64_t id, struct span summary)
{
	struct key key = key_of_u64('S', id);
	struct str record cleanup(str_clear) = STR_INIT(RECORD_MAX_BYTES);
	uint32_t sum = checksum(summary);
	str_append(&record, span_of(&sum, sizeof(sum)));
	str_append(&record, summary);
	if (s->cache && !record.failed)
		(void)!db_put(s->cache, key_span(&key), str_span(&record));
}

struct get_call {
	struct arena *arena;
	struct span *ret;
};

static int copy_checked(struct span value, void *context)
{
	struct get_call *call = context;
	uint32_t sum;
	if (value.n < sizeof(sum))
		return -ENOENT;
	memcpy(&sum, value.p, sizeof(sum));
	value = span_from(value, sizeof(sum));
	if (checksum(value) != sum)
		return -ENOENT;
	*call->ret = arena_span(call->arena, value);
	return 0;
}

int cache_get(struct store *s, uint64_t id, struct arena *a, struct span *ret)
{
	struct key key = key_of_u64('S', id);
	struct get_call call = {a, ret};
	if (!s->cache)
		return -ENOENT;
	return db_parse(s->cache, key_span(&key), copy_checked, &call);
}

void cache_forget(struct store *s, uint64_t id)
{
	struct key key = key_of_u64('S', id);
	if (s->cache)
		(void)!db_delete(s->cache, key_span(&key));
}
