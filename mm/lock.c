// SPDX-License-Identifier: MIT
/*
 * A mutex of four bytes on a futex, in three states after "Futexes Are Tricky"
 * (U. Drepper): 0 free, 1 taken, 2 taken and perhaps waited for.
 *
 * pthread_mutex_t is not used because it is ten times as large, and thousands
 * of these sit in cache_node structs; and because no interposer may see it.
 */
#include "internal.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <asm/barrier.h>

/*
 * Rounds before sleeping. What is done under our locks takes under 10 us; a
 * holder that is not back after this many pauses has lost its CPU.
 */
#define SPINS 128

void lock_slow(struct lock *l)
{
	int saved = errno;

	for (int i = 0; i < SPINS; i++) {
		cpu_relax();
		if (READ_ONCE(l->state) == 0 && trylock(l))
			return;
	}
	while (__atomic_exchange_n(&l->state, 2, __ATOMIC_ACQUIRE))
		syscall(SYS_futex, &l->state, FUTEX_WAIT_PRIVATE, 2, NULL);
	errno = saved;
}

void lock_wake(struct lock *l)
{
	int saved = errno;

	syscall(SYS_futex, &l->state, FUTEX_WAKE_PRIVATE, 1);
	errno = saved;
}

void nofail_pause(unsigned int round)
{
	long ms = min(1L << min(round, 7U), 100L);
	struct timespec t = { .tv_nsec = ms * 1000000 };

	nanosleep(&t, NULL);
}
