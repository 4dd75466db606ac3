// SPDX-License-Identifier: MIT
/*
 * SIGINT and SIGTERM half-way: the run that is measured is ended, and what was
 * measured before it is printed.
 */
#include <signal.h>
#include "slabbench.h"

static const int signals[] = { SIGINT, SIGTERM };
static int caught;	/* any thread may get the signal */

static void note(int sig)
{
	__atomic_store_n(&caught, sig, __ATOMIC_RELAXED);
}

/* A second one ends the program as ever. */
void interrupt_catch(void)
{
	struct sigaction old, sa = {
		.sa_handler = note,
		.sa_flags = SA_RESTART | SA_RESETHAND,
	};

	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		/* Whoever had it ignored, as nohup does, meant it. */
		if (!sigaction(signals[i], NULL, &old) &&
		    old.sa_handler != SIG_IGN)
			sigaction(signals[i], &sa, NULL);
}

bool interrupted(void)
{
	return __atomic_load_n(&caught, __ATOMIC_RELAXED);
}

/* Around a fork(), so that a signal does not go to the handler's copy. */
void interrupt_block(void)
{
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		sigaddset(&set, signals[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

void interrupt_unblock(bool child)
{
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		struct sigaction old;

		sigaddset(&set, signals[i]);
		if (child && !sigaction(signals[i], NULL, &old) &&
		    old.sa_handler == note)
			signal(signals[i], SIG_DFL);
	}
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}
