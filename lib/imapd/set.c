/* From the numbers of a command to UIDs of the selected mailbox. */
#include "imapd/connection.h"

bool imapd_resolve(struct imapd *c, const struct seqset *set, struct uid_set *ret)
{
	uint32_t count = view_count(c->view);
	bool uid = c->command->uid;
	uint32_t largest = !count ? 0 : uid ? view_uid(c->view, count) : count;
	struct seqset bound = seqset_bind(set, largest, &c->scratch);
	struct uid_range *ranges = ARENA_ARRAY(&c->scratch, struct uid_range, bound.count);
	*ret = (struct uid_set){ranges, 0};
	/* "1:*" of an empty mailbox is what clients ask first: nothing, not an error */
	if (!count)
		return true;
	for (size_t i = 0; i < bound.count; i++) {
		struct seqset_range r = bound.ranges[i];
		if (!uid && r.last > count)
			return false;
		ranges[ret->count++] =
		    uid ? (struct uid_range){r.first, r.last}
			: (struct uid_range){view_uid(c->view, r.first), view_uid(c->view, r.last)};
	}
	return true;
}

void uid_list_add(struct uid_list *list, struct arena *a, uint32_t uid)
{
	if (list->count && list->ranges[list->count - 1].last + 1 == uid) {
		list->ranges[list->count - 1].last = uid;
		return;
	}
	ARENA_ROOM(a, list->ranges, list->count, list->allocated);
	list->ranges[list->count++] = (struct uid_range){uid, uid};
}
