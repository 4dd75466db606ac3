// SPDX-License-Identifier: MIT
/*
 * Trace points, and how those of objects get to see all of them.
 *
 * A tracer that attaches to a USDT probe increments its semaphore, a short in
 * our data; more it does not say. That of the probes of objects is the top of
 * hot.base: no address reaches so far, and with anything there all that is
 * freed seems to lie outside of the reservation. So the next free comes to its
 * slow path, which sees why and shuts the fast paths of allocations, too. A
 * program that does not free comes to a slow path when its sheaf is empty.
 *
 * When the last tracer has gone the next slow path opens them again.
 *
 * Locks: slab_mutex covers the change, and is only tried: who frees may have
 * any lock.
 */
#include "slab_hooks.h"
#include "tracepoint.h"

#ifdef RN_USDT

#define _SDT_HAS_SEMAPHORES 1
#include <sys/sdt.h>

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	      "hot.traced is the top of hot.base");

#pragma GCC visibility push(hidden)

/* All four are hot.traced (mm/percpu.c). */
extern unsigned short libslab_kmalloc_semaphore;
extern unsigned short libslab_kfree_semaphore;
extern unsigned short libslab_kmem_cache_alloc_semaphore;
extern unsigned short libslab_kmem_cache_free_semaphore;

#pragma GCC visibility pop

unsigned short libslab_mm_page_alloc_semaphore __semaphore;
unsigned short libslab_mm_page_free_semaphore __semaphore;

noinline void trace_switch(void)
{
	int saved = errno;
	unsigned int ticket = gate_enter();

	if (trylock(&slab_mutex)) {
		slab_hook_set_locked(HOOK_TRACE, kmem_is_traced());
		unlock(&slab_mutex);
	}
	gate_exit(ticket);
	errno = saved;
}

/* --- the probes, each in one place --- */

noinline void do_trace_kmalloc(const void *call_site, const void *p,
			       size_t req, rn_gfp_t flags, int node)
{
	size_t alloc = p ? rn_size_roundup(req) : 0;

	STAP_PROBE6(libslab, kmalloc, call_site, p, req, alloc, flags, node);
}

noinline void do_trace_kfree(const void *call_site, const void *p)
{
	STAP_PROBE2(libslab, kfree, call_site, p);
}

noinline void do_trace_kmem_cache_alloc(const void *call_site, const void *p,
					const struct rn_cache *c,
					rn_gfp_t flags, int node)
{
	size_t req = c->object_size, alloc = c->size;
	int accounted = c->counter != NULL;

	STAP_PROBE7(libslab, kmem_cache_alloc, call_site, p, req, alloc, flags,
		    node, accounted);
}

noinline void do_trace_kmem_cache_free(const void *call_site, const void *p,
				       const struct rn_cache *c)
{
	const char *name = c->name;

	STAP_PROBE3(libslab, kmem_cache_free, call_site, p, name);
}

noinline void do_trace_mm_page_alloc(u32 pfn, u32 nr, rn_gfp_t flags)
{
	unsigned int order = order_base_2(nr);
	int backing = mem.blocks[pfn >> PAGEBLOCK_ORDER].backing;

	STAP_PROBE5(libslab, mm_page_alloc, pfn, order, flags, backing, nr);
}

noinline void do_trace_mm_page_free(u32 pfn, u32 nr)
{
	unsigned int order = order_base_2(nr);

	STAP_PROBE3(libslab, mm_page_free, pfn, order, nr);
}

#endif /* RN_USDT */
