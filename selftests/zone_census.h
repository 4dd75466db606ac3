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
#include <sys/mman.h>
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
	u64 free_pages;
};

static inline void check_on_list(const struct zone *z, u32 block)
{
	const struct pageblock *b = &mem.blocks[block];
	enum class c = class_of(b->backing);
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

#endif /* SELFTESTS_ZONE_CENSUS_H */
