// SPDX-License-Identifier: MIT
/*
 * Eviction: which entries may go, who goes next, and how that is decided with
 * its owner, outside of the lock.
 *
 * A victim that stays is put behind all others, by whatever policy they are
 * chosen: whoever asks often enough has asked each.
 */
#include "fork.h"
#include "pools.h"

#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

/**
 * struct victims - entries that nobody has pinned, and that are not asked about
 * @nr: of them
 * @nr_fresh: of those, the first in @all, that did not stay when asked;
 *	RN_POOLS_RANDOM
 * @all: likewise, in no order
 * @oldest: the list by when they were unpinned; RN_POOLS_LRU
 * @newest: its other end
 * @random: state of the generator
 * @asked: bytes of entries that are being asked about, or freed
 * @decided: counts those that were; a futex
 * @nr_waiting: threads that wait for that
 */
static struct {
	size_t nr, nr_fresh;
	struct entry **all;
	struct entry *oldest, *newest;
	u64 random;
	long asked;
	u32 decided;
	u32 nr_waiting;
} victims;

int victims_init(size_t nr)
{
	victims.random = slab_secret | 1;
	if (pools.options.victim != RN_POOLS_RANDOM)
		return 0;
	victims.all = rn_alloc(nr * sizeof(*victims.all), RN_KERNEL);
	return victims.all ? 0 : -ENOMEM;
}

void victims_end(void)
{
	rn_free(victims.all);
	victims.all = NULL;
	victims.oldest = NULL;
	victims.newest = NULL;
	WRITE_ONCE(victims.nr, 0);
	victims.nr_fresh = 0;
}

/* --- in no order --- */

static void put_at(struct entry *e, size_t at)
{
	victims.all[at] = e;
	e->at = at;
}

/* Behind those that were not asked yet, or behind all. */
static void array_add(struct entry *e, bool fresh)
{
	size_t at = victims.nr;

	if (fresh) {
		if (victims.nr_fresh < victims.nr)
			put_at(victims.all[victims.nr_fresh], at);
		at = victims.nr_fresh++;
	}
	put_at(e, at);
}

/* Its place goes to the last of its part, that one's to the last of all. */
static void array_remove(struct entry *e)
{
	size_t at = e->at;

	if (at < victims.nr_fresh) {
		put_at(victims.all[--victims.nr_fresh], at);
		at = victims.nr_fresh;
	}
	if (at < victims.nr - 1)
		put_at(victims.all[victims.nr - 1], at);
}

/* Marsaglia's xorshift64 (Xorshift RNGs, 2003). */
static u64 next_random(void)
{
	victims.random ^= victims.random << 13;
	victims.random ^= victims.random >> 7;
	victims.random ^= victims.random << 17;
	return victims.random;
}

static struct entry *array_pick(void)
{
	if (!victims.nr_fresh)
		victims.nr_fresh = victims.nr;
	return victims.nr ? victims.all[next_random() % victims.nr_fresh] :
	       NULL;
}

/* --- in the order of time --- */

static void list_add(struct entry *e)
{
	e->newer = NULL;
	e->older = victims.newest;
	if (e->older)
		e->older->newer = e;
	else
		victims.oldest = e;
	victims.newest = e;
}

static void list_remove(struct entry *e)
{
	if (e->older)
		e->older->newer = e->newer;
	else
		victims.oldest = e->newer;
	if (e->newer)
		e->newer->older = e->older;
	else
		victims.newest = e->older;
}

/* --- whichever it is --- */

static void add(struct entry *e, bool fresh)
{
	if (pools.options.victim == RN_POOLS_RANDOM)
		array_add(e, fresh);
	else if (pools.options.victim == RN_POOLS_LRU)
		list_add(e);
	WRITE_ONCE(victims.nr, victims.nr + 1);
}

void victim_add(struct entry *e)
{
	add(e, true);
}

void victim_remove(struct entry *e)
{
	if (pools.options.victim == RN_POOLS_RANDOM)
		array_remove(e);
	else if (pools.options.victim == RN_POOLS_LRU)
		list_remove(e);
	WRITE_ONCE(victims.nr, victims.nr - 1);
}

/* --- eviction --- */

/* The one that the user names, unless it may not go or has just stayed. */
static struct entry *find_named(u64 id, const u64 *stayed)
{
	struct entry *e = entry_find(id);

	return e && !e->pins && !e->evictor && !(stayed && *stayed == id) ?
	       e : NULL;
}

/* Others may be about to bring storage down to @floor already. */
static bool is_above(size_t floor)
{
	u64 usage = READ_ONCE(pools.storage->counter.usage);

	return (long)usage - victims.asked > (long)floor;
}

/* The next one, which is the caller's to ask about; or NULL. */
static struct entry *victim_take(const u64 *stayed, size_t floor)
{
	const struct rn_pools_options *o = &pools.options;
	struct entry *e = NULL;
	unsigned int ticket;
	u64 id = 0;

	if (o->victim == RN_POOLS_PICK && !o->pick(&id, o->arg))
		return NULL;
	ticket = pools_lock();
	if (is_above(floor))
		e = o->victim == RN_POOLS_PICK ? find_named(id, stayed) :
		    o->victim == RN_POOLS_LRU ? victims.oldest : array_pick();
	if (e) {
		victim_remove(e);
		e->evictor = thread_tag();
		victims.asked += e->charged;
	}
	pools_unlock(ticket);
	return e;
}

/* Under the lock. True if it goes, and is in no table any more. */
static bool decide(struct entry *e, bool goes)
{
	e->evictor = 0;
	if (goes && !e->released)
		id_remove(&pools.entries, &e->node);
	goes |= e->released;
	if (!goes)
		add(e, false);
	WRITE_ONCE(victims.decided, victims.decided + 1);
	if (victims.nr_waiting)
		syscall(SYS_futex, &victims.decided, FUTEX_WAKE_PRIVATE,
			INT_MAX);
	return goes;
}

/*
 * Bytes that were freed, or 0 if it stays. From the decision on inside of the
 * gate: a child of fork() finds it done or not begun.
 */
static size_t ask(struct entry *e)
{
	const struct rn_pools_options *o = &pools.options;
	bool goes = !o->evict || o->evict(e->node.id, e->p, e->bytes, o->arg);
	unsigned int ticket = gate_enter();
	size_t bytes = e->charged;

	lock(&pools.lock);
	goes = decide(e, goes);
	unlock(&pools.lock);
	if (goes)
		entry_free(e);
	lock(&pools.lock);
	victims.asked -= bytes;
	unlock(&pools.lock);
	gate_exit(ticket);
	return goes ? bytes : 0;
}

bool eviction_wait(const struct entry *e, unsigned int *ticket)
{
	u32 seen = victims.decided;

	/* It may be this thread that asks; or the one asked waits for this. */
	if (e->evictor == thread_tag() || is_shrinking() || thread_self.depth > 1)
		return false;
	victims.nr_waiting++;
	pools_unlock(*ticket);
	syscall(SYS_futex, &victims.decided, FUTEX_WAIT_PRIVATE, seen, NULL);
	*ticket = pools_lock();
	victims.nr_waiting--;
	return true;
}

unsigned long storage_count(struct rn_shrinker *shrinker,
			    struct rn_shrink_control *sc)
{
	(void)shrinker;
	(void)sc;
	return READ_ONCE(victims.nr);
}

/* One after the other, as long as more is asked for. */
unsigned long storage_scan(struct rn_shrinker *shrinker,
			   struct rn_shrink_control *sc)
{
	unsigned long scanned = 0, freed = 0;
	const u64 *last = NULL;
	struct entry *e;
	u64 stayed;

	(void)shrinker;
	while (scanned < sc->nr_to_scan && sc->bytes &&
	       (e = victim_take(last, sc->floor))) {
		size_t bytes;

		stayed = e->node.id;
		bytes = ask(e);
		sc->bytes -= min(sc->bytes, bytes);
		freed += bytes != 0;
		last = bytes ? NULL : &stayed;
		scanned++;
	}
	sc->nr_scanned = scanned;
	return freed || scanned == sc->nr_to_scan ? freed : RN_SHRINK_STOP;
}

/* --- fork() --- */

/* Who asks about an entry is not there, unless it is the one that forked. */
static void take_back(struct id_node *n)
{
	struct entry *e = (struct entry *)n;

	if (!e->evictor || !thread_is_gone(e->evictor))
		return;
	e->evictor = 0;
	victims.asked -= e->charged;
	add(e, false);
}

void pools_after_fork(void)
{
	victims.nr_waiting = 0;
	if (victims.asked)
		id_for_each(&pools.entries, take_back);
}
