// SPDX-License-Identifier: MIT
/*
 * Groups with memory limits: how they are made, and how memory comes to them.
 * Documentation/mm/memcontrol.rst is the design.
 *
 * Locks: slab_mutex covers the tree and the caches of each group. Shrinkers are
 * called, and requests held, outside of every lock and of the fork gate.
 */
#include "memcontrol.h"

#include <stdio.h>
#include <string.h>

/* So often shrinkers are asked, if they give something, before it is held. */
#define MAX_ROUNDS	16

u32 memcg_nr_ids = 1;

/* --- making one --- */

/* As the name of a directory has it, and no need to quote it anywhere. */
static bool name_ok(const char *name)
{
	size_t n = name ? strlen(name) : 0;

	return n && n < sizeof(((struct rn_memcg *)NULL)->name) &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUV"
			    "WXYZ0123456789_.-") == n;
}

/* Under slab_mutex: an id that is not in use, or 0. */
static u32 find_id(void)
{
	u32 id = 1;

	while (id < memcg_nr_ids && counters[id])
		id++;
	return id < MAX_COUNTERS ? id : 0;
}

static void set_name(const struct rn_memcg *m, struct rn_cache *c)
{
	char name[128];

	snprintf(name, sizeof(name), "%s:kmalloc-%u", m->name, c->size);
	cache_set_name(c, name);
}

static struct rn_memcg *group_new(struct rn_memcg *parent, const char *name,
				  bool in_pages)
{
	struct rn_memcg *m;
	u32 id;

	memcg_reap();
	id = find_id();
	m = id ? memcg_struct(in_pages) : NULL;
	if (!m)
		return NULL;
	counter_init(&m->counter, parent ? &parent->counter : NULL);
	m->id = id;
	m->nr_children = 0;
	m->reparented = false;
	m->timeout = parent ? parent->timeout : HOLD_MS;
	memcpy(m->name, name, strlen(name) + 1);
	for (unsigned int i = 1; i <= RN_NR_CLASSES; i++) {
		if (!m->caches[i])
			continue;
		set_name(m, m->caches[i]);
		WRITE_ONCE(m->caches[i]->refcount, 1);
	}
	if (parent)
		parent->nr_children++;
	smp_store_release(&counters[id], &m->counter);
	WRITE_ONCE(memcg_nr_ids, max(memcg_nr_ids, id + 1));
	return m;
}

struct rn_memcg *memcg_create(struct rn_memcg *parent, const char *name,
			      bool in_pages)
{
	struct rn_memcg *m;
	unsigned int ticket;
	bool crowded;

	if (!name_ok(name)) {
		errno = EINVAL;
		return NULL;
	}
	mm_init();
	if (mm_init_error()) {
		errno = ENOMEM;
		return NULL;
	}
	ticket = gate_enter();
	lock(&slab_mutex);
	m = group_new(parent, name, in_pages);
	crowded = !m && !find_id();
	unlock(&slab_mutex);
	gate_exit(ticket);
	if (!m)
		errno = crowded ? ENOSPC : ENOMEM;
	return m;
}

/**
 * rn_memcg_create() - make a group
 * @parent: the group that it is to be in, or NULL for a tree of its own
 * @name: letters, digits, '.', '_' and '-', at most 63; copied
 *
 * It has no limits at first, and its parent's timeout (of a tree, 5 s).
 *
 * Context: takes slab_mutex; may map memory.
 * Return: the group, or NULL with errno: EINVAL for a bad name, ENOMEM, ENOSPC
 * when there are 4,095.
 */
RN_API struct rn_memcg *rn_memcg_create(struct rn_memcg *parent,
					const char *name)
{
	return memcg_create(parent, name, false);
}

/*
 * The class whose cache has the objects of @class_. Of classes of which as many
 * fit into a page the largest will do for all, where pages are laid out.
 */
static unsigned int class_shared(const struct rn_memcg *m, unsigned int class_)
{
	u32 size = class_bytes[class_], most;

	if (!m->in_pages || size > PAGE_BYTES)
		return class_;
	most = PAGE_BYTES / (PAGE_BYTES / size);
	class_ = size_to_row(most);
	return class_bytes[class_] > most ? class_ - 1 : class_;
}

/* Under slab_mutex. Its objects are not for others, and lie on their own. */
static struct rn_cache *class_new(struct rn_memcg *m, unsigned int class_)
{
	struct rn_cache_args args = {
		.sz = sizeof(args), .size = class_bytes[class_],
		.flags = RN_NOMERGE,
	};
	struct rn_cache *c;

	if (m->in_pages && args.size <= PAGE_BYTES)
		args.flags |= CACHE_IN_PAGES;
	c = cache_new("", &args, 0);
	if (!c)
		return NULL;
	set_name(m, c);
	c->counter = &m->counter;
	smp_store_release(&m->caches[class_], c);
	return c;
}

static struct rn_cache *class_get(struct rn_memcg *m, unsigned int class_)
{
	struct rn_cache *c = smp_load_acquire(&m->caches[class_]);
	unsigned int ticket;

	if (likely(c))
		return c;
	ticket = gate_enter();
	lock(&slab_mutex);
	c = m->caches[class_];
	if (!c)
		c = class_new(m, class_);
	unlock(&slab_mutex);
	gate_exit(ticket);
	return c;
}

/* The fast path knows it from then on. */
static struct rn_cache *class_cache(struct rn_memcg *m, unsigned int class_)
{
	struct rn_cache *c = class_get(m, class_shared(m, class_));

	if (c && percpu_has_rseq() && !READ_ONCE(m->at[class_]))
		smp_store_release(&m->at[class_], slot_at(c->row));
	return c;
}

/* --- room under a limit --- */

static u64 stock_of(struct rn_cache *c)
{
	struct cache_usage u;

	if (!c)
		return 0;
	cache_usage(c, &u);
	return u.cached * c->size;
}

u64 memcg_stock(struct rn_memcg *m)
{
	u64 bytes = 0;

	for (unsigned int i = 1; i <= RN_NR_CLASSES; i++)
		bytes += stock_of(smp_load_acquire(&m->caches[i]));
	return bytes;
}

/* Sheaves without objects go as well: they have room for what is freed. */
bool memcg_flush(struct rn_memcg *m)
{
	bool done = true;

	for (unsigned int i = 1; i <= RN_NR_CLASSES; i++)
		if (m->caches[i])
			done &= cache_flush(m->caches[i]);
	return done;
}

void memcg_tighten(struct page_counter *full)
{
	unsigned int ticket = gate_enter();

	lock(&slab_mutex);
	WRITE_ONCE(full->tight, 1);
	/* Pairs with flush_if_tight(): it sees this, or is seen. */
	smp_mb();
	for (u32 id = 1; id < memcg_nr_ids; id++) {
		struct rn_memcg *m = memcg_by_id(id);

		if (m && counter_is_below(&m->counter, full))
			memcg_flush(m);
	}
	unlock(&slab_mutex);
	gate_exit(ticket);
}

/* What others may not take from @m. */
static u64 protected_bytes(const struct rn_memcg *m, bool last_resort)
{
	u64 least = READ_ONCE(m->counter.min);

	return last_resort ? least : max(least, READ_ONCE(m->counter.low));
}

/* One group is asked for what it can give up; true if it gave some. */
static bool shrink_group(struct rn_memcg *m, rn_gfp_t flags,
			 unsigned int priority)
{
	u64 before = READ_ONCE(m->counter.usage), after;
	u64 *events = m->counter.events;

	if (!shrink_all(flags, m, priority))
		return false;
	after = READ_ONCE(m->counter.usage);
	if (after < before)
		stat_add(&events[RN_MEMCG_EVENT_EVICTED], before - after);
	if (after < READ_ONCE(m->counter.low))
		stat_inc(&events[RN_MEMCG_EVENT_LOW]);
	return true;
}

static bool is_fair_game(const struct rn_memcg *m, const struct rn_memcg *asker,
			 bool last_resort)
{
	return memcg_is_below(m, asker) || memcg_is_below(asker, m) ||
	       READ_ONCE(m->counter.usage) > protected_bytes(m, last_resort);
}

/*
 * Every group below @full is asked, but for those that are protected from
 * @asker. A shrinker may free all it has in one go; who asked looks again after
 * each.
 */
static bool shrink_tree(struct page_counter *full, struct rn_memcg *asker,
			rn_gfp_t flags, unsigned int priority, bool last_resort)
{
	bool gave = false;

	for (u32 id = 1; id < READ_ONCE(memcg_nr_ids); id++) {
		struct rn_memcg *m = memcg_by_id(id);

		if (m && counter_is_below(&m->counter, full) &&
		    is_fair_game(m, asker, last_resort))
			gave |= shrink_group(m, flags, priority);
	}
	return gave;
}

/* One round: harder and harder, until somebody gave something. */
static bool make_room(struct page_counter *full, struct rn_memcg *asker,
		      rn_gfp_t flags)
{
	bool gave = false;

	counter_ask(true);
	for (unsigned int last_resort = 0; last_resort < 2; last_resort++)
		for (unsigned int i = RN_DEF_PRIORITY + 1; !gave && i-- > 0;)
			gave = shrink_tree(full, asker, flags, i, last_resort);
	counter_ask(false);
	return gave;
}

/* Does who asks with @flags want to be declined rather than that? */
static bool may_shrink(rn_gfp_t flags)
{
	return flags & RN_NOFAIL || !(flags & (RN_NOWAIT | RN_NORETRY));
}

/* Who is above its high, or within one that is, shrinks that first. */
static void shrink_high(struct rn_memcg *m, rn_gfp_t flags)
{
	for (struct page_counter *c = &m->counter; c; c = c->parent) {
		if (READ_ONCE(c->usage) <= READ_ONCE(c->high))
			continue;
		stat_inc(&c->events[RN_MEMCG_EVENT_HIGH]);
		make_room(c, m, flags);
	}
}

/* NULL, inside of the gate; or who refused, outside. */
static struct page_counter *try_enter(struct rn_memcg *m, u64 bytes,
				      unsigned int *ticket)
{
	struct page_counter *full = &m->counter;

	*ticket = gate_enter();
	/* Those who came before are served before. */
	if (!counter_has_waiters(full))
		full = counter_try_charge(full, bytes);
	if (full)
		gate_exit(*ticket);
	return full;
}

/* What CPUs have in stock is given up before anybody's memory is. */
static struct page_counter *try_without_stock(struct rn_memcg *m, u64 bytes,
					      struct page_counter *full,
					      unsigned int *ticket)
{
	struct page_counter *last;

	do {
		last = full;
		if (!READ_ONCE(last->tight))
			memcg_tighten(last);
		full = try_enter(m, bytes, ticket);
	} while (full && full != last);
	return full;
}

/* After @full refused. */
static int enter_slow(struct rn_memcg *m, u64 bytes, rn_gfp_t flags,
		      struct page_counter *full, unsigned int *ticket)
{
	unsigned int retries = gfp_retries(flags);

	stat_inc(&m->counter.events[RN_MEMCG_EVENT_MAX]);
	full = try_without_stock(m, bytes, full, ticket);
	if (!full)
		return 0;
	if (!may_shrink(flags) || !counter_fits_ever(&m->counter, bytes))
		return ENOMEM;
	for (unsigned int round = 0; round < (retries ? retries : MAX_ROUNDS);
	     round++) {
		bool gave = make_room(full, m, flags);

		full = try_without_stock(m, bytes, full, ticket);
		if (!full)
			return 0;
		if (!gave && !retries)
			break;
		if (!gave)
			nofail_pause(round);
	}
	if (retries && !(flags & RN_NOFAIL))
		return ENOMEM;
	return -counter_wait(&m->counter, bytes, flags & RN_NOFAIL ?
			     RN_MEMCG_FOREVER : READ_ONCE(m->timeout), ticket);
}

/*
 * Charges @bytes as @flags say, perhaps after a wait. 0, inside of the gate, so
 * that no child of a fork() has bytes that no memory stands for; or an errno,
 * outside.
 */
static int charge_enter(struct rn_memcg *m, u64 bytes, rn_gfp_t flags,
			unsigned int *ticket)
{
	struct page_counter *full = try_enter(m, bytes, ticket);
	int err;

	if (likely(!full))
		return 0;
	err = enter_slow(m, bytes, flags, full, ticket);
	if (err)
		stat_inc(&m->counter.events[RN_MEMCG_EVENT_FAIL]);
	return err;
}

/* --- allocation --- */

/* The memory, already charged; inside of the gate, where nothing is waited for. */
static void *take_charged(struct rn_memcg *m, struct rn_cache *c, size_t size,
			  rn_gfp_t flags)
{
	void *p;

	flags = (flags & ~RN_NOFAIL) | RN_NORETRY;
	if (c)
		return slab_alloc_slow(c, flags | GFP_CHARGED, RN_NO_NODE);
	p = large_alloc(size, flags, RN_NO_NODE);
	if (p)
		large_set_counter(p, m->id);
	return p;
}

/* An object of @c or, without one, a run of pages; charged by itself. */
static void *alloc_charged(struct rn_memcg *m, struct rn_cache *c, size_t size,
			   rn_gfp_t flags)
{
	u64 bytes = c ? c->size : ALIGN(size, PAGE_BYTES);
	unsigned int ticket;

	for (unsigned int round = 0;; round++) {
		int err = charge_enter(m, bytes, flags, &ticket);
		void *p;

		if (err)
			return alloc_fail(err, flags, size);
		p = take_charged(m, c, size, flags);
		if (!p)
			counter_uncharge(&m->counter, bytes);
		gate_exit(ticket);
		if (p)
			return p;
		if (!reclaim(flags, round))
			return alloc_fail(ENOMEM, flags, size);
	}
}

static noinline void *alloc_slow(struct rn_memcg *m, size_t size,
				 rn_gfp_t flags)
{
	struct rn_cache *c;
	void *object;

	if (!m || flags & ~RN_GFP_MASK || flags & RN_HUGETLB)
		return alloc_fail(EINVAL, flags, size);
	if (!size)
		return RN_ZERO_SIZE_PTR;
	if (size > RN_MAX_SIZE)
		return alloc_fail(ENOMEM, flags, size);
	if (may_shrink(flags))
		shrink_high(m, flags);
	if (size > KMALLOC_MAX)
		return alloc_charged(m, NULL, size, flags);
	c = class_cache(m, size_to_row(size));
	if (!c)
		return alloc_fail(ENOMEM, flags, size);
	object = slab_alloc_slow(c, flags, RN_NO_NODE);
	if (likely(object) || errno != EDQUOT)
		return object;
	return alloc_charged(m, c, size, flags);
}

/**
 * rn_memcg_alloc() - allocate memory in a group
 * @memcg: the group
 * @size: bytes; 0 gives RN_ZERO_SIZE_PTR
 * @flags: as for rn_alloc(), but not RN_HUGETLB
 *
 * Charged is what it takes: the size of its class, or its pages. It is freed, and
 * uncharged, as any other object is.
 *
 * Under a limit that leaves no room shrinkers are asked; then the request is
 * held for up to the group's timeout, first come first served. RN_NOWAIT
 * declines at once, RN_RETRIES(n) after n rounds of shrinking, RN_NOFAIL never.
 *
 * Context: MT-safe, not async-signal-safe; calls shrinkers; a cancellation point
 * while it is held.
 * Return: the memory, or NULL with errno: ENOMEM when it was declined or there is
 * no memory, ETIMEDOUT when it was held for nothing, EINVAL for a bad flag.
 */
RN_API void *rn_memcg_alloc(struct rn_memcg *memcg, size_t size,
			    rn_gfp_t flags)
{
	void *object;
	u32 at;

	if (likely(memcg && size - 1 < KMALLOC_MAX && !flags)) {
		at = smp_load_acquire(&memcg->at[size_to_row(size)]);
		if (unlikely(at && hot.node_rows))
			at = slot_at(local_row(at >> SLOT_SHIFT));
		object = likely(at) ? fast_pop(at) : NULL;
		if (likely(object))
			return object;
	}
	return alloc_slow(memcg, size, flags);
}
