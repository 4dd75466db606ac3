// SPDX-License-Identifier: MIT
/*
 * How much of a zone is free, and how much of that is resident. Each function
 * that takes pages of a block that is up, or puts them back, keeps the counts, so
 * that none is ever made by a scan.
 *
 * All under zone.lock, but for the sums over all nodes at the end.
 */
#include "internal.h"
#include "zone.h"

static enum kind kind_of(const struct pageblock *b)
{
	if (b->lazy)
		return KIND_LAZY;
	return b->whole ? KIND_WHOLE : KIND_PLAIN;
}

static struct page_counts *counts_of(struct zone *z, const struct pageblock *b)
{
	return &z->pages[kind_of(b)];
}

/* What is counted whatever becomes of the block. */
static struct page_counts *away_of(struct zone *z, const struct pageblock *b)
{
	return &z->pages[b->lazy ? KIND_LAZY : KIND_PLAIN];
}

void zone_count_block(struct zone *z, const struct pageblock *b, int sign)
{
	struct page_counts *pages = counts_of(z, b);

	z->nr_up[b->backing] += sign;
	pages->free += sign * b->nr_free;
	pages->released += sign * b->nr_released;
	z->nr_broken += sign * b->broken;
}

u32 zone_nr_released(const struct zone *z)
{
	u32 nr = 0;

	for (int k = 0; k < NR_KINDS; k++)
		nr += z->pages[k].released;
	return nr;
}

u32 zone_nr_hollow(const struct zone *z)
{
	u32 nr = 0;

	for (int k = 0; k < NR_KINDS; k++)
		nr += z->pages[k].hollow;
	return nr;
}

u32 zone_nr_resident(const struct zone *z)
{
	u32 nr = 0;

	for (int k = 0; k < NR_KINDS; k++)
		nr += z->pages[k].free;
	return nr - zone_nr_released(z);
}

u32 zone_nr_used(const struct zone *z)
{
	u32 nr = (zone_nr_up(z) - z->lazy) << PAGEBLOCK_ORDER;

	for (int k = 0; k < NR_KINDS; k++)
		if (k != KIND_LAZY)
			nr -= z->pages[k].free + z->pages[k].isolated +
			      z->pages[k].hollow;
	return nr;
}

u32 zone_slack(const struct zone *z)
{
	u32 nr = (zone_nr_up(z) - z->lazy) << PAGEBLOCK_ORDER;
	u32 stay = z->reserved << PAGEBLOCK_ORDER;

	for (int k = 0; k < NR_KINDS; k++)
		if (k != KIND_LAZY)
			nr -= z->pages[k].released + z->pages[k].isolated +
			      z->pages[k].hollow;
	return nr > stay ? nr - stay : 0;
}

u32 zone_surplus(const struct zone *z)
{
	const struct page_counts *plain = &z->pages[KIND_PLAIN];
	const struct page_counts *lazy = &z->pages[KIND_LAZY];
	u32 nr = plain->free - plain->released + lazy->free - lazy->released +
		 (z->whole_idle << PAGEBLOCK_ORDER);

	return likely(!z->reserved) ? nr : min(nr, zone_slack(z));
}

void zone_see_used(struct zone *z)
{
	WRITE_ONCE(z->most_used, max(z->most_used, zone_nr_used(z)));
}

void zone_less_is_free(struct zone *z)
{
	z->low = min(z->low, zone_surplus(z));
}

/* --- what counts against the limit --- */

/*
 * Of what is up all does, but for pages that are released, in blocks that are
 * not lazy; long runs count at their full length, as their blocks do.
 */
static u32 charged_pages(const struct pageblock *b)
{
	return PAGEBLOCK_PAGES - (b->lazy ? 0 : b->nr_released);
}

u64 blocks_charge(u32 block, u32 nr)
{
	u64 pages = 0;

	for (u32 i = block; i < block + nr; i++)
		pages += charged_pages(&mem.blocks[i]);
	return pages << PAGE_SHIFT;
}

void blocks_settle_charge(u32 block, u32 nr)
{
	limit_uncharge(((u64)nr << PAGEBLOCK_SHIFT) - blocks_charge(block, nr));
}

bool run_charge(u32 pfn, u32 nr)
{
	const struct zone *z = pfn_zone(pfn);
	u64 pages = 0, released = 0;

	while (nr) {
		const struct pageblock *b = &mem.blocks[pfn >> PAGEBLOCK_ORDER];
		u32 page = pfn % PAGEBLOCK_PAGES;
		u32 n = min(nr, PAGEBLOCK_PAGES - page), of_it = 0;

		if (unlikely(b->nr_released))
			of_it = pageblock_count_released(b, page, n);
		released += of_it;
		pages += b->lazy ? 0 : of_it;
		pfn += n;
		nr -= n;
	}
	if (unlikely(released) && zone_is_short(z))
		return false;
	return likely(!pages) || limit_charge(pages << PAGE_SHIFT);
}

static void were_released(const struct pageblock *b, u32 nr)
{
	if (!b->lazy)
		limit_uncharge((u64)nr << PAGE_SHIFT);
}

/* --- pages of a block that is up --- */

static void was_taken(struct zone *z, u32 block, u32 nr, u32 released)
{
	struct pageblock *b = &mem.blocks[block];
	struct page_counts *pages = counts_of(z, b);

	pages->free -= nr;
	pages->released += b->nr_released - released;
	b->absent |= b->nr_released != released;
	block_requeue(z, block);
	zone_less_is_free(z);
}

int block_take(struct zone *z, u32 block, u32 nr)
{
	struct pageblock *b = &mem.blocks[block];
	u32 released = b->nr_released;
	int page = pageblock_find(b, nr);

	if (unlikely(page < 0))
		bug("pageblock %u is on a list it does not belong on", block);
	if (!run_charge((block << PAGEBLOCK_ORDER) + page, nr))
		return -1;
	pageblock_take_at(b, page, nr);
	was_taken(z, block, nr, released);
	return page;
}

bool block_take_at(struct zone *z, u32 block, u32 page, u32 nr)
{
	struct pageblock *b = &mem.blocks[block];
	u32 released = b->nr_released;

	if (!pageblock_take_at(b, page, nr))
		return false;
	was_taken(z, block, nr, released);
	return true;
}

bool block_put(struct zone *z, u32 block, u32 page, u32 nr)
{
	struct pageblock *b = &mem.blocks[block];

	if (!pageblock_put(b, page, nr))
		return false;
	counts_of(z, b)->free += nr;
	block_requeue(z, block);
	return true;
}

void block_set_released(struct zone *z, u32 block, u32 page, u32 nr)
{
	struct pageblock *b = &mem.blocks[block];
	u32 released = b->nr_released;

	pageblock_set_released(b, page, nr);
	b->collapsing = 0;
	were_released(b, b->nr_released - released);
	counts_of(z, b)->released += b->nr_released - released;
	block_requeue(z, block);
	zone_less_is_free(z);
}

void block_clear_released(struct zone *z, u32 block)
{
	struct pageblock *b = &mem.blocks[block];

	counts_of(z, b)->released -= b->nr_released;
	pageblock_clear_released(b);
	block_requeue(z, block);
}

u32 block_isolate(struct zone *z, u32 block, u32 most, u64 *isolated)
{
	struct pageblock *b = &mem.blocks[block];
	struct page_counts *pages = counts_of(z, b);
	u32 nr = pageblock_isolate(b, most, isolated);

	pages->free -= nr;
	away_of(z, b)->isolated += nr;
	b->collapsing = 0;
	block_requeue(z, block);
	zone_less_is_free(z);
	return nr;
}

void block_putback(struct zone *z, u32 block, const u64 *isolated,
		   const u64 *released)
{
	struct pageblock *b = &mem.blocks[block];
	struct page_counts *pages = counts_of(z, b);
	u32 had = b->nr_free, had_released = b->nr_released;

	pageblock_putback(b, isolated, released);
	were_released(b, b->nr_released - had_released);
	pages->free += b->nr_free - had;
	away_of(z, b)->isolated += had - b->nr_free;
	pages->released += b->nr_released - had_released;
	block_requeue(z, block);
}

void block_count_hollow(struct zone *z, u32 block, int nr)
{
	struct pageblock *b = &mem.blocks[block];

	away_of(z, b)->hollow += nr;
	b->nr_hollow += nr;
	b->collapsing = 0;
}

/* --- what there is --- */

u64 pages_free_bytes(void)
{
	u64 bytes = 0;

	for (int n = 0; n < nr_node_ids(); n++) {
		struct zone *z = &zones[n];

		lock(&z->lock);
		bytes += (u64)zone_nr_resident(z) << PAGE_SHIFT;
		bytes += warm_bytes(z->warm_weight);
		unlock(&z->lock);
	}
	return bytes;
}

u64 pages_held(void)
{
	u64 bytes = 0;

	for (int n = 0; n < nr_node_ids(); n++) {
		struct zone *z = &zones[n];
		u64 pages;

		lock(&z->lock);
		pages = (u64)zone_nr_up(z) << PAGEBLOCK_ORDER;
		pages -= zone_nr_released(z) + zone_nr_hollow(z);
		bytes += (pages << PAGE_SHIFT) + warm_bytes(z->warm_weight);
		unlock(&z->lock);
	}
	return bytes;
}

u64 pages_peak(void)
{
	u64 pages = 0;

	for (int n = 0; n < nr_node_ids(); n++)
		pages += READ_ONCE(zones[n].most_used);
	return pages << PAGE_SHIFT;
}

#define KIB(pages)	((unsigned long)(pages) << (PAGE_SHIFT - 10))

void vmstat_counts(struct seq *s, struct zone *z)
{
	u32 resident, released, hollow, broken, peak;
	unsigned int ticket = gate_enter();
	u64 refused;
	int n = z->node;

	lock(&z->lock);
	resident = zone_nr_resident(z);
	released = zone_nr_released(z);
	hollow = zone_nr_hollow(z);
	broken = z->nr_broken;
	peak = max(z->most_used, zone_nr_used(z));
	refused = z->refused;
	unlock(&z->lock);
	gate_exit(ticket);
	seq_printf(s, "node%d_free_kbytes %lu\n", n, KIB(resident));
	seq_printf(s, "node%d_released_kbytes %lu\n", n, KIB(released));
	seq_printf(s, "node%d_hollow_kbytes %lu\n", n, KIB(hollow));
	seq_printf(s, "node%d_pageblocks_broken %u\n", n, broken);
	seq_printf(s, "node%d_peak_kbytes %lu\n", n, KIB(peak));
	seq_printf(s, "node%d_release_refused %lu\n", n,
		   (unsigned long)refused);
}
