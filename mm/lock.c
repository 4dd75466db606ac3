// SPDX-License-Identifier: MIT
/*
 * A mutex of four bytes on a futex: 0 is free, otherwise it holds the number of
 * its owner and a bit that says that somebody may be waiting.
 *
 * pthread_mutex_t is not used because it is ten times as large, and thousands
 * of these sit in cache_node structs; and because no interposer may see it.
 *
 * The owner is there for two cases that would hang without a word:
 *   a thread waits for itself: a signal handler allocates and has interrupted
 *   what it calls, or has left it by longjmp(). That is reported;
 *   a thread waits for one that forks, which waits for all inside of the gate
 *   (mm/fork.c). It waits outside, then.
 * The second begins while somebody sleeps already and nobody could wake him, so
 * a sleep ends by itself; one that long is too rare to cost anything.
 */
#include "internal.h"
#include "syscalls.h"

#include <linux/futex.h>
#include <asm/barrier.h>

/*
 * Rounds before sleeping. What is done under our locks takes under 10 us; a
 * holder that is not back after this many pauses has lost its CPU.
 */
#define SPINS 128

static const struct timespec nap = { .tv_nsec = 10 * 1000000 };

static void check_owner(u32 owner)
{
	if (unlikely(owner == thread_self.tag && owner != TAG_SHARED))
		bug("BUG: called by a signal handler that interrupted the library "
		    "in the same thread, or after one left it by longjmp(): it "
		    "would wait for itself");
}

/* Sleeps unless the lock is another's now, or free. Was it a whole nap? */
static bool wait_for(struct lock *l, u32 state)
{
	u32 waited = state | LOCK_WAITERS;

	if (state != waited &&
	    !__atomic_compare_exchange_n(&l->state, &state, waited, false,
					 __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		return false;
	return syscall(SYS_futex, &l->state, FUTEX_WAIT_PRIVATE, waited,
		       &nap) && errno == ETIMEDOUT;
}

/* With the bit, since others may sleep. */
static bool take(struct lock *l, u32 state)
{
	return __atomic_compare_exchange_n(&l->state, &state, thread_tag() |
					   LOCK_WAITERS, false,
					   __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static void lock_sleep(struct lock *l)
{
	unsigned int outside = 0, naps = 0;
	u32 state, owner;

	for (;;) {
		state = READ_ONCE(l->state);
		owner = state & ~LOCK_WAITERS;
		if (owner && !gate_owner_gone(owner)) {
			check_owner(owner);
			naps += wait_for(l, state);
			if (!outside)
				outside = gate_leave(l, owner, naps);
		} else if (outside) {
			/* Nobody takes a lock outside of the gate. */
			gate_return(l, outside);
			outside = 0;
		} else if (take(l, state)) {
			return;
		}
	}
}

void lock_slow(struct lock *l)
{
	int saved = errno;

	check_owner(READ_ONCE(l->state) & ~LOCK_WAITERS);
	for (int i = 0; i < SPINS; i++) {
		cpu_relax();
		if (READ_ONCE(l->state) == 0 && trylock(l))
			return;
	}
	lock_sleep(l);
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

	sys_sleep(&t);
}
