// SPDX-License-Identifier: MIT
/*
 * Groups with memory limits: how they are made, and how memory comes to them.
 * Documentation/mm/memcontrol.rst is the design.
 *
 * Lock: slab_mutex covers the tree and the caches of each group.
 */
#include "memcontrol.h"
#include "debug/fault_inject.h"
#include "debug/profile.h"
#include "slab_hooks.h"
#include "tracepoint.h"

#include <stdio.h>
#include <string.h>

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

struct class_name {
	char text[128];
};

static struct class_name class_name(const struct rn_memcg *m, u32 bytes)
{
	struct class_name name;

	snprintf(name.text, sizeof(name.text), "%s:kmalloc-%u", m->name, bytes);
	return name;
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
		cache_set_name(m->caches[i],
			       class_name(m, class_bytes[i]).text);
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
		.flags = RN_NOMERGE | CACHE_NO_CANARY,
		.align = class_align(class_bytes[class_]),
	};
	struct rn_cache *c;

	if (m->in_pages && args.size <= PAGE_BYTES) {
		args.flags |= CACHE_IN_PAGES;
		args.align = 0;
	}
	c = cache_new(class_name(m, args.size).text, &args, 0);
	if (!c)
		return NULL;
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

/* --- allocation --- */

/* The memory, already charged; inside of the gate, where nothing is waited for. */
static void *take_charged(struct rn_memcg *m, struct rn_cache *c, size_t size,
			  rn_gfp_t flags, const void *caller)
{
	void *p;

	flags = (flags & ~RN_NOFAIL) | RN_NORETRY;
	if (c)
		return slab_alloc(c, size, flags | GFP_CHARGED, RN_NO_NODE,
				  caller);
	p = large_alloc(size, flags, RN_NO_NODE);
	if (p)
		large_set_counter(p, m->id);
	return profile_run(p, size, caller);
}

/* An object of @c or, without one, a run of pages; charged by itself. */
static void *alloc_charged(struct rn_memcg *m, struct rn_cache *c, size_t size,
			   rn_gfp_t flags, const void *caller)
{
	u64 bytes = c ? c->size : ALIGN(size, PAGE_BYTES);
	unsigned int ticket;

	for (unsigned int round = 0;; round++) {
		int err = memcg_charge_enter(m, bytes, flags, &ticket);
		void *p;

		if (err)
			return alloc_fail(err, flags, size);
		p = take_charged(m, c, size, flags, caller);
		if (!p)
			counter_uncharge(&m->counter, bytes);
		gate_exit(ticket);
		if (p)
			return p;
		if (!reclaim(flags, round))
			return alloc_fail(ENOMEM, flags, size);
	}
}

/* One of @c, or by itself where that has no room left. */
static void *alloc_object(struct rn_memcg *m, struct rn_cache *c, size_t size,
			  rn_gfp_t flags, const void *caller)
{
	int saved = errno;
	void *object = slab_alloc(c, size, flags, RN_NO_NODE, caller);

	if (likely(object) || errno != EDQUOT)
		return object;
	errno = saved;
	return alloc_charged(m, c, size, flags, caller);
}

static noinline void *alloc_slow(struct rn_memcg *m, size_t size,
				 rn_gfp_t flags)
{
	struct rn_cache *c;

	if (!m || flags & ~RN_GFP_MASK || flags & RN_HUGETLB)
		return alloc_fail(EINVAL, flags, size);
	if (!size)
		return RN_ZERO_SIZE_PTR;
	if (size > RN_MAX_SIZE)
		return alloc_fail(ENOMEM, flags, size);
	memcg_shrink_high(m, size, flags);
	if (size > KMALLOC_MAX)
		return failslab(NULL, size, flags, CALL_SITE) ? NULL :
			alloc_charged(m, NULL, size, flags, CALL_SITE);
	c = class_cache(m, size_to_row(size));
	if (!c)
		return alloc_fail(ENOMEM, flags, size);
	return alloc_object(m, c, size, flags, CALL_SITE);
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
	void *object = NULL;

	if (likely(memcg && size && !flags))
		object = memcg_pop(memcg, size);
	if (likely(object))
		return object;
	return alloc_slow(memcg, size, flags);
}
