/* SPDX-License-Identifier: MIT */
/*
 * What the white-box tests of the page floor share: how the library is started
 * with a ladder, and the invariants of a zone, checked block by block.
 */
#ifndef SELFTESTS_ZONE_CENSUS_H
#define SELFTESTS_ZONE_CENSUS_H

#include "../mm/zone.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hugepages.h"

#define MIB		(1UL << 20)

static const char *no_huge __attribute__((unused)); /* why there are no hugetlb pages */

#define NEED_HUGE() do {						\
	if (no_huge) {							\
		printf("SKIP %s: %s\n", __func__, no_huge);		\
		fflush(stdout);						\
		return;							\
	}								\
} while (0)

/* Long runs come up untouched only where what is touched cannot go astray. */
#define NEED_ONE_NODE() do {						\
	if (numa_several()) {						\
		printf("SKIP %s: several nodes\n", __func__);		\
		fflush(stdout);						\
		return;							\
	}								\
} while (0)

static inline void start(const char *ladder)
{
	if (ladder)
		setenv("RN_LADDER", ladder, 1);
	/* One node's zone is what is looked at, also where there are more. */
	stay_on_one_node();
	mm_init();
	ck_assert_int_eq(mm_init_error(), 0);
}

static __thread u64 seed = 88172645463325252ULL;

static inline u32 rnd(u32 below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (seed >> 16) % below;
}

/* --- the invariants of struct zone --- */

struct census {
	u32 used, idle, blank, partial, full;
	u32 up[NR_BACKINGS];
	u32 broken, reports, whole_idle;
	struct page_counts pages[NR_KINDS];
	u64 free_pages;
};

/* Both bitmaps of a block that is up, against its counts. */
static inline void check_bits(const struct pageblock *b)
{
	u32 nr_free = 0, nr_released = 0;

	for (u32 i = 0; i < PAGEBLOCK_PAGES / 64; i++) {
		nr_free += __builtin_popcountll(b->free[i]);
		nr_released += __builtin_popcountll(b->released[i]);
		ck_assert_uint_eq(b->released[i] & ~b->free[i], 0);
	}
	ck_assert_uint_eq(nr_free, b->nr_free);
	ck_assert_uint_eq(nr_released, b->nr_released);
}

/* It is listed where there is something to release, and only then. */
static inline void check_report(const struct zone *z, u32 block,
				struct census *c)
{
	const struct pageblock *b = &mem.blocks[block];
	bool wanted = b->nr_free > b->nr_released &&
		      b->nr_free < PAGEBLOCK_PAGES && !b->whole;
	u32 at;

	ck_assert_int_eq(b->report >= 0, wanted);
	if (!wanted)
		return;
	ck_assert_int_eq(b->report % 2, b->broken);
	ck_assert(z->report_mask >> b->report & 1);
	c->reports++;
	ck_assert_uint_eq(mem.blocks[b->report_next].report_prev, block);
	for (at = z->report[b->report]; at != block;
	     at = mem.blocks[at].report_next)
		ck_assert_uint_ne(mem.blocks[at].report_next,
				  z->report[b->report]);
}

static inline void count_pages(u32 block, struct census *c)
{
	const struct pageblock *b = &mem.blocks[block];
	enum kind kind = b->lazy ? KIND_LAZY :
			 b->whole ? KIND_WHOLE : KIND_PLAIN;

	c->pages[kind].free += b->nr_free;
	c->pages[kind].released += b->nr_released;
	c->broken += b->broken;
	if (kind == KIND_WHOLE && b->huge_shift <= PAGEBLOCK_SHIFT)
		c->whole_idle += b->nr_free == PAGEBLOCK_PAGES;
}

static inline void check_on_list(const struct zone *z, u32 block)
{
	const struct pageblock *b = &mem.blocks[block];
	enum class c = class_of(b);
	u32 at;

	ck_assert_int_eq(b->list / NR_FILLS, pageblock_largest(b));
	ck_assert(z->mask[c] >> b->list & 1);
	for (at = z->list[c][b->list]; at != NO_BLOCK; at = mem.blocks[at].next)
		if (at == block)
			return;
	ck_abort_msg("block %u is not on its list", block);
}

static inline void check_block(const struct zone *z, u32 block, struct census *c)
{
	const struct pageblock *b = &mem.blocks[block];

	c->used++;
	if (block_is_blank(z, block)) {
		ck_assert_int_eq(b->backing, BACKING_NONE);
		ck_assert_uint_eq(b->nr_free, 0);
		ck_assert(!block_is_idle(z, block));
		ck_assert(b->lazy);
		c->blank++;
		return;
	}
	/* Taken off the ladder, or out of the zone's sight for good. */
	if (b->backing == BACKING_NONE)
		return;
	c->up[b->backing]++;
	c->free_pages += b->nr_free;
	check_bits(b);
	check_report(z, block, c);
	count_pages(block, c);
	if (b->nr_free == PAGEBLOCK_PAGES) {
		ck_assert(block_is_idle(z, block));
		ck_assert_int_eq(b->list, -1);
		c->idle++;
	} else if (b->nr_free) {
		ck_assert(!block_is_idle(z, block));
		check_on_list(z, block);
		c->partial++;
	} else {
		ck_assert(!block_is_idle(z, block));
		ck_assert_int_eq(b->list, -1);
		c->full++;
	}
}

/* Each listed run is where its length belongs; blocks of them all. */
static inline u32 check_run_lists(const struct zone *z,
				  const struct run_lists *lists, bool warm)
{
	u32 sum = 0;

	for (u32 i = 0; i < NR_BLANK_LISTS; i++) {
		u32 at = lists->first[i];

		ck_assert_int_eq(lists->mask >> i & 1, at != NO_BLOCK);
		for (; at != NO_BLOCK; at = mem.blocks[at].next) {
			u32 nr = mem.blocks[at].nr_blank;

			ck_assert_int_eq(mem.blocks[at].warmth != 0,
					 warm);
			ck_assert_uint_eq(min(nr, NR_BLANK_LISTS), i + 1);
			ck_assert_uint_eq(run_length(z, RUN_BLANK, at, nr), nr);
			sum += nr;
		}
	}
	return sum;
}

/* The warm ones by age are those that the lists have. */
static inline void check_ages(const struct zone *z)
{
	u32 sum = 0, older = NO_BLOCK;

	for (u32 at = z->warm_oldest; at != NO_BLOCK;
	     at = mem.blocks[at].newer) {
		ck_assert_uint_eq(mem.blocks[at].older, older);
		older = at;
		sum += mem.blocks[at].nr_blank;
	}
	ck_assert_uint_eq(z->warm_newest, older);
	ck_assert_uint_eq(sum, z->nr_warm);
	ck_assert_int_eq(!z->nr_warm, !z->warm_weight);
}

/* The listed runs are all that is blank. */
static inline void check_blank_lists(const struct zone *z)
{
	u32 cold = check_run_lists(z, &z->blank_runs, false);
	u32 warm = check_run_lists(z, &z->warm_runs, true);

	ck_assert_uint_eq(warm, z->nr_warm);
	ck_assert_uint_eq(cold + warm, z->nr_blank);
	check_ages(z);
}

/* Hollow pages only their users know. */
static inline void check_counts(const struct zone *z, const struct census *c)
{
	u32 listed = 0;

	for (int k = 0; k < NR_KINDS; k++) {
		ck_assert_uint_eq(c->pages[k].free, z->pages[k].free);
		ck_assert_uint_eq(c->pages[k].released, z->pages[k].released);
		ck_assert_uint_eq(z->pages[k].isolated, 0);
	}
	ck_assert_uint_eq(c->broken, z->nr_broken);
	ck_assert_uint_eq(c->whole_idle, z->whole_idle);
	for (int i = 0; i < NR_REPORTS; i++) {
		ck_assert_int_eq(z->report_mask >> i & 1,
				 z->report[i] != NO_BLOCK);
		for (u32 at = z->report[i]; at != NO_BLOCK;
		     at = mem.blocks[at].report_next != z->report[i] ?
			  mem.blocks[at].report_next : NO_BLOCK)
			listed++;
	}
	ck_assert_uint_eq(listed, c->reports);
	ck_assert_uint_le(z->low, zone_surplus(z));
}

static inline struct census check_zone(struct zone *z)
{
	struct census c = { 0 };

	for (u32 block = z->first; block < z->first + z->high; block++) {
		if (block_is_used(z, block))
			check_block(z, block, &c);
		else
			ck_assert(!block_is_idle(z, block) &&
				  !block_is_blank(z, block));
	}
	check_blank_lists(z);
	ck_assert_uint_eq(c.blank, z->nr_blank);
	ck_assert_uint_eq(c.idle, zone_nr_idle(z));
	for (int b = BACKING_HUGETLB; b < NR_BACKINGS; b++)
		ck_assert_uint_eq(c.up[b], z->nr_up[b]);
	ck_assert_uint_eq(zone_nr_up(z), c.idle + c.partial + c.full);
	check_counts(z, &c);
	return c;
}

static inline struct zone *my_zone(void)
{
	return &zones[node_fallback(numa_local_node(), 0)];
}

/* --- memory --- */

static inline bool is_zero(u32 pfn, u32 nr)
{
	const u64 *p = pfn_to_ptr(pfn);

	for (size_t i = 0; i < nr * PAGE_BYTES / 8; i++)
		if (p[i])
			return false;
	return true;
}

/* Each page has contents of its own. */
static inline void touch_pages(u32 pfn, u32 nr)
{
	for (u32 i = 0; i < nr; i++)
		memset(pfn_to_ptr(pfn + i), (int)(pfn + i) | 1, PAGE_BYTES);
}

static inline void expect_touched(u32 pfn, u32 nr)
{
	for (u32 i = 0; i < nr; i++) {
		const char *p = pfn_to_ptr(pfn + i);

		ck_assert_int_eq(p[0], (char)((pfn + i) | 1));
		ck_assert(!memcmp(p, p + 1, PAGE_BYTES - 1));
	}
}

static inline bool readable(const void *p)
{
	int fds[2];
	bool ok;

	ck_assert_int_eq(pipe(fds), 0);
	ok = write(fds[1], p, 1) == 1;
	close(fds[0]);
	close(fds[1]);
	return ok;
}

static inline u32 resident(u32 pfn, u32 nr)
{
	static unsigned char in_core[8 * PAGEBLOCK_PAGES];
	size_t page = sysconf(_SC_PAGESIZE), pages = nr * PAGE_BYTES / page;
	u32 n = 0;

	ck_assert_uint_le(nr, sizeof(in_core));
	ck_assert_int_eq(mincore(pfn_to_ptr(pfn), nr * PAGE_BYTES, in_core), 0);
	for (size_t i = 0; i < pages; i++)
		n += in_core[i] & 1;
	return n;
}

static inline TCase *tcase(Suite *s, const char *name)
{
	TCase *t = tcase_create(name);

	tcase_set_timeout(t, 120);
	suite_add_tcase(s, t);
	return t;
}

/* Not mlock(): a sanitizer's does nothing. */
static inline bool cannot_lock(void *p, size_t bytes, const char *test)
{
	if (!syscall(SYS_mlock, p, bytes))
		return false;
	skip_part(test, "mlock() is refused");
	return true;
}

#endif /* SELFTESTS_ZONE_CENSUS_H */
