// SPDX-License-Identifier: MIT
/*
 * Runs that grow in place, and runs of pageblocks that move without a copy.
 *
 * Locks: as in page_alloc.c. Blocks are claimed under zone.lock, brought up
 * without it, and published and taken in one go under it again.
 */
#include "debug/fault_inject.h"
#include "internal.h"
#include "zone.h"

#include <string.h>

/**
 * struct growth - what a run needs behind its end
 * @end: first pfn behind the run
 * @tail: pages of these in the pageblock that the run ends in
 * @block: the next pageblock
 * @rest: pages in it and those after it
 * @idle: pageblocks there that are up and idle, or blank
 * @fresh: pageblocks after these that are to be brought up
 * @absent: as of run_absent(), of what was up
 */
struct growth {
	u32 end, tail;
	u32 block, rest;
	u32 idle, fresh;
	u64 absent;
};

static bool growth_plan(const struct zone *z, struct growth *g, u32 pfn, u32 nr,
			u32 new_nr)
{
	u64 stripe_end = (u64)(z->first + z->nr_blocks) << PAGEBLOCK_ORDER;
	u32 room;

	if ((u64)pfn + new_nr > stripe_end)
		return false;
	memset(g, 0, sizeof(*g));
	g->end = pfn + nr;
	room = ALIGN(g->end, PAGEBLOCK_PAGES) - g->end;
	g->tail = min(room, new_nr - nr);
	g->rest = new_nr - nr - g->tail;
	g->block = (g->end + room) >> PAGEBLOCK_ORDER;
	return true;
}

/* A run that @block may be a part of: blank ones are for lazy runs only. */
static bool may_join(const struct zone *z, u32 block, bool lazy)
{
	return block_is_idle(z, block) || (lazy && block_is_blank(z, block));
}

/*
 * Under zone.lock: idle and blank blocks first, then unused ones, which are
 * claimed. The blank ones are idle when it has succeeded.
 */
static bool claim_rest(struct zone *z, struct growth *g, bool lazy,
		       rn_gfp_t flags)
{
	u32 need = DIV_ROUND_UP(g->rest, PAGEBLOCK_PAGES);

	while (g->idle < need && may_join(z, g->block + g->idle, lazy)) {
		struct pageblock *b = &mem.blocks[g->block + g->idle];

		if (flags & RN_HUGETLB && b->backing != BACKING_HUGETLB)
			return false;
		g->idle++;
	}
	g->fresh = need - g->idle;
	if (g->fresh && (flags & RN_NOWAIT ||
			 !blocks_claim_at(z, g->block + g->idle, g->fresh)))
		return false;
	if (blank_publish(z, g->block, g->idle))
		return true;
	blocks_unclaim(z, g->block + g->idle, g->fresh);
	return false;
}

/* Under zone.lock. Pages of the idle blocks, all but the fresh ones. */
static u32 idle_pages(const struct growth *g)
{
	return min(g->rest, g->idle << PAGEBLOCK_ORDER);
}

static bool growth_take(struct zone *z, struct growth *g, bool lazy,
			rn_gfp_t flags)
{
	u32 last = g->end >> PAGEBLOCK_ORDER;
	bool zeroed;

	if (g->tail && !pageblock_has(&mem.blocks[last],
				      g->end % PAGEBLOCK_PAGES, g->tail))
		return false;
	if (g->rest && !claim_rest(z, g, lazy, flags))
		return false;
	if (!run_charge(g->end, g->tail + idle_pages(g))) {
		blocks_unclaim(z, g->block + g->idle, g->fresh);
		return false;
	}
	if (g->tail)
		block_take_at(z, last, g->end % PAGEBLOCK_PAGES, g->tail);
	if (g->idle)
		pages_take_run(z, g->block, idle_pages(g), &zeroed);
	if (g->tail || g->idle)
		g->absent = run_absent(g->end, g->tail + idle_pages(g));
	return true;
}

/* What was released of it comes back; if not, nothing of it is taken. */
static bool growth_repopulate(struct zone *z, const struct growth *g)
{
	if (likely(!g->absent) ||
	    run_repopulate(z, g->end, g->tail + idle_pages(g), g->absent))
		return true;
	lock(&z->lock);
	blocks_unclaim(z, g->block + g->idle, g->fresh);
	unlock(&z->lock);
	return false;
}

/* Where the fresh blocks could not be brought up. */
static void growth_undo(struct zone *z, const struct growth *g)
{
	lock(&z->lock);
	if (g->tail)
		pages_put_run(z, g->end, g->tail, false);
	if (g->idle)
		pages_put_run(z, g->block << PAGEBLOCK_ORDER, idle_pages(g),
			      false);
	unlock(&z->lock);
}

static void publish_fresh(struct zone *z, const struct growth *g)
{
	bool zeroed;

	lock(&z->lock);
	blocks_publish(z, g->block + g->idle, g->fresh);
	pages_take_run(z, g->block + g->idle, g->rest - idle_pages(g), &zeroed);
	blocks_settle_charge(g->block + g->idle, g->fresh);
	unlock(&z->lock);
}

bool pages_extend(u32 pfn, u32 nr, u32 new_nr, rn_gfp_t flags)
{
	struct zone *z = pfn_zone(pfn);
	struct growth g;
	bool ok;

	if (fail_page_alloc(new_nr - nr, flags))
		return false;
	if (!growth_plan(z, &g, pfn, nr, new_nr))
		return false;
	lock(&z->lock);
	ok = growth_take(z, &g, run_is_lazy(new_nr), flags);
	unlock(&z->lock);
	if (!ok || !growth_repopulate(z, &g))
		return false;
	if (g.fresh && !blocks_bring_up_at(z, g.block + g.idle, g.fresh,
					   new_nr, flags)) {
		growth_undo(z, &g);
		return false;
	}
	if (g.fresh)
		publish_fresh(z, &g);
	run_advise(pfn, new_nr);
	return true;
}

/* --- moving --- */

/**
 * struct move - a run on its way
 * @from: its first pageblock
 * @to: the first one of where it goes
 * @whole: pageblocks that are all its own; these are moved by page table
 * @tail: pages after them, in a pageblock that others may share: copied
 * @more: pageblocks brought up behind the moved ones
 */
struct move {
	u32 from, to;
	u32 whole, tail, more;
};

/* Under zone.lock: what the descriptors of the blocks say moves along. */
static void move_descriptors(const struct move *m)
{
	for (u32 i = 0; i < m->whole; i++) {
		struct pageblock *old = &mem.blocks[m->from + i];
		struct pageblock *new = &mem.blocks[m->to + i];

		*new = *old;
		new->dirty = 1;
		memset(old, 0, sizeof(*old));
		old->list = old->report = -1;
	}
}

static void move_finish(struct zone *z, const struct move *m, u32 new_nr,
			bool lost)
{
	u32 moved = m->whole << PAGEBLOCK_ORDER;
	u32 old_tail = (m->from + m->whole) << PAGEBLOCK_ORDER;
	bool zeroed;

	if (m->tail)
		memcpy(pfn_to_ptr((m->to + m->whole) << PAGEBLOCK_ORDER),
		       pfn_to_ptr(old_tail), (size_t)m->tail << PAGE_SHIFT);
	lock(&z->lock);
	move_descriptors(m);
	blocks_publish(z, m->to + m->whole, m->more);
	pages_take_run(z, m->to + m->whole, new_nr - moved, &zeroed);
	blocks_settle_charge(m->to + m->whole, m->more);
	if (m->tail)
		pages_put_run(z, old_tail, m->tail, false);
	if (!lost)
		blocks_unclaim(z, m->from, m->whole);
	unlock(&z->lock);
}

/* The blocks behind first, since they may fail; then the move. */
static bool move_blocks(struct zone *z, const struct move *m, u32 new_nr,
			rn_gfp_t flags, bool *lost)
{
	if (!blocks_bring_up_at(z, m->to + m->whole, m->more, new_nr, flags)) {
		lock(&z->lock);
		blocks_unclaim(z, m->to, m->whole);
		unlock(&z->lock);
		return false;
	}
	if (!sparse_open(m->to, m->whole) &&
	    blocks_move(m->from, m->to, m->whole, lost))
		return true;
	if (!*lost) {
		lock(&z->lock);
		blocks_unclaim(z, m->to, m->whole);
		unlock(&z->lock);
	}
	blocks_put_down(z, m->to + m->whole, m->more);
	return false;
}

/* Runs of 1 GiB pages cannot go to any address. */
static bool can_move(u32 pfn, u32 nr)
{
	u32 block = pfn >> PAGEBLOCK_ORDER;

	return nr >= PAGEBLOCK_PAGES && pfn % PAGEBLOCK_PAGES == 0 &&
		mem.blocks[block].huge_shift <= PAGEBLOCK_SHIFT;
}

u32 pages_move(u32 pfn, u32 nr, u32 new_nr, rn_gfp_t flags)
{
	struct zone *z = pfn_zone(pfn);
	u32 blocks = DIV_ROUND_UP(new_nr, PAGEBLOCK_PAGES);
	struct move m = {
		.from = pfn >> PAGEBLOCK_ORDER,
		.whole = nr >> PAGEBLOCK_ORDER,
		.tail = nr % PAGEBLOCK_PAGES,
	};
	bool lost = false;

	if (fail_page_alloc(new_nr - nr, flags))
		return NO_PFN;
	if (!can_move(pfn, nr) || flags & RN_NOWAIT || blocks <= m.whole)
		return NO_PFN;
	m.more = blocks - m.whole;
	lock(&z->lock);
	m.to = blocks_claim(z, blocks, 1);
	unlock(&z->lock);
	if (m.to == NO_BLOCK)
		return NO_PFN;
	if (!move_blocks(z, &m, new_nr, flags, &lost))
		return NO_PFN;
	move_finish(z, &m, new_nr, lost);
	run_advise(m.to << PAGEBLOCK_ORDER, new_nr);
	return m.to << PAGEBLOCK_ORDER;
}
