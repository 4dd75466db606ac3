// SPDX-License-Identifier: MIT
/*
 * Memory goes back: what was moved, and why; and the ticks, at which what
 * nobody needs goes a step further (Documentation/mm/reclaim.rst).
 *
 * A tick goes over the slots, all caches and the pages. Slow paths do a slice
 * of it each, some slots or a cache at a time, unless the background thread
 * does the whole (mm/kswapd.c). When few slow paths come, one of them does all
 * that is left.
 *
 * vmscan.lock covers a tick and is only ever tried: who finds it taken goes on.
 * Caches are aged under slab_mutex, which is tried likewise: a cache whose turn
 * comes while somebody makes or shrinks one waits for the next tick.
 */
#include "fork.h"
#include "debug/kfence.h"
#include "pressure.h"
#include "debug/sanitizer.h"
#include "shrinker.h"

#include <time.h>

#include <rn/pages.h>
#include <rn/reclaim.h>

static const char *const why_names[NR_WHYS] = {
	[WHY_FREE] = "free",
	[WHY_DECAY] = "decay",
	[WHY_PRESSURE] = "pressure",
	[WHY_LIMIT] = "limit",
	[WHY_TRIM] = "trim",
};

static const char *const place_names[NR_PLACES] = {
	[PLACE_SLOT] = "slot",
	[PLACE_BARN] = "barn",
	[PLACE_SLAB] = "slab",
	[PLACE_HOLLOW] = "hollow",
	[PLACE_BLOCK] = "block",
	[PLACE_PAGE] = "page",
	[PLACE_SHEAF] = "sheaf",
};

static u64 moved[NR_WHYS][NR_PLACES];	/* bytes */

/* Bytes that this thread has moved, and those of them that the system got. */
static __thread struct {
	u64 moved, released;
} mine;

/* So many ticks are in RN_DECAY_MS, and each gives back a part of the mark. */
#define TICKS		8
#define PART		4

/**
 * struct vmscan - the tick that is being done, or the last one
 * @lock: covers all but @due, which is read without it
 * @due: when a slice is to be done, in ms
 * @began: when it began, likewise
 * @in_tick: it is not through
 * @slots_done: idle slots have been emptied, which comes first
 * @cache: which is next; NULL after the last
 * @part: of what is not needed this tick gives back the @part-th part
 * @by_poll: ticks whose last slice was done by a slow path
 * @by_thread: likewise by the background thread
 */
static struct {
	struct lock lock;
	u64 due;
	u64 began;
	bool in_tick, slots_done;
	struct rn_cache *cache;
	u32 part;
	u64 by_poll, by_thread;
} vmscan;

u64 clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (u64)now.tv_sec * 1000 + (u64)now.tv_nsec / 1000000;
}

void reclaim_count(enum reclaim_why why, enum reclaim_place place, u64 bytes)
{
	stat_add(&moved[why][place], bytes);
	mine.moved += bytes;
	if (place >= PLACE_HOLLOW)
		mine.released += bytes;
}

/* What never moved is left out. */
void vmstat_reclaim(struct seq *s)
{
	seq_printf(s, "decay_ticks_background %lu\n",
		   (unsigned long)READ_ONCE(vmscan.by_thread));
	seq_printf(s, "decay_ticks_poll %lu\n",
		   (unsigned long)READ_ONCE(vmscan.by_poll));
	for (int why = 0; why < NR_WHYS; why++)
		for (int place = 0; place < NR_PLACES; place++) {
			u64 n = READ_ONCE(moved[why][place]);

			if (n)
				seq_printf(s, "reclaim_%s_%s_kbytes %lu\n",
					   why_names[why], place_names[place],
					   (unsigned long)(n >> 10));
		}
}

/* --- a tick --- */

unsigned int age_tick_ms(void)
{
	/* Who wants no decay may still want what else a tick does. */
	int ms = options.decay_ms < 0 ? DECAY_MS : options.decay_ms;

	return max(ms / TICKS, 1);
}

void vmscan_init(void)
{
	vmscan.began = clock_ms();
	WRITE_ONCE(vmscan.due, vmscan.began + age_tick_ms());
}

/* What a tick gives back that comes late is what the missed ones would have. */
static u32 part_after(u64 ms)
{
	u64 ticks = ms / age_tick_ms();

	if (!options.decay_ms || ticks >= TICKS)
		return 1;
	return ticks < 2 ? PART : PART / 2;
}

static void tick_begin(u64 now)
{
	vmscan.part = part_after(now - vmscan.began);
	vmscan.began = now;
	vmscan.in_tick = true;
	vmscan.slots_done = false;
	vmscan.cache = smp_load_acquire(&slab_caches);
	if (options.decay_ms >= 0)
		sheaf_pool_age(vmscan.part);
}

static void tick_end(u64 *count)
{
	vmscan.in_tick = false;
	WRITE_ONCE(vmscan.due, vmscan.began + age_tick_ms());
	stat_inc(count);
}

/* As lock(), of which a child of fork() knows when the owner is gone. */
bool trylock_caches(void)
{
	u32 owner = READ_ONCE(slab_mutex.state) & ~LOCK_WAITERS;

	if (unlikely(owner && thread_is_gone(owner))) {
		lock(&slab_mutex);
		return true;
	}
	return trylock(&slab_mutex);
}

static void age_pages(void)
{
	if (options.decay_ms)
		pages_age(vmscan.part);
	else
		pages_release(0, WHY_DECAY);
}

static void age_cache(struct rn_cache *c)
{
	if (!trylock_caches())
		return;
	cache_age(c, vmscan.part);
	sheaves_shrink(c);
	unlock(&slab_mutex);
}

/*
 * Does one slice; false: that was the last. A cache that is destroyed before
 * its turn has nothing, and still leads to the next one.
 */
static bool tick_slice(void)
{
	bool more;

	if (options.decay_ms >= 0 && !vmscan.slots_done) {
		slots_age(WHY_DECAY, &more);
		vmscan.slots_done = !more;
		return true;
	}
	if (options.decay_ms >= 0 && vmscan.cache) {
		age_cache(vmscan.cache);
		vmscan.cache = smp_load_acquire(&vmscan.cache->next);
		return true;
	}
	if (options.decay_ms >= 0 && sheaf_pool_give(WHY_DECAY))
		return true;
	if (options.decay_ms >= 0)
		age_pages();
	pressure_poll();
	khugepaged_tick();
	return false;
}

/* One slice more; false: the tick is through, and is counted in @count. */
static bool tick_go_on(u64 now, u64 *count)
{
	bool more;

	if (!vmscan.in_tick)
		tick_begin(now);
	more = tick_slice();
	if (!more)
		tick_end(count);
	return more;
}

/* --- who does it --- */

/* Inside the gate. All of it where it should be over by now. */
static void poll_tick(u64 now)
{
	bool more = true;

	if (!trylock(&vmscan.lock))
		return;
	if (now >= kfence_due)
		kfence_sample();
	/* Another thread may have been faster. */
	if (now >= vmscan.due) {
		while (more) {
			more = tick_go_on(now, &vmscan.by_poll);
			if (now < vmscan.began + age_tick_ms() &&
			    options.decay_ms)
				break;
		}
	} else if (!options.decay_ms) {
		pages_release(0, WHY_DECAY);
	}
	unlock(&vmscan.lock);
}

static noinline void age_poll_due(u64 now)
{
	unsigned int ticket;
	int saved = errno;

	if (thread_self.depth || is_shrinking())
		return;
	if (READ_ONCE(kswapd_mode) == KSWAPD_WANTED)
		kswapd_start_wanted();
	ticket = gate_enter();
	poll_tick(now);
	gate_exit(ticket);
	errno = saved;
}

void age_poll_deep(void)
{
	u32 mode = READ_ONCE(kswapd_mode);
	u64 now;

	thread_self.deep = false;
	if (mode >= KSWAPD_STARTS) {
		if (unlikely(mode >= KSWAPD_QUIET))
			kswapd_wake();
		return;
	}
	now = clock_ms();
	if (unlikely(now >= READ_ONCE(vmscan.due) || !options.decay_ms ||
		     now >= READ_ONCE(kfence_due) ||
		     (mode == KSWAPD_WANTED && kswapd_is_urgent())))
		age_poll_due(now);
}

/* Who comes more often than ticks are due counts by the clock, which lags. */
bool age_is_due(void)
{
	return !options.kfence || clock_ms() >= READ_ONCE(vmscan.due);
}

bool age_sample(void)
{
	unsigned int ticket;
	bool used = true;

	if (!options.kfence)
		return false;
	ticket = gate_enter();
	if (trylock(&vmscan.lock)) {
		used = kfence_sample();
		unlock(&vmscan.lock);
	}
	gate_exit(ticket);
	/* What slots have is never taken back then, so nobody would wake us. */
	return used || options.decay_ms < 0;
}

/* A slice at a time, so that a fork() need not wait for long. */
bool age_tick(void)
{
	u64 now = clock_ms(), before = mine.moved;
	unsigned int ticket;
	bool more;

	do {
		ticket = gate_enter();
		more = trylock(&vmscan.lock);
		if (more) {
			more = tick_go_on(now, &vmscan.by_thread);
			unlock(&vmscan.lock);
		}
		gate_exit(ticket);
	} while (more);
	return mine.moved != before;
}

/* A thread of the parent's may have been in a tick; the next slice goes on. */
void vmscan_after_fork(void)
{
	if (thread_is_gone(vmscan.lock.state & ~LOCK_WAITERS))
		vmscan.lock.state = 0;
}

/* --- all of it, by the program's wish --- */

/* What is free in slabs and has memory, whoever keeps it. */
static u64 free_in_cache(struct rn_cache *c)
{
	struct cache_usage u;
	u64 bytes, hollow = 0;

	cache_usage(c, &u);
	bytes = (u.objects - u.active) * c->size;
	for (int node = 0; node < nr_node_ids(); node++) {
		struct cache_node *n = smp_load_acquire(&c->node[node]);

		if (n)
			hollow += (u64)READ_ONCE(n->nr_hollow) << PAGE_SHIFT;
	}
	return bytes - min(bytes, hollow);
}

static u64 free_in_slabs(void)
{
	u64 bytes = 0;

	for (struct rn_cache *c = smp_load_acquire(&slab_caches); c;
	     c = smp_load_acquire(&c->next))
		bytes += free_in_cache(c);
	return bytes;
}

static void trim_cache(struct rn_cache *c, enum reclaim_why why)
{
	cache_flush(c);
	for (int node = 0; node < nr_node_ids(); node++) {
		struct cache_node *n = smp_load_acquire(&c->node[node]);

		if (n)
			slab_give_pages(c, n, why);
	}
}

/* Under slab_mutex. */
static void trim_caches(enum reclaim_why why)
{
	quarantine_empty(NULL);
	for (struct rn_cache *c = slab_caches; c; c = c->next)
		trim_cache(c, why);
	/* Metadata are in no limit. */
	if (why != WHY_LIMIT)
		sheaf_pool_trim(why);
}

size_t reclaim_all(enum reclaim_why why)
{
	unsigned int ticket = gate_enter();
	u64 before = mine.released;

	lock(&slab_mutex);
	trim_caches(why);
	unlock(&slab_mutex);
	pages_release(0, why);
	gate_exit(ticket);
	return mine.released - before;
}

size_t reclaim_idle(enum reclaim_why why)
{
	u64 before = mine.released;

	if (trylock_caches()) {
		trim_caches(why);
		unlock(&slab_mutex);
	}
	pages_release(0, why);
	return mine.released - before;
}

static size_t trim_to(u64 goal)
{
	unsigned int ticket = gate_enter();
	u64 before = mine.released, left;

	if (goal < pages_free_bytes() + free_in_slabs()) {
		lock(&slab_mutex);
		trim_caches(WHY_TRIM);
		unlock(&slab_mutex);
		left = free_in_slabs();
		pages_release(goal > left ? goal - left : 0, WHY_TRIM);
	}
	gate_exit(ticket);
	return mine.released - before;
}

/**
 * rn_trim() - give memory that is free back to the system
 * @goal: bytes of free memory that may be kept
 *
 * What CPUs, barns and slabs keep free goes to the pages, and from there to the
 * system, until at most @goal bytes are held that nobody uses, or no more can
 * go: an object that is out keeps the page it lies on, and reserved memory
 * (rn_reserve()) stays. With 0 all goes that can. If no more than @goal is held
 * to begin with, nothing is done.
 *
 * Context: takes slab_mutex, fences other CPUs; others allocate on. Not in a
 * constructor.
 * Return: bytes given back. 0 may also mean that the library cannot start.
 */
RN_API size_t rn_trim(size_t goal)
{
	mm_init();
	return mm_init_error() ? 0 : trim_to(goal);
}
