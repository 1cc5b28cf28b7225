#include "sys/stop.h"

#include <signal.h>

/* A signal handler has nowhere else to say it. */
static volatile sig_atomic_t requested;
static bool caught;

static void on_sigterm(int number)
{
	(void)number;
	requested = 1;
}

static void set(int how, void (*handler)(int))
{
	struct sigaction action = {.sa_handler = handler};
	sigset_t set;

	(void)sigemptyset(&set); /* none of these can fail for a valid signal */
	(void)sigaddset(&set, SIGTERM);
	(void)sigaction(SIGTERM, &action, NULL);
	(void)sigprocmask(how, &set, NULL);
	caught = how == SIG_BLOCK;
}

void stop_catch(void)
{
	set(SIG_BLOCK, on_sigterm);
}

void stop_release(void)
{
	set(SIG_UNBLOCK, SIG_DFL);
}

bool stop_requested(void)
{
	return requested;
}

int stop_poll(struct pollfd *p, nfds_t n, int timeout_ms)
{
	const struct timespec timeout = {timeout_ms / 1000, timeout_ms % 1000 * 1000000};
	sigset_t none;

	(void)sigemptyset(&none);
	return ppoll(p, n, timeout_ms < 0 ? NULL : &timeout, caught ? &none : NULL);
}
