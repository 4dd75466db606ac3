/* SPDX-License-Identifier: MIT */
/*
 * Trace points, named as the kernel's events of the group kmem: USDT probes
 * (sys/sdt.h) of the provider "libslab". What each one has is described in
 * Documentation/dev-tools/tracepoints.rst.
 *
 * While nobody traces them they cost the fast paths nothing, not even a nop:
 * hot.traced, their semaphore, is a part of a word that these read anyway.
 */
#ifndef MM_TRACEPOINT_H
#define MM_TRACEPOINT_H

#include "percpu.h"

#pragma GCC visibility push(hidden)

#ifdef RN_USDT

struct rn_cache;

void trace_switch(void);
void do_trace_kmalloc(const void *call_site, const void *p, size_t req,
		      rn_gfp_t flags, int node);
void do_trace_kfree(const void *call_site, const void *p);
void do_trace_kmem_cache_alloc(const void *call_site, const void *p,
			       const struct rn_cache *c, rn_gfp_t flags,
			       int node);
void do_trace_kmem_cache_free(const void *call_site, const void *p,
			      const struct rn_cache *c);
void do_trace_mm_page_alloc(u32 pfn, u32 nr, rn_gfp_t flags);
void do_trace_mm_page_free(u32 pfn, u32 nr);

/* Those of objects are wanted: all goes by the slow paths, where they are. */
static inline bool kmem_is_traced(void)
{
	return unlikely(READ_ONCE(hot.traced));
}

extern unsigned short libslab_mm_page_alloc_semaphore;
extern unsigned short libslab_mm_page_free_semaphore;

#define pages_are_traced(event) \
	unlikely(READ_ONCE(libslab_##event##_semaphore))

/* Where slow paths begin, outside of locks: did somebody begin, or end? */
static inline void trace_poll(void)
{
	bool seen = READ_ONCE(slab_hooks) & HOOK_TRACE;

	if (unlikely(kmem_is_traced() != seen))
		trace_switch();
}

#else /* without sys/sdt.h they are left out */

#define kmem_is_traced()	false
#define pages_are_traced(event)	false

static inline void trace_poll(void)
{
}

/* Never called: what is counted for a trace point is used all the same. */
static inline void trace_nothing(int none, ...)
{
	(void)none;
}

#define do_trace_kmalloc(...)		trace_nothing(0, __VA_ARGS__)
#define do_trace_kfree(...)		trace_nothing(0, __VA_ARGS__)
#define do_trace_kmem_cache_alloc(...)	trace_nothing(0, __VA_ARGS__)
#define do_trace_kmem_cache_free(...)	trace_nothing(0, __VA_ARGS__)
#define do_trace_mm_page_alloc(...)	trace_nothing(0, __VA_ARGS__)
#define do_trace_mm_page_free(...)	trace_nothing(0, __VA_ARGS__)

#endif /* RN_USDT */

/* Behind the call of the function that the program called, or nearly. */
#define CALL_SITE	__builtin_return_address(0)

/* Each evaluates its arguments only if somebody traces. */
#define trace_kmem(event, ...)						\
	do {								\
		if (kmem_is_traced())					\
			do_trace_##event(__VA_ARGS__);			\
	} while (0)
#define trace_pages(event, ...)						\
	do {								\
		if (pages_are_traced(event))				\
			do_trace_##event(__VA_ARGS__);			\
	} while (0)

#pragma GCC visibility pop

#endif /* MM_TRACEPOINT_H */
