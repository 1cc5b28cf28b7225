#include "queue/queue.h"

#include <assert.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/codec.h"
#include "db/db.h"
#include "io/file.h"
#include "queue/record.h"

enum {
	QUEUE_EXPECTED_RECORDS = 100000,
	BUCKETS_MAX_BYTES = 1 << 20,
	BUCKET_MAX_BYTES = 64 << 20,
	BUCKET_SECONDS = 60,
	SWEEP_AGE_S = 3600,
	STALE_BUCKETS_MAX = 64, /* removed in one pass; more wait for the next */
};

struct queue {
	int dirfd; /* borrowed */
	int messages_fd;
	struct db *db;
};

static int load_message(
    struct queue *q, struct span id, struct str *value, struct queue_message *ret);
static int load_recipient(struct queue *q, struct span id, uint32_t number, struct str *value,
    struct queue_recipient *ret);
static int store_message(struct queue *q, const struct queue_message *m);
static int store_recipient(struct queue *q, const struct queue_recipient *r);
static int finish_recipient(struct queue *q, const struct queue_recipient *r, bool *ret_last);
static int schedule_add(
    struct queue *q, int64_t when_s, struct span id, uint32_t first, uint32_t count);
static int insert_message(struct queue *q, const struct queue_message *m, int64_t due_s,
    const struct envelope_recipient *recipients);
static int end_transaction(struct queue *q, int error);
static void remove_file(struct queue *q, struct span id);

/*
 * Messages without their database were lost by somebody else: the sweep must not finish them off.
 */
static int found_file(const char *name, void *context)
{
	(void)name;
	(void)context;
	return 1;
}

static int create_database(struct queue *q)
{
	int found = folder_each(q->messages_fd, found_file, NULL);
	if (found)
		return found < 0 ? found : -EUCLEAN;
	return db_open(
	    q->dirfd, "queue.tdb", DB_DURABLE, DB_CREATE, QUEUE_EXPECTED_RECORDS, &q->db);
}

int queue_open(int queue_dirfd, bool create, struct queue **ret)
{
	struct queue *q = xcalloc(1, sizeof(*q));
	q->dirfd = queue_dirfd;
	q->messages_fd = -1;
	int error = create ? folder_make(queue_dirfd, "msg", 0700, &q->messages_fd)
			   : folder_open(queue_dirfd, "msg", &q->messages_fd);
	if (!error)
		error = db_open(queue_dirfd, "queue.tdb", DB_DURABLE,
		    create ? DB_READ_WRITE : DB_READ_ONLY, QUEUE_EXPECTED_RECORDS, &q->db);
	if (error == -ENOENT && create)
		error = create_database(q);
	if (error) {
		queue_close(q);
		return error;
	}
	*ret = q;
	return 0;
}

void queue_close(struct queue *q)
{
	if (!q)
		return;
	db_close(q->db);
	close_fd(&q->messages_fd);
	free(q);
}

/*
 * -- records ------------------------------------------------------------------------------------
 */

static struct span message_key(struct str *key, struct span id)
{
	str_reset(key);
	str_append_cstr(key, "m:");
	str_append(key, id);
	return str_span(key);
}

static struct span recipient_key(struct str *key, struct span id, uint32_t number)
{
	str_reset(key);
	str_append_cstr(key, "r:");
	str_append(key, id);
	str_append_char(key, ':');
	str_append_u64(key, number);
	return str_span(key);
}

static struct span bucket_key(struct str *key, uint32_t minute)
{
	str_reset(key);
	str_append_cstr(key, "d:");
	str_append_u64(key, minute);
	return str_span(key);
}

static uint32_t minute_of(int64_t when_s)
{
	return (uint32_t)(MAX(when_s, 0) / BUCKET_SECONDS);
}

static int load_message(
    struct queue *q, struct span id, struct str *value, struct queue_message *ret)
{
	struct str key cleanup(str_clear) = STR_INIT(QUEUE_ID_MAX_BYTES + 32);
	int error = db_get(q->db, message_key(&key, id), value);
	return error ? error : queue_message_decode(str_span(value), id, ret);
}

static int load_recipient(struct queue *q, struct span id, uint32_t number, struct str *value,
    struct queue_recipient *ret)
{
	struct str key cleanup(str_clear) = STR_INIT(QUEUE_ID_MAX_BYTES + 32);
	int error = db_get(q->db, recipient_key(&key, id, number), value);
	return error ? error : queue_recipient_decode(str_span(value), id, number, ret);
}

static int store_message(struct queue *q, const struct queue_message *m)
{
	struct str key cleanup(str_clear) = STR_INIT(QUEUE_ID_MAX_BYTES + 32);
	struct str value cleanup(str_clear) = STR_INIT(QUEUE_RECORD_MAX_BYTES);
	queue_message_encode(m, &value);
	int error = str_error(&value);
	return error ? error : db_put(q->db, message_key(&key, m->id), str_span(&value));
}

static int store_recipient(struct queue *q, const struct queue_recipient *r)
{
	struct str key cleanup(str_clear) = STR_INIT(QUEUE_ID_MAX_BYTES + 32);
	struct str value cleanup(str_clear) = STR_INIT(QUEUE_RECORD_MAX_BYTES);
	queue_recipient_encode(r, &value);
	int error = str_error(&value);
	return error ? error
		     : db_put(q->db, recipient_key(&key, r->id, r->number), str_span(&value));
}

/* Removes the recipient from records and schedule; *ret_last: it was the message's last one. */
static int finish_recipient(struct queue *q, const struct queue_recipient *r, bool *ret_last)
{
	struct str key cleanup(str_clear) = STR_INIT(QUEUE_ID_MAX_BYTES + 32);
	struct str value cleanup(str_clear) = STR_INIT(QUEUE_RECORD_MAX_BYTES);
	struct queue_message m;
	int error = db_delete(q->db, recipient_key(&key, r->id, r->number));
	if (!error)
		error = load_message(q, r->id, &value, &m);
	if (error)
		return error;
	assert(m.recipients_left > 0);
	m.recipients_left--;
	*ret_last = m.recipients_left == 0;
	return *ret_last ? db_delete(q->db, message_key(&key, r->id)) : store_message(q, &m);
}

static int end_transaction(struct queue *q, int error)
{
	if (!error)
		return db_commit(q->db);
	db_cancel(q->db);
	return error;
}

/*
 * -- schedule -----------------------------------------------------------------------------------
 */

static int load_buckets(struct queue *q, struct str *value)
{
	int error = db_get(q->db, SPAN("buckets"), value);
	return error == -ENOENT ? 0 : error;
}

/* Position of the minute in the sorted list, or where it belongs. */
static size_t bucket_position(struct span list, uint32_t minute, bool *ret_found)
{
	size_t low = 0, high = list.n / 4;
	while (low < high) {
		size_t middle = (low + high) / 2;
		struct reader r = reader_of(span_sub(list, middle * 4, 4));
		if (get_u32(&r) < minute)
			low = middle + 1;
		else
			high = middle;
	}
	struct reader r = reader_of(span_sub(list, low * 4, 4));
	*ret_found = low < list.n / 4 && get_u32(&r) == minute;
	return low;
}

static int buckets_change(struct queue *q, uint32_t minute, bool present)
{
	struct str list cleanup(str_clear) = STR_INIT(BUCKETS_MAX_BYTES);
	struct str changed cleanup(str_clear) = STR_INIT(BUCKETS_MAX_BYTES);
	int error = load_buckets(q, &list);
	if (error)
		return error;
	bool found;
	size_t at = bucket_position(str_span(&list), minute, &found) * 4;
	if (found == present)
		return 0;
	str_append(&changed, span_sub(str_span(&list), 0, at));
	if (present)
		put_u32(&changed, minute);
	str_append(&changed, span_from(str_span(&list), found ? at + 4 : at));
	error = str_error(&changed);
	return error ? error : db_put(q->db, SPAN("buckets"), str_span(&changed));
}

/*
 * Entries are hints; the recipient's own next_attempt_s is the truth. An entry whose recipient is
 * gone or due in another minute is stale; a bucket of stale ones only is removed by queue_due(). So
 * nothing is ever searched for in a bucket of many thousands.
 */
static int schedule_add(
    struct queue *q, int64_t when_s, struct span id, uint32_t first, uint32_t count)
{
	struct str key cleanup(str_clear) = STR_INIT(64);
	struct str bucket cleanup(str_clear) = STR_INIT(BUCKET_MAX_BYTES);
	uint32_t minute = minute_of(when_s);
	int error = db_get(q->db, bucket_key(&key, minute), &bucket);
	if (error && error != -ENOENT)
		return error;
	for (uint32_t i = 0; i < count; i++) {
		put_span(&bucket, id);
		put_u32(&bucket, first + i);
	}
	error = str_error(&bucket);
	if (!error)
		error = db_put(q->db, str_span(&key), str_span(&bucket));
	return error ? error : buckets_change(q, minute, true);
}

static int reschedule(struct queue *q, struct queue_recipient *r, int64_t when_s)
{
	bool moved = minute_of(when_s) != minute_of(r->next_attempt_s);
	r->next_attempt_s = when_s;
	return moved ? schedule_add(q, when_s, r->id, r->number, 1) : 0;
}

static int remove_buckets(struct queue *q, const uint32_t *minutes, size_t count)
{
	struct str key cleanup(str_clear) = STR_INIT(64);
	int error = count ? db_begin(q->db) : 0;
	if (error || count == 0)
		return error;
	for (size_t i = 0; i < count && !error; i++) {
		error = db_delete(q->db, bucket_key(&key, minutes[i]));
		if (!error)
			error = buckets_change(q, minutes[i], false);
	}
	return end_transaction(q, error);
}

/*
 * -- taking in ----------------------------------------------------------------------------------
 */

static int insert_message(struct queue *q, const struct queue_message *m, int64_t due_s,
    const struct envelope_recipient *recipients)
{
	int error = store_message(q, m);
	for (uint32_t i = 0; i < m->recipients_left && !error; i++) {
		struct queue_recipient r = {
		    .id = m->id,
		    .number = i,
		    .address = recipients[i].address,
		    .original = recipients[i].original,
		    .notify = recipients[i].notify,
		    .next_attempt_s = due_s,
		};
		error = store_recipient(q, &r);
	}
	return error ? error : schedule_add(q, due_s, m->id, 0, m->recipients_left);
}

int queue_read_incoming(struct queue *q, int incoming_fd, const char *id, struct arena *a,
    struct envelope *ret, int *ret_fd, uint64_t *ret_offset, uint64_t *ret_bytes)
{
	return incoming_read(
	    incoming_fd, id, q->messages_fd, a, ret, ret_fd, ret_offset, ret_bytes);
}

/* Gives the file its name in msg/. A take-in that was cut short may have done so before. */
static int link_message(struct queue *q, int incoming_fd, const char *id)
{
	struct stat here, there;
	if (linkat(incoming_fd, id, q->messages_fd, id, 0) < 0) {
		if (errno != EEXIST)
			return -errno;
		if (fstatat(incoming_fd, id, &here, AT_SYMLINK_NOFOLLOW) < 0 ||
		    fstatat(q->messages_fd, id, &there, AT_SYMLINK_NOFOLLOW) < 0)
			return -errno;
		if (here.st_dev != there.st_dev || here.st_ino != there.st_ino)
			return -EEXIST;
	}
	return folder_sync(q->messages_fd);
}

int queue_take_in(struct queue *q, int incoming_fd, struct span account, const char *id,
    const struct envelope *e, uint64_t offset, uint64_t bytes)
{
	struct str value cleanup(str_clear) = STR_INIT(QUEUE_RECORD_MAX_BYTES);
	struct queue_message m = {
	    .id = span_cstr(id),
	    .account = account,
	    .sender = e->sender,
	    .envid = e->envid,
	    .client = e->client,
	    .received_s = e->received_s,
	    .body = e->body,
	    .smtputf8 = e->smtputf8,
	    .require_tls = e->require_tls,
	    .return_full = e->return_full,
	    .return_headers = e->return_headers,
	    .offset = offset,
	    .bytes = bytes,
	    .recipients_left = (uint32_t)e->recipient_count,
	};
	struct queue_message known;
	int error = load_message(q, m.id, &value, &known);
	if (error == -ENOENT) {
		/* the file first: a record never names a file that a crash could take away */
		error = link_message(q, incoming_fd, id);
		if (!error)
			error = db_begin(q->db);
		if (!error)
			error = end_transaction(
			    q, insert_message(
				   q, &m, MAX(e->not_before_s, e->received_s), e->recipients));
	}
	if (error)
		return error;
	/* synced before any delivery: were the name to come back, so would the message */
	if (unlinkat(incoming_fd, id, 0) < 0 && errno != ENOENT)
		return -errno;
	return folder_sync(incoming_fd);
}

/*
 * -- notices ------------------------------------------------------------------------------------
 */

/* Inside a transaction: the notice is made, what is finished goes; *ret_last: the message went. */
static int clear_notices(
    struct queue *q, const struct queue_recipient *about, size_t count, bool *ret_last)
{
	struct str value cleanup(str_clear) = STR_INIT(QUEUE_RECORD_MAX_BYTES);
	int error = 0;
	*ret_last = false;
	for (size_t i = 0; i < count && !error; i++) {
		struct queue_recipient r;
		error = load_recipient(q, about[i].id, about[i].number, &value, &r);
		if (error || r.notice != about[i].notice)
			continue;
		if (r.notice == QUEUE_NOTICE_DELAYED) {
			r.notice = QUEUE_NOTICE_NONE;
			r.delay_told = true;
			error = store_recipient(q, &r);
		} else {
			error = finish_recipient(q, &r, ret_last);
		}
	}
	return error;
}

static int write_notice_file(struct queue *q, struct span text, char id[QUEUE_ID_MAX_BYTES])
{
	int fd cleanup(close_fd) = -1;
	int error = file_draft(q->messages_fd, 0600, &fd);
	if (!error)
		error = fd_write_all(fd, text);
	if (error)
		return error;
	queue_notice_id(id);
	return file_draft_link(fd, q->messages_fd, id);
}

int queue_add_notice(struct queue *q, struct span account, struct span address, struct span text,
    bool smtputf8, int64_t now_s, const struct queue_recipient *about, size_t count)
{
	char id[QUEUE_ID_MAX_BYTES];
	int error = write_notice_file(q, text, id);
	if (error)
		return error;
	struct queue_message m = {
	    .id = span_cstr(id),
	    .account = account,
	    .client = SPAN("notice"),
	    .received_s = now_s,
	    .body = span_is_ascii(text) ? QUEUE_BODY_7BIT : QUEUE_BODY_8BITMIME,
	    .smtputf8 = smtputf8,
	    .is_notice = true,
	    .bytes = text.n,
	    .recipients_left = 1,
	};
	struct envelope_recipient reader = {.address = address, .notify = NOTIFY_NEVER};
	bool last = false;
	/*
	 * an error leaves the file to queue_sweep(): after a failed commit the record may be there
	 */
	error = db_begin(q->db);
	if (error)
		return error;
	error = insert_message(q, &m, now_s, &reader);
	if (!error)
		error = clear_notices(q, about, count, &last);
	error = end_transaction(q, error);
	if (!error && last)
		remove_file(q, about[0].id);
	return error;
}

int queue_drop_notices(struct queue *q, const struct queue_recipient *about, size_t count)
{
	bool last = false;
	int error = db_begin(q->db);
	if (!error)
		error = end_transaction(q, clear_notices(q, about, count, &last));
	if (!error && last)
		remove_file(q, about[0].id);
	return error;
}

/* The records are gone, or were never made: a file that stays is queue_sweep()'s. */
static void remove_file(struct queue *q, struct span id)
{
	struct str name cleanup(str_clear) = STR_INIT(QUEUE_ID_MAX_BYTES);
	str_append(&name, id);
	(void)unlinkat(q->messages_fd, name.data, 0); /* see above */
}

/*
 * -- reading ------------------------------------------------------------------------------------
 */

int queue_message(struct queue *q, struct span id, struct arena *a, struct queue_message *ret)
{
	struct str value cleanup(str_clear) = STR_INIT(QUEUE_RECORD_MAX_BYTES);
	struct queue_message m;
	int error = load_message(q, id, &value, &m);
	if (!error)
		error =
		    queue_message_decode(arena_span(a, str_span(&value)), arena_span(a, id), ret);
	return error;
}

int queue_message_open(struct queue *q, struct span id, int *ret_fd)
{
	struct str name cleanup(str_clear) = STR_INIT(QUEUE_ID_MAX_BYTES);
	str_append(&name, id);
	int fd = openat(q->messages_fd, name.data, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

int queue_recipient(
    struct queue *q, struct span id, uint32_t number, struct arena *a, struct queue_recipient *ret)
{
	struct str value cleanup(str_clear) = STR_INIT(QUEUE_RECORD_MAX_BYTES);
	struct queue_recipient r;
	int error = load_recipient(q, id, number, &value, &r);
	if (!error)
		error = queue_recipient_decode(
		    arena_span(a, str_span(&value)), arena_span(a, id), number, ret);
	return error;
}

struct due_list {
	struct queue_recipient *recipients;
	size_t count, max;
	int64_t now_s, next_s;
	bool (*skip)(struct span id, uint32_t number, void *context);
	void *context;
};

/* One minute's recipients; *ret_live: how many entries are not stale. */
static int due_in_bucket(struct queue *q, uint32_t minute, struct span bucket, struct due_list *due,
    struct arena *a, size_t *ret_live)
{
	struct reader r = reader_of(bucket);
	*ret_live = 0;
	while (r.rest.n && !r.failed) {
		struct span id = get_span(&r);
		uint32_t number = get_u32(&r);
		struct queue_recipient *next = &due->recipients[due->count];
		if (due->count == due->max) {
			++*ret_live; /* not looked at */
			continue;
		}
		int error = queue_recipient(q, id, number, a, next);
		if (error == -ENOENT || (!error && minute_of(next->next_attempt_s) != minute))
			continue;
		if (error)
			return error;
		++*ret_live;
		if (due->skip && due->skip(id, number, due->context))
			continue;
		if (next->next_attempt_s > due->now_s) /* later in this minute */
			due->next_s = MIN(due->next_s, next->next_attempt_s);
		else
			due->count++;
	}
	return 0;
}

int queue_due(struct queue *q, int64_t now_s, size_t max,
    bool (*skip)(struct span id, uint32_t number, void *context), void *context, struct arena *a,
    struct queue_recipient **ret, size_t *ret_count, int64_t *ret_next_s)
{
	struct str list cleanup(str_clear) = STR_INIT(BUCKETS_MAX_BYTES);
	struct str bucket cleanup(str_clear) = STR_INIT(BUCKET_MAX_BYTES);
	struct str key cleanup(str_clear) = STR_INIT(64);
	struct due_list due = {ARENA_ARRAY(a, struct queue_recipient, max + 1), 0, max, now_s,
	    INT64_MAX, skip, context};
	uint32_t stale[STALE_BUCKETS_MAX];
	size_t stale_count = 0;
	int error = load_buckets(q, &list);
	struct reader minutes = reader_of(str_span(&list));
	while (!error && minutes.rest.n && due.count < max) {
		uint32_t minute = get_u32(&minutes);
		if ((int64_t)minute * BUCKET_SECONDS > now_s) {
			due.next_s = MIN(due.next_s, (int64_t)minute * BUCKET_SECONDS);
			break;
		}
		size_t live = 0;
		error = db_get(q->db, bucket_key(&key, minute), &bucket);
		if (!error)
			error = due_in_bucket(q, minute, str_span(&bucket), &due, a, &live);
		if (!error && live == 0 && stale_count < STALE_BUCKETS_MAX)
			stale[stale_count++] = minute;
	}
	if (!error)
		error = remove_buckets(q, stale, stale_count);
	if (error)
		return error;
	*ret = due.recipients;
	*ret_count = due.count;
	*ret_next_s = due.next_s;
	return 0;
}

/*
 * -- attempts and results -----------------------------------------------------------------------
 */

int queue_register_attempts(
    struct queue *q, const struct queue_recipient *recipients, const int64_t *next_s, size_t count)
{
	struct str value cleanup(str_clear) = STR_INIT(QUEUE_RECORD_MAX_BYTES);
	int error = db_begin(q->db);
	if (error)
		return error;
	for (size_t i = 0; i < count && !error; i++) {
		struct queue_recipient r;
		error = load_recipient(q, recipients[i].id, recipients[i].number, &value, &r);
		if (error)
			break;
		r.attempts++;
		error = reschedule(q, &r, next_s[i]);
		if (!error)
			error = store_recipient(q, &r);
	}
	return end_transaction(q, error);
}

static int apply_result(struct queue *q, struct span id, uint32_t number, enum queue_result result,
    const struct queue_attempt *attempt, enum queue_notice notice, bool *ret_last)
{
	struct str value cleanup(str_clear) = STR_INIT(QUEUE_RECORD_MAX_BYTES);
	struct queue_recipient r;
	int error = load_recipient(q, id, number, &value, &r);
	if (error)
		return error;
	if (result != QUEUE_DEFERRED && notice == QUEUE_NOTICE_NONE)
		return finish_recipient(q, &r, ret_last);
	if (r.history_count == QUEUE_ATTEMPTS_KEPT) {
		memmove(r.history, r.history + 1, sizeof(r.history) - sizeof(r.history[0]));
		r.history_count--;
	}
	r.history[r.history_count++] = *attempt;
	r.notice = notice;
	if (notice != QUEUE_NOTICE_NONE && notice != QUEUE_NOTICE_DELAYED)
		error = reschedule(q, &r, 0);
	return error ? error : store_recipient(q, &r);
}

int queue_record_result(struct queue *q, struct span id, uint32_t number, enum queue_result result,
    const struct queue_attempt *attempt, enum queue_notice notice)
{
	bool last = false;
	int error = db_begin(q->db);
	if (error)
		return error;
	error = end_transaction(q, apply_result(q, id, number, result, attempt, notice, &last));
	if (!error && last)
		remove_file(q, id);
	return error;
}

/*
 * -- everything ---------------------------------------------------------------------------------
 */

struct each {
	struct queue *queue;
	int (*fn)(const struct queue_message *m, const struct queue_recipient *r, void *context);
	void *context;
};

struct listed {
	struct arena arena;
	struct span *keys;
	size_t count, allocated;
};

static int collect_recipient_key(struct span key, struct span value, void *context)
{
	struct listed *l = context;
	(void)value; /* read later: fn may take its time, and must not hold the lock */
	if (!span_starts_with(key, SPAN("r:")))
		return 0;
	ARRAY_ROOM(l->keys, l->count, l->allocated);
	l->keys[l->count++] = arena_span(&l->arena, span_from(key, 2));
	return 0;
}

static int compare_spans(const void *a, const void *b)
{
	return span_compare(*(const struct span *)a, *(const struct span *)b);
}

static int each_recipient(struct each *e, struct span id_and_number)
{
	struct str message_value cleanup(str_clear) = STR_INIT(QUEUE_RECORD_MAX_BYTES);
	struct str value cleanup(str_clear) = STR_INIT(QUEUE_RECORD_MAX_BYTES);
	struct queue_message m;
	struct queue_recipient r;
	struct span id, digits;
	uint64_t number = 0;
	(void)span_cut(id_and_number, ':', &id, &digits); /* our own key: has one */
	int error = span_to_u64(digits, UINT32_MAX, &number);
	if (!error)
		error = load_recipient(e->queue, id, (uint32_t)number, &value, &r);
	if (!error)
		error = load_message(e->queue, id, &message_value, &m);
	if (error)
		return error == -ENOENT ? 0 : error; /* finished meanwhile */
	return e->fn(&m, &r, e->context);
}

int queue_each(struct queue *q,
    int (*fn)(const struct queue_message *m, const struct queue_recipient *r, void *context),
    void *context)
{
	struct each e = {q, fn, context};
	struct listed l = {0};
	int error = db_each(q->db, collect_recipient_key, &l);
	if (!error && l.count)
		qsort(l.keys, l.count, sizeof(*l.keys), compare_spans);
	for (size_t i = 0; i < l.count && !error; i++)
		error = each_recipient(&e, l.keys[i]);
	free(l.keys);
	arena_clear(&l.arena);
	return error;
}

struct sweep {
	struct queue *queue;
	int64_t now_s;
	int error; /* the last one: the others are swept all the same */
};

static int sweep_file(const char *name, void *context)
{
	struct sweep *w = context;
	struct str key cleanup(str_clear) = STR_INIT(512);
	int folder = w->queue->messages_fd;
	struct stat st;
	if (db_has(w->queue->db, message_key(&key, span_cstr(name))) ||
	    fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	/* ctime: the link into msg/ set it */
	if (st.st_ctime < w->now_s - SWEEP_AGE_S && unlinkat(folder, name, 0) < 0)
		w->error = -errno;
	return 0;
}

int queue_sweep(struct queue *q, int64_t now_s)
{
	struct sweep w = {q, now_s, 0};
	int error = folder_each(q->messages_fd, sweep_file, &w);
	return error ? error : w.error;
}
