// SPDX-License-Identifier: MIT
/*
 * Runs of pages given to a user: large objects and rn_alloc_pages(). The head
 * page's descriptor says PAGE_LARGE and how many; all else is the page
 * allocator's.
 *
 * Locks: none. A run belongs to its user; that two threads free it at once is
 * seen by the exchange of its type.
 */
#include "internal.h"
#include "zone.h"

#include <string.h>
#include <time.h>

#define PAUSE_MIN_MS	1U
#define PAUSE_MAX_MS	100U

/* RN_NOFAIL: others free meanwhile, or the system finds memory. */
static void back_off(unsigned int *ms)
{
	struct timespec pause = { .tv_nsec = *ms * 1000000L };

	nanosleep(&pause, NULL);
	*ms = min(*ms * 2, PAUSE_MAX_MS);
}

static void *run_to_user(u32 pfn, u32 nr)
{
	struct page *head = pfn_to_page(pfn);

	head->nr_pages = nr;
	__atomic_store_n(&head->type, PAGE_LARGE, __ATOMIC_RELEASE);
	return pfn_to_ptr(pfn);
}

static void *run_alloc(size_t pages, rn_gfp_t flags, int node)
{
	bool zeroed = false;
	void *p;
	u32 pfn;

	if (pages >> mem.stripe_order) {
		if (flags & RN_NOFAIL)
			bug("RN_NOFAIL: %zu pages are more than a node has "
			    "address space", pages);
		errno = ENOMEM;
		return NULL;
	}
	if (node == RN_NO_NODE)
		node = numa_policy_node();
	pfn = pages_alloc(pages, node, flags, &zeroed);
	if (pfn == NO_PFN)
		return NULL;
	p = run_to_user(pfn, pages);
	if (flags & RN_ZERO && !zeroed)
		memset(p, 0, pages << PAGE_SHIFT);
	return p;
}

void *large_alloc(size_t size, rn_gfp_t flags, int node)
{
	size_t pages = (size >> PAGE_SHIFT) + !!(size & (PAGE_BYTES - 1));

	unsigned int ms = PAUSE_MIN_MS;
	void *p;

	pages = max(pages, (size_t)1);
	while (!(p = run_alloc(pages, flags, node)) && flags & RN_NOFAIL)
		back_off(&ms);
	return p;
}

void large_free(void *p, struct page *head)
{
	u32 nr = head->nr_pages;

	if (__atomic_exchange_n(&head->type, PAGE_NONE, __ATOMIC_ACQ_REL) !=
	    PAGE_LARGE)
		bug("double free of %p", p);
	pages_free(ptr_to_pfn(p), nr);
}

static void zero_more(void *p, u32 nr, u32 new_nr, rn_gfp_t flags)
{
	if (flags & RN_ZERO)
		memset((char *)p + ((size_t)nr << PAGE_SHIFT), 0,
		       (size_t)(new_nr - nr) << PAGE_SHIFT);
}

static void *large_grow(void *p, struct page *head, u32 new_nr, rn_gfp_t flags)
{
	u32 nr = head->nr_pages, pfn = ptr_to_pfn(p);

	if (pages_extend(pfn, nr, new_nr, flags)) {
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
	p = run_to_user(pfn, new_nr);
	zero_more(p, nr, new_nr, flags);
	return p;
}

void *large_realloc(void *p, size_t size, rn_gfp_t flags)
{
	size_t pages = (size >> PAGE_SHIFT) + !!(size & (PAGE_BYTES - 1));
	struct page *head = pfn_to_page(ptr_to_pfn(p));
	u32 nr = head->nr_pages;

	pages = max(pages, (size_t)1);
	if (pages >> mem.stripe_order)
		return NULL;
	if (pages > nr)
		return large_grow(p, head, pages, flags);
	if (pages < nr) {
		head->nr_pages = pages;
		pages_free(ptr_to_pfn(p) + pages, nr - pages);
	}
	return p;
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
	unsigned int ticket, ms = PAUSE_MIN_MS;
	void *p;

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
	for (;;) {
		ticket = gate_enter();
		p = run_alloc((size_t)1 << order, flags, node);
		gate_exit(ticket);
		if (p || !(flags & RN_NOFAIL))
			return p;
		/* Outside of the gate, or nobody could fork meanwhile. */
		back_off(&ms);
	}
}

/* The head of the run that @addr and @order name, or a report and the end. */
static struct page *head_to_free(const void *addr, unsigned int order)
{
	struct page *head = ptr_to_page(addr);

	if (!head)
		bug("rn_free_pages(%p): not from rn_alloc_pages", addr);
	if ((uintptr_t)addr & (PAGE_BYTES - 1))
		bug("rn_free_pages(%p): not the start of a page", addr);
	if (__atomic_load_n(&head->type, __ATOMIC_ACQUIRE) != PAGE_LARGE)
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
	errno = saved;
}

/**
 * rn_addr_to_node() - the NUMA node that an address of the library lies on
 * @p: any address inside of an object or of pages from this library
 *
 * Arithmetic on the address alone. Runs of 64 MiB and more that are not
 * hugetlb are touched by their user: of them it is the node they prefer.
 *
 * Context: any, signal handlers too.
 * Return: the node's number, or -EFAULT for a foreign address.
 */
RN_API int rn_addr_to_node(const void *p)
{
	if (!mem_has(p))
		return -EFAULT;
	return pfn_to_node(ptr_to_pfn(p));
}
