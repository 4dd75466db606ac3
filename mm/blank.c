// SPDX-License-Identifier: MIT
/*
 * Long runs. Such a run is one object, whose user touches as much of it as he
 * likes, so nothing of it is populated: its pageblocks are lazy. When it is
 * freed they become blank: mapped, but nobody's. What was touched goes back to
 * the system by one madvise(), now or, of a warm run, later (mm/warm.c); the
 * mapping stays, and the next run of that length takes it with no call at all.
 *
 * Blank runs stay apart as they were freed and are listed by length, since the
 * advice that a run needs goes by its length too: the touch of its first and
 * of its last page says nothing about the rest, so the blocks at both ends are
 * left to base pages, and those between, of which a touch is likely to be
 * followed by others, are advised to be huge.
 *
 * A blank block that is not warm holds no memory, only an address. It may come
 * up as any other by the rungs thp and small.
 *
 * Locks: zone.lock, but for what is said to be the caller's.
 */
#define _GNU_SOURCE
#include "internal.h"
#include "zone.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

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

static enum advice wanted_advice(enum advice had, bool inside)
{
	if (inside && rung_in_ladder(RUNG_THP))
		return ADVICE_HUGE;
	/* Who was told nothing gets huge pages only where everybody does. */
	if (had == ADVICE_NONE && !thp_is_for_all())
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
		WRITE_ONCE(mem.blocks[i].advice, advice);
	mem.blocks[block].first = 1;
}

void run_advise(u32 pfn, u32 nr)
{
	u32 first = pfn >> PAGEBLOCK_ORDER;
	u32 last = (pfn + nr - 1) >> PAGEBLOCK_ORDER, n;

	for (u32 at = first; at <= last; at += n) {
		struct pageblock *b = &mem.blocks[at];
		bool inside = at != first && at != last;
		enum advice had = READ_ONCE(b->advice);
		enum advice wanted = wanted_advice(had, inside);

		n = 1;
		if (!b->lazy || had == wanted)
			continue;
		while (inside && at + n < last && b[n].lazy &&
		       READ_ONCE(b[n].advice) == had)
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

/*
 * To clear what is resident takes a tenth of the time that it takes to come
 * again; to clear what is not is to fetch it.
 */
static bool is_mostly_resident(char *p, size_t bytes)
{
	size_t page = sysconf(_SC_PAGESIZE), pages = bytes / page, nr = 0;
	unsigned char there[PAGEBLOCK_PAGES * 8];
	int saved = errno;

	if (pages > sizeof(there) || mincore(p, bytes, there))
		pages = 0;
	errno = saved;
	for (size_t i = 0; i < pages; i++)
		nr += there[i] & 1;
	return nr > pages / 2;
}

static bool all_lazy(u32 pfn, u32 nr)
{
	u32 last = (pfn + nr - 1) >> PAGEBLOCK_ORDER;

	for (u32 at = pfn >> PAGEBLOCK_ORDER; at <= last; at++)
		if (!mem.blocks[at].lazy)
			return false;
	return true;
}

void run_zero(u32 pfn, u32 nr)
{
	size_t bytes = (size_t)nr << PAGE_SHIFT;
	void *p = pfn_to_ptr(pfn);

	if (!run_is_lazy(nr) || !all_lazy(pfn, nr) ||
	    is_mostly_resident(p, bytes) || !run_discard(pfn, nr))
		memset(p, 0, bytes);
}

/* --- blank runs --- */

static u32 list_of(u32 nr)
{
	return min(nr, NR_BLANK_LISTS) - 1;
}

static struct run_lists *lists_of(struct zone *z, u32 warmth)
{
	return warmth ? &z->warm_runs : &z->blank_runs;
}

static void list_add(struct zone *z, u32 block, u32 nr, u32 warmth)
{
	struct run_lists *lists = lists_of(z, warmth);
	struct pageblock *b = &mem.blocks[block];
	u32 list = list_of(nr);

	b->nr_blank = nr;
	b->warmth = warmth;
	b->first = 1;
	b->prev = NO_BLOCK;
	b->next = lists->first[list];
	if (b->next != NO_BLOCK)
		mem.blocks[b->next].prev = block;
	lists->first[list] = block;
	lists->mask |= 1U << list;
	if (warmth)
		warm_add(z, block);
}

static void list_remove(struct zone *z, u32 block)
{
	struct pageblock *b = &mem.blocks[block];
	struct run_lists *lists = lists_of(z, b->warmth);
	u32 list = list_of(b->nr_blank);

	if (b->prev != NO_BLOCK)
		mem.blocks[b->prev].next = b->next;
	else
		lists->first[list] = b->next;
	if (b->next != NO_BLOCK)
		mem.blocks[b->next].prev = b->prev;
	if (lists->first[list] == NO_BLOCK)
		lists->mask &= ~(1U << list);
	b->next = b->prev = NO_BLOCK;
	if (b->warmth)
		warm_remove(z, block);
}

void blank_put(struct zone *z, u32 block, u32 nr, u32 warmth)
{
	for (u32 i = block; i < block + nr; i++) {
		struct pageblock *b = &mem.blocks[i];

		b->backing = BACKING_NONE;
		b->broken = 0;
		if (!warmth)
			pageblock_set_released(b, 0, PAGEBLOCK_PAGES);
	}
	blocks_mark_blank(z, block, nr, true);
	list_add(z, block, nr, warmth);
}

/* The first @nr blocks of a blank run, which begins at @block. */
static void take_front(struct zone *z, u32 block, u32 nr)
{
	u32 all = mem.blocks[block].nr_blank;

	list_remove(z, block);
	blocks_mark_blank(z, block, nr, false);
	if (all > nr)
		list_add(z, block + nr, all - nr, mem.blocks[block].warmth);
}

/* The shortest that suffices; of the longest ones, the first that does. */
u32 blank_take(struct zone *z, u32 nr)
{
	const struct run_lists *lists = &z->blank_runs;
	u32 list = list_of(nr), block;
	u32 mask = lists->mask >> list;

	if (!mask)
		return NO_BLOCK;
	block = lists->first[list + __builtin_ctz(mask)];
	while (block != NO_BLOCK && mem.blocks[block].nr_blank < nr)
		block = mem.blocks[block].next;
	if (block != NO_BLOCK)
		take_front(z, block, nr);
	return block;
}

u32 blank_take_charged(struct zone *z, u32 nr)
{
	u32 block;

	if (!limit_charge_blocks(nr))
		return NO_BLOCK;
	block = blank_take(z, nr);
	if (block == NO_BLOCK)
		limit_uncharge_blocks(nr);
	return block;
}

/* A longer one would have to be told anew what is to be huge: a system call. */
u32 blank_take_warm(struct zone *z, u32 nr)
{
	u32 block = z->warm_runs.first[list_of(nr)];

	while (block != NO_BLOCK && mem.blocks[block].nr_blank != nr)
		block = mem.blocks[block].next;
	if (block != NO_BLOCK)
		take_front(z, block, nr);
	return block;
}

void blank_take_run(struct zone *z, u32 block)
{
	take_front(z, block, mem.blocks[block].nr_blank);
}

static void become_lazy(u32 block, u32 nr, bool dirty)
{
	for (u32 i = block; i < block + nr; i++) {
		struct pageblock *b = &mem.blocks[i];

		b->backing = BACKING_SMALL;
		b->lazy = 1;
		b->dirty = dirty;
	}
}

void blank_up(struct zone *z, u32 block, u32 nr, bool dirty)
{
	become_lazy(block, nr, dirty);
	blocks_reattach(z, block, nr);
}

void blank_up_full(struct zone *z, u32 block, u32 nr, bool dirty)
{
	become_lazy(block, nr, dirty);
	for (u32 i = block; i < block + nr; i++)
		pageblock_clear_released(&mem.blocks[i]);
	blocks_count_lazy(z, nr, true);
}

/* Blank blocks in [@block, @end) that hold nothing yet. */
static u32 count_cold(const struct zone *z, u32 block, u32 end)
{
	u32 sum = 0, n;

	for (u32 at = block; at < end; at += n) {
		n = 1;
		if (!block_is_blank(z, at))
			continue;
		n = min(mem.blocks[at].nr_blank, end - at);
		sum += mem.blocks[at].warmth ? 0 : n;
	}
	return sum;
}

bool blank_publish(struct zone *z, u32 block, u32 nr)
{
	u32 end = block + nr, n;

	if (!limit_charge_blocks(count_cold(z, block, end)))
		return false;
	for (u32 at = block; at < end; at += n) {
		n = 1;
		if (!block_is_blank(z, at))
			continue;
		n = min(mem.blocks[at].nr_blank, end - at);
		take_front(z, at, n);
		blank_up(z, at, n, mem.blocks[at].warmth);
	}
	return true;
}

/* Lazy blocks at @block that are full, of @most. */
static u32 full_length(u32 block, u32 most)
{
	u32 nr = 0;

	for (; nr < most; nr++) {
		const struct pageblock *b = &mem.blocks[block + nr];

		if (!b->lazy || b->nr_free || b->backing == BACKING_NONE)
			break;
	}
	return nr;
}

u32 blank_detach_full(struct zone *z, u32 pfn, u32 nr)
{
	u32 block = pfn >> PAGEBLOCK_ORDER;

	if (pfn % PAGEBLOCK_PAGES)
		return 0;
	nr = full_length(block, nr >> PAGEBLOCK_ORDER);
	for (u32 i = block; i < block + nr; i++) {
		z->nr_broken -= mem.blocks[i].broken;
		mem.blocks[i].broken = 0;
	}
	blocks_count_lazy(z, nr, false);
	return nr;
}

static bool can_be_blank(const struct zone *z, u32 block, u32 warmth)
{
	const struct pageblock *b = &mem.blocks[block];

	return b->lazy && (warmth || !b->dirty) && block_is_idle(z, block);
}

void blank_settle(struct zone *z, u32 from, u32 to, u32 detached,
		  u32 warmth)
{
	u32 nr, had = detached;

	for (u32 at = from; at < to; at += nr) {
		for (nr = had; at + nr < to && can_be_blank(z, at + nr, warmth);
		     nr++)
			;
		blocks_detach(z, at + had, nr - had);
		had = 0;
		if (nr && !warmth)
			limit_uncharge_blocks(nr);
		if (nr)
			blank_put(z, at, nr, warmth);
		else
			nr = 1;
	}
}

bool blank_is_too_much(const struct zone *z)
{
	return z->nr_blank > zone_nr_up(z) + BLANK_MIN;
}

/* The first runs of @most blank blocks, as far as they are warm, or are not. */
static u32 take_alike(struct zone *z, u32 block, u32 most)
{
	bool warm = mem.blocks[block].warmth;
	u32 nr = 0, n;

	while (nr < most && !mem.blocks[block + nr].warmth != warm) {
		n = mem.blocks[block + nr].nr_blank;
		take_front(z, block + nr, n);
		nr += n;
	}
	return nr;
}

/*
 * The next stretch of blank runs, from *@at on; its length, or 0. Warm ones are
 * charged, others are not: so a stretch is of one kind.
 */
static u32 take_stretch(struct zone *z, u32 *at, bool *warm)
{
	u32 nr = 0;

	lock(&z->lock);
	if (z->nr_blank)
		*at = run_find(z, RUN_BLANK, 1, 1);
	if (z->nr_blank && *at != NO_BLOCK) {
		*warm = mem.blocks[*at].warmth;
		nr = take_alike(z, *at, run_length(z, RUN_BLANK, *at,
						   z->nr_blank));
	}
	unlock(&z->lock);
	return nr;
}

u32 blank_drop(struct zone *z, u32 *warm)
{
	u32 block = NO_BLOCK, nr, all = 0;
	bool is_warm;

	*warm = 0;
	while ((nr = take_stretch(z, &block, &is_warm))) {
		bool down = blocks_offline(block, nr);

		lock(&z->lock);
		if (down)
			blocks_retire(z, block, nr);
		else
			blank_put(z, block, nr, is_warm ? WARM_FULL : 0);
		unlock(&z->lock);
		if (!down)
			break;
		all += nr;
		if (!is_warm)
			continue;
		*warm += nr;
		limit_uncharge_blocks(nr);
	}
	return all;
}
