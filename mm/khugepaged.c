// SPDX-License-Identifier: MIT
/*
 * The other way: pageblocks of base pages become huge pages. They came up small
 * because there was no huge page then, or were broken when their free pages
 * went back, and now most of their pages are in use. The kernel's khugepaged
 * does the same by the page tables, and fills a block of which a single page is
 * there.
 *
 * A block is worth it if it is dense and stays so: when two looks in a row, a
 * tick apart or more, find no more than an eighth of its pages free, and the
 * kernel has at least the rest in memory. Requests are met from the fullest
 * block first, so one that is dense is one that is in use. Then a huge page
 * takes at most an eighth more memory than there was, no more than is kept free
 * anyhow (Documentation/mm/reclaim.rst), and one TLB entry instead of hundreds.
 *
 * Where the kernel has no huge page now, or will not, the block waits for twice
 * as many looks as the last time.
 *
 * Blocks of base pages that are idle go first: their place comes up huge.
 *
 * The call is made without the lock. It copies pages and keeps what is in them,
 * so who has pages of the block sees nothing. Should the block go down
 * meanwhile, what is mapped there then is not populated, which the kernel
 * refuses to collapse; or it is another block's memory, which it may. What the
 * zone knows of the block is changed under the lock, and only if the block has
 * been up all the time and nothing of it was released: block.collapsing says
 * so, which is cleared by all else.
 *
 * Locks: zone.lock, for a stretch of blocks at a time; all is done under
 * vmscan.lock.
 */
#include "internal.h"
#include "zone.h"

#include <sys/mman.h>
#include <unistd.h>

#define DENSE_FREE	(PAGEBLOCK_PAGES / 8)

/*
 * At a tick: blocks looked at, a gibibyte, some 50 us; and collapsed, each of
 * which is 2 MiB to allocate and to copy, half a millisecond or less. Of the
 * tick's second that is a few thousandths.
 */
#define LOOK_BLOCKS	512U
#define COLLAPSE_BLOCKS	4U

/* However short ticks are (RN_DECAY_MS). */
#define TICK_MS		1000U

/* So many while the lock is held: a few microseconds. */
#define STRETCH		64U

/* At most 1024 looks are left out: 20 minutes by default. */
#define MAX_BACKOFF	10U

static u32 cursor[MAX_NODES];	/* where to look next, from zone.first on */
static u64 scanned, collapsed, refused;

/* --- which --- */

/* Under the lock: one that is up, of base pages, and has no hollow ones. */
static bool is_small(const struct zone *z, u32 block)
{
	const struct pageblock *b = &mem.blocks[block];

	return block_is_used(z, block) && b->up && !b->lazy && !b->early &&
		!b->nr_hollow && b->backing == BACKING_SMALL;
}

/* What a look found. */
enum { LOOK_NOTHING, LOOK_DENSE, LOOK_IDLE };

static u8 look_at(const struct zone *z, u32 block)
{
	u32 nr_free = mem.blocks[block].nr_free;

	if (nr_free == PAGEBLOCK_PAGES)
		return zone_nr_up(z) > z->reserved ? LOOK_IDLE : LOOK_NOTHING;
	return nr_free <= DENSE_FREE ? LOOK_DENSE : LOOK_NOTHING;
}

/* Under the lock: something is to be done, as the look before said too. */
static bool is_due(const struct zone *z, u32 block)
{
	struct pageblock *b = &mem.blocks[block];
	u8 before = b->looked;

	b->looked = look_at(z, block);
	if (b->looked == LOOK_NOTHING || b->looked != before)
		return false;
	if (b->looked == LOOK_IDLE || !b->skip)
		return true;
	b->skip--;
	return false;
}

/**
 * struct attempt - what is to be done with a block
 * @block: which
 * @idle: it is to go; otherwise it is to be collapsed
 * @charged: pages of it that were released, charged since they are to come back
 */
struct attempt {
	u32 block;
	bool idle;
	u32 charged;
};

/*
 * Under the lock. False where the limit has no room for it, or pages are being
 * released, perhaps of this block.
 */
static bool begin(const struct zone *z, u32 block, struct attempt *a)
{
	struct pageblock *b = &mem.blocks[block];

	a->block = block;
	a->idle = block_is_idle(z, block);
	a->charged = a->idle ? 0 : b->nr_released;
	if (z->pages[KIND_PLAIN].isolated ||
	    !limit_charge((u64)a->charged << PAGE_SHIFT))
		return false;
	b->collapsing = !a->idle;
	return true;
}

/*
 * From @*at on, @*left blocks at most: one that is due; false at the end of a
 * stretch.
 */
static bool next_block(struct zone *z, u32 *at, u32 *left, struct attempt *a)
{
	u32 end = *at + min(*left, STRETCH);
	bool found = false;

	lock(&z->lock);
	end = min(end, z->high);
	while (!found && *at < end) {
		u32 block = z->first + (*at)++;

		(*left)--;
		if (sparse_next_open(block) != block || !is_small(z, block))
			continue;
		stat_inc(&scanned);
		found = is_due(z, block) && begin(z, block, a);
	}
	/* All of the zone was seen; the next tick begins anew. */
	if (*at >= z->high)
		*at = *left = 0;
	unlock(&z->lock);
	return found;
}

/* Where the kernel does not say, nothing is. */
static bool is_resident(u32 block)
{
	void *p = pfn_to_ptr(block << PAGEBLOCK_ORDER);
	size_t pages = PAGEBLOCK_BYTES / sysconf(_SC_PAGESIZE), there = 0;
	unsigned char in_core[PAGEBLOCK_PAGES];
	int saved = errno;

	if (mincore(p, PAGEBLOCK_BYTES, in_core))
		pages = 0;
	errno = saved;
	for (size_t i = 0; i < pages; i++)
		there += in_core[i] & 1;
	return there && there >= pages - pages / 8;
}

/* --- collapsing --- */

/* Under the lock. Of what was released nothing has come back in another way. */
static void became_huge(struct zone *z, u32 block, u32 charged)
{
	struct pageblock *b = &mem.blocks[block];

	limit_uncharge((u64)(charged - b->nr_released) << PAGE_SHIFT);
	block_clear_released(z, block);
	block_set_broken(z, block, false);
	block_set_backing(z, block, BACKING_THP);
	b->backoff = 0;
}

static void stayed_small(struct pageblock *b, u32 charged)
{
	limit_uncharge((u64)charged << PAGE_SHIFT);
	if (!b->collapsing)
		return;
	b->backoff = min(b->backoff + 1U, MAX_BACKOFF);
	b->skip = 1U << b->backoff;
}

/* It had pages released meanwhile, and may have all of them again. */
static void came_back(struct zone *z, u32 block)
{
	u64 bytes = (u64)mem.blocks[block].nr_released << PAGE_SHIFT;

	/* Where the limit has no room they are left as they are known. */
	if (limit_charge(bytes))
		block_clear_released(z, block);
}

/* One that has holes, still or again, is to keep them. */
void collapse_end(struct zone *z, u32 block, u32 charged, bool huge, bool told)
{
	struct pageblock *b = &mem.blocks[block];
	bool undo;

	lock(&z->lock);
	if (huge && b->collapsing)
		became_huge(z, block, charged);
	else
		stayed_small(b, charged);
	if (told && b->up)
		WRITE_ONCE(b->advice, ADVICE_HUGE);
	undo = told && b->up && b->broken;
	if (undo && huge)
		came_back(z, block);
	b->collapsing = 0;
	unlock(&z->lock);
	if (undo)
		block_keep_small(block);
}

/* The kernel takes the node that most of the pages are of. */
static bool is_in_place(const struct zone *z, u32 block)
{
	int node = page_node(pfn_to_ptr(block << PAGEBLOCK_ORDER));

	return node < 0 || node == z->node;
}

/* True if that took long. */
static bool collapse(struct zone *z, const struct attempt *a)
{
	bool tried = is_resident(a->block), told = false;
	bool huge = tried && block_collapse(a->block, &told) &&
		is_in_place(z, a->block);

	collapse_end(z, a->block, a->charged, huge, told);
	if (huge)
		stat_inc(&collapsed);
	else if (tried)
		stat_inc(&refused);
	return tried;
}

/* --- a tick --- */

/* At most @*todo of them; so many are left. */
static void scan_zone(struct zone *z, u32 *todo)
{
	u32 at = cursor[z->node], left = LOOK_BLOCKS;
	struct attempt a = { 0 };

	while (left && *todo) {
		if (!next_block(z, &at, &left, &a))
			continue;
		if (a.idle)
			*todo -= zone_trim(z, a.block, a.block + 1, 0,
					   WHY_DECAY, NULL);
		else
			*todo -= collapse(z, &a);
	}
	cursor[z->node] = at;
}

static bool has_small(struct zone *z)
{
	bool has;

	lock(&z->lock);
	has = z->nr_up[BACKING_SMALL] > z->lazy;
	unlock(&z->lock);
	return has;
}

/* By who does a tick, which is one thread at a time. */
void khugepaged_scan(void)
{
	u32 todo = COLLAPSE_BLOCKS;
	bool some = false;

	for (int n = 0; n < nr_node_ids(); n++)
		some |= has_small(&zones[n]);
	if (!some || !rung_in_ladder(RUNG_THP) || pressure_is_on() ||
	    limit_is_near() || !thp_enabled())
		return;
	for (int n = 0; n < nr_node_ids(); n++)
		scan_zone(&zones[n], &todo);
}

void khugepaged_tick(void)
{
	static u64 last;
	u64 now = clock_ms();

	if (now - last < TICK_MS)
		return;
	last = now;
	khugepaged_scan();
}

void vmstat_khugepaged(struct seq *s)
{
	seq_printf(s, "khugepaged_scanned %lu\n",
		   (unsigned long)READ_ONCE(scanned));
	seq_printf(s, "khugepaged_collapsed %lu\n",
		   (unsigned long)READ_ONCE(collapsed));
	seq_printf(s, "khugepaged_refused %lu\n",
		   (unsigned long)READ_ONCE(refused));
}
