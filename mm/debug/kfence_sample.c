// SPDX-License-Identifier: MIT
/*
 * What is sampled: at each interval the next object of one cache, by chance in
 * proportion to what was allocated of it.
 *
 * Under vmscan.lock, but for the frees.
 */
#include "kfence.h"

/*
 * So many frees go past the slots for each sample, at most, lest a program
 * that frees for long does it all by the slabs. It is a millisecond of them.
 */
#define PATIENCE	1024

u64 kfence_due = UINT64_MAX;

static struct {
	int patience;		/* of any thread; a few more do no harm */
	u64 random;
} sampler;

/* Allocations since the last look, of a cache that may be new in its place. */
static u64 new_allocs(struct rn_cache *c)
{
	struct cache_usage u;
	u64 now, then = c->sampled_at;

	cache_usage(c, &u);
	now = u.fast_allocs + u.slow_allocs;
	c->sampled_at = now;
	return now > then ? now - then : 0;
}

static struct rn_cache *pick(u64 *all)
{
	struct rn_cache *picked = NULL;
	u64 total = 0;

	*all = 0;
	for (struct rn_cache *c = smp_load_acquire(&slab_caches); c;
	     c = smp_load_acquire(&c->next)) {
		u64 n = new_allocs(c);

		*all += n;
		if (!n || !kfence_may_sample(c))
			continue;
		total += n;
		if (kfence_random(&sampler.random) % total < n)
			picked = c;
	}
	return picked;
}

/* Those of each CPU come to the slow path then. */
static void open_gate(struct rn_cache *c)
{
	WRITE_ONCE(sampler.patience, percpu_has_rseq() ? PATIENCE : 0);
	WRITE_ONCE(kfence_gate, c->row);
	/* Where no CPU can be fenced, it is who comes there by himself. */
	if (percpu_has_rseq())
		cache_flush_slots(c);
}

bool kfence_sample(void)
{
	struct rn_cache *c;
	u64 all;

	c = pick(&all);
	WRITE_ONCE(kfence_due, clock_ms() + (u64)options.kfence_interval);
	if (c && !kfence_is_full())
		open_gate(c);
	else
		WRITE_ONCE(kfence_gate, 0);
	return all;
}

bool kfence_leave_empty(unsigned int row)
{
	int left = READ_ONCE(sampler.patience);
	u32 gate = row;

	if (left > 0) {
		WRITE_ONCE(sampler.patience, left - 1);
		return true;
	}
	if (percpu_has_rseq())
		__atomic_compare_exchange_n(&kfence_gate, &gate, 0, false,
					    __ATOMIC_RELAXED,
					    __ATOMIC_RELAXED);
	return false;
}
