// SPDX-License-Identifier: MIT
/*
 * The page allocator: a zone for each node. Requests up to a pageblock come
 * from the fullest pageblock with the shortest sufficient free range, so that
 * others drain; longer ones from contiguous idle pageblocks, whose last may
 * keep a free tail. What is not there the ladder brings up (mm/ladder.c).
 *
 * Locks: zone.lock covers the zone and the pageblocks of its stripe. It is
 * never held across a system call. Blocks on their way up or down belong to the
 * thread that takes them there: claimed in zone.used and on no list.
 */
#include "debug/fault_inject.h"
#include "internal.h"
#include "zone.h"

struct zone *zones;

int page_alloc_init(void)
{
	int err = 0;

	limit_init();
	verify_nodes = numa_several();
	if (rung_in_ladder(RUNG_HUGETLB))
		hugetlb_init();
	zones = meta_alloc(nr_node_ids() * sizeof(*zones));
	if (!zones)
		return -ENOMEM;
	for (int n = 0; !err && n < nr_node_ids(); n++)
		err = zone_init(&zones[n], n);
	return err;
}

/* --- taking, under zone.lock --- */

static u32 take_partial(struct zone *z, enum class c, u32 nr, bool *zeroed)
{
	unsigned int from = order_base_2(nr) * NR_FILLS;
	u64 mask = z->mask[c] >> from;
	struct pageblock *b;
	u32 block;
	int page;

	if (!mask)
		return NO_PFN;
	block = z->list[c][from + __builtin_ctzll(mask)];
	b = &mem.blocks[block];
	page = block_take(z, block, nr);
	if (unlikely(page < 0))
		return NO_PFN;
	*zeroed = !b->dirty;
	return (block << PAGEBLOCK_ORDER) + page;
}

u32 pages_take_run(struct zone *z, u32 block, u32 nr, bool *zeroed)
{
	u32 pfn = block << PAGEBLOCK_ORDER;

	*zeroed = true;
	for (; nr; block++) {
		u32 n = min(nr, PAGEBLOCK_PAGES);

		if (unlikely(!block_take_at(z, block, 0, n)))
			bug("pageblock %u is idle and not free", block);
		*zeroed &= !mem.blocks[block].dirty;
		nr -= n;
	}
	return pfn;
}

/* What was a long run before, and never hugetlb; what is resident first. */
static u32 take_blank(struct zone *z, u32 nr, bool *zeroed)
{
	u32 need = DIV_ROUND_UP(nr, PAGEBLOCK_PAGES);
	u32 whole = nr / PAGEBLOCK_PAGES, tail = nr % PAGEBLOCK_PAGES;
	u32 block = blank_take_warm(z, need);
	bool dirty = block != NO_BLOCK;

	if (block == NO_BLOCK)
		block = blank_take_charged(z, need);
	if (block == NO_BLOCK)
		return NO_PFN;
	if (!dirty)
		warm_missed(z, need);
	blank_up_full(z, block, whole, dirty);
	blank_up(z, block + whole, need - whole, dirty);
	pages_take_run(z, block + whole, tail, zeroed);
	*zeroed = !dirty;
	return block << PAGEBLOCK_ORDER;
}

static u32 take_idle(struct zone *z, u32 nr, bool hugetlb_only, bool *zeroed)
{
	enum run_kind kind = hugetlb_only ? RUN_IDLE_HUGETLB : RUN_IDLE;
	u32 idle = hugetlb_only ? z->nr_idle[CLASS_HUGETLB] : zone_nr_idle(z);
	u32 need = DIV_ROUND_UP(nr, PAGEBLOCK_PAGES), block;

	if (idle < need)
		return NO_PFN;
	block = run_find(z, kind, need, 1);
	if (block == NO_BLOCK || !run_charge(block << PAGEBLOCK_ORDER, nr))
		return NO_PFN;
	return pages_take_run(z, block, nr, zeroed);
}

static u32 take(struct zone *z, u32 nr, bool hugetlb_only, bool *zeroed)
{
	enum class last = hugetlb_only ? CLASS_HUGETLB : CLASS_BROKEN;
	u32 pfn = NO_PFN;

	for (enum class c = CLASS_HUGETLB; pfn == NO_PFN && c <= last; c++)
		if (nr <= PAGEBLOCK_PAGES)
			pfn = take_partial(z, c, nr, zeroed);
	if (pfn == NO_PFN)
		pfn = take_idle(z, nr, hugetlb_only, zeroed);
	if (pfn == NO_PFN && !hugetlb_only && run_is_lazy(nr))
		pfn = take_blank(z, nr, zeroed);
	return pfn;
}

/* NO_PFN too where released pages of a run that was found did not come back. */
static u32 try_take(struct zone *z, u32 nr, bool hugetlb_only, bool *zeroed,
		    bool *again)
{
	bool full = false;
	u64 absent = 0;
	u32 pfn;

	lock(&z->lock);
	pfn = take(z, nr, hugetlb_only, zeroed);
	if (pfn != NO_PFN) {
		full = early_is_full(pfn >> PAGEBLOCK_ORDER);
		absent = run_absent(pfn, nr);
	}
	unlock(&z->lock);
	if (unlikely(full))
		early_collapse(z, pfn >> PAGEBLOCK_ORDER);
	*again = unlikely(absent) && !run_repopulate(z, pfn, nr, absent);
	return *again ? NO_PFN : pfn;
}

/* The second time what is released is out of question (run_charge()). */
u32 zone_take(struct zone *z, u32 nr, bool hugetlb_only, bool *zeroed)
{
	bool again;
	u32 pfn = try_take(z, nr, hugetlb_only, zeroed, &again);

	if (unlikely(again))
		pfn = try_take(z, nr, hugetlb_only, zeroed, &again);
	return pfn;
}

/* --- giving back --- */

/* Pages of lazy blocks that are free, and were discarded before. */
static void set_released(struct zone *z, u32 pfn, u32 nr)
{
	while (nr) {
		u32 block = pfn >> PAGEBLOCK_ORDER;
		u32 page = pfn % PAGEBLOCK_PAGES;
		u32 n = min(nr, PAGEBLOCK_PAGES - page);

		if (mem.blocks[block].lazy)
			block_set_released(z, block, page, n);
		pfn += n;
		nr -= n;
	}
}

void pages_put_run(struct zone *z, u32 pfn, u32 nr, bool zero)
{
	zone_see_used(z);
	while (nr) {
		u32 block = pfn >> PAGEBLOCK_ORDER;
		u32 page = pfn % PAGEBLOCK_PAGES;
		u32 n = min(nr, PAGEBLOCK_PAGES - page);
		struct pageblock *b = &mem.blocks[block];

		if (unlikely(!block_put(z, block, page, n)))
			bug("pages freed twice: %u pages at %p", n,
			    pfn_to_ptr(pfn));
		if (!zero || !b->lazy)
			b->dirty = 1;
		else if (n == PAGEBLOCK_PAGES)
			b->dirty = 0;
		pfn += n;
		nr -= n;
	}
}

/*
 * A lazy run, by its owner: then nobody else can touch it yet. What is to become
 * of it; all of it is discarded where @head is all of it.
 */
static struct cooled cool(struct zone *z, u32 pfn, u32 nr)
{
	struct cooled cooled = { 0 };

	if (!run_is_lazy(nr))
		return cooled;
	cooled = warm_grade(z, pfn, nr);
	if (!cooled.warmth && run_discard(pfn, nr))
		cooled.head = nr;
	return cooled;
}

/* Under zone.lock. Blocks that it fills do not become idle first. */
static void put_blank(struct zone *z, u32 pfn, u32 nr,
		      const struct cooled *cooled)
{
	u32 whole = blank_detach_full(z, pfn, nr);
	u32 done = whole << PAGEBLOCK_ORDER;

	pages_put_run(z, pfn + done, nr - done, cooled->head == nr);
	if (cooled->head > done)
		set_released(z, pfn + done, cooled->head - done);
	set_released(z, pfn + nr - cooled->tail, cooled->tail);
	blank_settle(z, pfn >> PAGEBLOCK_ORDER,
		     ((pfn + nr - 1) >> PAGEBLOCK_ORDER) + 1, whole,
		     cooled->warmth);
}

/* What is too much now goes back. Without the lock. */
static void balance(struct zone *z, bool hot, bool drop, bool over)
{
	u32 warm;

	if (hot)
		warm_trim(z);
	if (drop)
		blank_drop(z, &warm);
	if (over)
		zone_balance(z);
}

void pages_free(u32 pfn, u32 nr)
{
	struct zone *z = pfn_zone(pfn);
	u32 first = pfn >> PAGEBLOCK_ORDER;
	u32 last = (pfn + nr - 1) >> PAGEBLOCK_ORDER;
	struct cooled cooled = cool(z, pfn, nr);
	bool hot, drop, over;

	lock(&z->lock);
	if (cooled.head == nr || cooled.warmth)
		put_blank(z, pfn, nr, &cooled);
	else
		pages_put_run(z, pfn, nr, false);
	hot = warm_is_too_much(z);
	drop = blank_is_too_much(z);
	over = zone_is_over(z);
	unlock(&z->lock);
	if (nr >= HUGE_RUN_BLOCKS << PAGEBLOCK_ORDER)
		zone_trim(z, first, last + 1, 0, WHY_FREE, NULL);
	balance(z, hot, drop, over);
}

void pages_free_hollow(u32 pfn, u32 nr, u64 hollow)
{
	struct zone *z = pfn_zone(pfn);
	u32 block = pfn >> PAGEBLOCK_ORDER, page = pfn % PAGEBLOCK_PAGES;
	bool over;

	lock(&z->lock);
	block_count_hollow(z, block, -__builtin_popcountll(hollow));
	pages_put_run(z, pfn, nr, false);
	for (u32 i = 0; i < nr; i++)
		if (hollow >> i & 1)
			block_set_released(z, block, page + i, 1);
	over = zone_is_over(z);
	unlock(&z->lock);
	balance(z, false, false, over);
}

/* What was refused for want of memory on its node may be tried again. */
static bool end_shortage(struct zone *z)
{
	bool was;

	lock(&z->lock);
	was = zone_is_short(z);
	zone_is_short_no_more(z);
	unlock(&z->lock);
	return was;
}

/* True if there is more of memory or of addresses now. */
static bool make_room(void)
{
	bool room = false;
	u32 warm;

	for (int n = 0; n < nr_node_ids(); n++) {
		struct zone *z = &zones[n];

		room |= end_shortage(z);
		room |= zone_trim(z, z->first, z->first + z->nr_blocks, 0,
				  WHY_PRESSURE, NULL) > 0;
		room |= blank_drop(z, &warm) > 0;
	}
	return room;
}

size_t pages_shrink(void)
{
	size_t bytes = 0;
	u32 warm;

	for (int n = 0; n < nr_node_ids(); n++) {
		blank_drop(&zones[n], &warm);
		bytes += (size_t)warm << PAGEBLOCK_SHIFT;
	}
	return bytes + pages_release(0, WHY_TRIM);
}

/* --- allocating --- */

static u32 take_anywhere(u32 nr, int node, rn_gfp_t flags, bool *zeroed)
{
	u32 pfn = NO_PFN;
	int n;

	for (unsigned int i = 0; pfn == NO_PFN; i++) {
		n = node_fallback(node, i);
		if (n < 0 || (n != node && flags & RN_THISNODE))
			break;
		pfn = zone_take(&zones[n], nr, flags & RN_HUGETLB, zeroed);
		/* The other nodes' turn comes after what is not up yet here. */
		if (!(flags & RN_NOWAIT))
			break;
	}
	return pfn;
}

static u32 alloc_once(u32 nr, int node, rn_gfp_t flags, bool *zeroed)
{
	u32 pfn = take_anywhere(nr, node, flags, zeroed);

	if (pfn == NO_PFN && !(flags & RN_NOWAIT) && limit_reclaim_soft(nr))
		pfn = take_anywhere(nr, node, flags, zeroed);
	if (pfn == NO_PFN && !(flags & RN_NOWAIT))
		pfn = ladder_climb(nr, node, flags, zeroed);
	return pfn;
}

u32 pages_alloc(u32 nr, int node, rn_gfp_t flags, bool *zeroed)
{
	int saved = errno;
	bool zero = false;
	u32 pfn = NO_PFN;

	if (fail_page_alloc(nr, flags))
		return NO_PFN;
	if (nr)
		pfn = alloc_once(nr, node, flags, &zero);
	/* What is idle but scattered, or on another rung, may make room. */
	if (pfn == NO_PFN && nr && !(flags & RN_NOWAIT) && make_room())
		pfn = alloc_once(nr, node, flags, &zero);
	if (pfn != NO_PFN && run_is_lazy(nr))
		run_advise(pfn, nr);
	if (zeroed)
		*zeroed = zero;
	errno = pfn == NO_PFN ? ENOMEM : saved;
	return pfn;
}
