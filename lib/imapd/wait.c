/*
 * Waiting: for the next command and inside IDLE, in one poll on the peer and the change
 * notification, until the credential ends, a signal comes or the client has been silent too long.
 * In the middle of a line or literal the stream waits, and looks after the same
 * (stream_set_watch()); in the middle of a response it looks after the credential.
 *
 * SIGTERM between the look at the flag and the poll would be missed until the next wake-up: the
 * handler therefore arms a timer, and SIGALRM runs the same handler again, every second, until the
 * flag was seen. A command that still runs IMAPD_STOP_S seconds later is cut off where it stands:
 * every change of the store is a transaction.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "imapd/connection.h"
#include "sys/log.h"

static int look(void *context);
static int look_writing(void *context);
static bool go_on(struct imapd *c);
static bool look_at_changes(struct imapd *c);
static void look_at_account(struct imapd *c);
static void look_at_clock(struct imapd *c);
static void withdraw(struct imapd *c, enum login_result result);
static void drain(int fd);
static int wait_slice_ms(const struct imapd *c, int64_t until_ms);
static void on_signal(int number);

/* Written by the signal handler alone; a process serves one connection. */
static volatile sig_atomic_t must_stop;

void imapd_wait_start(struct imapd *c)
{
	struct sigaction action = {.sa_handler = on_signal};
	sigemptyset(&action.sa_mask);
	(void)sigaction(SIGTERM, &action, NULL); /* without it the default holds: death, no BYE */
	(void)sigaction(SIGALRM, &action, NULL);
	imapd_note_expiry(c);
	c->line_until_ms = INT64_MAX;
	stream_set_watch(
	    c->peer, (struct stream_watch){c->session->changes_fd, look, look_writing, c});
}

void imapd_note_expiry(struct imapd *c)
{
	int64_t expires_s = c->session->login.expires_s;
	c->expires_ms = INT64_MAX;
	if (expires_s)
		c->expires_ms = monotonic_ms() + MAX(expires_s * 1000 - wall_ms(), 0);
	stream_set_deadline(
	    c->peer, expires_s ? c->expires_ms + IMAPD_WITHDRAWN_GRACE_MS : INT64_MAX);
}

enum wake imapd_wait(struct imapd *c, bool want_changes)
{
	int64_t until_ms = monotonic_ms() + IMAPD_READ_TIMEOUT_MS;
	int changes_fd = c->session->changes_fd;
	for (;;) {
		/* may take the events that are waited for: they are to be seen first */
		if (stream_flush(c->peer) < 0)
			c->ended = true;
		if (!go_on(c))
			return WAKE_END;
		bool stirred = c->stirred;
		c->stirred = false;
		int ready = stirred ? STREAM_READY_OTHER
				    : stream_wait(c->peer, changes_fd, wait_slice_ms(c, until_ms));
		if (ready == -EINTR)
			continue;
		if (ready < 0) {
			c->ended = true;
			return WAKE_END;
		}
		if ((ready & STREAM_READY_OTHER || changes_fd < 0) && !imapd_look_around(c))
			return WAKE_END;
		if (ready & STREAM_READY_INPUT)
			return WAKE_INPUT;
		if (want_changes && c->view && view_is_stale(c->view))
			return WAKE_CHANGES;
		if (monotonic_ms() >= until_ms) {
			imapd_bye(c, "Nothing was said for 30 minutes");
			return WAKE_END;
		}
	}
}

bool imapd_look_around(struct imapd *c)
{
	(void)look_at_changes(c); /* whoever waits for them asks the view next */
	return go_on(c);
}

bool imapd_is_withdrawn(struct imapd *c)
{
	int64_t now_ms = monotonic_ms();
	if (now_ms >= c->next_look_ms) {
		c->next_look_ms = now_ms + IMAPD_LOOK_MS;
		c->stirred = look_at_changes(c) || c->stirred;
	}
	look_at_clock(c);
	return c->withdrawn != LOGIN_OK && !go_on(c);
}

void imapd_line_begins(struct imapd *c)
{
	int timeout_ms = fault("short-lines") ? IMAPD_POLL_MS : IMAPD_LINE_TIMEOUT_MS;
	c->line_until_ms = monotonic_ms() + timeout_ms;
}

bool imapd_line_ends(struct imapd *c)
{
	c->line_until_ms = INT64_MAX;
	return imapd_look_around(c);
}

enum line_result imapd_read_line(struct imapd *c, size_t max, struct str *line)
{
	imapd_line_begins(c);
	enum line_result read = stream_read_line(c->peer, max, line);
	return imapd_line_ends(c) ? read : LINE_ERROR;
}

/* Of the stream: each time that a read must wait. */
static int look(void *context)
{
	struct imapd *c = context;
	if (imapd_look_around(c) && monotonic_ms() >= c->line_until_ms)
		imapd_bye(c, "The command took too long");
	return c->ended ? -ECANCELED : wait_slice_ms(c, c->line_until_ms);
}

/* Likewise, each time that a write must wait; BYE cannot be said in the middle of a response. */
static int look_writing(void *context)
{
	struct imapd *c = context;
	c->stirred = look_at_changes(c) || c->stirred;
	look_at_clock(c);
	bool is_over = c->ended || c->withdrawn != LOGIN_OK;
	return is_over ? INT32_MAX : wait_slice_ms(c, INT64_MAX);
}

/* Says BYE and answers false when the connection must end. */
static bool go_on(struct imapd *c)
{
	look_at_clock(c);
	if (c->withdrawn != LOGIN_OK) {
		imapd_bye(c, c->withdrawn == LOGIN_DISABLED ? "This account was disabled"
			     : c->withdrawn == LOGIN_EXPIRED
				 ? "The credential of this session has expired"
				 : "The credential of this session was withdrawn");
		return false;
	}
	if (must_stop && !c->in_message) {
		(void)alarm(0);
		imapd_bye(c, "The server is going down");
		return false;
	}
	return !c->ended;
}

/* Says nothing to the client. True: there were events, of the account or of its mail. */
static bool look_at_changes(struct imapd *c)
{
	struct pollfd p = {.fd = c->session->changes_fd, .events = POLLIN};
	bool has_events = p.fd >= 0 && poll(&p, 1, 0) > 0;
	if (has_events)
		drain(p.fd);
	if (has_events || p.fd < 0)
		look_at_account(c);
	return has_events;
}

/* If the account was changed, looks the session's credential up again. */
static void look_at_account(struct imapd *c)
{
	struct stat st = {0}; /* never touched */
	if (c->ended || c->withdrawn != LOGIN_OK)
		return;
	/* not by path: the cage refuses stat, which would show other accounts' files too */
	int fd = openat(c->session->account_fd, "changes", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0 && fstat(fd, &st) < 0)
		st.st_mtim = (struct timespec){0};
	close_fd(&fd);
	if (st.st_mtim.tv_sec == c->account_changed.tv_sec &&
	    st.st_mtim.tv_nsec == c->account_changed.tv_nsec)
		return;
	/* a clock that ticks every few ms may give the next one the same time: look again then */
	int64_t age_ms = wall_ms() - st.st_mtim.tv_sec * 1000;
	c->account_changed = age_ms > IMAPD_FRESH_MS ? st.st_mtim : (struct timespec){.tv_sec = -1};
	enum login_result result = session_still_valid(c->session);
	if (result == LOGIN_OK)
		imapd_note_expiry(c); /* may be another one now */
	else
		withdraw(c, result);
}

static void look_at_clock(struct imapd *c)
{
	if (!c->ended && c->withdrawn == LOGIN_OK && monotonic_ms() >= c->expires_ms)
		withdraw(c, LOGIN_EXPIRED);
}

static void withdraw(struct imapd *c, enum login_result result)
{
	c->withdrawn = result;
	log_line(LOG_LEVEL_NOTICE, "session ended: %s", login_result_name(result));
	stream_set_deadline(c->peer, monotonic_ms() + IMAPD_WITHDRAWN_GRACE_MS);
}

/* inotify events: that there are some is all that is of interest. The fd is non-blocking. */
static void drain(int fd)
{
	char events[4096] __attribute__((aligned(8)));
	while (read(fd, events, sizeof(events)) == (ssize_t)sizeof(events))
		;
}

static int wait_slice_ms(const struct imapd *c, int64_t until_ms)
{
	int64_t now_ms = monotonic_ms();
	int64_t left_ms = MIN(until_ms, c->expires_ms) - now_ms;
	if (c->session->changes_fd < 0)
		left_ms = MIN(left_ms, IMAPD_POLL_MS);
	return (int)MIN(MAX(left_ms, 0), INT32_MAX);
}

static void on_signal(int number)
{
	(void)number;
	if (++must_stop > IMAPD_STOP_S)
		_exit(EXIT_SUCCESS);
	(void)alarm(1);
}
