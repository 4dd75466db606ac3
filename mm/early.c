// SPDX-License-Identifier: MIT
/*
 * The first blocks of a small heap. A huge page is populated whole, which is
 * more than many a program ever uses: below options.small_first, pageblocks
 * come up in base pages that nobody has touched. One of which no page is free
 * any more belongs to a heap that is dense there, and becomes a huge page.
 *
 * Locks: as each function says.
 */
#include "internal.h"
#include "zone.h"

#include <sys/mman.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25	/* Linux 6.1 */
#endif

bool early_wanted(struct zone *z, u32 nr, rn_gfp_t flags)
{
	u32 most = options.small_first >> PAGEBLOCK_SHIFT;
	bool wanted;

	if (!most || nr > PAGEBLOCK_PAGES || run_is_lazy(nr) ||
	    flags & RN_HUGETLB || !rung_in_ladder(RUNG_SMALL))
		return false;
	lock(&z->lock);
	wanted = zone_nr_up(z) - z->lazy < most;
	unlock(&z->lock);
	return wanted;
}

bool early_is_full(u32 block)
{
	struct pageblock *b = &mem.blocks[block];

	if (likely(!b->early) || b->nr_free)
		return false;
	b->early = 0;
	b->collapsing = rung_in_ladder(RUNG_THP);
	return b->collapsing;
}

bool block_collapse(u32 block, bool *told)
{
	void *p = pfn_to_ptr(block << PAGEBLOCK_ORDER);
	int saved = errno;
	bool huge;

	*told = !madvise(p, PAGEBLOCK_BYTES, MADV_HUGEPAGE);
	huge = *told && !madvise(p, PAGEBLOCK_BYTES, MADV_COLLAPSE);
	errno = saved;
	return huge;
}

/* Where the kernel cannot do it now, the advice is left for khugepaged. */
void early_collapse(struct zone *z, u32 block)
{
	bool huge, told;

	huge = block_collapse(block, &told);
	collapse_end(z, block, 0, huge, told);
}
