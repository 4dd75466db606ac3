// SPDX-License-Identifier: MIT
/*
 * Base pages become huge pages: which, when, and what is in them stays.
 *
 * Each test is a process of its own and starts the library as it needs it.
 */
#define _GNU_SOURCE
#include "given.h"
#include "khugepaged.h"

#include <rn/reclaim.h>
#include <stdio.h>
#include <sys/uio.h>

static long anon_huge_kb(void)
{
	FILE *f = fopen("/proc/self/smaps_rollup", "r");
	char line[256];
	long kb = -1;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "AnonHugePages: %ld kB", &kb) == 1)
			break;
	if (f)
		fclose(f);
	return kb;
}

START_TEST(dense_blocks_become_huge)
{
	struct zone *z;
	long before;

	NEED_COLLAPSE();
	z = dense_blocks(true);
	before = anon_huge_kb();
	/* Once is not enough. */
	khugepaged_scan();
	ck_assert_uint_eq(z->nr_up[BACKING_THP], 0);
	khugepaged_scan();
	ck_assert_uint_eq(z->nr_up[BACKING_THP], BLOCKS);
	ck_assert_uint_eq(z->nr_up[BACKING_SMALL], 0);
	ck_assert_uint_eq(thp_bytes_in(z->first, z->high),
			  BLOCKS * PAGEBLOCK_BYTES);
	ck_assert_int_eq(anon_huge_kb() - before,
			 BLOCKS * PAGEBLOCK_BYTES >> 10);
	check_contents();
	check_zone(z);
	ck_assert_int_eq(vmstat("khugepaged_scanned"), 2 * BLOCKS);
	ck_assert_int_eq(vmstat("khugepaged_collapsed"), BLOCKS);
	ck_assert_int_eq(vmstat("khugepaged_refused"), 0);
}
END_TEST

/* An eighth may be free, not more; and what was two looks ago is past. */
START_TEST(how_dense)
{
	struct zone *z;

	NEED_COLLAPSE();
	z = dense_blocks(true);
	pages_free(part[0], PART);
	for (u32 i = PARTS; i < PARTS + 2; i++)
		pages_free(part[i], PART);
	for (int i = 0; i < 4; i++)
		khugepaged_scan();
	ck_assert_uint_eq(z->nr_up[BACKING_THP], BLOCKS - 1);
	ck_assert_uint_eq(mem.blocks[part[0] >> PAGEBLOCK_ORDER].backing,
			  BACKING_THP);
	ck_assert_uint_eq(mem.blocks[part[PARTS] >> PAGEBLOCK_ORDER].backing,
			  BACKING_SMALL);
	part[PARTS] = pages_given(PART);
	memset(pfn_to_ptr(part[PARTS]), 1, PART * PAGE_BYTES);
	khugepaged_scan();
	pages_free(part[PARTS], PART);
	khugepaged_scan();
	part[PARTS] = pages_given(PART);
	khugepaged_scan();
	ck_assert_uint_eq(z->nr_up[BACKING_SMALL], 1);
	check_zone(z);
}
END_TEST

/* No memory comes by this that nobody had. */
START_TEST(untouched_blocks_stay)
{
	struct zone *z;

	NEED_COLLAPSE();
	NEED_ONE_NODE();
	z = dense_blocks(false);
	for (int i = 0; i < 4; i++)
		khugepaged_scan();
	ck_assert_uint_eq(z->nr_up[BACKING_SMALL], BLOCKS);
	ck_assert_uint_eq(thp_bytes_in(z->first, z->high), 0);
	for (u32 i = 0; i < BLOCKS * PARTS; i += PARTS)
		ck_assert_uint_eq(resident(part[i], PAGEBLOCK_PAGES), 0);
}
END_TEST

/* A page that the kernel holds for I/O is not moved. */
START_TEST(who_refuses_is_asked_less_often)
{
	struct iovec page;
	struct zone *z;
	int fds[2];
	long refused;

	NEED_COLLAPSE();
	z = dense_blocks(true);
	for (u32 i = PARTS; i < BLOCKS * PARTS; i++)
		pages_free(part[i], PART);
	page.iov_base = pfn_to_ptr(part[1]);
	page.iov_len = PAGE_BYTES;
	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(vmsplice(fds[1], &page, 1, 0), PAGE_BYTES);
	for (int i = 0; i < 2 + 2 + 1 + 4 + 1; i++)
		khugepaged_scan();
	refused = vmstat("khugepaged_refused");
	if (!refused) {
		skip_part(__func__, "the kernel moves pages of a pipe");
		return;
	}
	/* At the second look, after two more, and after another four. */
	ck_assert_int_eq(refused, 3);
	ck_assert_uint_eq(z->nr_up[BACKING_THP], 0);
	close(fds[0]);
	close(fds[1]);
	for (int i = 0; i < 8; i++)
		khugepaged_scan();
	ck_assert_uint_eq(z->nr_up[BACKING_THP], 0);
	khugepaged_scan();
	ck_assert_uint_eq(z->nr_up[BACKING_THP], 1);
	ck_assert_int_eq(vmstat("khugepaged_refused"), 3);
	check_zone(z);
}
END_TEST

/* Their place comes up huge. */
START_TEST(idle_small_blocks_go)
{
	struct zone *z;
	u64 offline;

	NEED_COLLAPSE();
	z = dense_blocks(true);
	for (u32 i = 1; i < PARTS; i++)
		pages_free(part[i], PART);
	for (u32 i = PARTS; i < 2 * PARTS; i++)
		pages_free(part[i], PART);
	offline = z->offline;
	ck_assert_uint_gt(zone_nr_idle(z), 0);
	khugepaged_scan();
	ck_assert_uint_eq(z->offline, offline);
	khugepaged_scan();
	ck_assert_uint_gt(z->offline, offline);
	ck_assert_uint_eq(zone_nr_idle(z), 0);
	pages_given(PAGEBLOCK_PAGES);
	if (!z->steps[BACKING_THP][STEP_NOT_HUGE])
		ck_assert_uint_eq(mem.blocks[part[PARTS] >>
					     PAGEBLOCK_ORDER].backing,
				  BACKING_THP);
	check_zone(z);
}
END_TEST

START_TEST(not_above_the_soft_limit)
{
	struct zone *z;

	NEED_COLLAPSE();
	z = dense_blocks(true);
	ck_assert_int_eq(rn_set_limit(PAGEBLOCK_BYTES, 0), 0);
	for (int i = 0; i < 4; i++)
		khugepaged_scan();
	ck_assert_uint_eq(z->nr_up[BACKING_THP], 0);
	ck_assert_int_eq(rn_set_limit(0, 0), 0);
	khugepaged_scan();
	khugepaged_scan();
	ck_assert_uint_eq(z->nr_up[BACKING_THP], BLOCKS);
}
END_TEST

START_TEST(not_without_thp_in_the_ladder)
{
	struct zone *z;

	NEED_COLLAPSE();
	z = dense_blocks(true);
	options.ladder[0] = RUNG_SMALL;
	options.ladder[1] = RUNG_END;
	for (int i = 0; i < 4; i++)
		khugepaged_scan();
	ck_assert_uint_eq(z->nr_up[BACKING_THP], 0);
	ck_assert_int_eq(vmstat("khugepaged_scanned"), 0);
}
END_TEST

/* A few at a time. */
START_TEST(a_tick_is_short)
{
	enum { MANY = 20 };
	struct zone *z;
	u32 pfn;

	NEED_COLLAPSE();
	allow_thp(false);
	start("thp,small");
	z = my_zone();
	for (int i = 0; i < MANY; i++) {
		pfn = pages_given(PAGEBLOCK_PAGES);
		ck_assert_uint_ne(pfn, NO_PFN);
		memset(pfn_to_ptr(pfn), 1, PAGEBLOCK_BYTES);
	}
	allow_thp(true);
	khugepaged_scan();
	for (u32 before = 0, now; before < MANY; before = now) {
		khugepaged_scan();
		now = z->nr_up[BACKING_THP];
		ck_assert_uint_le(now - before, 4);
		if (now == before)
			khugepaged_scan();
	}
	ck_assert_uint_eq(z->nr_up[BACKING_THP], MANY);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("khugepaged");
	TCase *t = tcase(s, "which");

	tcase_add_test(t, dense_blocks_become_huge);
	tcase_add_test(t, how_dense);
	tcase_add_test(t, untouched_blocks_stay);
	tcase_add_test(t, who_refuses_is_asked_less_often);
	tcase_add_test(t, idle_small_blocks_go);
	tcase_add_test(t, not_above_the_soft_limit);
	tcase_add_test(t, not_without_thp_in_the_ladder);
	tcase_add_test(t, a_tick_is_short);
	return suite_main(s);
}
