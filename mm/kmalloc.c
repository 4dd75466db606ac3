// SPDX-License-Identifier: MIT
/*
 * rn_alloc() and rn_free() by size: the fast paths, and the checks in front of
 * the slow ones. Objects of caches are in cache_alloc.c.
 *
 * One comparison guards each fast path: hot.local_max, hot.medium_max and
 * hot.span are 0 until initialisation is over, while somebody wants to see all
 * objects (mm/slab_hooks.h), and always where there is no rseq. On several nodes
 * alloc_medium() is the fast path, since it has to ask for the node.
 */
#include "debug/fault_inject.h"
#include "debug/harden.h"
#include "debug/kfence.h"
#include "debug/profile.h"
#include "debug/sanitizer.h"
#include "slab_hooks.h"
#include "tracepoint.h"

#include <rn/slab-inline.h>
#include <stdio.h>
#include <string.h>

#undef rn_alloc

static_assert(RN_CLASS_MAX == KMALLOC_MAX, "the public header's classes");
static_assert(RN_CLASS(RN_CLASS_MAX) == RN_NR_CLASSES, "the last class");

/* Slots of the classes up to SMALL_MAX, by (size - 1) / 8. */
#define AT(i)		((u16)(RN_CLASS((i) * 8 + 8) << SLOT_SHIFT))
#define AT_4(i)		AT(i), AT((i) + 1), AT((i) + 2), AT((i) + 3)
#define AT_16(i)	AT_4(i), AT_4((i) + 4), AT_4((i) + 8), AT_4((i) + 12)

const u16 at_of_small[] = {
	AT_16(0), AT_16(16), AT_16(32), AT_16(48),
	AT_16(64), AT_16(80), AT_16(96), AT_16(112),
};
static_assert(sizeof(at_of_small) == SMALL_MAX / 8 * sizeof(u16),
	      "an entry for each 8 bytes");

/* Classes of all sizes above, by (size - 1) / 128: each ends on such a step. */
#define OF(i)		((u8)RN_CLASS((i) * 128 + 128))
#define OF_4(i)		OF(i), OF((i) + 1), OF((i) + 2), OF((i) + 3)
#define OF_16(i)	OF_4(i), OF_4((i) + 4), OF_4((i) + 8), OF_4((i) + 12)
#define OF_64(i)	OF_16(i), OF_16((i) + 16), OF_16((i) + 32), \
			OF_16((i) + 48)

const u8 class_of_large[] = {
	OF_64(0), OF_64(64), OF_64(128), OF_64(192),
	OF_64(256), OF_64(320), OF_64(384), OF_64(448),
};
static_assert(sizeof(class_of_large) == KMALLOC_MAX / 128,
	      "an entry for each 128 bytes");

u32 class_bytes[RN_NR_CLASSES + 1];

/* Copies of the cache of a class: its own, those by call site, the last. */
#define COPY_HUGETLB	NR_RANDOM_CACHES	/* on hugetlb pages alone */
#define NR_COPIES	(COPY_HUGETLB + 1)

/* Made when first asked for: most programs use a dozen. */
static struct rn_cache *kmalloc_caches[NR_COPIES][RN_NR_CLASSES + 1];

/* Their rows are kept for them. The last size of each class is its own. */
void kmalloc_init(void)
{
	for (size_t size = 8; size <= SMALL_MAX; size += 8)
		class_bytes[size_to_row(size)] = size;
	for (size_t size = SMALL_MAX; size <= KMALLOC_MAX; size += 128)
		class_bytes[size_to_row(size)] = size;
}

/* Under slab_mutex. */
static struct rn_cache *class_new(unsigned int copy, unsigned int class_)
{
	struct rn_cache_args args = {
		.sz = sizeof(args), .size = class_bytes[class_],
		.flags = CACHE_CANARY_IN |
			 (copy == COPY_HUGETLB ? RN_CACHE_HUGETLB :
			  copy ? RN_NOMERGE : 0),
		.align = class_align(class_bytes[class_]),
	};
	char infix[16] = "", name[48];

	if (copy == COPY_HUGETLB)
		strcpy(infix, "-hugetlb");
	else if (copy)
		snprintf(infix, sizeof(infix), "-rnd-%02u", copy);
	snprintf(name, sizeof(name), "kmalloc%s-%zu", infix, args.size);
	return cache_new(name, &args, copy ? 0 : class_);
}

/* The cache of a class, perhaps new; or NULL. */
static struct rn_cache *class_cache(unsigned int copy, unsigned int class_)
{
	struct rn_cache **where = &kmalloc_caches[copy][class_];
	struct rn_cache *c = smp_load_acquire(where);
	unsigned int ticket;

	if (likely(c))
		return c;
	ticket = gate_enter();
	lock(&slab_mutex);
	c = *where;
	if (!c) {
		c = class_new(copy, class_);
		smp_store_release(where, c);
	}
	unlock(&slab_mutex);
	gate_exit(ticket);
	return c;
}

/* As a request waits for memory, so does its cache; NULL if there is none. */
static struct rn_cache *cache_for(size_t size, rn_gfp_t flags,
				  const void *caller)
{
	unsigned int copy = flags & RN_HUGETLB ? COPY_HUGETLB :
			    harden_copy(caller);
	struct rn_cache *c;

	for (unsigned int round = 0; ; round++) {
		c = class_cache(copy, size_to_row(size));
		/* Rows of their own are not kept for these. */
		if (unlikely(!c) && copy % COPY_HUGETLB)
			c = class_cache(0, size_to_row(size));
		if (likely(c) || !reclaim(flags, round))
			return c;
	}
}

int kmalloc_complete(void)
{
	for (unsigned int k = 1; k <= RN_NR_CLASSES; k++)
		if (!class_cache(0, k))
			return -ENOMEM;
	return 0;
}

/* --- allocation --- */

void *alloc_fail(int error, rn_gfp_t flags, size_t size)
{
	if (flags & RN_NOFAIL)
		bug("RN_NOFAIL: a request of %zu bytes (flags %#x) can never "
		    "be met", size, flags);
	errno = error;
	return NULL;
}

int alloc_check(rn_gfp_t flags, int node)
{
	mm_init();
	if (unlikely(mm_init_error()))
		return ENOMEM;
	trace_poll();
	if (unlikely(flags & ~RN_GFP_MASK))
		return EINVAL;
	if (unlikely(node != RN_NO_NODE &&
		     (node < 0 || node >= nr_node_ids())))
		return EINVAL;
	return 0;
}

size_t class_on(size_t size, size_t align)
{
	for (;;) {
		size = ALIGN(size, align);
		if (size > KMALLOC_MAX)
			return size;
		size = class_bytes[size_to_row(size)];
		if (size % align == 0)
			return size;
	}
}

/* With a canary behind it a request is aligned as it is without. */
static size_t fit_of(size_t size)
{
	if (likely(!options.hardened) || size > KMALLOC_MAX)
		return size;
	return class_on(canary_room(size),
			class_align(class_bytes[size_to_row(size)]));
}

/* A profile has none but runs of pages. */
static void *alloc_large(size_t size, rn_gfp_t flags, int node,
			 const void *caller)
{
	void *p = NULL;

	if (failslab(NULL, size, flags, caller))
		return NULL;
	if (unlikely(asan_heap_on) && !slab_hooked(HOOK_PROFILE))
		p = asan_heap_alloc(NULL, size,
				    slab_hooked(HOOK_INIT_ALLOC) ?
				    flags | RN_ZERO : flags, node, caller);
	return p ? p : profile_run(large_alloc(size, flags, node), size,
				   caller);
}

/* As for @fit bytes, if that is not 0, of which @size are asked for. */
static void *alloc_checked(size_t fit, size_t size, rn_gfp_t flags, int node,
			   const void *caller)
{
	int error = alloc_check(flags, node);
	struct rn_cache *c;

	if (unlikely(error))
		return alloc_fail(error, flags, size);
	if (!size)
		return RN_ZERO_SIZE_PTR;
	if (size > RN_MAX_SIZE)
		return alloc_fail(ENOMEM, flags, size);
	if (!fit)
		fit = fit_of(size);
	if (fit > KMALLOC_MAX)
		return alloc_large(size, flags, node, caller);
	c = cache_for(fit, flags, caller);
	if (!c)
		return alloc_fail(ENOMEM, flags, fit);
	return slab_alloc(c, size, flags, node, caller);
}

static noinline void *alloc_slow(size_t size, rn_gfp_t flags, int node)
{
	void *p = alloc_checked(0, size, flags, node, CALL_SITE);

	trace_kmem(kmalloc, CALL_SITE, p, size, flags, node);
	return p;
}

noinline void *kmalloc_fit(size_t fit, size_t size)
{
	void *p = alloc_checked(fit, size, 0, RN_NO_NODE, CALL_SITE);

	trace_kmem(kmalloc, CALL_SITE, p, fit, 0, RN_NO_NODE);
	return p;
}

/* Sizes above SMALL_MAX, and all on several nodes: still no lock. */
static __always_inline void *pop_medium(size_t size)
{
	return fast_pop(slot_at(local_row(size_to_row(size))));
}

static noinline void *alloc_medium(size_t size, rn_gfp_t flags)
{
	void *object;

	if (likely(!flags && below_acquire(size - 1, &hot.medium_max))) {
		object = pop_medium(size);
		if (likely(object))
			return object;
	}
	return flags == RN_ZERO ? rn_zalloc(size, 0)
				: alloc_slow(size, flags, RN_NO_NODE);
}

/**
 * rn_alloc() - allocate memory
 * @size: bytes; 0 gives RN_ZERO_SIZE_PTR
 * @flags: RN_KERNEL or others of <rn/gfp.h>
 *
 * Sizes that are a power of two are aligned to it (up to 2 MiB), all others
 * to the largest power of two that divides their class, at least 8 bytes.
 *
 * Context: MT-safe, not async-signal-safe; valid in parent and child of fork().
 * Return: the memory, or NULL with errno: ENOMEM when there is none or @size
 * is above RN_MAX_SIZE, EINVAL for an unknown flag.
 */
RN_API __fastpath void *rn_alloc(size_t size, rn_gfp_t flags)
{
	void *object;

	if (likely(!flags && below_acquire(size - 1, &hot.local_max))) {
		object = fast_pop(at_of_small[(size - 1) / 8]);
		return likely(object) ? object
				      : alloc_slow(size, 0, RN_NO_NODE);
	}
	return alloc_medium(size, flags);
}

RN_API __fastpath void *rn_alloc_class_v3(size_t size, size_t class_)
{
	void *object;

	if (likely(below_acquire(0, &hot.local_max))) {
		object = fast_pop(slot_at(class_));
		return likely(object) ? object
				      : alloc_slow(size, 0, RN_NO_NODE);
	}
	return alloc_medium(size, 0);
}

/**
 * rn_zalloc() - allocate zeroed memory
 * @size: bytes
 * @flags: as for rn_alloc()
 *
 * All usable bytes (rn_size()) are zero, not only @size of them.
 *
 * Context: as rn_alloc().
 * Return: as rn_alloc().
 */
RN_API void *rn_zalloc(size_t size, rn_gfp_t flags)
{
	void *object = NULL;

	if (unlikely(size - 1 >= KMALLOC_MAX || flags))
		return alloc_slow(size, flags | RN_ZERO, RN_NO_NODE);
	if (likely(below_acquire(size - 1, &hot.local_max)))
		object = fast_pop(at_of_small[(size - 1) / 8]);
	else if (likely(smp_load_acquire(&hot.medium_max)))
		object = pop_medium(size);
	/* Which knows how much of a debugged object may be cleared. */
	if (unlikely(!object))
		return alloc_slow(size, RN_ZERO, RN_NO_NODE);
	return memset(object, 0, class_bytes[size_to_row(size)]);
}

/**
 * rn_alloc_node() - allocate memory on a node
 * @size: bytes
 * @flags: as for rn_alloc(); with RN_THISNODE only that node will do
 * @node: node number, or RN_NO_NODE for the local one
 *
 * Context: as rn_alloc().
 * Return: as rn_alloc(); also EINVAL for a node number out of range.
 */
RN_API void *rn_alloc_node(size_t size, rn_gfp_t flags, int node)
{
	return alloc_slow(size, flags, node);
}

/**
 * rn_zalloc_node() - allocate zeroed memory on a node
 * @size: bytes
 * @flags: as for rn_alloc_node()
 * @node: as for rn_alloc_node()
 *
 * Context: as rn_alloc().
 * Return: as rn_alloc_node().
 */
RN_API void *rn_zalloc_node(size_t size, rn_gfp_t flags, int node)
{
	return alloc_slow(size, flags | RN_ZERO, node);
}

/**
 * rn_alloc_bulk() - allocate many objects of one size
 * @size: bytes of each
 * @flags: as for rn_alloc()
 * @n: how many
 * @p: array of @n pointers, filled from the start
 *
 * Context: as rn_alloc().
 * Return: how many were allocated; below @n, errno says why.
 */
RN_API size_t rn_alloc_bulk(size_t size, rn_gfp_t flags, size_t n, void **p)
{
	size_t i;

	for (i = 0; i < n; i++) {
		p[i] = rn_alloc(size, flags);
		if (unlikely(!p[i]))
			break;
	}
	return i;
}

/**
 * rn_size_roundup() - what a request would be rounded up to
 * @size: bytes
 *
 * Context: any.
 * Return: what rn_size() of rn_alloc(@size) would be, unless objects are
 * debugged, or have canaries (RN_HARDENED): then it is what rn_alloc() could be
 * asked for and take no more; @size itself where the request cannot be met.
 */
RN_API size_t rn_size_roundup(size_t size)
{
	size_t fit;

	mm_init();
	if (!size || size > RN_MAX_SIZE || mm_init_error())
		return size;
	fit = fit_of(size);
	if (fit > KMALLOC_MAX)
		return ALIGN(size, PAGE_BYTES);
	return class_bytes[size_to_row(fit)] - canary_bytes();
}

/* --- free --- */

static void __noreturn __cold invalid_free(const void *p, const char *why)
{
	sanitizer_invalid_free(p);
	bug("BUG: invalid free of %p: %s", p, why);
}

void free_checked(const void *p, const void *caller)
{
	unsigned int row, ticket;
	struct page *page;
	int saved = errno;

	if (!p || p == RN_ZERO_SIZE_PTR)
		return;
	if (kfence_has(p)) {
		kfence_free(p, caller);
		return;
	}
	if (!mem_has(p)) {
		if (asan_heap_free(p))
			return;
		invalid_free(p, "not memory of this library");
	}
	trace_poll();
	row = ptr_to_row(p);
	if (row) {
		slab_free(row, p, caller);
		return;
	}
	page = ptr_to_page(p);
	if (!page || page->type != PAGE_LARGE || (uintptr_t)p % PAGE_BYTES)
		invalid_free(p, "nothing is allocated there");
	ticket = gate_enter();
	large_free((void *)p, page);
	gate_exit(ticket);
	age_poll_deep();
	errno = saved;
}

static noinline void free_slow(const void *p)
{
	trace_kmem(kfree, CALL_SITE, p);
	free_checked(p, CALL_SITE);
}

static noinline void free_sized_slow(const void *p, size_t size)
{
	if (unlikely(slab_debug_on))
		debug_check_size(p, size, CALL_SITE);
	if (unlikely(options.hardened))
		canary_check_size(p, size);
	trace_kmem(kfree, CALL_SITE, p);
	free_checked(p, CALL_SITE);
}

/**
 * rn_free() - free memory
 * @p: from any function of this library that allocates objects; NULL and
 *	RN_ZERO_SIZE_PTR do nothing
 *
 * A pointer that is none of those is reported in one line and the program
 * aborted: here if it lies outside the library's memory, at latest when its
 * sheaf is emptied into the slab.
 *
 * Context: as rn_alloc(). errno is kept.
 */
RN_API __fastpath void rn_free(const void *p)
{
	if (!fast_free(p))
		free_slow(p);
}

/**
 * rn_free_sized() - free memory whose size is known
 * @p: as for rn_free()
 * @size: bytes it was allocated with; not needed here, kept for callers that
 *	have it. Where objects are debugged or have canaries (RN_HARDENED)
 *	another size is reported.
 *
 * Context: as rn_free().
 */
RN_API void rn_free_sized(const void *p, size_t size)
{
	if (!fast_free(p))
		free_sized_slow(p, size);
}

/**
 * rn_free_sensitive() - wipe memory and free it
 * @p: as for rn_free()
 *
 * All usable bytes are zeroed, in a way that the compiler keeps.
 *
 * Context: as rn_free().
 */
RN_API void rn_free_sensitive(const void *p)
{
	if (p && p != RN_ZERO_SIZE_PTR)
		explicit_bzero((void *)p, rn_size(p));
	rn_free(p);
}

/**
 * rn_free_bulk() - free many objects
 * @n: how many
 * @p: array of @n pointers, each as for rn_free()
 *
 * Context: as rn_free().
 */
RN_API void rn_free_bulk(size_t n, void *const *p)
{
	for (size_t i = 0; i < n; i++)
		rn_free(p[i]);
}
