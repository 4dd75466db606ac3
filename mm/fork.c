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
 * only the outermost counts.
 *
 * A signal handler may fork, and may have interrupted a slow path. What that
 * one holds stays held until the handler returns, and whoever waits for it
 * inside would never leave. So a thread that waits for a lock, while a fork
 * waits for it, leaves the gate for as long (gate_leave(), from lock_slow()):
 *   at once, if the lock is the forking thread's;
 *   after ten naps, if it is another's. That one either goes on, and no more
 *   than time is lost, or it has left the gate too, with the lock in its hands:
 *   one that shrinks has slab_mutex and drain_mutex while it takes others, one
 *   that brings memory up has zone.turn while it takes zone.lock.
 * So everybody inside either runs or leaves, whatever the order of locks, and
 * fork() goes on. Before it takes the lock, a thread that left comes back in,
 * and waits for the gate to open. Nothing is changed by who is not inside.
 *
 * The child has none of these threads:
 *   What they had in their hands is lost to it: of each thread at most a sheaf
 *   or two and a slab, or a run of pageblocks on its way up or down.
 *   The locks they held are free for the taking (gate_owner_gone()), whose
 *   owners' numbers it knows to be gone. Each is a lock under which its owner
 *   went to wait for another one, and there the data is whole: the list of
 *   caches is changed by single stores with no wait in between, a turn covers
 *   no data, a sheaf leaves its barn before the pool takes it. Only slots that
 *   a shrinker had closed and not emptied yet are opened again
 *   (percpu_after_fork()).
 *
 * A handler may also interrupt a fork() of its own thread, and allocate or fork
 * there: fork()s nest, and the gate opens with the outermost.
 *
 * Two handlers that fork at once, both inside of a slow path, cannot both have
 * that: the first one's child has the other's slow path half done. It is the
 * same for a handler that allocates inside of one. Such a child can exec and
 * exit; a lock of theirs is reported when the child comes to need it.
 */
#define _GNU_SOURCE
#include "fork.h"
#include "percpu.h"
#include "debug/slab_debug.h"
#include "syscalls.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>

/* Counters of those inside, spread so that CPUs do not share a line. */
#define NR_COUNTERS	64

/* Naps that a thread takes inside, when it is not the forking one's lock. */
#define LONG_WAIT	10

/* Rounds of sched_yield() before who waits for the others sleeps. */
#define YIELDS		100

static struct {
	u32 shut;		/* also the futex of those who wait outside */
	u32 forker;		/* the tag of who shut it last */
	u32 torn;		/* have left within something half done */
	struct lock forking;	/* one fork() at a time */
	u32 level;		/* of fork()s inside of one another */
	u64 took, found_shut;	/* what each of them did and saw: a bit a level */
	u64 mine;		/* the forking thread's counter, of it alone */
	struct {
		/* Their number, and the sum of their tags in the upper half. */
		u64 inside;
	} __aligned(64) count[NR_COUNTERS];
} gate;

/* In a child: tags that threads of the parent had. */
static struct {
	u32 upto;		/* 0 where this process is nobody's child */
	u32 survivor;		/* but for this one's */
	bool torn;
} gone;

__thread struct thread_self thread_self;
static u64 nr_threads;		/* that ever had a tag */

/* A signal handler may have been here meanwhile: its number stays. */
noinline u32 thread_tag_slow(void)
{
	u64 n = __atomic_add_fetch(&nr_threads, 1, __ATOMIC_RELAXED);
	u32 none = 0, tag = n < TAG_SHARED / 2 ? (u32)n * 2 : TAG_SHARED;

	__atomic_compare_exchange_n(&thread_self.tag, &none, tag, false,
				    __ATOMIC_RELAXED, __ATOMIC_RELAXED);
	return thread_self.tag;
}

/* Threads' thread-local areas lie at least a page apart. */
static unsigned int my_counter(void)
{
	uintptr_t self = (uintptr_t)&thread_self >> 12;

	return (self ^ self >> 6 ^ self >> 12) % NR_COUNTERS;
}

static void wait_outside(void)
{
	int saved = errno;

	syscall(SYS_futex, &gate.shut, FUTEX_WAIT_PRIVATE, 1, NULL);
	errno = saved;
}

static u64 my_count(void)
{
	return ((u64)thread_tag() << 32) + 1;
}

/*
 * What a signal handler finds in between is known but for one instruction: it
 * is inside when depth says so, and perhaps when it does not (others_inside()).
 */
static void count_in(unsigned int i)
{
	for (;;) {
		/* Pairs with gate_shut(): one of the two sees the other. */
		__atomic_fetch_add(&gate.count[i].inside, my_count(),
				   __ATOMIC_SEQ_CST);
		if (likely(!__atomic_load_n(&gate.shut, __ATOMIC_SEQ_CST)))
			return;
		__atomic_fetch_sub(&gate.count[i].inside, my_count(),
				   __ATOMIC_RELEASE);
		wait_outside();
	}
}

static void count_out(unsigned int i)
{
	__atomic_fetch_sub(&gate.count[i].inside, my_count(),
			   __ATOMIC_RELEASE);
}

unsigned int gate_enter(void)
{
	unsigned int i = my_counter();

	if (!thread_self.depth)
		count_in(i);
	barrier();
	thread_self.depth++;
	return i;
}

void gate_exit(unsigned int ticket)
{
	thread_self.depth--;
	barrier();
	if (thread_self.depth)
		return;
	count_out(ticket);
	if (unlikely(READ_ONCE(faults_waiting)))
		faults_report();
}

/* --- who waits for a lock while a fork waits for it --- */

/*
 * Is more half done than the wait for @l? Within a handler that allocates, or
 * that forks itself; of a constructor it is not known, and said too.
 */
static bool is_torn(const struct lock *l, unsigned int depth)
{
	return l == &gate.forking || depth > 1;
}

/* The depth that the thread had, or 0 if it stays. */
unsigned int gate_leave(const struct lock *l, u32 owner, unsigned int naps)
{
	unsigned int depth = thread_self.depth;
	u32 forker;

	if (!depth || !__atomic_load_n(&gate.shut, __ATOMIC_SEQ_CST))
		return 0;
	forker = READ_ONCE(gate.forker);
	if (forker == thread_self.tag || (owner != forker && naps < LONG_WAIT))
		return 0;
	if (is_torn(l, depth))
		__atomic_fetch_add(&gate.torn, 1, __ATOMIC_RELAXED);
	thread_self.depth = 0;
	barrier();
	count_out(my_counter());
	return depth;
}

void gate_return(const struct lock *l, unsigned int depth)
{
	count_in(my_counter());
	barrier();
	thread_self.depth = depth;
	if (is_torn(l, depth))
		__atomic_fetch_sub(&gate.torn, 1, __ATOMIC_RELAXED);
}

bool thread_is_gone(u32 tag)
{
	return tag <= gone.upto && tag != gone.survivor && tag != TAG_SHARED;
}

bool gate_owner_gone(u32 owner)
{
	if (likely(!thread_is_gone(owner)))
		return false;
	if (gone.torn)
		bug("fork: a lock was held by a thread that is not in this child, "
		    "in the middle of a change: two signal handlers forked, or "
		    "one allocated");
	return true;
}

/* --- fork() --- */

/*
 * Of its own counter it is known whether the thread is in it, but for a frame
 * that a signal handler interrupted on its way in or out: then the tags say
 * whose it is that is more than should be. Each level of fork() has added one
 * to the depth, or is about to.
 */
static bool is_mine(u64 word)
{
	u32 nr = (u32)word, tags = word >> 32;
	u32 known = thread_self.depth > gate.level;

	if (nr == known)
		return tags == nr * thread_self.tag;
	return nr == known + 1 && thread_self.tag != TAG_SHARED &&
		tags == nr * thread_self.tag;
}

static bool others_inside(void)
{
	unsigned int mine = my_counter();

	for (unsigned int i = 0; i < NR_COUNTERS; i++) {
		u64 word = __atomic_load_n(&gate.count[i].inside,
					   __ATOMIC_SEQ_CST);

		if (i == mine)
			gate.mine = word;
		if (i == mine ? !is_mine(word) : word != 0)
			return true;
	}
	return false;
}

/*
 * A handler of this thread's may run at any instruction of these two, and
 * allocate: it is inside as long as the gate is shut. Or fork: then it leaves
 * all as it found it. So what says that it is within a fork() comes first and
 * goes last.
 */
static void gate_shut(void)
{
	static const struct timespec pause = { .tv_nsec = 100000 };
	bool take = !thread_self.tag || !lock_is_mine(&gate.forking);

	if (take)
		lock(&gate.forking);
	gate.took = gate.took << 1 | take;
	gate.found_shut = gate.found_shut << 1 | gate.shut;
	WRITE_ONCE(gate.level, gate.level + 1);
	barrier();
	thread_self.depth++;
	barrier();
	WRITE_ONCE(gate.forker, thread_self.tag);
	__atomic_store_n(&gate.shut, 1, __ATOMIC_SEQ_CST);
	for (unsigned int i = 0; others_inside(); i++) {
		if (i < YIELDS)
			sched_yield();
		else
			sys_sleep(&pause);
	}
}

static void gate_open(void)
{
	int saved = errno;
	bool took = gate.took & 1;

	if (!(gate.found_shut & 1)) {
		__atomic_store_n(&gate.shut, 0, __ATOMIC_SEQ_CST);
		syscall(SYS_futex, &gate.shut, FUTEX_WAKE_PRIVATE, INT32_MAX);
	}
	thread_self.depth--;
	barrier();
	WRITE_ONCE(gate.level, gate.level - 1);
	barrier();
	gate.took >>= 1;
	gate.found_shut >>= 1;
	if (took)
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
	int saved = errno;

	gate_shut();
	if (has_heap()) {
		warm_fork_prepare();
		hugetlb_fork_prepare();
	}
	errno = saved;
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
	gate.count[my_counter()].inside = gate.mine;
	gone.upto = (u32)min(nr_threads * 2, (u64)TAG_SHARED);
	gone.survivor = thread_self.tag;
	gone.torn |= gate.torn != 0;
	gate.torn = 0;
}

static void after_fork_in_child(void)
{
	forget_others();
	if (has_heap()) {
		/* First the heap: in a copy it is not mapped until then. */
		hugetlb_fork_child();
		percpu_after_fork();
		vmscan_after_fork();
		stats_after_fork();
		shrinker_after_fork();
		mempool_after_fork();
		counter_after_fork();
		pools_after_fork();
		profile_after_fork();
	}
	/* Also where no memory has been asked for yet. */
	kswapd_after_fork();
	gate_open();
}

/*
 * Once, by a constructor or, if that is earlier, by the first call of the
 * library: a fork() that began before the handlers were there would not run
 * them, and the child would get what another thread had done so far. And our
 * part of the preparation must be the last one done, that is, registered before
 * all others: theirs may wait for threads that allocate. Where this library is
 * preloaded, those of the program have their constructors run first.
 */
int fork_init(void)
{
	static bool registered;
	static int error;

	if (!__atomic_exchange_n(&registered, true, __ATOMIC_RELAXED))
		error = -pthread_atfork(before_fork, after_fork_in_parent,
					after_fork_in_child);
	return error;
}

/* Some 50 ns, no allocation. */
static __attribute__((constructor(101))) void fork_constructor(void)
{
	fork_init();
}
