#include "gate/relay.h"

#include <assert.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "sys/stop.h"

enum flow_state {
	FLOW_OPEN,
	FLOW_ENDING, /* the input ended: give what is left, then tell */
	FLOW_DONE
};
struct flow {
	struct channel *from, *to;
	char *buffer; /* RELAY_BUFFER_BYTES, or NULL while empty */
	size_t start, end;
	enum flow_state state;
	short read_wait, write_wait; /* what the last attempt waits for; 0: nothing */
	bool broken;		     /* the target is gone: what comes is thrown away */
};

static void flow_init(struct flow *f, struct channel *from, struct channel *to, struct span first);
static bool flow_step(struct flow *f);
static bool flow_fill(struct flow *f);
static bool flow_drain(struct flow *f);
static void flow_end(struct flow *f);
static int wait_for_events(const struct flow *up, const struct flow *down, int timeout_ms);
static void acknowledge(const struct channel *client);

void relay_run(struct channel client, struct span from_client, struct channel session,
    struct span from_session)
{
	struct flow up, down;
	int64_t last_progress_ms = monotonic_ms(), stop_ms = INT64_MAX;
	bool unanswered = false; /* bytes of the client, since the session last said something */

	flow_init(&up, &client, &session, from_client);
	flow_init(&down, &session, &client, from_session);
	for (;;) {
		if (stop_requested() && stop_ms == INT64_MAX)
			stop_ms = monotonic_ms() + RELAY_STOP_MS;
		if (monotonic_ms() >= stop_ms && up.state == FLOW_OPEN)
			up.state = FLOW_ENDING; /* to the session as if the client had ended */
		bool moved_up = flow_step(&up), moved_down = flow_step(&down);
		if (moved_down)
			last_progress_ms = monotonic_ms();
		if (down.state == FLOW_DONE || down.broken)
			break; /* the session is over, or nobody is there to hear it */
		if (moved_up || moved_down) {
			unanswered = !moved_down;
			continue;
		}
		/* Idle, there is no time limit here: the session has its own. */
		int64_t timeout_ms = -1;
		if (down.end > down.start || down.state == FLOW_ENDING) {
			timeout_ms = last_progress_ms + RELAY_STALL_MS - monotonic_ms();
			if (timeout_ms <= 0)
				break;
		} else {
			last_progress_ms = monotonic_ms();
		}
		if (stop_ms != INT64_MAX && up.state == FLOW_OPEN && timeout_ms < 0)
			timeout_ms = MAX(stop_ms - monotonic_ms(), 0);
		bool short_wait = unanswered && (timeout_ms < 0 || timeout_ms > RELAY_ACK_MS);
		int events =
		    wait_for_events(&up, &down, short_wait ? RELAY_ACK_MS : (int)timeout_ms);
		if (events < 0)
			break;
		if (events == 0 && short_wait) {
			acknowledge(&client);
			unanswered = false;
		}
	}
	free(up.buffer);
	free(down.buffer);
	channel_close(&session);
	if (down.state == FLOW_DONE && !down.broken)
		relay_linger(&client);
	channel_close(&client);
}

static void flow_init(struct flow *f, struct channel *from, struct channel *to, struct span first)
{
	*f = (struct flow){.from = from, .to = to};
	if (first.n == 0)
		return;
	assert(first.n <= RELAY_BUFFER_BYTES);
	f->buffer = xmalloc(RELAY_BUFFER_BYTES);
	memcpy(f->buffer, first.p, first.n);
	f->end = first.n;
}

/* Moves what can be moved without waiting. True when anything changed. */
static bool flow_step(struct flow *f)
{
	bool moved = false;

	f->read_wait = f->write_wait = 0;
	if (f->state == FLOW_DONE)
		return false;
	if (f->start == f->end && f->state == FLOW_OPEN)
		moved = flow_fill(f);
	if (f->start < f->end)
		moved = flow_drain(f) || moved;
	if (f->start == f->end && f->state == FLOW_ENDING) {
		flow_end(f);
		moved = moved || f->state == FLOW_DONE;
	}
	return moved;
}

static bool flow_fill(struct flow *f)
{
	if (!f->buffer)
		f->buffer = xmalloc(RELAY_BUFFER_BYTES);
	short wait = POLLIN;
	ssize_t n = f->from->ops->read(f->from->context, f->buffer, RELAY_BUFFER_BYTES, &wait);
	f->start = 0;
	f->end = n > 0 ? (size_t)n : 0;
	if (n > 0 && f->broken)
		f->end = 0;
	if (f->end == 0) {
		free(f->buffer); /* an idle connection holds no buffer */
		f->buffer = NULL;
	}
	if (n == -EAGAIN)
		f->read_wait = wait;
	else if (n <= 0)
		f->state = FLOW_ENDING; /* a reset is the end, too */
	return n != -EAGAIN;
}

static bool flow_drain(struct flow *f)
{
	short wait = POLLOUT;
	ssize_t n =
	    f->to->ops->write(f->to->context, f->buffer + f->start, f->end - f->start, &wait);
	if (n == -EAGAIN) {
		f->write_wait = wait;
		return false;
	}
	if (n <= 0) {
		f->broken = true;
		f->start = f->end;
	} else {
		f->start += (size_t)n;
	}
	if (f->start == f->end) {
		free(f->buffer);
		f->buffer = NULL;
	}
	return true;
}

static void flow_end(struct flow *f)
{
	short wait = POLLOUT;
	int rc = f->broken ? 0 : f->to->ops->shutdown(f->to->context, &wait);

	if (rc == -EAGAIN)
		f->write_wait = wait;
	else
		f->state = FLOW_DONE;
}

/* How many ends have events, 0 after the time or a signal, or negative errno. */
static int wait_for_events(const struct flow *up, const struct flow *down, int timeout_ms)
{
	/* "up" reads from the client and "down" writes to it; the session the other way round. A
	 * TLS channel may wait for either direction of its fd in both. */
	const struct {
		const struct channel *channel;
		short wait;
	} parties[] = {
	    {up->from, (short)(up->read_wait | down->write_wait)},
	    {up->to, (short)(up->write_wait | down->read_wait)},
	};
	struct pollfd p[4];
	nfds_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(parties); i++) {
		if (parties[i].wait & POLLIN)
			p[n++] = (struct pollfd){.fd = parties[i].channel->fd_in, .events = POLLIN};
		if (parties[i].wait & POLLOUT)
			p[n++] =
			    (struct pollfd){.fd = parties[i].channel->fd_out, .events = POLLOUT};
	}
	/*
	 * An end that is polled for nothing reports its hangup all the same where it is polled at
	 * all; where it is not, the other direction's next write finds out.
	 */
	int ready = stop_poll(p, n, timeout_ms);
	if (ready < 0 && errno != EINTR)
		return -errno;
	return MAX(ready, 0);
}

/*
 * A client without TCP_NODELAY keeps a small write to itself until all before it is acknowledged:
 * the line end behind APPEND's message, often. The kernel delays that by 40 ms, hoping for an
 * answer that it could ride on, and the session waits for the line end. So what is not answered
 * soon is acknowledged alone.
 */
static void acknowledge(const struct channel *client)
{
	(void)setsockopt(client->fd_in, IPPROTO_TCP, TCP_QUICKACK, &(int){1}, sizeof(int));
}

void relay_linger(struct channel *client)
{
	int64_t deadline_ms = monotonic_ms() + RELAY_LINGER_MS;
	char dropped[1024];

	for (;;) {
		short wait = POLLIN;
		ssize_t n = client->ops->read(client->context, dropped, sizeof(dropped), &wait);
		int64_t left_ms = deadline_ms - monotonic_ms();
		if ((n <= 0 && n != -EAGAIN) || left_ms <= 0)
			return;
		struct pollfd p = {.fd = client->fd_in, .events = wait};
		if (n == -EAGAIN && poll(&p, 1, (int)left_ms) <= 0)
			return;
	}
}
