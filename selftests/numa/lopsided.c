// SPDX-License-Identifier: MIT
/*
 * Nodes that have no memory, and nodes that have no CPUs: who runs on the one
 * kind gets memory from the nearest node that has some; the other kind gives
 * memory to who asks for it.
 */
#include "nodes.h"

#include <errno.h>
#include <numa.h>
#include <rn/pages.h>
#include <rn/slab.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OBJECTS	3000

static void *object[OBJECTS];

/* The node without memory, without CPUs; -1 where there is none. */
static int memoryless(void)
{
	for (int n = 0; n < nodes_possible(); n++)
		if (node_with_cpus(n) && !node_with_memory(n))
			return n;
	return -1;
}

static int cpuless(void)
{
	for (int n = 0; n < nodes_possible(); n++)
		if (!node_with_cpus(n) && node_with_memory(n))
			return n;
	return -1;
}

/* Of the nodes with memory; the lower number when two are as near. */
static int nearest_memory(int from)
{
	int best = -1;

	for (int n = 0; n < nodes_possible(); n++)
		if (node_with_memory(n) &&
		    (best < 0 || numa_distance(from, n) <
				 numa_distance(from, best)))
			best = n;
	return best;
}

static size_t size_of(int i)
{
	return i % 100 ? 16 + i % 900 : 150000;
}

static void expect_on(int node)
{
	int found[OBJECTS];

	pages_where(object, found, OBJECTS);
	for (int i = 0; i < OBJECTS; i++) {
		if (found[i] != node ||
		    rn_addr_to_node(object[i]) != node)
			ck_abort_msg("object %d is on node %d, not %d", i,
				     found[i], node);
		rn_free(object[i]);
	}
}

/* Asks from where the caller is: RN_NO_NODE, or a node. */
static void get(int node, rn_gfp_t flags)
{
	for (int i = 0; i < OBJECTS; i++) {
		object[i] = rn_alloc_node(size_of(i), flags, node);
		if (!object[i])
			ck_abort_msg("no memory of node %d", node);
		memset(object[i], 1, 1);
	}
}

START_TEST(without_memory_the_nearest_serves)
{
	int node = memoryless(), near = nearest_memory(node);

	ck_assert_int_ne(near, node);
	run_on(node);
	get(RN_NO_NODE, 0);
	expect_on(near);
	get(node, 0);
	expect_on(near);
	/* From elsewhere, too: the nearest to the node that is named. */
	run_on(full_node(0));
	get(node, 0);
	expect_on(near);
}
END_TEST

START_TEST(without_memory_not_from_there_alone)
{
	int node = memoryless();

	for (int i = 0; i < 100; i++) {
		errno = 0;
		ck_assert_ptr_null(rn_alloc_node(size_of(i), RN_THISNODE,
						 node));
		ck_assert_int_eq(errno, ENOMEM);
	}
	ck_assert_ptr_null(rn_alloc_pages(0, RN_THISNODE, node));
	ck_assert_int_eq(rn_reserve(1 << 20, node, RN_RESERVE_THISNODE),
			 -ENOMEM);
	ck_assert_uint_eq(slabinfo_active(), 0);
}
END_TEST

START_TEST(without_cpus_for_who_asks)
{
	int node = cpuless();

	for (int i = 0; i < full_nodes(); i++) {
		run_on(full_node(i));
		get(node, 0);
		expect_on(node);
		get(node, RN_THISNODE);
		expect_on(node);
		/* What was freed there does not come for who asks locally. */
		get(RN_NO_NODE, 0);
		expect_on(full_node(i));
	}
	ck_assert_uint_eq(slabinfo_active(), 0);
}
END_TEST

START_TEST(without_cpus_a_reserve)
{
	int node = cpuless();
	char line[64];

	ck_assert_int_eq(rn_reserve(8 << 20, node, RN_RESERVE_THISNODE), 0);
	snprintf(line, sizeof(line), "node%d_pageblocks_reserved", node);
	ck_assert_int_eq(vmstat(line), 4);
	ck_assert_ptr_nonnull(rn_alloc_pages(9, RN_THISNODE | RN_NOWAIT,
					     node));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("lopsided");
	TCase *tc = tcase_create("lopsided");

	need_full_nodes(1);
	if (memoryless() < 0 || cpuless() < 0) {
		printf("no node without memory, or none without CPUs\n");
		return 77;
	}
	tcase_set_timeout(tc, 10);
	tcase_add_test(tc, without_memory_the_nearest_serves);
	tcase_add_test(tc, without_memory_not_from_there_alone);
	tcase_add_test(tc, without_cpus_for_who_asks);
	tcase_add_test(tc, without_cpus_a_reserve);
	suite_add_tcase(s, tc);
	return suite_main(s);
}
