// SPDX-License-Identifier: MIT
/*
 * Heap profiles: which objects are samples, and what is counted of them.
 * Documentation/mm/heap-profile.rst is the design.
 *
 * Lock: profile.lock. A sample that lies on pages of its own belongs to who has
 * the object; so does what its descriptor says.
 */
#include "profile.h"
#include "slab_debug.h"
#include "slab_hooks.h"

#include <rn/profile.h>
#include <string.h>

struct profile_state profile;
__thread struct profile_thread profile_thread;

/* Of a sample's mark: the generation, and below it the number of the stack. */
#define MARK_SHIFT	16
static_assert(DEPOT_MAX < 1U << MARK_SHIFT, "the number of a stack");

/* --- which objects --- */

static int64_t draw(struct profile_thread *t)
{
	if (READ_ONCE(profile.interval) <= 1)
		return 0;
	return exponential_draw(&t->random, READ_ONCE(profile.interval));
}

/* The first time of this thread, or in this profile. */
static void begin(struct profile_thread *t, u32 generation)
{
	t->generation = generation;
	if (!t->random)
		t->random = (slab_secret ^ (uintptr_t)t) | 1;
	t->left = draw(t);
}

noinline bool profile_is_due_slow(size_t size)
{
	struct profile_thread *t = &profile_thread;
	u32 generation = READ_ONCE(profile.generation);

	if (t->generation != generation) {
		begin(t, generation);
		t->left -= (int64_t)size;
	}
	if (t->left >= 0)
		return false;
	t->left = draw(t);
	return true;
}

/* --- what is counted --- */

static void sums_add(struct profile_sums *s, size_t size, int sign)
{
	size_t interval = profile.interval;
	double p = interval <= 1 ? 1 :
		exponential_below((double)size / (double)interval);
	u64 objects = PROFILE_UNIT / p + .5, bytes = (double)size / p + .5;

	WRITE_ONCE(s->objects, s->objects + sign);
	WRITE_ONCE(s->bytes, s->bytes + sign * size);
	WRITE_ONCE(s->all_objects, s->all_objects + sign * objects);
	WRITE_ONCE(s->all_bytes, s->all_bytes + sign * bytes);
}

/* Inside of the gate. */
static void record(struct page *head, size_t size, const void *const *frames,
		   u32 nr)
{
	u32 id = depot_save(frames, nr);

	lock(&profile.lock);
	sums_add(&profile.sites[id].live, size, 1);
	sums_add(&profile.sites[id].total, size, 1);
	head->asked = size;
	head->mark = profile.generation << MARK_SHIFT | id;
	unlock(&profile.lock);
}

u32 profile_site_of(u32 mark)
{
	return mark & ((1U << MARK_SHIFT) - 1);
}

void profile_forget(struct page *head)
{
	u32 mark = head->mark, id = profile_site_of(mark);
	struct rn_cache *c = profile_cache(head);
	int node = pfn_to_node(page_to_pfn(head));

	lock(&profile.lock);
	if (mark >> MARK_SHIFT == profile.generation)
		sums_add(&profile.sites[id].live, head->asked, -1);
	unlock(&profile.lock);
	head->mark = 0;
	head->owner = 0;
	if (!c)
		return;
	stat_add(&c->node[node]->samples, -1);
	cache_uncharge(c, 1);
}

void profile_resize(struct page *head, size_t size)
{
	u32 mark = head->mark;
	struct profile_sums *live = &profile.sites[profile_site_of(mark)].live;
	unsigned int ticket = gate_enter();

	lock(&profile.lock);
	if (mark >> MARK_SHIFT == profile.generation) {
		sums_add(live, head->asked, -1);
		sums_add(live, size, 1);
	}
	head->asked = size;
	unlock(&profile.lock);
	gate_exit(ticket);
}

/* --- runs of pages --- */

void *profile_run(void *p, size_t size, const void *caller)
{
	const void *frames[PROFILE_DEPTH];
	unsigned int ticket, nr;

	if (likely(!(READ_ONCE(slab_hooks) & HOOK_PROFILE)) || !p ||
	    !profile_is_due(size))
		return p;
	nr = stack_save_deep(frames, PROFILE_DEPTH, caller);
	ticket = gate_enter();
	record(pfn_to_page(ptr_to_pfn(p)), size, frames, nr);
	gate_exit(ticket);
	return p;
}

/* --- objects of caches --- */

struct rn_cache *profile_cache_of(const void *p)
{
	const struct page *page = ptr_to_page(p);

	if (!page || page->type != PAGE_LARGE || (uintptr_t)p % PAGE_BYTES)
		return NULL;
	return profile_cache(page);
}

/* @p becomes an object of the cache; false: there is no memory to count it. */
static bool belong_to(struct rn_cache *c, void *p)
{
	struct page *head = pfn_to_page(ptr_to_pfn(p));
	struct cache_node *n = cache_node_get(c, pfn_to_node(ptr_to_pfn(p)));

	if (!n)
		return false;
	head->owner = c->row;
	stat_inc(&n->samples);
	stat_inc(&n->sampled);
	return true;
}

static void *run_of(struct rn_cache *c, rn_gfp_t flags, int node)
{
	void *p;

	flags &= ~(RN_ZERO | RN_NOFAIL | GFP_CHARGED);
	p = large_alloc(c->size, flags | c->gfp | RN_NORETRY, node);
	if (!p || belong_to(c, p))
		return p;
	large_free(p, pfn_to_page(ptr_to_pfn(p)));
	return NULL;
}

/* Charged as one of a slab: a limit is not to feel that it is a sample. */
static void *charged_run_of(struct rn_cache *c, rn_gfp_t flags, int node)
{
	bool charged = !c->counter || flags & GFP_CHARGED;
	void *p;

	if (!charged && !counter_charge_objects(c->counter, c->size, 1))
		return NULL;
	p = run_of(c, flags, node);
	if (!p && !charged)
		cache_uncharge(c, 1);
	return p;
}

noinline void *profile_alloc(struct rn_cache *c, size_t size, rn_gfp_t flags,
			     int node, const void *caller)
{
	const void *frames[PROFILE_DEPTH];
	unsigned int ticket, nr;
	int saved = errno;
	void *p;

	/* A sanitizer is told of runs as they are handed out, not of these. */
	if (c->debug || sanitizer)
		return NULL;
	nr = stack_save_deep(frames, PROFILE_DEPTH, caller);
	/* From the charge to the object: a child has both, or neither. */
	ticket = gate_enter();
	p = charged_run_of(c, flags, node);
	if (p)
		record(pfn_to_page(ptr_to_pfn(p)), size, frames, nr);
	if (p && c->ctor)
		c->ctor(p);
	gate_exit(ticket);
	errno = saved;
	return p && flags & RN_ZERO ? memset(p, 0, c->usable) : p;
}

/* --- begin and end --- */

static int sites_get(void)
{
	if (profile.sites)
		return 0;
	/* Most of it is never touched. */
	profile.sites = meta_alloc((DEPOT_MAX + 1) * sizeof(*profile.sites));
	return profile.sites ? 0 : -ENOMEM;
}

/* Under slab_mutex, of two that start. */
static int start(size_t interval)
{
	int ret = sites_get();

	if (ret)
		return ret;
	lock(&profile.lock);
	/* The mark has 16 bits for it, and is not 0. */
	WRITE_ONCE(profile.generation, profile.generation % 0xffff + 1);
	WRITE_ONCE(profile.interval, interval);
	for (u32 id = 0; id <= depot_last(); id++)
		profile.sites[id] = (struct profile_site){ 0 };
	unlock(&profile.lock);
	slab_hook_set_locked(HOOK_PROFILE, true);
	return 0;
}

/**
 * rn_profile_start() - begin a heap profile
 * @interval: bytes between two samples, on average; 1 for each object, 0 for
 *	RN_PROFILE_INTERVAL
 *
 * A profile that there was is forgotten, and what was sampled for it.
 *
 * Context: MT-safe, not async-signal-safe; the first time it may load a
 * library.
 * Return: 0; -ENOMEM where there is no memory for it, or the library cannot
 * start; -EINVAL for an interval that no object can reach.
 */
RN_API int rn_profile_start(size_t interval)
{
	unsigned int ticket;
	int ret;

	mm_init();
	if (mm_init_error())
		return -ENOMEM;
	if (interval > RN_MAX_SIZE)
		return -EINVAL;
	stack_prepare();
	ticket = gate_enter();
	lock(&slab_mutex);
	ret = start(interval ? interval : RN_PROFILE_INTERVAL);
	unlock(&slab_mutex);
	gate_exit(ticket);
	return ret;
}

/**
 * rn_profile_stop() - take no more samples
 *
 * What was sampled goes on to be counted when it is freed.
 *
 * Context: MT-safe, not async-signal-safe.
 */
RN_API void rn_profile_stop(void)
{
	mm_init();
	if (!mm_init_error())
		slab_hook_set(HOOK_PROFILE, false);
}
