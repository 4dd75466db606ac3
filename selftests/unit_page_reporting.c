// SPDX-License-Identifier: MIT
/*
 * Memory of free pages on its way to the system: how much may stay, what goes
 * first, and what is never touched.
 *
 * Each test is a process of its own and starts the library as it needs it.
 */
#define _GNU_SOURCE
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "helpers.h"
#include "zone_census.h"

#define BLOCKS		48U
#define KEPT		(8 * MIB)	/* the half of 16 MiB that pages have */
#define PAGES(bytes)	((u32)((bytes) / PAGE_BYTES))

static u32 blocks[BLOCKS];

/* Whole blocks, all of them touched. */
static void take_blocks(u32 nr)
{
	for (u32 i = 0; i < nr; i++) {
		blocks[i] = pages_alloc(PAGEBLOCK_PAGES, 0, 0, NULL);
		ck_assert_uint_ne(blocks[i], NO_PFN);
		touch_pages(blocks[i], PAGEBLOCK_PAGES);
	}
}

static void free_blocks(u32 from, u32 to)
{
	for (u32 i = from; i < to; i++)
		pages_free(blocks[i], PAGEBLOCK_PAGES);
}

/* All but the last page of a block. */
static void free_most(u32 i)
{
	pages_free(blocks[i], PAGEBLOCK_PAGES - 1);
}

static u32 resident_in_all(u32 nr)
{
	u32 n = 0;

	for (u32 i = 0; i < nr; i++)
		n += resident(blocks[i], PAGEBLOCK_PAGES);
	return n;
}

static u64 kbytes(const char *what)
{
	long n = vmstat(what);

	return n < 0 ? 0 : n;
}

/* What frees have given back so far. */
static u64 given(void)
{
	return kbytes("reclaim_free_block_kbytes") +
		kbytes("reclaim_free_page_kbytes");
}

static bool is_huge(u32 pfn)
{
	return thp_bytes_in(pfn >> PAGEBLOCK_ORDER, 1) == PAGEBLOCK_BYTES;
}

static struct iovec stretch(u32 pfn, u32 nr)
{
	return (struct iovec){ pfn_to_ptr(pfn), nr * PAGE_BYTES };
}

static u32 make_hollow(u32 pfn, u32 nr)
{
	struct iovec s = stretch(pfn, nr);

	return pages_make_hollow(&s, 1, WHY_FREE);
}

/* --- the bound --- */

START_TEST(idle_blocks_go_first)
{
	struct zone *z;

	start("small");
	z = my_zone();
	take_blocks(BLOCKS);
	/* Pages of partly free blocks, and idle ones, at the bound. */
	for (u32 i = 0; i < 2; i++)
		free_most(i);
	free_blocks(2, 4);
	ck_assert_uint_eq(z->offline, 0);
	free_blocks(4, 5);
	ck_assert_uint_gt(z->offline, 0);
	ck_assert_uint_eq(kbytes("reclaim_free_page_kbytes"), 0);
	ck_assert_uint_eq(check_zone(z).broken, 0);
	ck_assert_uint_le(zone_nr_resident(z), PAGES(KEPT));
}
END_TEST

/* No block is idle: then pages go, and the rest of the block is as it was. */
START_TEST(pages_of_partly_free_blocks_go)
{
	struct zone *z;

	start("small");
	z = my_zone();
	take_blocks(BLOCKS);
	for (u32 i = 0; i < BLOCKS; i++)
		free_most(i);
	ck_assert_uint_eq(z->offline, 0);
	ck_assert_uint_gt(check_zone(z).broken, 0);
	ck_assert_uint_le(zone_nr_resident(z), PAGES(KEPT));
	ck_assert_uint_gt(zone_nr_resident(z), PAGES(KEPT) / 2);
	ck_assert_uint_gt(kbytes("reclaim_free_page_kbytes"), 0);
	if (!emulator())
		ck_assert_uint_eq(resident_in_all(BLOCKS),
				  zone_nr_resident(z) + BLOCKS);
	for (u32 i = 0; i < BLOCKS; i++)
		expect_touched(blocks[i] + PAGEBLOCK_PAGES - 1, 1);
	/* What has no memory is zero when it comes again. */
	ck_assert_uint_gt(pages_release(0, WHY_TRIM), 0);
	ck_assert_uint_eq(zone_nr_resident(z), 0);
	ck_assert_uint_eq(pages_release(0, WHY_TRIM), 0);
	for (u32 i = 0; i < BLOCKS; i++)
		ck_assert(is_zero(blocks[i], PAGEBLOCK_PAGES - 1));
	check_zone(z);
}
END_TEST

/* The emptiest block, whatever its place. */
START_TEST(the_emptiest_block_goes_first)
{
	u32 odd = BLOCKS / 2;
	struct zone *z;

	start("small");
	z = my_zone();
	take_blocks(BLOCKS);
	for (u32 i = 0; i < BLOCKS; i++)
		pages_free(blocks[i], i == odd ? 480 : 20);
	ck_assert_uint_eq(check_zone(z).broken, 0);
	pages_release((u64)(zone_surplus(z) - 10) * PAGE_BYTES, WHY_TRIM);
	ck_assert_uint_eq(check_zone(z).broken, 1);
	ck_assert_uint_eq(mem.blocks[blocks[odd] >> PAGEBLOCK_ORDER].nr_released,
			  480);
	ck_assert_uint_eq(resident(blocks[odd], 480), 0);
	/* What is taken next is not from there, though it is long enough. */
	ck_assert_uint_ne(pages_alloc(16, 0, 0, NULL) >> PAGEBLOCK_ORDER,
			  blocks[odd] >> PAGEBLOCK_ORDER);
}
END_TEST

/* To and fro within a quarter of the bound: no call after the first. */
static void swing(u32 pages, u32 rounds)
{
	static u32 pfn[PAGEBLOCK_PAGES];

	ck_assert_uint_le(pages, ARRAY_SIZE(pfn));
	for (u32 i = 0; i < rounds; i++) {
		for (u32 j = 0; j < pages; j++)
			pfn[j] = pages_alloc(1, 0, 0, NULL);
		for (u32 j = 0; j < pages; j++)
			pages_free(pfn[j], 1);
	}
}

START_TEST(a_swing_makes_no_calls)
{
	u32 most = PAGES(KEPT) / 4 - 1;
	u64 before, offline, refused;
	struct zone *z;

	start("thp,small");
	z = my_zone();
	take_blocks(BLOCKS);
	for (u32 i = 0; i < BLOCKS; i++)
		free_most(i);
	swing(most, 1);
	before = given();
	offline = z->offline;
	refused = z->refused;
	swing(most, 100);
	ck_assert_uint_eq(given(), before);
	ck_assert_uint_eq(z->offline, offline);
	ck_assert_uint_eq(z->refused, refused);
	check_zone(z);
}
END_TEST

/* A large heap may keep more: half of 3 % of what was in use. */
START_TEST(the_bound_follows_the_peak)
{
	u32 nr = 700, bound = nr * PAGEBLOCK_PAGES * 3 / 100 / 2;
	struct zone *z;
	u32 *pfn = calloc(nr, sizeof(*pfn));

	start("small");
	z = my_zone();
	for (u32 i = 0; i < nr; i++)
		pfn[i] = pages_alloc(PAGEBLOCK_PAGES, 0, 0, NULL);
	for (u32 i = 0; i < nr; i++)
		pages_free(pfn[i], PAGEBLOCK_PAGES - 1);
	ck_assert_uint_gt(bound, PAGES(KEPT));
	ck_assert_uint_le(zone_nr_resident(z), bound);
	ck_assert_uint_gt(zone_nr_resident(z), bound - bound / 4 -
			  PAGEBLOCK_PAGES);
	ck_assert_uint_eq(pages_peak(), (u64)nr * PAGEBLOCK_BYTES);
	check_zone(z);
	free(pfn);
}
END_TEST

/* --- what does not go --- */

START_TEST(what_is_reserved_stays)
{
	enum { NR = 12 };
	struct zone *z;

	start("small");
	z = my_zone();
	ck_assert_int_eq(rn_reserve(NR * PAGEBLOCK_BYTES, RN_NO_NODE, 0), 0);
	take_blocks(NR + 8);
	for (u32 i = 0; i < NR + 8; i++)
		free_most(i);
	pages_release(0, WHY_TRIM);
	ck_assert_uint_eq(zone_slack(z), 0);
	ck_assert_uint_eq((zone_nr_up(z) << PAGEBLOCK_ORDER) -
			  zone_nr_released(z), NR * PAGEBLOCK_PAGES);
	if (!emulator())
		ck_assert_uint_ge(resident_in_all(NR + 8),
				  NR * PAGEBLOCK_PAGES);
	check_zone(z);
	/* What is within the reserve is not too much. */
	ck_assert(!zone_is_over(z));
}
END_TEST

START_TEST(hugetlb_goes_as_a_whole)
{
	enum { NR = 12 };
	struct zone *z;

	NEED_HUGE();
	ck_assert_int_eq(huge_set_free(NR), 0);
	start("hugetlb");
	z = my_zone();
	take_blocks(NR);
	ck_assert_uint_eq(z->nr_up[BACKING_HUGETLB], NR);
	for (u32 i = 0; i < NR; i++)
		free_most(i);
	ck_assert_uint_eq(zone_surplus(z), 0);
	ck_assert_uint_eq(pages_release(0, WHY_TRIM), 0);
	ck_assert_uint_eq(zone_nr_released(z), 0);
	ck_assert(!make_hollow(blocks[0] + PAGEBLOCK_PAGES - 1, 1));
	for (u32 i = 0; i < NR; i++) {
		expect_touched(blocks[i], PAGEBLOCK_PAGES);
		pages_free(blocks[i] + PAGEBLOCK_PAGES - 1, 1);
	}
	check_zone(z);
	ck_assert_uint_le(huge_mine(), KEPT);
	ck_assert_uint_gt(huge_mine(), 0);
	pages_release(0, WHY_TRIM);
	ck_assert_int_eq(huge_mine(), 0);
}
END_TEST

/* Of many stretches those go that are ahead of the one that does not. */
START_TEST(hollow_up_to_a_locked_one)
{
	struct iovec stretches[MANY_STRETCHES];
	const u32 locked = 40, each = PAGEBLOCK_PAGES / MANY_STRETCHES;
	u32 done, left;
	struct zone *z;
	u64 held;

	start("small");
	z = my_zone();
	take_blocks(2);
	held = pages_held();
	for (u32 i = 0; i < MANY_STRETCHES; i++)
		stretches[i] = stretch(blocks[i % 2] + i * each, 1 + i % each);
	if (cannot_lock(stretches[locked].iov_base, PAGE_BYTES, __func__))
		return;
	done = pages_make_hollow(stretches, MANY_STRETCHES, WHY_FREE);
	ck_assert_uint_eq(done, locked);
	for (u32 i = 0; i < MANY_STRETCHES; i++) {
		u32 pfn = ptr_to_pfn(stretches[i].iov_base), nr = 1 + i % each;

		ck_assert_uint_eq(resident(pfn, nr), i < locked ? 0 : nr);
		held -= i < locked ? nr * PAGE_BYTES : 0;
	}
	ck_assert_uint_eq(pages_held(), held);
	/* Who goes on behind it gets the rest. */
	left = MANY_STRETCHES - locked - 1;
	done = pages_make_hollow(stretches + locked + 1, left, WHY_FREE);
	ck_assert_uint_eq(done, left);
	check_zone(z);
}
END_TEST

/* A user's mlock() keeps a page there; the others go all the same. */
START_TEST(locked_pages_do_not_stop_it)
{
	u32 locked = BLOCKS / 2;
	struct zone *z;

	start("small");
	z = my_zone();
	take_blocks(BLOCKS);
	if (cannot_lock(pfn_to_ptr(blocks[locked]), PAGEBLOCK_BYTES, __func__))
		return;
	for (u32 i = 0; i < BLOCKS; i++)
		free_most(i);
	pages_release(0, WHY_TRIM);
	ck_assert_uint_eq(zone_surplus(z), 0);
	ck_assert_uint_eq(zone_nr_resident(z), PAGEBLOCK_PAGES - 1);
	ck_assert(mem.blocks[blocks[locked] >> PAGEBLOCK_ORDER].whole);
	expect_touched(blocks[locked], PAGEBLOCK_PAGES);
	ck_assert_uint_gt(kbytes("node0_release_refused"), 0);
	check_zone(z);
	/* As a whole it can go. */
	pages_free(blocks[locked] + PAGEBLOCK_PAGES - 1, 1);
	ck_assert_uint_gt(pages_release(0, WHY_TRIM), 0);
	ck_assert_uint_eq(zone_nr_resident(z), 0);
	check_zone(z);
}
END_TEST

/* AddressSanitizer ends a program that it finds no mapping for. */
#ifdef SANITIZER_ADDRESS
#define NEEDS_MAPS	true
#else
#define NEEDS_MAPS	false
#endif

/* So many mappings that no other can be split. NULL: there is no limit. */
static char *fill_maps(size_t *bytes)
{
	size_t page = sysconf(_SC_PAGESIZE);
	char *p;

	*bytes = 200000 * page;
	p = mmap(NULL, *bytes, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ck_assert(p != MAP_FAILED);
	for (size_t at = page; at < *bytes; at += 2 * page)
		if (mprotect(p + at, page, PROT_READ))
			return p;
	munmap(p, *bytes);
	return NULL;
}

/* Blocks whose huge page cannot be broken stay as they are, and are counted. */
START_TEST(too_many_mappings_lose_nothing)
{
	u64 refused;
	struct zone *z;
	size_t bytes;
	char *maps;
	u32 pfn;

	start("thp,small");
	z = my_zone();
	take_blocks(BLOCKS);
	maps = NEEDS_MAPS || !is_huge(blocks[1]) ? NULL : fill_maps(&bytes);
	if (!maps) {
		skip_part(__func__, "no limit, or no huge page");
		return;
	}
	for (u32 i = 0; i < BLOCKS; i++)
		free_most(i);
	ck_assert_uint_eq(zone_nr_resident(z), BLOCKS * (PAGEBLOCK_PAGES - 1));
	ck_assert_uint_eq(check_zone(z).broken, 0);
	refused = z->refused;
	ck_assert_uint_gt(refused, 0);
	/* It is not tried at every free. */
	for (int i = 0; i < 1000; i++) {
		pfn = pages_alloc(1, 0, 0, NULL);
		pages_free(pfn, 1);
	}
	ck_assert_uint_le(z->refused, refused + 1);
	munmap(maps, bytes);
	pages_release(0, WHY_TRIM);
	ck_assert_uint_eq(zone_nr_resident(z), 0);
	for (u32 i = 0; i < BLOCKS; i++)
		expect_touched(blocks[i] + PAGEBLOCK_PAGES - 1, 1);
	check_zone(z);
}
END_TEST

/* --- broken blocks --- */

START_TEST(a_broken_huge_page_is_small)
{
	struct zone *z;
	u64 offline;

	start("thp,small");
	z = my_zone();
	take_blocks(4);
	if (!is_huge(blocks[1]) || z->nr_up[BACKING_THP] != 4) {
		skip_part(__func__, "no huge page came");
		return;
	}
	free_most(1);
	pages_release(0, WHY_TRIM);
	ck_assert_uint_eq(z->nr_up[BACKING_THP], 3);
	ck_assert_uint_eq(z->nr_up[BACKING_SMALL], 1);
	ck_assert(!is_huge(blocks[1]));
	ck_assert_int_eq(mem.blocks[blocks[1] >> PAGEBLOCK_ORDER].advice,
			 ADVICE_SMALL);
	ck_assert_uint_eq(kbytes("node0_pageblocks_broken"), 1);
	check_zone(z);
	/* Drained, it goes, and what comes in its place is huge again. */
	offline = z->offline;
	pages_free(blocks[1] + PAGEBLOCK_PAGES - 1, 1);
	ck_assert_uint_eq(z->offline, offline + 1);
	ck_assert_uint_eq(check_zone(z).broken, 0);
	ck_assert_uint_eq(pages_alloc(PAGEBLOCK_PAGES, 0, 0, NULL), blocks[1]);
	ck_assert(is_huge(blocks[1]));
}
END_TEST

/* Others first; what RN_HUGETLB asks for is never there. */
START_TEST(broken_blocks_are_asked_last)
{
	u32 other, pfn;

	start("small");
	take_blocks(2);
	free_most(0);
	pages_release(0, WHY_TRIM);
	other = blocks[1] >> PAGEBLOCK_ORDER;
	pages_free(blocks[1], 2);
	for (int i = 0; i < 2; i++) {
		pfn = pages_alloc(1, 0, 0, NULL);
		ck_assert_uint_eq(pfn >> PAGEBLOCK_ORDER, other);
	}
	pfn = pages_alloc(1, 0, 0, NULL);
	ck_assert_uint_eq(pfn >> PAGEBLOCK_ORDER,
			  blocks[0] >> PAGEBLOCK_ORDER);
	ck_assert_uint_eq(pages_alloc(1, 0, RN_HUGETLB | RN_NOWAIT, NULL),
			  NO_PFN);
	check_zone(my_zone());
}
END_TEST

/* --- decay --- */

START_TEST(what_nobody_needs_goes_in_time)
{
	u32 before, ticks = 0;
	struct zone *z;

	start("small");
	z = my_zone();
	take_blocks(3);
	free_blocks(0, 3);
	before = zone_nr_resident(z);
	ck_assert_uint_eq(before, 3 * PAGEBLOCK_PAGES);
	/* Nothing was free since the tick before. */
	ck_assert_uint_eq(pages_age(4), 0);
	while (zone_nr_resident(z)) {
		ck_assert_uint_gt(pages_age(4), 0);
		ck_assert_uint_lt(zone_nr_resident(z), before);
		before = zone_nr_resident(z);
		ticks++;
	}
	ck_assert_uint_le(ticks, 8);
	ck_assert_uint_gt(ticks, 1);
	ck_assert_uint_eq(pages_age(4), 0);
	check_zone(z);
}
END_TEST

START_TEST(what_is_needed_stays)
{
	struct zone *z;
	u32 pfn;

	start("small");
	z = my_zone();
	take_blocks(3);
	free_blocks(0, 3);
	pages_age(1);
	for (int i = 0; i < 10; i++) {
		/* All was in use once between two ticks. */
		for (u32 j = 0; j < 3; j++)
			blocks[j] = pages_alloc(PAGEBLOCK_PAGES, 0, 0, NULL);
		free_blocks(0, 3);
		ck_assert_uint_eq(pages_age(1), 0);
		ck_assert_uint_eq(zone_nr_resident(z), 3 * PAGEBLOCK_PAGES);
	}
	pfn = pages_alloc(1, 0, 0, NULL);
	pages_free(pfn, 1);
	/* Now all but one page was idle for a tick. */
	ck_assert_uint_gt(pages_age(1), 2 * PAGEBLOCK_BYTES);
	ck_assert_uint_le(zone_nr_resident(z), PAGEBLOCK_PAGES);
}
END_TEST

START_TEST(warm_runs_go_in_time)
{
	u32 nr = 3 * PAGEBLOCK_PAGES, pfn, ticks = 0;
	struct zone *z;

	start("small");
	NEED_ONE_NODE();
	z = my_zone();
	pfn = pages_alloc(nr, 0, 0, NULL);
	touch_pages(pfn, nr);
	pages_free(pfn, nr);
	ck_assert_uint_eq(z->nr_warm, 3);
	ck_assert_uint_ge(pages_free_bytes(), nr * PAGE_BYTES);
	for (; z->nr_warm; ticks++) {
		ck_assert_uint_le(ticks, 3);
		pages_age(4);
	}
	ck_assert_uint_ge(ticks, 1);
	ck_assert_uint_eq(resident(pfn, nr), 0);
	ck_assert_uint_eq(pages_free_bytes(), 0);
	check_zone(z);
}
END_TEST

/* --- hollow pages --- */

START_TEST(hollow_pages_come_and_go)
{
	u64 held, mask = 0x00f0;
	struct zone *z;
	u32 pfn;

	start("small");
	z = my_zone();
	take_blocks(1);
	pfn = blocks[0];
	held = pages_held();
	ck_assert_uint_eq(held, PAGEBLOCK_BYTES);
	errno = 7;
	ck_assert(make_hollow(pfn + 4, 4));
	ck_assert_int_eq(errno, 7);
	ck_assert_uint_eq(resident(pfn + 4, 4), 0);
	ck_assert_uint_eq(pages_held(), held - 4 * PAGE_BYTES);
	ck_assert_uint_eq(kbytes("node0_hollow_kbytes"), 4 * PAGE_BYTES >> 10);
	ck_assert_uint_eq(kbytes("reclaim_free_hollow_kbytes"),
			  4 * PAGE_BYTES >> 10);
	expect_touched(pfn, 4);
	expect_touched(pfn + 8, PAGEBLOCK_PAGES - 8);
	ck_assert(is_zero(pfn + 4, 4));
	pages_fill_hollow(pfn + 4, 4);
	ck_assert_uint_eq(zone_nr_hollow(z), 0);
	ck_assert(make_hollow(pfn + 4, 4));
	/* Freed, they are released pages like others. */
	pages_free_hollow(pfn, 16, mask);
	ck_assert_uint_eq(zone_nr_hollow(z), 0);
	ck_assert_uint_eq(zone_nr_released(z), 4);
	ck_assert_uint_eq(zone_nr_resident(z), 12);
	check_zone(z);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("page_reporting");
	TCase *t = tcase(s, "free pages");
	int ret;

	no_huge = huge_begin();
	tcase_add_test(t, idle_blocks_go_first);
	tcase_add_test(t, pages_of_partly_free_blocks_go);
	tcase_add_test(t, the_emptiest_block_goes_first);
	tcase_add_test(t, a_swing_makes_no_calls);
	tcase_add_test(t, the_bound_follows_the_peak);
	tcase_add_test(t, what_is_reserved_stays);
	tcase_add_test(t, hugetlb_goes_as_a_whole);
	tcase_add_test(t, locked_pages_do_not_stop_it);
	tcase_add_test(t, hollow_up_to_a_locked_one);
	tcase_add_test(t, too_many_mappings_lose_nothing);
	tcase_add_test(t, a_broken_huge_page_is_small);
	tcase_add_test(t, broken_blocks_are_asked_last);
	tcase_add_test(t, what_nobody_needs_goes_in_time);
	tcase_add_test(t, what_is_needed_stays);
	tcase_add_test(t, warm_runs_go_in_time);
	tcase_add_test(t, hollow_pages_come_and_go);
	ret = suite_main(s);
	huge_end();
	return ret;
}
