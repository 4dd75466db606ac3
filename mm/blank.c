// SPDX-License-Identifier: MIT
/*
 * Long runs. Such a run is one object, whose user touches as much of it as he
 * likes, so nothing of it is populated: its pageblocks are lazy. When it is
 * freed they become blank: what was touched goes back to the system by one
 * madvise(), the mapping stays, and the next run of that length takes it with
 * no call at all.
 *
 * Blank runs stay apart as they were freed and are listed by length, since the
 * advice that a run needs goes by its length too: the touch of its first and
 * of its last page says nothing about the rest, so the blocks at both ends are
 * left to base pages, and those between, of which a touch is likely to be
 * followed by others, are advised to be huge.
 *
 * A blank block holds no memory, only an address. It may come up as any other
 * by the rungs thp and small.
 *
 * Locks: zone.lock, but for what is said to be the caller's.
 */
#include "internal.h"
#include "zone.h"

#include <string.h>
#include <sys/mman.h>

/* So many may be blank, however little is up: 1 GiB of addresses. */
#define BLANK_MIN	512

/*
 * More than half a block, but not a block: that is how a program asks for a
 * huge page. Where memory has several nodes, what comes on the touch may come
 * from another one; there it is only left to what is too large to fill.
 */
bool run_is_lazy(u32 nr)
{
	if (numa_several())
		return nr > (HUGE_RUN_BLOCKS - 1) << PAGEBLOCK_ORDER;
	return nr > PAGEBLOCK_PAGES / 2 && nr != PAGEBLOCK_PAGES;
}

/* --- advice, by the owner of the blocks and without the lock --- */

bool thp_is_for_all(void)
{
	static int always = -1;
	int known = __atomic_load_n(&always, __ATOMIC_RELAXED);
	char buf[64];

	if (known >= 0)
		return known;
	known = read_small_file("/sys/kernel/mm/transparent_hugepage/enabled",
				buf, sizeof(buf)) && strstr(buf, "[always]");
	__atomic_store_n(&always, known, __ATOMIC_RELAXED);
	return known;
}

static enum advice wanted_advice(const struct pageblock *b, bool inside)
{
	if (inside && rung_in_ladder(RUNG_THP))
		return ADVICE_HUGE;
	/* Who was told nothing gets huge pages only where everybody does. */
	if (b->advice == ADVICE_NONE && !thp_is_for_all())
		return ADVICE_NONE;
	return ADVICE_SMALL;
}

/* It is advice: where the kernel does not take it, all goes on. */
static void advise_blocks(u32 block, u32 nr, enum advice advice)
{
	int saved = errno;

	madvise(pfn_to_ptr(block << PAGEBLOCK_ORDER),
		(size_t)nr << PAGEBLOCK_SHIFT,
		advice == ADVICE_HUGE ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	errno = saved;
	for (u32 i = block; i < block + nr; i++)
		mem.blocks[i].advice = advice;
	mem.blocks[block].first = 1;
}

void run_advise(u32 pfn, u32 nr)
{
	u32 first = pfn >> PAGEBLOCK_ORDER;
	u32 last = (pfn + nr - 1) >> PAGEBLOCK_ORDER, n;

	for (u32 at = first; at <= last; at += n) {
		struct pageblock *b = &mem.blocks[at];
		bool inside = at != first && at != last;
		enum advice had = b->advice, wanted = wanted_advice(b, inside);

		n = 1;
		if (!b->lazy || had == wanted)
			continue;
		while (inside && at + n < last && b[n].lazy &&
		       b[n].advice == had)
			n++;
		advise_blocks(at, n, wanted);
		/* What follows begins a mapping of its own now. */
		if (at + n <= last)
			b[n].first = 1;
	}
}

bool run_discard(u32 pfn, u32 nr)
{
	u32 end = pfn + nr, n;
	bool done = true;

	for (u32 at = pfn; done && at < end; at += n) {
		bool lazy = mem.blocks[at >> PAGEBLOCK_ORDER].lazy;

		n = 0;
		do
			n = min(ALIGN(at + n + 1, PAGEBLOCK_PAGES), end) - at;
		while (at + n < end &&
		       mem.blocks[(at + n) >> PAGEBLOCK_ORDER].lazy == lazy);
		if (lazy)
			done = pages_discard(at, n);
	}
	return done;
}

/* --- blank runs --- */

static u32 list_of(u32 nr)
{
	return min(nr, NR_BLANK_LISTS) - 1;
}

static void list_add(struct zone *z, u32 block, u32 nr)
{
	struct pageblock *b = &mem.blocks[block];
	u32 list = list_of(nr);

	b->nr_blank = nr;
	b->first = 1;
	b->prev = NO_BLOCK;
	b->next = z->blank_list[list];
	if (b->next != NO_BLOCK)
		mem.blocks[b->next].prev = block;
	z->blank_list[list] = block;
	z->blank_mask |= 1U << list;
}

static void list_remove(struct zone *z, u32 block)
{
	struct pageblock *b = &mem.blocks[block];
	u32 list = list_of(b->nr_blank);

	if (b->prev != NO_BLOCK)
		mem.blocks[b->prev].next = b->next;
	else
		z->blank_list[list] = b->next;
	if (b->next != NO_BLOCK)
		mem.blocks[b->next].prev = b->prev;
	if (z->blank_list[list] == NO_BLOCK)
		z->blank_mask &= ~(1U << list);
	b->next = b->prev = NO_BLOCK;
}

void blank_put(struct zone *z, u32 block, u32 nr)
{
	for (u32 i = block; i < block + nr; i++)
		mem.blocks[i].backing = BACKING_NONE;
	blocks_mark_blank(z, block, nr, true);
	list_add(z, block, nr);
}

/* The first @nr blocks of a blank run, which begins at @block. */
static void take_front(struct zone *z, u32 block, u32 nr)
{
	u32 all = mem.blocks[block].nr_blank;

	list_remove(z, block);
	blocks_mark_blank(z, block, nr, false);
	if (all > nr)
		list_add(z, block + nr, all - nr);
}

/* The shortest that suffices; of the longest ones, the first that does. */
u32 blank_take(struct zone *z, u32 nr)
{
	u32 list = list_of(nr), block;
	u32 mask = z->blank_mask >> list;

	if (!mask)
		return NO_BLOCK;
	block = z->blank_list[list + __builtin_ctz(mask)];
	while (block != NO_BLOCK && mem.blocks[block].nr_blank < nr)
		block = mem.blocks[block].next;
	if (block != NO_BLOCK)
		take_front(z, block, nr);
	return block;
}

void blank_up(struct zone *z, u32 block, u32 nr)
{
	for (u32 i = block; i < block + nr; i++) {
		struct pageblock *b = &mem.blocks[i];

		b->backing = BACKING_SMALL;
		b->lazy = 1;
		b->dirty = 0;
	}
	blocks_reattach(z, block, nr);
}

void blank_publish(struct zone *z, u32 block, u32 nr)
{
	u32 end = block + nr, n;

	for (u32 at = block; at < end; at += n) {
		n = 1;
		if (!block_is_blank(z, at))
			continue;
		n = min(mem.blocks[at].nr_blank, end - at);
		take_front(z, at, n);
		blank_up(z, at, n);
	}
}

static bool can_be_blank(const struct zone *z, u32 block)
{
	const struct pageblock *b = &mem.blocks[block];

	return b->lazy && !b->dirty && block_is_idle(z, block);
}

void blank_settle(struct zone *z, u32 from, u32 to)
{
	u32 nr;

	for (u32 at = from; at < to; at += nr) {
		for (nr = 0; at + nr < to && can_be_blank(z, at + nr); nr++)
			;
		if (nr) {
			blocks_detach(z, at, nr);
			blank_put(z, at, nr);
		} else {
			nr = 1;
		}
	}
}

bool blank_is_too_much(const struct zone *z)
{
	return z->nr_blank > zone_nr_up(z) + BLANK_MIN;
}

/* All of the next stretch of blank runs, from *@at on; its length, or 0. */
static u32 take_stretch(struct zone *z, u32 *at)
{
	u32 nr = 0;

	lock(&z->lock);
	if (z->nr_blank)
		*at = run_find(z, RUN_BLANK, 1, 1);
	if (z->nr_blank && *at != NO_BLOCK)
		nr = run_length(z, RUN_BLANK, *at, z->nr_blank);
	for (u32 n, i = *at; i < *at + nr; i += n) {
		n = mem.blocks[i].nr_blank;
		take_front(z, i, n);
	}
	unlock(&z->lock);
	return nr;
}

u32 blank_drop(struct zone *z)
{
	u32 block = NO_BLOCK, nr, all = 0;

	while ((nr = take_stretch(z, &block))) {
		bool down = blocks_offline(block, nr);

		lock(&z->lock);
		if (down)
			blocks_retire(z, block, nr);
		else
			blank_put(z, block, nr);
		unlock(&z->lock);
		if (!down)
			break;
		all += nr;
	}
	return all;
}
