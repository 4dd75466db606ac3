// SPDX-License-Identifier: MIT
/*
 * Hollow pages: free pages of a slab that is not empty. Of objects that are left
 * at random, one in a slab keeps all of it, while most of its pages may have none.
 *
 * The owner of a slab, who has its freelist, takes what lies on such pages off
 * that list and gives their memory back. The objects are free all the same, and
 * are linked again when the owner of the day finds nothing else. So the links,
 * which lie in the objects, are gone with the memory and missed by nobody.
 *
 * An object may lie on several pages: it is on the freelist if none of them is
 * hollow, and a page can be hollow if all that touches it is free. Fresh objects
 * are on no list: a page that has some stays, until they have been taken.
 *
 * All by the owner, without a lock; slab_hollow() has the mask.
 */
#include "debug/harden.h"
#include "freelist.h"

#define MAX_SLAB_PAGES	64

/* The first and the last page that an object touches. */
static unsigned int first_page(const struct rn_cache *c,
			       const struct page *slab, unsigned int index)
{
	return ((char *)slab_object(c, slab, index) - slab_address(slab)) >>
		PAGE_SHIFT;
}

static unsigned int last_page(const struct rn_cache *c,
			      const struct page *slab, unsigned int index)
{
	return ((char *)slab_object(c, slab, index) - slab_address(slab) +
		c->size - 1) >> PAGE_SHIFT;
}

/* The pages that an object touches, as a mask. */
static u64 pages_of(const struct rn_cache *c, const struct page *slab,
		    unsigned int index)
{
	unsigned int first = first_page(c, slab, index);
	unsigned int nr = last_page(c, slab, index) - first + 1;

	return ~0ULL >> (64 - nr) << first;
}

/* The first object that touches a page, and the one after the last. */
static unsigned int first_on(const struct rn_cache *c, unsigned int page)
{
	return min(slab_index(c, (size_t)page << PAGE_SHIFT),
		   (unsigned int)c->objects);
}

static unsigned int end_on(const struct rn_cache *c, unsigned int page)
{
	size_t last = ((size_t)(page + 1) << PAGE_SHIFT) - 1 - c->page_rest;

	return min(slab_index(c, last) + 1, (unsigned int)c->objects);
}

bool hollow_has(const struct rn_cache *c, const struct page *slab,
		unsigned int index)
{
	return pages_of(c, slab, index) &
		READ_ONCE(slab_hollow(slab)->hollow);
}

/* --- which pages can go --- */

/* By page, free objects that touch it. */
struct count {
	u16 free[MAX_SLAB_PAGES];
};

static void count_object(struct count *count, const struct rn_cache *c,
			 const struct page *slab, unsigned int index)
{
	unsigned int last = last_page(c, slab, index);

	for (unsigned int i = first_page(c, slab, index); i <= last; i++)
		count->free[i]++;
}

/* Objects that lie on hollow pages; each once, by the first of these. */
static void count_hollow(struct count *count, const struct rn_cache *c,
			 const struct page *slab)
{
	u64 hollow = slab_hollow(slab)->hollow;

	for (u64 left = hollow; left; left &= left - 1) {
		unsigned int page = __builtin_ctzll(left);
		unsigned int end = end_on(c, page);
		u64 before = (1ULL << page) - 1;

		for (unsigned int i = first_on(c, page); i < end; i++)
			if (!(pages_of(c, slab, i) & hollow & before))
				count_object(count, c, slab, i);
	}
}

static u64 find_pages(const struct rn_cache *c, const struct page *slab)
{
	struct count count = { .free = { 0 } };
	unsigned int index = slab->private;
	u64 pages = 0;

	for (unsigned int i = slab->nr_private; i; i--) {
		count_object(&count, c, slab, index);
		index = link_next(c, slab, index);
	}
	count_hollow(&count, c, slab);
	for (unsigned int page = 0; page < c->pages; page++)
		if (count.free[page] == end_on(c, page) - first_on(c, page))
			pages |= 1ULL << page;
	return pages & ~slab_hollow(slab)->hollow;
}

/* --- off the freelist, and on it again --- */

static void unlink_hollow(const struct rn_cache *c, struct page *slab)
{
	unsigned int index = slab->private, next, kept = NO_OBJECT, nr = 0;
	unsigned int first = NO_OBJECT;

	for (unsigned int i = slab->nr_private; i; i--, index = next) {
		next = link_next(c, slab, index);
		if (hollow_has(c, slab, index))
			continue;
		if (kept == NO_OBJECT)
			first = index;
		else
			link_set(c, slab, slab_object(c, slab, kept), index);
		kept = index;
		nr++;
	}
	if (kept != NO_OBJECT)
		link_set(c, slab, slab_object(c, slab, kept), NO_OBJECT);
	slab_hollow(slab)->nr_hollow += slab->nr_private - nr;
	WRITE_ONCE(slab->private, first);
	WRITE_ONCE(slab->nr_private, nr);
}

/* Of what lies on no other hollow page; before anybody can see that. */
static void set_canaries(const struct rn_cache *c, const struct page *slab,
			 unsigned int page, u64 hollow)
{
	for (unsigned int i = first_on(c, page); i < end_on(c, page); i++)
		if (!(pages_of(c, slab, i) & hollow))
			canary_set(c, slab, slab_object(c, slab, i), 0);
}

/* Page @page is hollow no more; what lies on no other such page is linked. */
static void link_page(struct rn_cache *c, struct cache_node *n,
		      struct page *slab, unsigned int page)
{
	unsigned int first = first_on(c, page);
	struct page *h = slab_hollow(slab);
	u64 hollow = h->hollow & ~(1ULL << page);

	if (unlikely(c->canary))
		set_canaries(c, slab, page, hollow);
	/* Pairs with the load in canary_check_before(). */
	smp_store_release(&h->hollow, hollow);
	__atomic_fetch_sub(&n->nr_hollow, 1, __ATOMIC_RELAXED);
	for (unsigned int i = end_on(c, page); i-- > first;) {
		if (hollow_has(c, slab, i))
			continue;
		link_set(c, slab, slab_object(c, slab, i), slab->private);
		WRITE_ONCE(slab->private, i);
		WRITE_ONCE(slab->nr_private, slab->nr_private + 1);
		h->nr_hollow--;
	}
}

/* --- the interface --- */

/* Pages from the lowest bit on that are set one after the other. */
static unsigned int run_of(u64 pages)
{
	pages = ~(pages >> __builtin_ctzll(pages));
	return pages ? __builtin_ctzll(pages) : 64;
}

/**
 * struct batch - stretches of pages that are hollow but for their memory
 * @c: whose slabs they are of
 * @n: likewise
 * @why: counted
 * @nr: of both arrays
 * @stretches: pages, for the system
 * @slabs: the slab of each
 */
struct batch {
	struct rn_cache *c;
	struct cache_node *n;
	enum reclaim_why why;
	u32 nr;
	struct iovec stretches[MANY_STRETCHES];
	struct page *slabs[MANY_STRETCHES];
};

/* What the system does not take is linked again. */
static void link_stretch(const struct batch *b, u32 i)
{
	u32 page = ptr_to_pfn(b->stretches[i].iov_base) -
		page_to_pfn(b->slabs[i]);
	u32 nr = b->stretches[i].iov_len >> PAGE_SHIFT;

	while (nr--)
		link_page(b->c, b->n, b->slabs[i], page + nr);
}

static void batch_give(struct batch *b)
{
	u32 i = 0;

	while (i < b->nr) {
		i += pages_make_hollow(b->stretches + i, b->nr - i, b->why);
		if (i < b->nr)
			link_stretch(b, i++);
	}
	b->nr = 0;
}

static void batch_add(struct batch *b, struct page *slab, u64 pages)
{
	while (pages) {
		unsigned int page = __builtin_ctzll(pages), nr = run_of(pages);

		if (b->nr == MANY_STRETCHES)
			batch_give(b);
		b->slabs[b->nr] = slab;
		b->stretches[b->nr].iov_base =
			slab_address(slab) + page * PAGE_BYTES;
		b->stretches[b->nr++].iov_len = nr * PAGE_BYTES;
		pages &= ~(~0ULL >> (64 - nr) << page);
	}
}

static bool can_be_hollow(const struct rn_cache *c, const struct page *slab)
{
	u32 block = page_to_pfn(slab) >> PAGEBLOCK_ORDER;

	return !c->ctor && !READ_ONCE(mem.blocks[block].whole);
}

static void slab_make_hollow(struct batch *b, struct page *slab)
{
	struct page *h = slab_hollow(slab);
	u64 pages;

	if (!can_be_hollow(b->c, slab))
		return;
	fetch_objects(b->c, slab);
	pages = find_pages(b->c, slab);
	if (!pages)
		return;
	WRITE_ONCE(h->hollow, h->hollow | pages);
	__atomic_fetch_add(&b->n->nr_hollow, __builtin_popcountll(pages),
			   __ATOMIC_RELAXED);
	unlink_hollow(b->c, slab);
	batch_add(b, slab, pages);
}

void hollow_make(struct rn_cache *c, struct cache_node *n, u32 chain,
		 enum reclaim_why why)
{
	struct batch b = { .c = c, .n = n, .why = why };

	for (; chain != NO_PFN; chain = pfn_to_page(chain)->next)
		slab_make_hollow(&b, pfn_to_page(chain));
	batch_give(&b);
}

bool hollow_fill(struct rn_cache *c, struct cache_node *n, struct page *slab)
{
	while (slab_hollow(slab)->hollow && !slab->nr_private) {
		unsigned int page = __builtin_ctzll(slab_hollow(slab)->hollow);

		if (!pages_fill_hollow(page_to_pfn(slab) + page, 1))
			break;
		link_page(c, n, slab, page);
	}
	return slab->nr_private;
}
