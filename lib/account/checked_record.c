#include "account/checked_record.h"

#include "base/codec.h"

/* FNV-1a: against torn writes, not against people. */
static uint32_t checksum(struct span s)
{
	uint32_t sum = 2166136261u;
	for (size_t i = 0; i < s.n; i++)
		sum = (sum ^ (unsigned char)s.p[i]) * 16777619u;
	return sum;
}

int checked_get(struct db *db, struct span key, struct str *record)
{
	int rc = db_get(db, key, record);
	if (rc < 0)
		return rc;
	if (!span_is_set(checked_open(str_span(record))))
		return -ENOENT;
	str_drop_front(record, sizeof(uint32_t));
	return 0;
}

int checked_put(struct db *db, struct span key, struct span record)
{
	struct str value cleanup(str_clear) = STR_INIT(record.n + sizeof(uint32_t));
	put_u32(&value, checksum(record));
	str_append(&value, record);
	return db_put(db, key, str_span(&value));
}

struct span checked_open(struct span value)
{
	struct reader r = reader_of(value);
	uint32_t sum = get_u32(&r);
	return !r.failed && sum == checksum(r.rest) ? r.rest : SPAN_NONE;
}
