// SPDX-License-Identifier: MIT
/*
 * The places that each object passes which does not go by a fast path, and how
 * the fast paths are shut for who wants to see all objects.
 *
 * Lock: slab_mutex covers slab_hooks and what follows from it.
 */
#include "sanitizer.h"
#include "slab_hooks.h"

unsigned int slab_hooks;

/* --- which fast paths are open --- */

void cache_set_fast_path(struct rn_cache *c)
{
	bool open = percpu_has_rseq() && !hot.node_rows && !slab_hooks;

	WRITE_ONCE(c->fast_at, open ? slot_at(c->row) : 0);
}

static void set_fast_paths(void)
{
	percpu_set_fast_paths(!slab_hooks, !(slab_hooks & HOOKS_OF_FREE));
	for (struct rn_cache *c = slab_caches; c; c = c->next)
		cache_set_fast_path(c);
}

void slab_hook_set_locked(enum slab_hook hook, bool on)
{
	WRITE_ONCE(slab_hooks, on ? slab_hooks | hook : slab_hooks & ~hook);
	if (mm_initialised)
		set_fast_paths();
}

void slab_hook_set(enum slab_hook hook, bool on)
{
	unsigned int ticket = gate_enter();

	lock(&slab_mutex);
	slab_hook_set_locked(hook, on);
	unlock(&slab_mutex);
	gate_exit(ticket);
}

/* Nobody else makes a cache yet, nor sets a hook: no lock. */
void slab_hooks_init(void)
{
	set_fast_paths();
}

/* --- the hooks --- */

void *slab_alloc(struct rn_cache *c, size_t size, rn_gfp_t flags, int node,
		 const void *caller)
{
	void *object = slab_alloc_slow(c, flags, node);

	if (unlikely(c->debug) && object)
		debug_account(c, object, size, caller);
	if (unlikely(is_sanitized(c)) && object)
		sanitizer_alloc(object, size, c->object_size,
				c->ctor || flags & RN_ZERO);
	return object;
}

void slab_free(unsigned int row, const void *object, const void *caller)
{
	if (unlikely(is_sanitized(row_to_cache(row))))
		sanitizer_free(object);
	slab_free_slow(row, object, caller);
}
