// SPDX-License-Identifier: MIT
/*
 * Runs of pages given to a user: large objects and rn_alloc_pages(). The head
 * page's descriptor says PAGE_LARGE and how many; all else is the page
 * allocator's.
 *
 * Locks: none. A run belongs to its user; that two threads free it at once is
 * seen by the exchange of its type.
 */
#include "debug/kfence.h"
#include "page_counter.h"
#include "percpu.h"
#include "debug/profile.h"
#include "debug/sanitizer.h"
#include "tracepoint.h"
#include "zone.h"

#include <string.h>

static void *run_to_user(u32 pfn, u32 nr)
{
	struct page *head = pfn_to_page(pfn);

	head->nr_pages = nr;
	head->counter = 0;
	head->owner = 0;
	head->mark = 0;
	head->asked = (u64)nr << PAGE_SHIFT;
	__atomic_store_n(&head->type, PAGE_LARGE, __ATOMIC_RELEASE);
	return pfn_to_ptr(pfn);
}

static void *run_alloc(u32 nr, rn_gfp_t flags, int node)
{
	unsigned int ticket = gate_enter();
	bool zeroed = false, by_policy = node == RN_NO_NODE;
	void *p = NULL;
	u32 pfn;

	if (by_policy)
		node = numa_policy_node();
	pfn = pages_alloc(nr, node, flags, &zeroed);
	if (pfn != NO_PFN) {
		trace_pages(mm_page_alloc, pfn, nr, flags);
		numa_count_run(node, pfn_to_node(pfn), by_policy);
		p = run_to_user(pfn, nr);
	}
	if (by_policy)
		numa_turn_over();
	gate_exit(ticket);
	if (p && flags & RN_ZERO && !zeroed)
		run_zero(pfn, nr);
	return p;
}

/* Memory is zero, whoever asks (mm/debug/harden.c). */
static rn_gfp_t with_init(rn_gfp_t flags)
{
	return unlikely(slab_hooked(HOOK_INIT_ALLOC)) ? flags | RN_ZERO : flags;
}

/* @pages is at least 1. Waits for RN_NOFAIL outside of the gate. */
static void *pages_to_user(size_t pages, rn_gfp_t flags, int node)
{
	void *p;

	flags = with_init(flags);
	if (pages >> mem.stripe_order) {
		if (flags & RN_NOFAIL)
			bug("RN_NOFAIL: %zu pages are more than a node has "
			    "address space", pages);
		errno = ENOMEM;
		return NULL;
	}
	for (unsigned int round = 0; ; round++) {
		p = run_alloc(pages, flags, node);
		if (p || !reclaim(flags, round))
			break;
	}
	pressure_check(flags);
	return p;
}

static void free_pages(u32 pfn, u32 nr)
{
	trace_pages(mm_page_free, pfn, nr);
	if (unlikely(slab_hooked(HOOK_INIT_FREE)))
		run_zero(pfn, nr);
	pages_free(pfn, nr);
}

static size_t size_to_pages(size_t size)
{
	size_t pages = (size >> PAGE_SHIFT) + !!(size & (PAGE_BYTES - 1));

	return max(pages, (size_t)1);
}

/*
 * Of a run of @nr pages, what starts at the first boundary of @align and has
 * @pages pages; the rest is freed.
 */
static void *run_cut(void *p, u32 nr, u32 pages, size_t align)
{
	struct page *head = pfn_to_page(ptr_to_pfn(p));
	u32 mark = head->mark, pfn, lead;
	u64 asked = head->asked;
	unsigned int ticket = gate_enter();

	pfn = ptr_to_pfn((void *)ALIGN((uintptr_t)p, align));
	lead = pfn - ptr_to_pfn(p);
	if (lead)
		__atomic_store_n(&head->type, PAGE_NONE, __ATOMIC_RELEASE);
	run_to_user(pfn, pages);
	pfn_to_page(pfn)->mark = mark;
	pfn_to_page(pfn)->asked = asked;
	if (lead)
		free_pages(pfn - lead, lead);
	if (nr - lead > pages)
		free_pages(pfn + pages, nr - lead - pages);
	gate_exit(ticket);
	return pfn_to_ptr(pfn);
}

/* --- under a sanitizer: pages behind it are forbidden --- */

static void set_asked(struct page *head, size_t size)
{
	if (unlikely(head->mark))
		profile_resize(head, size);
	head->asked = size;
}

/* Of @nr pages, which are allowed. */
static void *sanitized_cut(void *p, u32 nr, size_t size, size_t align,
			   bool written)
{
	size_t pages = size_to_pages(size);
	struct page *head;

	p = run_cut(p, nr, pages + RUN_ZONE, align);
	head = ptr_to_page(p);
	head->nr_pages = pages;
	set_asked(head, size);
	sanitizer_alloc(p, size, run_bytes(head), written);
	return p;
}

/* What has to be aligned is cut from twice as much. */
static void *sanitized_run(size_t size, rn_gfp_t flags, int node)
{
	size_t pages = size_to_pages(size);
	bool aligned = is_power_of_2(pages) && pages < PAGEBLOCK_PAGES;
	size_t nr = pages + (aligned ? pages : RUN_ZONE);
	void *p = pages_to_user(nr, flags, node);

	return p ? sanitized_cut(p, nr, size, PAGE_BYTES,
				 with_init(flags) & RN_ZERO) : NULL;
}

static void sanitized_free(void *p, struct page *head)
{
	sanitizer_free(p);
	sanitizer_close(p, large_size(head));
	WRITE_ONCE(head->type, PAGE_HELD);
	quarantine_put(p, run_bytes(head));
}

void large_release(void *p)
{
	struct page *head = ptr_to_page(p);
	size_t bytes = run_bytes(head);

	sanitizer_open(p, bytes, true);
	WRITE_ONCE(head->type, PAGE_NONE);
	free_pages(ptr_to_pfn(p), bytes >> PAGE_SHIFT);
}

void large_resize(void *p, size_t size)
{
	struct page *head = ptr_to_page(p);

	if (!sanitizer || !head || head->type != PAGE_LARGE)
		return;
	sanitizer_resize(p, large_size(head), size);
	set_asked(head, size);
}

/* --- for the rest of the library --- */

void *large_alloc(size_t size, rn_gfp_t flags, int node)
{
	if (unlikely(sanitizer))
		return sanitized_run(size, flags, node);
	return pages_to_user(size_to_pages(size), flags, node);
}

void large_free(void *p, struct page *head)
{
	u32 nr = head->nr_pages;
	u16 id = head->counter;

	if (__atomic_exchange_n(&head->type, PAGE_NONE, __ATOMIC_ACQ_REL) !=
	    PAGE_LARGE)
		bug("double free of %p", p);
	if (unlikely(head->mark))
		profile_forget(head);
	if (unlikely(sanitizer))
		sanitized_free(p, head);
	else
		free_pages(ptr_to_pfn(p), nr);
	if (unlikely(id))
		counter_uncharge(counters[id], (u64)nr << PAGE_SHIFT);
}

void large_set_counter(void *p, u16 id)
{
	pfn_to_page(ptr_to_pfn(p))->counter = id;
}

/* A run, or a sample of one of its caches. */
static bool is_charged_to(const struct page *head, u16 id)
{
	const struct rn_cache *c = profile_cache(head);

	return c ? c->counter == counters[id] : head->counter == id;
}

void large_free_all(u16 id)
{
	for (u32 block = block_next_used(0); block != NO_BLOCK;
	     block = block_next_used(block + 1)) {
		for (u32 i = 0; i < PAGEBLOCK_PAGES; i++) {
			u32 pfn = (block << PAGEBLOCK_ORDER) + i;
			struct page *page = pfn_to_page(pfn);

			if (page->type == PAGE_LARGE && is_charged_to(page, id))
				large_free(pfn_to_ptr(pfn), page);
		}
	}
}

static void zero_more(void *p, u32 nr, u32 new_nr, rn_gfp_t flags)
{
	if (flags & RN_ZERO)
		memset((char *)p + ((size_t)nr << PAGE_SHIFT), 0,
		       (size_t)(new_nr - nr) << PAGE_SHIFT);
}

static void *large_grow(void *p, struct page *head, u32 new_nr, rn_gfp_t flags)
{
	u32 nr = head->nr_pages, pfn = ptr_to_pfn(p), old = pfn;

	if (pages_extend(pfn, nr, new_nr, flags)) {
		trace_pages(mm_page_alloc, pfn + nr, new_nr - nr, flags);
		head->nr_pages = new_nr;
		zero_more(p, nr, new_nr, flags);
		return p;
	}
	/* The old address may be another's before pages_move() returns. */
	__atomic_store_n(&head->type, PAGE_NONE, __ATOMIC_RELEASE);
	pfn = pages_move(pfn, nr, new_nr, flags);
	if (pfn == NO_PFN) {
		__atomic_store_n(&head->type, PAGE_LARGE, __ATOMIC_RELEASE);
		return NULL;
	}
	trace_pages(mm_page_free, old, nr);
	trace_pages(mm_page_alloc, pfn, new_nr, flags);
	p = run_to_user(pfn, new_nr);
	zero_more(p, nr, new_nr, flags);
	return p;
}

void *large_realloc(void *p, size_t size, rn_gfp_t flags)
{
	struct page *head = pfn_to_page(ptr_to_pfn(p));
	size_t pages = size_to_pages(size);
	u32 nr = head->nr_pages;

	/* Elsewhere who still uses the old one is found. */
	if (unlikely(sanitizer) || pages >> mem.stripe_order)
		return NULL;
	/* The caller counts it anew; where that fails the profile lacks it. */
	if (unlikely(head->mark))
		profile_forget(head);
	if (pages > nr)
		return large_grow(p, head, pages, with_init(flags));
	if (pages < nr) {
		head->nr_pages = pages;
		free_pages(ptr_to_pfn(p) + pages, nr - pages);
	}
	return p;
}

void *large_cut(void *p, size_t size, size_t align)
{
	struct page *head = ptr_to_page(p);
	u32 nr = run_bytes(head) >> PAGE_SHIFT;

	if (likely(!sanitizer))
		return run_cut(p, nr, size_to_pages(size), align);
	sanitizer_free(p);
	sanitizer_open(p, run_bytes(head), true);
	return sanitized_cut(p, nr, size, align, false);
}

/* --- from anywhere within --- */

static bool run_has(const struct page *head, u32 page)
{
	return page < run_bytes(head) >> PAGE_SHIFT;
}

const struct page *large_find(const void *p)
{
	u32 pfn = ptr_to_pfn(p), at = pfn;

	for (;; at--) {
		const struct page *page = ptr_to_page(pfn_to_ptr(at));

		if (!page || page->type == PAGE_SLAB)
			return NULL;
		if (page->type == PAGE_LARGE || page->type == PAGE_HELD)
			return run_has(page, pfn - at) ? page : NULL;
		if (!at)
			return NULL;
	}
}

/* --- the public functions --- */

static bool node_is_valid(int node)
{
	return node == RN_NO_NODE || (node >= 0 && node < nr_node_ids());
}

/**
 * rn_alloc_pages() - allocate whole pages
 * @order: log2 of the number of pages of RN_PAGE_SIZE, 0 to RN_MAX_ORDER
 * @flags: RN_* flags
 * @node: NUMA node to take them from, or RN_NO_NODE for the local one
 *
 * The run is aligned to its own size up to 2 MiB, and to 2 MiB above.
 *
 * Context: any thread, no lock of the library held; may sleep in the kernel
 * unless RN_NOWAIT; not from a signal handler; safe beside fork().
 * Return: the first page, or NULL with errno EINVAL (order, flags or node) or
 * ENOMEM. With RN_NOFAIL it returns memory or, for what can never be met, ends
 * the program with a report.
 */
RN_API void *rn_alloc_pages(unsigned int order, rn_gfp_t flags, int node)
{
	mm_init();
	if (mm_init_error()) {
		errno = mm_init_error();
		return NULL;
	}
	if (order > RN_MAX_ORDER || flags & ~RN_GFP_MASK ||
	    !node_is_valid(node)) {
		if (flags & RN_NOFAIL)
			bug("rn_alloc_pages(%u, %#x, %d): invalid, and "
			    "RN_NOFAIL", order, flags, node);
		errno = EINVAL;
		return NULL;
	}
	return profile_run(large_alloc(PAGE_BYTES << order, flags, node),
			   PAGE_BYTES << order, CALL_SITE);
}

/* The head of the run that @addr and @order name, or a report and the end. */
static struct page *head_to_free(const void *addr, unsigned int order)
{
	struct page *head = ptr_to_page(addr);

	if (!head)
		bug("rn_free_pages(%p): not from rn_alloc_pages", addr);
	if ((uintptr_t)addr & (PAGE_BYTES - 1))
		bug("rn_free_pages(%p): not the start of a page", addr);
	if (__atomic_load_n(&head->type, __ATOMIC_ACQUIRE) != PAGE_LARGE ||
	    head->owner)
		bug("rn_free_pages(%p): not an allocated run, or freed twice",
		    addr);
	if (order > RN_MAX_ORDER || head->nr_pages != 1U << order)
		bug("rn_free_pages(%p): order %u, but it has %u pages", addr,
		    order, head->nr_pages);
	return head;
}

/**
 * rn_free_pages() - give back what rn_alloc_pages() returned
 * @addr: its first page, or NULL for nothing
 * @order: the order that it was allocated with
 *
 * Context: as rn_alloc_pages(). errno is preserved. What was never allocated,
 * is freed twice or has another order ends the program with a report.
 */
RN_API void rn_free_pages(void *addr, unsigned int order)
{
	unsigned int ticket;
	int saved = errno;

	if (!addr)
		return;
	mm_init();
	ticket = gate_enter();
	large_free(addr, head_to_free(addr, order));
	gate_exit(ticket);
	age_poll_deep();
	errno = saved;
}

/**
 * rn_addr_to_node() - the NUMA node that an address of the library lies on
 * @p: any address inside of an object or of pages from this library
 *
 * On a machine with several nodes the kernel is asked, as by move_pages(), so
 * that what a child of fork() has copied, or somebody has migrated, is found
 * where it is. Of a page that is not there (swapped out, of a large run and
 * never touched) it is the node that the page is to come from; so it is where
 * the kernel may not be asked.
 *
 * Context: any, signal handlers too. errno is kept.
 * Return: the node's number, or -EFAULT for a foreign address.
 */
RN_API int rn_addr_to_node(const void *p)
{
	const struct rn_cache *c;
	const char *start;
	size_t size;
	int node;

	if (!mem_has(p) && !kfence_find(p, &start, &size, &c) &&
	    !asan_heap_find(p, &start, &size, &c))
		return -EFAULT;
	node = page_node(p);
	if (node < 0 && !mem_has(p))
		return numa_local_node();
	return node < 0 ? pfn_to_node(ptr_to_pfn(p)) : node;
}
