// SPDX-License-Identifier: MIT
/*
 * Memory of free pages goes back to the system (Documentation/mm/reclaim.rst).
 * First idle pageblocks, by unmapping them; then free pages of blocks that are
 * partly free, those of the emptiest block first.
 *
 * What may stay is a bound on the surplus, which the zone counts: nothing is
 * looked for unless it is there. Where the system refuses, nothing is tried again
 * before a quarter of the bound is free in addition, or somebody asks.
 *
 * Locks: zone.lock, but not while the system is called. What is on its way out is
 * isolated: neither free nor in use, and so in nobody's reach.
 */
#define _GNU_SOURCE
#include "internal.h"
#include "zone.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_process_madvise
#define SYS_process_madvise 440
#endif
#ifndef PIDFD_SELF
#define PIDFD_SELF (-10001)	/* this process, of Linux 6.14 on */
#endif

/*
 * Pages keep half of what may be free in all: 3 % of the most that was in use,
 * which a peak of memory hardly shows, or 16 MiB, which are worth no system
 * call.
 */
#define KEEP_PERCENT	3
#define KEEP_MIN	(16UL << 20)
#define SHARE		2

void reporting_init(struct zone *z)
{
	u32 nodes = 0;

	for (int n = 0; n < nr_node_ids(); n++)
		nodes += node_has_memory(n);
	z->keep_min = (KEEP_MIN >> PAGE_SHIFT) / max(nodes, 1U);
}

static u32 bound(const struct zone *z)
{
	u64 keep = (u64)z->most_used * KEEP_PERCENT / 100;

	return max((u32)keep, z->keep_min) / SHARE +
		min(workingset_extra(&z->huge_set, z->most_used,
				     PAGEBLOCK_PAGES),
		    z->whole_idle << PAGEBLOCK_ORDER);
}

/* What a load may swing by without a call. */
static u32 swing(const struct zone *z)
{
	return bound(z) / 4;
}

/* A broken block that has drained is worth more as a new one. */
static bool broken_can_go(const struct zone *z)
{
	return z->nr_idle[CLASS_BROKEN] && !z->stuck &&
		(!z->reserved || zone_slack(z) >= PAGEBLOCK_PAGES);
}

bool zone_is_over(const struct zone *z)
{
	return zone_surplus(z) > max(bound(z), z->stuck) || broken_can_go(z);
}

/* --- whole pageblocks --- */

/* Idle blocks that may go now. */
static u32 most_to_go(const struct zone *z, u32 goal)
{
	u32 over = zone_surplus(z), most = zone_nr_idle(z);

	over -= min(over, goal);
	if (goal)
		most = min(most, DIV_ROUND_UP(over, PAGEBLOCK_PAGES));
	if (z->reserved)
		most = min(most, zone_slack(z) / PAGEBLOCK_PAGES);
	/* Idle parts of a larger page are not looked through in vain. */
	if (zone_nr_idle(z) == z->nr_idle[CLASS_HUGETLB])
		most = min(most, z->whole_idle);
	return most;
}

/* A run of them, on its way down; NO_BLOCK if none may go. */
static u32 detach_top(struct zone *z, enum run_kind kind, u32 from, u32 to,
		      u32 goal, u32 *nr, u64 *pages)
{
	u32 most, block = NO_BLOCK;

	*pages = 0;
	lock(&z->lock);
	most = most_to_go(z, goal);
	if (kind == RUN_IDLE_BROKEN)
		most = min(most, z->nr_idle[CLASS_BROKEN]);
	if (most)
		block = run_find_idle_top(z, kind, from, to, most, nr);
	if (block != NO_BLOCK)
		blocks_detach(z, block, *nr);
	unlock(&z->lock);
	for (u32 i = 0; block != NO_BLOCK && i < *nr; i++)
		*pages += PAGEBLOCK_PAGES - mem.blocks[block + i].nr_released;
	return block;
}

static u32 trim_kind(struct zone *z, enum run_kind kind, u32 from, u32 to,
		     u32 goal, enum reclaim_why why, size_t *bytes)
{
	u32 block, nr, all = 0;
	u64 pages;

	while ((block = detach_top(z, kind, from, to, goal, &nr, &pages)) !=
	       NO_BLOCK) {
		u64 charge = blocks_charge(block, nr);
		bool huge = mem.blocks[block].backing == BACKING_HUGETLB;
		bool down = blocks_offline(block, nr);

		lock(&z->lock);
		if (down)
			blocks_retire(z, block, nr);
		else
			blocks_reattach(z, block, nr);
		z->refused += !down;
		if (down && huge && why == WHY_FREE)
			workingset_evict(&z->huge_set, nr << PAGEBLOCK_ORDER);
		unlock(&z->lock);
		to = block;
		if (!down)
			continue;
		limit_uncharge(charge);
		all += nr;
		*bytes += pages << PAGE_SHIFT;
		reclaim_count(why, PLACE_BLOCK, pages << PAGE_SHIFT);
	}
	return all;
}

u32 zone_trim(struct zone *z, u32 from, u32 to, u32 goal,
	      enum reclaim_why why, size_t *bytes)
{
	size_t ignored = 0;
	int saved = errno;
	u32 nr = trim_kind(z, RUN_IDLE, from, to, goal, why,
			   bytes ? bytes : &ignored);

	errno = saved;
	return nr;
}

/* Broken ones before others, and all of them. */
static size_t trim(struct zone *z, u32 goal, enum reclaim_why why)
{
	u32 end = z->first + z->nr_blocks;
	size_t bytes = 0;

	trim_kind(z, RUN_IDLE_BROKEN, z->first, end, 0, why, &bytes);
	zone_trim(z, z->first, end, goal, why, &bytes);
	return bytes;
}

/* --- pages --- */

static int tell(u32 pfn, u32 nr, int advice)
{
	return madvise(pfn_to_ptr(pfn), (size_t)nr << PAGE_SHIFT, advice) ?
		-errno : 0;
}

/*
 * khugepaged would fill the holes again, where it was told to or looks
 * everywhere. Without the lock.
 */
static bool may_be_huge(const struct pageblock *b)
{
	u8 advice = READ_ONCE(b->advice);

	return advice == ADVICE_HUGE ||
		(advice == ADVICE_NONE && thp_is_for_all());
}

/*
 * No huge page is to be there from now on. Each such block may be a mapping of
 * its own, of which there may be so many only.
 */
int block_keep_small(u32 block)
{
	struct zone *z = pfn_zone(block << PAGEBLOCK_ORDER);
	struct pageblock *b = &mem.blocks[block];
	int err = 0;

	if (may_be_huge(b))
		err = tell(block << PAGEBLOCK_ORDER, PAGEBLOCK_PAGES,
			   MADV_NOHUGEPAGE);
	/* A kernel without huge pages. */
	if (err == -EINVAL)
		err = 0;
	if (err)
		return err;
	lock(&z->lock);
	WRITE_ONCE(b->advice, ADVICE_SMALL);
	unlock(&z->lock);
	return 0;
}

/* The next stretch of set bits from *@at on; its length, or 0. */
static u32 next_stretch(const u64 *pages, u32 *at)
{
	u32 nr = 0;

	while (*at < PAGEBLOCK_PAGES && !(pages[*at / 64] >> *at % 64 & 1))
		++*at;
	while (*at + nr < PAGEBLOCK_PAGES &&
	       pages[(*at + nr) / 64] >> (*at + nr) % 64 & 1)
		nr++;
	return nr;
}

static void mark(u64 *pages, u32 at, u32 nr)
{
	for (u32 i = at; i < at + nr; i++)
		pages[i / 64] |= 1ULL << i % 64;
}

/*
 * All of them in one call, of Linux 6.15 on; then as many bytes went as it
 * says, or none. Who filters system calls may not know it: asked once.
 */
static size_t release_many(const struct iovec *stretches, u32 nr)
{
	static bool refused;
	long bytes;

	if (nr < 2 || READ_ONCE(refused))
		return 0;
	bytes = syscall(SYS_process_madvise, PIDFD_SELF, stretches, nr,
			MADV_DONTNEED, 0);
	if (bytes < 0 && (errno == EBADF || errno == ENOSYS || errno == EPERM))
		WRITE_ONCE(refused, true);
	return bytes < 0 ? 0 : bytes;
}

/*
 * Those from the first on that went: a call for each that did not in one. *@err
 * says why the next one did not.
 */
static u32 release_stretches(const struct iovec *stretches, u32 nr, int *err)
{
	size_t done = release_many(stretches, nr);

	for (u32 i = 0; i < nr; i++) {
		if (done >= stretches[i].iov_len) {
			done -= stretches[i].iov_len;
			continue;
		}
		done = 0;
		*err = tell(ptr_to_pfn(stretches[i].iov_base),
			    stretches[i].iov_len >> PAGE_SHIFT, MADV_DONTNEED);
		if (*err)
			return i;
	}
	return nr;
}

static int release(u32 block, const u64 *pages, u64 *gone)
{
	struct iovec stretches[MANY_STRETCHES];
	u32 first = block << PAGEBLOCK_ORDER, at = 0, nr = 1, n, done;
	int err = 0;

	while (!err && nr) {
		for (n = 0; n < MANY_STRETCHES &&
		     (nr = next_stretch(pages, &at)); n++) {
			stretches[n].iov_base = pfn_to_ptr(first + at);
			stretches[n].iov_len = nr * PAGE_BYTES;
			at += nr;
		}
		done = release_stretches(stretches, n, &err);
		for (u32 i = 0; i < done; i++)
			mark(gone, ptr_to_pfn(stretches[i].iov_base) - first,
			     stretches[i].iov_len >> PAGE_SHIFT);
	}
	return err;
}

/**
 * struct report - pages of a block on their way out
 * @block: whose they are
 * @broken: it was, before
 * @pages: a bit for each
 * @gone: those that the system has
 * @bytes: as many
 */
struct report {
	u32 block;
	bool broken;
	u64 pages[PAGEBLOCK_PAGES / 64];
	u64 gone[PAGEBLOCK_PAGES / 64];
	size_t bytes;
};

/* Who finds nothing though there should be is not to look again soon. */
static bool report_begin(struct zone *z, struct report *r, u32 goal)
{
	u32 over;

	lock(&z->lock);
	over = zone_surplus(z);
	r->block = over > goal ? block_to_report(z) : NO_BLOCK;
	if (r->block != NO_BLOCK) {
		r->broken = mem.blocks[r->block].broken;
		mem.blocks[r->block].early = 0;
		/* With a reserve, not what is part of it. */
		block_isolate(z, r->block, min(over, PAGEBLOCK_PAGES), r->pages);
	} else if (over > goal) {
		z->stuck = over + swing(z);
	}
	unlock(&z->lock);
	return r->block != NO_BLOCK;
}

/*
 * What could not go is free as before. Where single pages are refused, by an
 * mlock() of the user's say, the block is left alone until it is idle.
 */
static void report_end(struct zone *z, struct report *r, int err)
{
	for (u32 i = 0; i < ARRAY_SIZE(r->gone); i++)
		r->bytes += __builtin_popcountll(r->gone[i]) * PAGE_BYTES;
	lock(&z->lock);
	if (r->bytes && !mem.blocks[r->block].broken)
		block_set_broken(z, r->block, true);
	block_putback(z, r->block, r->pages, r->gone);
	if (err == -EINVAL)
		block_set_whole(z, r->block, true);
	if (r->bytes)
		zone_is_short_no_more(z);
	z->refused += err != 0;
	unlock(&z->lock);
}

/* The emptiest block; false where nothing more can be done. */
static bool report_block(struct zone *z, u32 goal, enum reclaim_why why,
			 size_t *bytes)
{
	struct report r = { 0 };
	int err = 0;

	if (!report_begin(z, &r, goal))
		return false;
	if (!r.broken)
		err = block_keep_small(r.block);
	if (!err)
		err = release(r.block, r.pages, r.gone);
	report_end(z, &r, err);
	*bytes += r.bytes;
	if (r.bytes)
		reclaim_count(why, PLACE_PAGE, r.bytes);
	return !err || err == -EINVAL;
}

static size_t report_pages(struct zone *z, u32 goal, enum reclaim_why why)
{
	size_t bytes = 0;

	while (report_block(z, goal, why, &bytes))
		;
	return bytes;
}

/* --- when --- */

static u64 try_again(struct zone *z)
{
	u64 refused;

	lock(&z->lock);
	z->stuck = 0;
	refused = z->refused;
	unlock(&z->lock);
	return refused;
}

static void remember_refusal(struct zone *z, u64 before)
{
	lock(&z->lock);
	if (z->refused != before)
		z->stuck = zone_surplus(z) + swing(z);
	unlock(&z->lock);
}

static size_t give_back(struct zone *z, u32 goal, enum reclaim_why why)
{
	int saved = errno;
	u64 refused = try_again(z);
	size_t bytes = trim(z, goal, why);

	bytes += report_pages(z, goal, why);
	remember_refusal(z, refused);
	errno = saved;
	return bytes;
}

void zone_balance(struct zone *z)
{
	u32 goal;

	lock(&z->lock);
	goal = bound(z) - swing(z);
	unlock(&z->lock);
	give_back(z, goal, WHY_FREE);
}

static u32 surplus(struct zone *z)
{
	u32 nr;

	lock(&z->lock);
	nr = zone_surplus(z);
	unlock(&z->lock);
	return nr;
}

/* Bytes that are free and could go: on all nodes, but for those of @z. */
static u64 free_elsewhere(const struct zone *z)
{
	u64 bytes = 0;

	for (int n = 0; n < nr_node_ids(); n++) {
		bytes += warm_bytes(READ_ONCE(zones[n].warm_weight));
		if (&zones[n] != z)
			bytes += (u64)surplus(&zones[n]) << PAGE_SHIFT;
	}
	return bytes;
}

/* Pages that may stay in @z so that at most @keep bytes stay in all. */
static u32 goal_for(const struct zone *z, u64 keep)
{
	u64 others = free_elsewhere(z);

	return min((keep - min(keep, others)) >> PAGE_SHIFT,
		   (u64)UINT32_MAX);
}

static size_t release_warm(u64 keep, enum reclaim_why why)
{
	size_t bytes = 0;

	for (int n = 0; n < nr_node_ids(); n++) {
		u64 all = free_elsewhere(NULL), weight;

		if (all <= keep)
			break;
		weight = READ_ONCE(zones[n].warm_weight);
		weight -= min(weight, DIV_ROUND_UP(all - keep, warm_bytes(1)));
		bytes += warm_trim_to(&zones[n], weight, why);
	}
	return bytes;
}

size_t pages_release(u64 keep, enum reclaim_why why)
{
	size_t bytes = release_warm(keep, why);

	for (int n = 0; n < nr_node_ids(); n++)
		bytes += trim(&zones[n], goal_for(&zones[n], keep), why);
	for (int n = 0; n < nr_node_ids(); n++)
		bytes += give_back(&zones[n], goal_for(&zones[n], keep), why);
	return bytes;
}

static size_t age(struct zone *z, u32 part)
{
	u32 mark, over, nr;
	size_t bytes = 0;

	lock(&z->lock);
	over = zone_surplus(z);
	mark = min(z->low, over);
	z->low = over;
	workingset_age(&z->huge_set);
	unlock(&z->lock);
	nr = max(mark / part, min(mark, PAGEBLOCK_PAGES));
	if (nr)
		bytes = give_back(z, over - nr, WHY_DECAY);
	lock(&z->lock);
	zone_less_is_free(z);
	unlock(&z->lock);
	return bytes;
}

size_t pages_age(u32 part)
{
	size_t bytes = 0;

	for (int n = 0; n < nr_node_ids(); n++) {
		bytes += warm_age(&zones[n], part);
		bytes += age(&zones[n], part);
	}
	return bytes;
}

/* --- hollow pages --- */

/* Of a block that the caller has pages in: it stays up. */
static int may_be_hollow(struct zone *z, u32 block)
{
	bool whole, broken;

	lock(&z->lock);
	whole = mem.blocks[block].whole;
	broken = mem.blocks[block].broken;
	unlock(&z->lock);
	if (whole)
		return -EINVAL;
	return broken ? 0 : block_keep_small(block);
}

static u32 block_of(const struct iovec *stretch)
{
	return ptr_to_pfn(stretch->iov_base) >> PAGEBLOCK_ORDER;
}

/* Those from the first on whose blocks agree. */
static u32 may_go(struct zone *z, const struct iovec *stretches, u32 nr,
		  int *err)
{
	for (u32 i = 0; i < nr; i++) {
		if (i && block_of(&stretches[i]) == block_of(&stretches[i - 1]))
			continue;
		*err = may_be_hollow(z, block_of(&stretches[i]));
		if (*err)
			return i;
	}
	return nr;
}

static void count_hollow(struct zone *z, const struct iovec *stretch, int sign)
{
	block_count_hollow(z, block_of(stretch),
			   sign * (int)(stretch->iov_len >> PAGE_SHIFT));
}

static void has_gone(struct zone *z, const struct iovec *stretch)
{
	u32 block = block_of(stretch);

	if (!mem.blocks[block].broken)
		block_set_broken(z, block, true);
}

/* They count before they go: no block that has some becomes huge meanwhile. */
u32 pages_make_hollow(const struct iovec *stretches, u32 nr,
		      enum reclaim_why why)
{
	struct zone *z = pfn_zone(ptr_to_pfn(stretches->iov_base));
	int saved = errno, err = 0;
	u32 ready = may_go(z, stretches, nr, &err), done;
	u64 bytes = 0;

	lock(&z->lock);
	for (u32 i = 0; i < ready; i++)
		count_hollow(z, &stretches[i], 1);
	unlock(&z->lock);
	done = release_stretches(stretches, ready, &err);
	lock(&z->lock);
	for (u32 i = 0; i < done; i++) {
		has_gone(z, &stretches[i]);
		bytes += stretches[i].iov_len;
	}
	for (u32 i = done; i < ready; i++)
		count_hollow(z, &stretches[i], -1);
	z->refused += err && !mem.blocks[block_of(&stretches[done])].whole;
	unlock(&z->lock);
	errno = saved;
	if (bytes)
		reclaim_count(why, PLACE_HOLLOW, bytes);
	return done;
}

bool pages_fill_hollow(u32 pfn, u32 nr)
{
	struct zone *z = pfn_zone(pfn);

	if (!pages_repopulate(z, pfn, nr))
		return false;
	lock(&z->lock);
	block_count_hollow(z, pfn >> PAGEBLOCK_ORDER, -(int)nr);
	unlock(&z->lock);
	return true;
}
