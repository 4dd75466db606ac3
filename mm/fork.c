// SPDX-License-Identifier: MIT
/*
 * fork() while other threads allocate.
 *
 * Every slow path is inside a gate. fork() shuts the gate and waits until all
 * who were inside have left: then no lock is held and nothing is in anyone's
 * hands, so the child needs no repair. Who comes meanwhile waits outside.
 *
 * The fast paths go on. Each changes one sheaf by one store, and a write to a
 * page that fork() has already copied waits in its fault until fork() is done;
 * so the child sees of each thread a prefix of what it did, and never the use
 * of an object without the step that took it.
 *
 * A slow path may be entered again inside itself (a constructor allocates);
 * only the outermost counts. A signal handler that forks inside of one waits
 * for all others.
 */
#define _GNU_SOURCE
#include "percpu.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Counters of those inside, spread so that CPUs do not share a line. */
#define NR_COUNTERS	64

static struct {
	u32 shut;		/* also the futex of those who wait outside */
	struct lock forking;	/* one fork() at a time */
	struct {
		u32 inside;
	} __aligned(64) count[NR_COUNTERS];
} gate;

static __thread unsigned int depth;	/* of this thread inside the gate */

/* Threads' thread-local areas lie at least a page apart. */
static unsigned int my_counter(void)
{
	uintptr_t self = (uintptr_t)&depth >> 12;

	return (self ^ self >> 6 ^ self >> 12) % NR_COUNTERS;
}

static void wait_outside(void)
{
	int saved = errno;

	syscall(SYS_futex, &gate.shut, FUTEX_WAIT_PRIVATE, 1, NULL);
	errno = saved;
}

unsigned int gate_enter(void)
{
	unsigned int i = my_counter();

	if (depth++)
		return i;
	for (;;) {
		/* Pairs with gate_shut(): one of the two sees the other. */
		__atomic_fetch_add(&gate.count[i].inside, 1, __ATOMIC_SEQ_CST);
		if (likely(!__atomic_load_n(&gate.shut, __ATOMIC_SEQ_CST)))
			return i;
		__atomic_fetch_sub(&gate.count[i].inside, 1, __ATOMIC_RELEASE);
		wait_outside();
	}
}

void gate_exit(unsigned int ticket)
{
	if (--depth == 0)
		__atomic_fetch_sub(&gate.count[ticket].inside, 1,
				   __ATOMIC_RELEASE);
}

static u32 inside(void)
{
	u32 n = 0;

	for (int i = 0; i < NR_COUNTERS; i++)
		n += __atomic_load_n(&gate.count[i].inside, __ATOMIC_SEQ_CST);
	return n;
}

static void gate_shut(void)
{
	lock(&gate.forking);
	__atomic_store_n(&gate.shut, 1, __ATOMIC_SEQ_CST);
	while (inside() > (depth ? 1 : 0))
		sched_yield();
	/* Handlers of others, between ours and fork(), may allocate. */
	depth++;
}

static void gate_open(void)
{
	int saved = errno;

	depth--;
	__atomic_store_n(&gate.shut, 0, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, &gate.shut, FUTEX_WAKE_PRIVATE, INT32_MAX);
	unlock(&gate.forking);
	errno = saved;
}

/* Initialisation is inside the gate too, so this cannot change while shut. */
static bool has_heap(void)
{
	return smp_load_acquire(&mm_initialised) && !mm_init_error();
}

static void before_fork(void)
{
	gate_shut();
	if (has_heap())
		hugetlb_fork_prepare();
}

static void after_fork_in_parent(void)
{
	if (has_heap())
		hugetlb_fork_parent();
	gate_open();
}

/* Who was about to find the gate shut and turn back is not in the child. */
static void forget_others(void)
{
	for (int i = 0; i < NR_COUNTERS; i++)
		gate.count[i].inside = 0;
	if (depth > 1)
		gate.count[my_counter()].inside = 1;
}

static void after_fork_in_child(void)
{
	forget_others();
	if (has_heap()) {
		/* First the heap: in a copy it is not mapped until then. */
		hugetlb_fork_child();
		percpu_after_fork();
	}
	gate_open();
}

static int atfork_error;

/*
 * At load, though it is work in a constructor (some 50 ns, no allocation), and
 * first of all, so that our part of the preparation is the last one done: a
 * fork() that began before the handlers were there would not run them, and the
 * child would get what another thread had done of the initialisation so far.
 */
static __attribute__((constructor(101))) void fork_constructor(void)
{
	atfork_error = -pthread_atfork(before_fork, after_fork_in_parent,
				       after_fork_in_child);
}

int fork_init(void)
{
	return atfork_error;
}
