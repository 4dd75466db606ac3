// SPDX-License-Identifier: MIT
/*
 * A zone's bookkeeping: which pageblocks of the stripe are unused, idle or
 * partly free, and where. Nothing here maps anything.
 *
 * Finding: a partly free block in O(1) by the mask of lists; idle and unused
 * blocks by a scan of bitmaps up to the highest block ever used, 64 blocks a
 * word: 800 words for 100 GiB, against 100 us to fill a block with zeroes.
 *
 * All under zone.lock.
 */
#include "internal.h"
#include "zone.h"

#include <string.h>
#include <sys/mman.h>

int zone_init(struct zone *z, int node)
{
	u32 blocks = 1U << (mem.stripe_order - PAGEBLOCK_ORDER);

	z->node = node;
	z->first = (u32)node << (mem.stripe_order - PAGEBLOCK_ORDER);
	z->nr_blocks = blocks;
	/* The last page of 16 TiB would be NO_PFN. */
	if ((u64)(z->first + blocks) << PAGEBLOCK_ORDER > NO_PFN)
		z->nr_blocks--;
	for (int c = 0; c < NR_CLASSES; c++)
		for (int i = 0; i < NR_LISTS; i++)
			z->list[c][i] = NO_BLOCK;
	for (int i = 0; i < NR_REPORTS; i++)
		z->report[i] = NO_BLOCK;
	for (u32 i = 0; i < NR_BLANK_LISTS; i++)
		z->blank_runs.first[i] = z->warm_runs.first[i] = NO_BLOCK;
	warm_init(z);
	reporting_init(z);
	z->maps = meta_alloc(DIV_ROUND_UP(blocks, 64) * sizeof(*z->maps));
	return z->maps ? 0 : -ENOMEM;
}

u32 zone_nr_idle(const struct zone *z)
{
	u32 nr = 0;

	for (int c = 0; c < NR_CLASSES; c++)
		nr += z->nr_idle[c];
	return nr;
}

u32 zone_nr_up(const struct zone *z)
{
	return z->nr_up[BACKING_HUGETLB] + z->nr_up[BACKING_THP] +
		z->nr_up[BACKING_SMALL];
}

/* --- bitmaps; positions are relative to the first block of the stripe --- */

static void bits_set(struct zone *z, enum map map, u32 at, u32 nr)
{
	for (u32 i = at; i < at + nr; i++)
		z->maps[i / 64][map] |= 1ULL << i % 64;
}

static void bits_clear(struct zone *z, enum map map, u32 at, u32 nr)
{
	for (u32 i = at; i < at + nr; i++)
		z->maps[i / 64][map] &= ~(1ULL << i % 64);
}

static bool bit_test(const struct zone *z, enum map map, u32 at)
{
	return z->maps[at / 64][map] >> at % 64 & 1;
}

/* Candidates of @kind among blocks 64 * @i to 64 * @i + 63, a bit each. */
static u64 candidates(const struct zone *z, enum run_kind kind, u32 i)
{
	const u64 *word = z->maps[i];

	switch (kind) {
	case RUN_UNUSED:
		return ~word[MAP_USED];
	case RUN_IDLE_HUGETLB:
		return word[MAP_IDLE + CLASS_HUGETLB];
	case RUN_IDLE_BROKEN:
		return word[MAP_IDLE + CLASS_BROKEN];
	case RUN_BLANK:
		return word[MAP_BLANK];
	default:
		return word[MAP_IDLE + CLASS_HUGETLB] |
			word[MAP_IDLE + CLASS_OTHER] |
			word[MAP_IDLE + CLASS_BROKEN];
	}
}

bool block_is_idle(const struct zone *z, u32 block)
{
	u32 at = block - z->first;

	return at < z->high && (candidates(z, RUN_IDLE, at / 64) >> at % 64 & 1);
}

bool block_is_blank(const struct zone *z, u32 block)
{
	u32 at = block - z->first;

	return at < z->high && bit_test(z, MAP_BLANK, at);
}

bool block_is_used(const struct zone *z, u32 block)
{
	u32 at = block - z->first;

	return at < z->high && bit_test(z, MAP_USED, at);
}

/*
 * The first position from @at on, and before @end, whose bit is @want; @end
 * where there is none. Only below z->high are there bits to read.
 */
static u32 next_bit(const struct zone *z, enum run_kind kind, u32 at, u32 end,
		    bool want)
{
	u32 bits = min(end, z->high);

	while (at < bits) {
		u64 word = candidates(z, kind, at / 64);

		word = (want ? word : ~word) >> at % 64;
		if (word)
			return min(at + (u32)__builtin_ctzll(word), end);
		at = ALIGN_DOWN(at, 64) + 64;
	}
	/* Above, all is unused. */
	at = min(at, end);
	return (kind == RUN_UNUSED) == want ? at : end;
}

static u32 run_find_from(const struct zone *z, enum run_kind kind, u32 at,
			 u32 nr, u32 align)
{
	u32 limit = kind == RUN_UNUSED ? z->nr_blocks : z->high;

	while (at < limit && limit - at >= nr) {
		u32 end;

		at = next_bit(z, kind, at, limit, true);
		at = ALIGN(at, align);
		if (at >= limit || limit - at < nr)
			break;
		end = next_bit(z, kind, at, at + nr, false);
		if (end == at + nr)
			return z->first + at;
		at = end + 1;
	}
	return NO_BLOCK;
}

u32 run_find(const struct zone *z, enum run_kind kind, u32 nr, u32 align)
{
	u32 from = kind == RUN_UNUSED ? z->unused_from : 0;

	return run_find_from(z, kind, from, nr, align);
}

u32 run_length(const struct zone *z, enum run_kind kind, u32 block, u32 most)
{
	u32 at = block - z->first;

	return next_bit(z, kind, at, at + most, false) - at;
}

u32 block_next_used(u32 block)
{
	while ((block = sparse_next_open(block)) != NO_PFN) {
		struct zone *z = &zones[pfn_to_node(block << PAGEBLOCK_ORDER)];
		u32 skip, end;

		lock(&z->lock);
		end = max(z->first + z->high, block + 1);
		skip = block_is_used(z, block) ? 0 :
		       run_length(z, RUN_UNUSED, block, end - block);
		unlock(&z->lock);
		if (!skip)
			return block;
		block += skip;
	}
	return NO_BLOCK;
}

/* Blocks that come and go together with @block. */
static u32 unit_of(u32 block)
{
	unsigned int shift = mem.blocks[block].huge_shift;

	return shift > PAGEBLOCK_SHIFT ? 1U << (shift - PAGEBLOCK_SHIFT) : 1;
}

/* Their number if all of them are idle, or 0. */
static u32 idle_unit(const struct zone *z, u32 block, u32 *start)
{
	u32 unit = unit_of(block);
	u32 at = ALIGN_DOWN(block, unit) - z->first;

	*start = z->first + at;
	return next_bit(z, RUN_IDLE, at, at + unit, false) == at + unit ?
		unit : 0;
}

u32 run_find_idle_top(const struct zone *z, enum run_kind kind, u32 from,
		      u32 to, u32 most, u32 *nr)
{
	u32 at = min(to, z->first + z->high);

	*nr = 0;
	while (at > from && *nr < most) {
		u32 start, unit = 0;

		if (candidates(z, kind, (at - 1 - z->first) / 64) >>
		    (at - 1 - z->first) % 64 & 1)
			unit = idle_unit(z, at - 1, &start);
		if (unit && start >= from && *nr + unit <= most) {
			*nr += unit;
			at = start;
		} else if (*nr) {
			break;
		} else {
			/* Not to be had; a whole word of nothing in one go. */
			u32 i = (at - 1 - z->first) / 64;

			at--;
			if (!candidates(z, kind, i))
				at = max(from, z->first + i * 64);
		}
	}
	return *nr ? at : NO_BLOCK;
}

/* --- address space --- */

bool blocks_claim_at(struct zone *z, u32 block, u32 nr)
{
	u32 at = block - z->first;

	if (at > z->nr_blocks || z->nr_blocks - at < nr)
		return false;
	if (next_bit(z, RUN_UNUSED, at, at + nr, false) != at + nr)
		return false;
	bits_set(z, MAP_USED, at, nr);
	z->high = max(z->high, at + nr);
	return true;
}

u32 blocks_claim(struct zone *z, u32 nr, u32 align)
{
	u32 block = run_find(z, RUN_UNUSED, nr, align);

	if (block == NO_BLOCK || !blocks_claim_at(z, block, nr))
		return NO_BLOCK;
	if (nr == 1 && align == 1)
		z->unused_from = block - z->first + 1;
	return block;
}

void blocks_unclaim(struct zone *z, u32 block, u32 nr)
{
	u32 at = block - z->first;

	bits_clear(z, MAP_USED, at, nr);
	z->unused_from = min(z->unused_from, at);
}

void blocks_mark_blank(struct zone *z, u32 block, u32 nr, bool blank)
{
	if (blank) {
		bits_set(z, MAP_BLANK, block - z->first, nr);
		z->nr_blank += nr;
	} else {
		bits_clear(z, MAP_BLANK, block - z->first, nr);
		z->nr_blank -= nr;
	}
}

/* --- lists --- */

static void list_unlink(struct zone *z, struct pageblock *b, enum class c)
{
	if (b->list < 0)
		return;
	if (b->prev != NO_BLOCK)
		mem.blocks[b->prev].next = b->next;
	else
		z->list[c][b->list] = b->next;
	if (b->next != NO_BLOCK)
		mem.blocks[b->next].prev = b->prev;
	if (z->list[c][b->list] == NO_BLOCK)
		z->mask[c] &= ~(1ULL << b->list);
	b->list = -1;
}

static void list_link(struct zone *z, u32 block, enum class c, int list)
{
	struct pageblock *b = &mem.blocks[block];

	b->list = list;
	b->prev = NO_BLOCK;
	b->next = z->list[c][list];
	if (b->next != NO_BLOCK)
		mem.blocks[b->next].prev = block;
	z->list[c][list] = block;
	z->mask[c] |= 1ULL << list;
}

/* Fullest first. The steps are finer where a block is about to drain. */
static unsigned int fill_of(unsigned int nr_free)
{
	static const u16 most_free[NR_FILLS - 1] = { 32, 96, 192, 320, 448 };
	unsigned int fill = 0;

	while (fill < NR_FILLS - 1 && nr_free > most_free[fill])
		fill++;
	return fill;
}

static int list_of(const struct pageblock *b)
{
	if (b->nr_free == 0 || b->nr_free == PAGEBLOCK_PAGES)
		return -1;
	return pageblock_largest(b) * NR_FILLS + fill_of(b->nr_free);
}

/* --- lists of what can be released: rings, with the oldest first --- */

static void report_unlink(struct zone *z, struct pageblock *b)
{
	u32 next = b->report_next, prev = b->report_prev, *first;

	if (b->report < 0)
		return;
	first = &z->report[b->report];
	mem.blocks[next].report_prev = prev;
	mem.blocks[prev].report_next = next;
	if (&mem.blocks[next] == b) {
		*first = NO_BLOCK;
		z->report_mask &= ~(1U << b->report);
	} else if (&mem.blocks[*first] == b) {
		*first = next;
	}
	b->report = -1;
}

/* Who waits for longest has most to release, in one call. */
static void report_link(struct zone *z, u32 block, int list)
{
	struct pageblock *b = &mem.blocks[block];
	u32 first = z->report[list];

	b->report = list;
	if (first == NO_BLOCK) {
		b->report_next = b->report_prev = block;
		z->report[list] = block;
		z->report_mask |= 1U << list;
		return;
	}
	b->report_next = first;
	b->report_prev = mem.blocks[first].report_prev;
	mem.blocks[b->report_prev].report_next = block;
	mem.blocks[first].report_prev = block;
}

static int report_of(const struct pageblock *b)
{
	if (b->whole || b->nr_free <= b->nr_released ||
	    b->nr_free == PAGEBLOCK_PAGES)
		return -1;
	return 2 * fill_of(b->nr_free) + b->broken;
}

u32 block_to_report(const struct zone *z)
{
	if (!z->report_mask)
		return NO_BLOCK;
	return z->report[31 - __builtin_clz(z->report_mask)];
}

/* Blocks that come and go together are surplus when all are idle. */
static void count_whole(struct zone *z, u32 block, bool idle)
{
	u32 unit = unit_of(block);
	struct pageblock *head = &mem.blocks[ALIGN_DOWN(block, unit)];

	if (!idle && head->unit_idle-- == unit)
		z->whole_idle -= unit;
	if (idle && ++head->unit_idle == unit)
		z->whole_idle += unit;
}

static void idle_set(struct zone *z, u32 block, enum class c, bool idle)
{
	u32 at = block - z->first;

	if (bit_test(z, MAP_IDLE + c, at) == idle)
		return;
	if (mem.blocks[block].whole && !mem.blocks[block].lazy)
		count_whole(z, block, idle);
	if (idle) {
		bits_set(z, MAP_IDLE + c, at, 1);
		z->nr_idle[c]++;
	} else {
		bits_clear(z, MAP_IDLE + c, at, 1);
		z->nr_idle[c]--;
	}
}

void block_requeue(struct zone *z, u32 block)
{
	struct pageblock *b = &mem.blocks[block];
	enum class c = class_of(b);
	int list = list_of(b), report = report_of(b);

	if (list != b->list) {
		list_unlink(z, b, c);
		if (list >= 0)
			list_link(z, block, c, list);
	}
	if (report != b->report) {
		report_unlink(z, b);
		if (report >= 0)
			report_link(z, block, report);
	}
	idle_set(z, block, c, b->nr_free == PAGEBLOCK_PAGES);
}

/* --- what a block is --- */

/* Before a change that may move it to other lists and counts, and after it. */
static struct pageblock *change_begin(struct zone *z, u32 block)
{
	struct pageblock *b = &mem.blocks[block];
	enum class c = class_of(b);

	list_unlink(z, b, c);
	report_unlink(z, b);
	idle_set(z, block, c, false);
	zone_count_block(z, b, -1);
	return b;
}

static void change_end(struct zone *z, u32 block)
{
	zone_count_block(z, &mem.blocks[block], 1);
	block_requeue(z, block);
}

void block_set_backing(struct zone *z, u32 block, enum backing backing)
{
	struct pageblock *b = change_begin(z, block);

	b->backing = backing;
	b->huge_shift = 0;
	change_end(z, block);
}

void block_set_broken(struct zone *z, u32 block, bool broken)
{
	struct pageblock *b = change_begin(z, block);

	b->broken = broken;
	if (broken && b->backing == BACKING_THP)
		b->backing = BACKING_SMALL;
	change_end(z, block);
}

void block_set_whole(struct zone *z, u32 block, bool whole)
{
	struct pageblock *b = change_begin(z, block);

	b->whole = whole;
	change_end(z, block);
}

/* --- up and down --- */

/* All of them free now, and to be found. */
static void blocks_attach(struct zone *z, u32 block, u32 nr)
{
	for (u32 i = block; i < block + nr; i++) {
		struct pageblock *b = &mem.blocks[i];

		pageblock_put(b, 0, PAGEBLOCK_PAGES);
		b->up = 1;
		zone_count_block(z, b, 1);
		z->lazy += b->lazy;
		block_requeue(z, i);
	}
}

void blocks_publish(struct zone *z, u32 block, u32 nr)
{
	zone_see_used(z);
	for (u32 i = block; i < block + nr; i++)
		z->online[mem.blocks[i].backing]++;
	blocks_attach(z, block, nr);
}

void blocks_detach(struct zone *z, u32 block, u32 nr)
{
	for (u32 i = block; i < block + nr; i++) {
		struct pageblock *b = &mem.blocks[i];

		b->up = b->collapsing = 0;
		zone_count_block(z, b, -1);
		z->lazy -= b->lazy;
		/* What is released is so still. */
		memset(b->free, 0, sizeof(b->free));
		b->nr_free = 0;
		block_requeue(z, i);
	}
	zone_less_is_free(z);
}

void blocks_count_lazy(struct zone *z, u32 nr, bool up)
{
	if (!up)
		nr = -nr;
	z->nr_up[BACKING_SMALL] += nr;
	z->lazy += (int32_t)nr;
}

void blocks_reattach(struct zone *z, u32 block, u32 nr)
{
	blocks_attach(z, block, nr);
}

void blocks_retire(struct zone *z, u32 block, u32 nr)
{
	for (u32 i = block; i < block + nr; i++)
		mem.blocks[i].backing = BACKING_NONE;
	z->offline += nr;
	zone_is_short_no_more(z);
	blocks_unclaim(z, block, nr);
}
