#include "store/internal.h"

#include "base/codec.h"
#include "text/text.h"

/*
 * The record "N": u32 count; then each: u32 id, u8 special use, u8 subscribed, u16 length, text.
 * One record for all, because LIST wants all and changes are rare.
 */

static size_t place_of(const struct names *names, struct span text, bool *ret_found);

int names_load(struct store *s, struct arena *a, struct names *ret)
{
	struct key key = key_of('N');
	struct str record cleanup(str_clear) = STR_INIT(RECORD_MAX_BYTES);
	int error = db_get(s->index, key_span(&key), &record);
	if (error < 0)
		return error == -ENOENT ? -EUCLEAN : error;
	struct reader r = reader_of(arena_span(a, str_span(&record)));
	uint32_t count = get_u32(&r);
	if (count > 2 * MAILBOXES_MAX)
		return -EUCLEAN;
	struct names names = {.arena = a, .allocated = count + 1};
	names.all = ARENA_ARRAY(a, struct name, names.allocated);
	for (uint32_t i = 0; i < count; i++) {
		struct name *name = &names.all[names.count++];
		name->id = get_u32(&r);
		name->special_use = get_u8(&r);
		name->subscribed = get_u8(&r) != 0;
		name->text = get_bytes(&r, get_u16(&r));
		if (name->text.n == 0 || name->special_use > SPECIAL_IMPORTANT ||
		    (i > 0 && name_compare(name[-1].text, name->text) >= 0))
			return -EUCLEAN;
	}
	if (reader_end(&r) < 0)
		return -EUCLEAN;
	*ret = names;
	return 0;
}

int names_save(struct store *s, const struct names *names)
{
	struct key key = key_of('N');
	struct str record cleanup(str_clear) = STR_INIT(RECORD_MAX_BYTES);
	put_u32(&record, (uint32_t)names->count);
	for (size_t i = 0; i < names->count; i++) {
		const struct name *name = &names->all[i];
		put_u32(&record, name->id);
		put_u8(&record, name->special_use);
		put_u8(&record, name->subscribed);
		put_u16(&record, (uint16_t)name->text.n);
		str_append(&record, name->text);
	}
	if (record.failed)
		return -ENOSPC;
	return db_put(s->index, key_span(&key), str_span(&record));
}

/* Bytewise, but INBOX before everything. */
int name_compare(struct span a, struct span b)
{
	struct span inbox = SPAN("INBOX");
	bool first = span_equal(a, inbox), second = span_equal(b, inbox);
	if (first || second)
		return (int)second - (int)first;
	return span_compare(a, b);
}

static size_t place_of(const struct names *names, struct span text, bool *ret_found)
{
	size_t low = 0, high = names->count;
	*ret_found = false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = name_compare(names->all[middle].text, text);
		if (order == 0) {
			*ret_found = true;
			return middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct name *names_find(const struct names *names, struct span text)
{
	bool found;
	size_t place = place_of(names, text, &found);
	return found ? &names->all[place] : NULL;
}

int names_add(struct names *names, const struct name *name)
{
	if (names->count >= MAILBOXES_MAX)
		return -ENOSPC;
	ARENA_ROOM(names->arena, names->all, names->count, names->allocated);
	bool found;
	size_t place = place_of(names, name->text, &found);
	if (found)
		return -EEXIST;
	struct name *room = &names->all[place];
	memmove(room + 1, room, (names->count - place) * sizeof(*room));
	*room = *name;
	names->count++;
	return 0;
}

void names_remove(struct names *names, struct name *name)
{
	size_t place = (size_t)(name - names->all);
	names->count--;
	memmove(name, name + 1, (names->count - place) * sizeof(*name));
}

int name_normalise(struct span text, struct arena *a, struct span *ret)
{
	struct span rest = text, part;
	if (text.n == 0 || text.n > MAILBOX_NAME_MAX_BYTES || !utf8_is_valid(text))
		return -EINVAL;
	for (size_t i = 0; i < text.n; i++)
		if ((unsigned char)text.p[i] < 0x20 || text.p[i] == 0x7f)
			return -EINVAL;
	for (bool more = true; more;) {
		more = span_cut(rest, '/', &part, &rest);
		if (part.n == 0)
			return -EINVAL;
	}
	struct str name cleanup(str_clear) = STR_INIT(MAILBOX_NAME_MAX_BYTES);
	if (text_nfc(text, &name) < 0 || name.failed)
		return -EINVAL;
	/* INBOX in any case, alone or as the root of others (RFC 9051 §5.1) */
	(void)span_cut(str_span(&name), '/', &part, &rest);
	if (span_equal_nocase(part, SPAN("INBOX")))
		memcpy(name.data, "INBOX", 5);
	*ret = arena_span(a, str_span(&name));
	return 0;
}

int name_lookup(struct store *s, struct span text, struct arena *a, struct name *ret)
{
	struct span normal;
	if (name_normalise(text, a, &normal) < 0)
		return -ENOENT; /* what cannot be made is not there */
	struct names names;
	int error = names_load(s, a, &names);
	if (error < 0)
		return error;
	struct name *name = names_find(&names, normal);
	if (!name || name->id == 0)
		return -ENOENT;
	*ret = *name;
	return 0;
}
