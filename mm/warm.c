// SPDX-License-Identifier: MIT
/*
 * Warm runs: long runs that were freed and not discarded yet. A page that is
 * given back to the system and comes again on the next touch costs some 2 us
 * and a share of two system calls; a program that frees a buffer often asks for
 * another one of that length next.
 *
 * What they may hold is bounded. How much of a run is resident only the kernel
 * knows, and to ask for all of it costs as much as to fault it in. So now and
 * then one page is looked at, whichever it is: what share of these were there
 * is what share of a run is taken to be. Beyond the budget the run that was
 * freed longest ago is discarded.
 *
 * Locks: zone.lock, but for what is said to be the caller's.
 */
#define _GNU_SOURCE
#include "internal.h"
#include "zone.h"

#include <sys/mman.h>
#include <unistd.h>

/*
 * The budget: 5 % of the most that was in use, which a peak of memory hardly
 * shows, but a few runs at least. With 3 %, buffers of megabytes that are
 * replaced at random take a sixth more page faults.
 */
#define WARM_SHARE	20
#define WARM_MIN	(16UL << 20)

/*
 * A page is looked at whenever so much was freed, by weight: for each 4 MiB, or
 * for each 64 MiB that are hardly touched.
 */
#define LOOK_WEIGHT	(2 * WARM_FULL)

/*
 * A page that was there weighs half of all that was seen so far, one that was
 * not an eighth: it is soon known that a program fills its buffers, and what is
 * resident is rather over- than underestimated.
 */
#define GROW_SHIFT	1
#define SHRINK_SHIFT	3

#define SHARE_SHIFT	8	/* a share has more digits than a warmth */
#define FULL_SHARE	(WARM_FULL << SHARE_SHIFT)

static u32 budget(const struct zone *z)
{
	u32 blocks = max(READ_ONCE(z->peak) / WARM_SHARE,
			 (u32)(WARM_MIN >> PAGEBLOCK_SHIFT));

	return blocks * WARM_FULL +
		workingset_extra(&z->warm_set, READ_ONCE(z->peak) * WARM_FULL,
				 WARM_FULL);
}

void warm_init(struct zone *z)
{
	z->warm_oldest = z->warm_newest = NO_BLOCK;
	z->warm_share = FULL_SHARE;
}

/* --- how much is resident --- */

/*
 * The positions of one call after the other are steps of the golden ratio round
 * a circle: they soon lie everywhere.
 */
static u32 next_position(u32 nr)
{
	static u64 turn;
	u64 at = __atomic_add_fetch(&turn, 0x9e3779b97f4a7c15,
				    __ATOMIC_RELAXED);

	return (at >> 32) * nr >> 32;
}

/* Where the kernel does not say, it is. */
static bool is_resident(u32 pfn)
{
	uintptr_t page = sysconf(_SC_PAGESIZE);
	void *p = (void *)ALIGN_DOWN((uintptr_t)pfn_to_ptr(pfn), page);
	int saved = errno;
	unsigned char there = 1;
	bool resident = mincore(p, page, &there) || there & 1;

	errno = saved;
	return resident;
}

static void look(struct zone *z, u32 pfn, u32 nr)
{
	bool resident = is_resident(pfn + next_position(nr));

	lock(&z->lock);
	if (resident) {
		z->warm_share += (FULL_SHARE - z->warm_share) >> GROW_SHIFT;
	} else {
		z->warm_share -= z->warm_share >> SHRINK_SHIFT;
		/* Which was counted by that share. */
		workingset_less(&z->warm_set, 1 << SHRINK_SHIFT);
	}
	unlock(&z->lock);
}

/*
 * Of runs that were filled, not of those that are hardly touched: a page or two
 * of one are soon there again.
 */
static void evicted(struct zone *z, u32 blocks, u32 warmth)
{
	if (warmth >= WARM_FULL / 2)
		workingset_evict(&z->warm_set, blocks * warmth);
}

/* Under the lock. Others have pages in the block, so that it cannot be blank. */
static bool is_shared(u32 block, u32 nr)
{
	return nr && mem.blocks[block].nr_free + nr != PAGEBLOCK_PAGES;
}

struct cooled warm_grade(struct zone *z, u32 pfn, u32 nr)
{
	u32 blocks = DIV_ROUND_UP(nr, PAGEBLOCK_PAGES), warmth;
	u32 head = min(ALIGN(pfn, PAGEBLOCK_PAGES) - pfn, nr);
	u32 tail = head < nr ? (pfn + nr) % PAGEBLOCK_PAGES : 0;
	bool due;

	lock(&z->lock);
	WRITE_ONCE(z->peak, max(z->peak, zone_nr_up(z) - zone_nr_idle(z)));
	warmth = max(z->warm_share >> SHARE_SHIFT, 1U);
	z->warm_unseen += blocks * warmth;
	due = z->warm_unseen >= LOOK_WEIGHT;
	if (due)
		z->warm_unseen = 0;
	if (blocks * warmth > budget(z)) {
		evicted(z, blocks, warmth);
		warmth = 0;
	}
	if (!is_shared(pfn >> PAGEBLOCK_ORDER, head))
		head = 0;
	if (!is_shared((pfn + nr) >> PAGEBLOCK_ORDER, tail))
		tail = 0;
	unlock(&z->lock);
	if (due)
		look(z, pfn, nr);
	/* What stays in blocks that are not blank is for others to take. */
	if (!warmth || (head && !run_discard(pfn, head)))
		head = 0;
	if (!warmth || (tail && !run_discard(pfn + nr - tail, tail)))
		tail = 0;
	return (struct cooled){ warmth, head, tail };
}

/* --- the runs by age --- */

void warm_add(struct zone *z, u32 block)
{
	struct pageblock *b = &mem.blocks[block];

	b->newer = NO_BLOCK;
	b->older = z->warm_newest;
	if (b->older != NO_BLOCK)
		mem.blocks[b->older].newer = block;
	else
		z->warm_oldest = block;
	z->warm_newest = block;
	z->nr_warm += b->nr_blank;
	WRITE_ONCE(z->warm_weight, z->warm_weight + b->nr_blank * b->warmth);
}

void warm_remove(struct zone *z, u32 block)
{
	struct pageblock *b = &mem.blocks[block];

	if (b->newer != NO_BLOCK)
		mem.blocks[b->newer].older = b->older;
	else
		z->warm_newest = b->older;
	if (b->older != NO_BLOCK)
		mem.blocks[b->older].newer = b->newer;
	else
		z->warm_oldest = b->newer;
	z->nr_warm -= b->nr_blank;
	WRITE_ONCE(z->warm_weight, z->warm_weight - b->nr_blank * b->warmth);
	z->warm_low = min(z->warm_low, z->warm_weight);
}

bool warm_is_too_much(const struct zone *z)
{
	return z->warm_weight > budget(z);
}

/* --- discarding --- */

/*
 * The weight of what was discarded; 0 when what is left is not more than @most,
 * or cannot be discarded.
 */
static u32 cool_oldest(struct zone *z, u32 most, enum reclaim_why why)
{
	u32 block = NO_BLOCK, nr, warmth;
	bool gone;

	lock(&z->lock);
	if (z->warm_weight > most) {
		block = z->warm_oldest;
		nr = mem.blocks[block].nr_blank;
		warmth = mem.blocks[block].warmth;
		blank_take_run(z, block);
	}
	unlock(&z->lock);
	if (block == NO_BLOCK)
		return 0;
	gone = pages_discard(block << PAGEBLOCK_ORDER, nr << PAGEBLOCK_ORDER);
	if (gone)
		limit_uncharge_blocks(nr);
	lock(&z->lock);
	blank_put(z, block, nr, gone ? 0 : WARM_FULL);
	if (gone && why == WHY_FREE)
		evicted(z, nr, warmth);
	unlock(&z->lock);
	return gone ? nr * warmth : 0;
}

u64 warm_bytes(u32 weight)
{
	return (u64)weight * (PAGEBLOCK_BYTES / WARM_FULL);
}

size_t warm_trim_to(struct zone *z, u32 weight, enum reclaim_why why)
{
	u64 bytes = 0;
	u32 gone;

	while ((gone = cool_oldest(z, weight, why)))
		bytes += warm_bytes(gone);
	if (bytes)
		reclaim_count(why, PLACE_BLOCK, bytes);
	return bytes;
}

void warm_trim(struct zone *z)
{
	warm_trim_to(z, budget(z), WHY_FREE);
}

void warm_missed(struct zone *z, u32 nr)
{
	workingset_refault(&z->warm_set,
			   nr * max(z->warm_share >> SHARE_SHIFT, 1U));
}

size_t warm_age(struct zone *z, u32 part)
{
	u32 mark, weight;

	lock(&z->lock);
	mark = z->warm_low;
	weight = z->warm_low = z->warm_weight;
	workingset_age(&z->warm_set);
	unlock(&z->lock);
	if (!mark)
		return 0;
	return warm_trim_to(z, weight - max(mark / part, 1U), WHY_DECAY);
}

/*
 * A child has no use for them, and each page would be copied when either
 * writes. A handler that forks may have interrupted who holds the lock.
 */
void warm_fork_prepare(void)
{
	for (int n = 0; n < nr_node_ids(); n++)
		while (!lock_is_mine(&zones[n].lock) &&
		       cool_oldest(&zones[n], 0, WHY_PRESSURE))
			;
}
