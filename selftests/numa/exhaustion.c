// SPDX-License-Identifier: MIT
/*
 * Pools of hugetlb pages that differ from node to node, and run out: which rung
 * comes next, on which node, and that it is counted there.
 */
#include "nodes.h"

#include <rn/pages.h>
#include <rn/slab.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK	((size_t)2 << 20)

/* What is in the pools of the first four nodes with CPUs and memory. */
static const long pools[] = { 10, 20, 5, 15 };

static void set_pools(void)
{
	pools_set(pools, ARRAY_LEN(pools));
}

/* A line nodeN_@name; one that is not written, because it is 0, is 0. */
static long node_figure(int node, const char *name)
{
	char line[80];
	long value;

	snprintf(line, sizeof(line), "node%d_%s", node, name);
	value = vmstat(line);
	return value < 0 ? 0 : value;
}

/* Takes @n blocks, each touched; where they are is counted in @on. */
static void take(int n, rn_gfp_t flags, int *on)
{
	memset(on, 0, MAX_TEST_NODES * sizeof(*on));
	for (int i = 0; i < n; i++) {
		char *p = rn_alloc_pages(9, flags, RN_NO_NODE);

		ck_assert_ptr_nonnull(p);
		memset(p, 1, BLOCK);
		on[page_where(p)]++;
		ck_assert_int_eq(page_where(p + BLOCK - 1), page_where(p));
	}
}

/* Transparent huge pages of the same node come before another's pool. */
START_TEST(local_thp_before_remote_hugetlb)
{
	int here = full_node(0), on[MAX_TEST_NODES];

	run_on(here);
	take(pools[0] + 12, 0, on);
	ck_assert_int_eq(on[here], pools[0] + 12);
	ck_assert_int_eq(node_figure(here, "pageblocks_hugetlb"), pools[0]);
	ck_assert_int_eq(node_figure(here, "pageblocks_thp"), 12);
	ck_assert_int_eq(node_figure(here, "pageblocks_small"), 0);
	ck_assert_int_gt(node_figure(here, "ladder_hugetlb_populate_failed"),
			 0);
	for (size_t i = 1; i < ARRAY_LEN(pools); i++) {
		ck_assert_int_eq(pool_free(full_node(i)), pools[i]);
		ck_assert_int_eq(node_figure(full_node(i),
					     "pageblocks_hugetlb"), 0);
	}
}
END_TEST

/* Without it the other pools, the nearest first, and base pages at last. */
START_TEST(remote_hugetlb_nearest_first)
{
	int here = full_node(0), on[MAX_TEST_NODES], all = 0;

	setenv("RN_LADDER", "hugetlb,other,small", 1);
	for (size_t i = 0; i < ARRAY_LEN(pools); i++)
		all += pools[i];
	run_on(here);
	take(pools[0] + pools[1] + 2, 0, on);
	ck_assert_int_eq(on[here], pools[0]);
	ck_assert_int_eq(on[full_node(1)], pools[1]);
	ck_assert_int_eq(on[full_node(2)], 2);
	take(all - pools[0] - pools[1] - 2 + 4, 0, on);
	ck_assert_int_eq(on[full_node(2)], pools[2] - 2);
	ck_assert_int_eq(on[full_node(3)], pools[3]);
	ck_assert_int_eq(on[here], 4);
	ck_assert_int_eq(node_figure(here, "pageblocks_small"), 4);
	ck_assert_int_eq(vmstat_nodes("pageblocks_hugetlb"), all);
}
END_TEST

/* RN_HUGETLB with RN_THISNODE: the node's pool to the last page, no more. */
START_TEST(pool_of_this_node_only)
{
	for (size_t i = 0; i < ARRAY_LEN(pools); i++) {
		int node = full_node(i);
		long n = 0;
		void *p;

		while ((p = rn_alloc_pages(9, RN_HUGETLB | RN_THISNODE,
					   node))) {
			ck_assert_int_eq(page_where(p), node);
			n++;
		}
		ck_assert_int_eq(n, pools[i]);
		ck_assert_int_eq(pool_free(node), 0);
	}
	ck_assert_int_gt(vmstat("ladder_exhausted"), 0);
}
END_TEST

/* Small objects do as whole blocks do. */
START_TEST(objects_step_down_locally)
{
	int here = full_node(2), n = 3 * pools[2] * (BLOCK / 1024);

	run_on(here);
	for (int i = 0; i < n; i++) {
		char *p = rn_alloc(1024, 0);

		if (!p)
			ck_abort_msg("no memory");
		*p = 1;
		if (i % 64 == 0)
			ck_assert_int_eq(page_where(p), here);
	}
	ck_assert_int_eq(node_figure(here, "pageblocks_hugetlb"), pools[2]);
	ck_assert_int_gt(node_figure(here, "pageblocks_thp"), 0);
	ck_assert_int_eq(vmstat_nodes("pageblocks_hugetlb"), pools[2]);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("exhaustion");
	TCase *tc = tcase_create("exhaustion");

	need_full_nodes(ARRAY_LEN(pools));
	tcase_set_timeout(tc, 10);
	tcase_add_unchecked_fixture(tc, set_pools, pools_put_back);
	tcase_add_test(tc, local_thp_before_remote_hugetlb);
	tcase_add_test(tc, remote_hugetlb_nearest_first);
	tcase_add_test(tc, pool_of_this_node_only);
	tcase_add_test(tc, objects_step_down_locally);
	suite_add_tcase(s, tc);
	return suite_main(s);
}
