// SPDX-License-Identifier: MIT
/*
 * Released pages come back, where memory has several nodes.
 *
 * The node of a page follows from its address. A page of which the system has
 * the memory would come back on the touch from wherever there is room on that
 * day. So it is populated before anybody touches it, as the mapping's policy
 * says, which is that of the time when its block came up (mempolicy_bind()),
 * and the kernel is asked where it lies, as for new blocks. What cannot be had,
 * or lies elsewhere, goes again.
 *
 * The parts of a run in each of its blocks are looked at as a whole, once a
 * page of them was released: all of it is the caller's, and what is resident
 * takes little time. To the system only such parts go again: none is hugetlb.
 *
 * On one node nothing of this is done, and released pages come on the touch.
 *
 * Locks: zone.lock, but not while the system is called.
 */
#include "internal.h"
#include "zone.h"

bool verify_nodes;

/* A run that is not lazy has so few blocks, and may begin within one. */
static_assert(HUGE_RUN_BLOCKS < 64, "a bit for each block of a run");

bool zone_is_short(const struct zone *z)
{
	return unlikely(z->short_until) && clock_ms() < z->short_until;
}

void zone_is_short_no_more(struct zone *z)
{
	z->short_until = 0;
}

/* The next try of a run with released pages is to find others. */
static void become_short(struct zone *z, enum step step)
{
	step_count(z, BACKING_SMALL, step);
	z->short_until = clock_ms() + FULL_MS;
}

bool pages_are_short(u32 pfn)
{
	struct zone *z = pfn_zone(pfn);
	bool is_short;

	lock(&z->lock);
	is_short = zone_is_short(z);
	unlock(&z->lock);
	return is_short;
}

static enum step bring_back(const struct zone *z, u32 pfn, u32 nr)
{
	void *p = pfn_to_ptr(pfn);
	size_t bytes = (size_t)nr << PAGE_SHIFT;

	if (populate(p, bytes))
		return STEP_POPULATE;
	return pages_on_node(p, bytes, PAGE_BYTES, z->node) ? STEP_OK :
		STEP_WRONG_NODE;
}

bool pages_repopulate(struct zone *z, u32 pfn, u32 nr)
{
	int saved = errno;
	enum step step;

	if (likely(!verify_nodes))
		return true;
	if (pages_are_short(pfn))
		return false;
	step = bring_back(z, pfn, nr);
	if (step) {
		pages_discard(pfn, nr);
		lock(&z->lock);
		become_short(z, step);
		unlock(&z->lock);
	}
	errno = saved;
	return !step;
}

/* --- runs --- */

u64 run_absent(u32 pfn, u32 nr)
{
	u32 first = pfn >> PAGEBLOCK_ORDER;
	u32 last = (pfn + nr - 1) >> PAGEBLOCK_ORDER;
	u64 absent = 0;

	/* Of a lazy run the user touches what he likes. */
	if (likely(!verify_nodes) || run_is_lazy(nr))
		return 0;
	for (u32 i = first; i <= last; i++) {
		absent |= (u64)mem.blocks[i].absent << (i - first);
		mem.blocks[i].absent = 0;
	}
	return absent;
}

/* Where the part of a run in its @i-th block begins, and its length. */
static u32 part_of(u32 pfn, u32 nr, u32 i, u32 *pages)
{
	u32 block = (pfn >> PAGEBLOCK_ORDER) + i;
	u32 from = max(pfn, block << PAGEBLOCK_ORDER);

	*pages = min(pfn + nr, (block + 1) << PAGEBLOCK_ORDER) - from;
	return from;
}

/* What came, from wherever, goes; and what of the rest was resident. */
static void give_up(struct zone *z, u32 pfn, u32 nr, u64 absent,
		    enum step step)
{
	u32 at, n;

	for (u64 left = absent; left; left &= left - 1) {
		at = part_of(pfn, nr, __builtin_ctzll(left), &n);
		pages_discard(at, n);
	}
	lock(&z->lock);
	pages_put_run(z, pfn, nr, false);
	for (u64 left = absent; left; left &= left - 1) {
		at = part_of(pfn, nr, __builtin_ctzll(left), &n);
		block_set_released(z, at >> PAGEBLOCK_ORDER,
				   at % PAGEBLOCK_PAGES, n);
	}
	become_short(z, step);
	unlock(&z->lock);
}

bool run_repopulate(struct zone *z, u32 pfn, u32 nr, u64 absent)
{
	enum step step = STEP_OK;
	int saved = errno;
	u32 at, n;

	for (u64 left = absent; !step && left; left &= left - 1) {
		at = part_of(pfn, nr, __builtin_ctzll(left), &n);
		step = bring_back(z, at, n);
	}
	if (step)
		give_up(z, pfn, nr, absent, step);
	errno = saved;
	return !step;
}
