// SPDX-License-Identifier: MIT
/*
 * The places that each object passes which does not go by a fast path, and how
 * the fast paths are shut for who wants to see all objects.
 *
 * Lock: slab_mutex covers slab_hooks and what follows from it.
 */
#include "debug/fault_inject.h"
#include "debug/harden.h"
#include "debug/kfence.h"
#include "debug/profile.h"
#include "debug/sanitizer.h"
#include "slab_hooks.h"

#include <string.h>

unsigned int slab_hooks;

/* --- which fast paths are open --- */

void cache_set_fast_path(struct rn_cache *c)
{
	bool open = percpu_has_rseq() && !hot.node_rows && !slab_hooks;

	WRITE_ONCE(c->fast_at, open ? slot_at(c->row) : 0);
}

static void set_fast_paths(void)
{
	percpu_set_fast_paths(!slab_hooks, !slab_hooked(HOOKS_OF_FREE));
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
	harden_init();
	set_fast_paths();
}

/* --- the slot of the CPU, as the fast paths use it --- */

static bool slot_is_seen(void)
{
	return unlikely(READ_ONCE(slab_hooks)) && percpu_has_rseq();
}

static void *slot_pop(const struct rn_cache *c, rn_gfp_t flags, int node)
{
	if (!slot_is_seen() || flags || node != RN_NO_NODE)
		return NULL;
	return fast_pop(slot_at(local_row(c->row)));
}

static bool slot_push(unsigned int row, const void *object)
{
	return slot_is_seen() && fast_push(slot_at(row), object);
}

/* --- the hooks --- */

/*
 * Now and then an object does not lie in a slab, or where AddressSanitizer's
 * heap has it; NULL: it is to.
 */
static void *alloc_sample(struct rn_cache *c, size_t size, rn_gfp_t flags,
			  int node, const void *caller)
{
	void *object = NULL;

	if (unlikely(asan_heap_on))
		return asan_heap_alloc(c, size, flags, node, caller);
	if (kfence_wants(c->row))
		object = kfence_alloc(c, size, flags, node, caller);
	if (!object && slab_hooked(HOOK_PROFILE) && profile_is_due(size))
		object = profile_alloc(c, size, flags, node, caller);
	return object;
}

void *slab_alloc(struct rn_cache *c, size_t size, rn_gfp_t flags, int node,
		 const void *caller)
{
	bool zero = flags & RN_ZERO || harden_zeroes(c);
	void *object;

	if (failslab(c, size, flags, caller))
		return NULL;
	debug_called(c, caller);
	flags &= ~RN_ZERO;
	object = alloc_sample(c, size, flags | (zero ? RN_ZERO : 0), node,
			      caller);
	if (object)
		return object;
	object = slot_pop(c, flags, node);
	if (!object)
		object = slab_alloc_slow(c, flags, node);
	if (!object)
		return NULL;
	if (unlikely(slab_hooked(HOOK_HARDENED)))
		harden_alloc(c, object);
	if (zero)
		memset(object, 0, c->usable);
	if (unlikely(slab_hooked(HOOK_HARDENED)))
		harden_account(c, object, size);
	if (unlikely(c->debug))
		debug_account(c, object, size, caller);
	if (unlikely(is_sanitized(c)))
		sanitizer_alloc(object, size, c->object_size,
				c->ctor || zero);
	return object;
}

void slab_free(unsigned int row, const void *object, const void *caller)
{
	if (unlikely(is_sanitized(row_to_cache(row))))
		sanitizer_free(object);
	if (unlikely(slab_hooked(HOOKS_HARDEN_FREE)))
		harden_free(row, (void *)object);
	if (!slot_push(row, object))
		slab_free_slow(row, object, caller);
}
