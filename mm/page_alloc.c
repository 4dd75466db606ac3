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
#include "internal.h"
#include "zone.h"

struct zone *zones;

int page_alloc_init(void)
{
	int err = 0;

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
	page = pageblock_take(b, nr);
	if (unlikely(page < 0))
		bug("pageblock %u is on a list it does not belong on", block);
	*zeroed = !b->dirty;
	block_requeue(z, block);
	return (block << PAGEBLOCK_ORDER) + page;
}

u32 pages_take_run(struct zone *z, u32 block, u32 nr, bool *zeroed)
{
	u32 pfn = block << PAGEBLOCK_ORDER;

	*zeroed = true;
	for (; nr; block++) {
		u32 n = min(nr, PAGEBLOCK_PAGES);

		if (unlikely(!pageblock_take_at(&mem.blocks[block], 0, n)))
			bug("pageblock %u is idle and not free", block);
		*zeroed &= !mem.blocks[block].dirty;
		block_requeue(z, block);
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
		block = blank_take(z, need);
	if (block == NO_BLOCK)
		return NO_PFN;
	blank_up_full(z, block, whole, dirty);
	blank_up(z, block + whole, need - whole, dirty);
	pages_take_run(z, block + whole, tail, zeroed);
	*zeroed = !dirty;
	return block << PAGEBLOCK_ORDER;
}

static u32 take_idle(struct zone *z, u32 nr, bool hugetlb_only, bool *zeroed)
{
	enum run_kind kind = hugetlb_only ? RUN_IDLE_HUGETLB : RUN_IDLE;
	u32 idle = z->nr_idle[CLASS_HUGETLB];
	u32 need = DIV_ROUND_UP(nr, PAGEBLOCK_PAGES), block;

	if (!hugetlb_only)
		idle += z->nr_idle[CLASS_OTHER];
	if (idle < need)
		return NO_PFN;
	block = run_find(z, kind, need, 1);
	if (block == NO_BLOCK)
		return NO_PFN;
	return pages_take_run(z, block, nr, zeroed);
}

u32 zone_take(struct zone *z, u32 nr, bool hugetlb_only, bool *zeroed)
{
	u32 pfn = NO_PFN;
	bool full = false;

	lock(&z->lock);
	if (nr <= PAGEBLOCK_PAGES)
		pfn = take_partial(z, CLASS_HUGETLB, nr, zeroed);
	if (pfn == NO_PFN && nr <= PAGEBLOCK_PAGES && !hugetlb_only)
		pfn = take_partial(z, CLASS_OTHER, nr, zeroed);
	if (pfn == NO_PFN)
		pfn = take_idle(z, nr, hugetlb_only, zeroed);
	if (pfn == NO_PFN && !hugetlb_only && run_is_lazy(nr))
		pfn = take_blank(z, nr, zeroed);
	if (pfn != NO_PFN)
		full = early_is_full(pfn >> PAGEBLOCK_ORDER);
	unlock(&z->lock);
	if (unlikely(full))
		early_collapse(z, pfn >> PAGEBLOCK_ORDER);
	return pfn;
}

/* --- giving back --- */

void pages_put_run(struct zone *z, u32 pfn, u32 nr, bool zero)
{
	while (nr) {
		u32 block = pfn >> PAGEBLOCK_ORDER;
		u32 page = pfn % PAGEBLOCK_PAGES;
		u32 n = min(nr, PAGEBLOCK_PAGES - page);
		struct pageblock *b = &mem.blocks[block];

		if (unlikely(!pageblock_put(b, page, n)))
			bug("pages freed twice: %u pages at %p", n,
			    pfn_to_ptr(pfn));
		if (!zero || !b->lazy)
			b->dirty = 1;
		else if (n == PAGEBLOCK_PAGES)
			b->dirty = 0;
		block_requeue(z, block);
		pfn += n;
		nr -= n;
	}
}

/*
 * Idle blocks that stay for the next burst. Trimming begins at twice as many,
 * so that a load at the boundary does not map and unmap in turns. How much of
 * a lazy block is memory is not known.
 */
static u32 zone_keep(const struct zone *z)
{
	return 1 + (zone_nr_up(z) - z->lazy) / 32;
}

/* Blocks that may go now, when @keep are to stay idle. */
static u32 zone_excess(const struct zone *z, u32 keep)
{
	u32 idle = zone_nr_idle(z), up = zone_nr_up(z);
	u32 over = idle > keep ? idle - keep : 0;

	return min(over, up > z->reserved ? up - z->reserved : 0);
}

/*
 * A lazy run, by its owner: then nobody else can touch it yet. True if it was
 * discarded; otherwise *@warmth may be what it becomes.
 */
static bool cool(struct zone *z, u32 pfn, u32 nr, u32 *warmth)
{
	if (!run_is_lazy(nr))
		return false;
	*warmth = warm_grade(z, pfn, nr);
	return !*warmth && run_discard(pfn, nr);
}

/* Under zone.lock. Blocks that it fills do not become idle first. */
static void put_blank(struct zone *z, u32 pfn, u32 nr, bool zero, u32 warmth)
{
	u32 whole = blank_detach_full(z, pfn, nr);
	u32 done = whole << PAGEBLOCK_ORDER;

	pages_put_run(z, pfn + done, nr - done, zero);
	blank_settle(z, pfn >> PAGEBLOCK_ORDER,
		     ((pfn + nr - 1) >> PAGEBLOCK_ORDER) + 1, whole, warmth);
}

void pages_free(u32 pfn, u32 nr)
{
	struct zone *z = pfn_zone(pfn);
	u32 first = pfn >> PAGEBLOCK_ORDER;
	u32 last = (pfn + nr - 1) >> PAGEBLOCK_ORDER;
	u32 warmth = 0, keep, warm;
	bool zero = cool(z, pfn, nr, &warmth), trim, drop, hot;

	lock(&z->lock);
	if (zero || warmth)
		put_blank(z, pfn, nr, zero, warmth);
	else
		pages_put_run(z, pfn, nr, false);
	keep = zone_keep(z);
	trim = zone_excess(z, 2 * keep);
	hot = warm_is_too_much(z);
	drop = blank_is_too_much(z);
	unlock(&z->lock);
	if (hot)
		warm_trim(z);
	if (drop)
		blank_drop(z, &warm);
	if (nr >= HUGE_RUN_BLOCKS << PAGEBLOCK_ORDER)
		zone_trim(z, first, last + 1, 0);
	else if (trim)
		zone_trim(z, z->first, z->first + z->nr_blocks, keep);
}

/* A run of blocks that is idle, on its way down; NO_BLOCK if none may go. */
static u32 detach_top(struct zone *z, u32 from, u32 to, u32 keep, u32 *nr)
{
	u32 most, block = NO_BLOCK;

	lock(&z->lock);
	most = zone_excess(z, keep);
	if (most)
		block = run_find_idle_top(z, from, to, most, nr);
	if (block != NO_BLOCK)
		blocks_detach(z, block, *nr);
	unlock(&z->lock);
	return block;
}

size_t zone_trim(struct zone *z, u32 from, u32 to, u32 keep)
{
	size_t bytes = 0;
	u32 block, nr;

	while ((block = detach_top(z, from, to, keep, &nr)) != NO_BLOCK) {
		bool down = blocks_offline(block, nr);

		lock(&z->lock);
		if (down)
			blocks_retire(z, block, nr);
		else
			blocks_reattach(z, block, nr);
		unlock(&z->lock);
		if (down)
			bytes += (size_t)nr << PAGEBLOCK_SHIFT;
		to = block;
	}
	return bytes;
}

/* Bytes of memory given back; *@blank: address space too. */
static size_t shrink(bool *blank)
{
	size_t bytes = 0;
	u32 warm;

	*blank = false;
	for (int n = 0; n < nr_node_ids(); n++) {
		struct zone *z = &zones[n];

		bytes += zone_trim(z, z->first, z->first + z->nr_blocks, 0);
		*blank |= blank_drop(z, &warm) > 0;
		bytes += (size_t)warm << PAGEBLOCK_SHIFT;
	}
	return bytes;
}

size_t pages_shrink(void)
{
	bool blank;

	return shrink(&blank);
}

static bool make_room(void)
{
	bool blank;

	return shrink(&blank) || blank;
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

	if (pfn == NO_PFN && !(flags & RN_NOWAIT))
		pfn = ladder_climb(nr, node, flags, zeroed);
	return pfn;
}

u32 pages_alloc(u32 nr, int node, rn_gfp_t flags, bool *zeroed)
{
	int saved = errno;
	bool zero = false;
	u32 pfn = NO_PFN;

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
