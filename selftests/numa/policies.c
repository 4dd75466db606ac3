// SPDX-License-Identifier: MIT
/*
 * set_mempolicy() in a program that runs: what comes up from then on follows
 * it, what lies in sheaves after rn_shrink_all(). The policy is the thread's.
 */
#include "nodes.h"

#include <numa.h>
#include <numaif.h>
#include <pthread.h>
#include <rn/pages.h>
#include <rn/slab.h>
#include <string.h>

#define OBJECTS	500
#define RUNS	4
#define RUN_ORDER 9

static void policy_is(int mode, int node)
{
	unsigned long mask[MAX_TEST_NODES / (8 * sizeof(long)) + 1] = { 0 };

	if (node >= 0)
		mask[0] = 1UL << node;
	ck_assert_int_eq(set_mempolicy(mode, node < 0 ? NULL : mask,
				       node < 0 ? 0 : MAX_TEST_NODES + 1), 0);
}

static void objects_are_on(int node)
{
	void *p[OBJECTS];
	int found[OBJECTS];

	for (int i = 0; i < OBJECTS; i++) {
		p[i] = rn_alloc(64 + i, 0);
		if (!p[i])
			ck_abort_msg("no memory");
		memset(p[i], 1, 64);
	}
	pages_where(p, found, OBJECTS);
	for (int i = 0; i < OBJECTS; i++) {
		if (found[i] != node)
			ck_abort_msg("object %d is on node %d, not %d", i,
				     found[i], node);
		rn_free(p[i]);
	}
}

static void runs_are_on(int node)
{
	void *p[RUNS];

	for (int i = 0; i < RUNS; i++) {
		p[i] = rn_alloc_pages(RUN_ORDER, 0, RN_NO_NODE);
		ck_assert_ptr_nonnull(p[i]);
		memset(p[i], 1, RN_PAGE_SIZE);
		ck_assert_int_eq(page_where(p[i]), node);
	}
	for (int i = 0; i < RUNS; i++)
		rn_free_pages(p[i], RUN_ORDER);
}

static const int modes[] = { MPOL_BIND, MPOL_PREFERRED };

START_TEST(follows_at_run_time)
{
	int here = full_node(0);

	run_on(here);
	objects_are_on(here);
	runs_are_on(here);
	for (int i = full_nodes() - 1; i >= 0; i--) {
		policy_is(modes[_i], full_node(i));
		runs_are_on(full_node(i));
		rn_shrink_all();
		objects_are_on(full_node(i));
	}
	policy_is(modes[_i], full_node(1));
	rn_shrink_all();
	objects_are_on(full_node(1));
	policy_is(MPOL_DEFAULT, -1);
	rn_shrink_all();
	objects_are_on(here);
	runs_are_on(here);
}
END_TEST

/* Nobody else's policy changes with it. */
static void *by_default(void *arg)
{
	run_on(*(int *)arg);
	runs_are_on(*(int *)arg);
	return NULL;
}

START_TEST(is_the_threads_own)
{
	int other = full_node(1);
	pthread_t t;

	/* A thread inherits the policy of who starts it. */
	ck_assert_int_eq(pthread_create(&t, NULL, by_default, &other), 0);
	policy_is(MPOL_BIND, full_node(2));
	runs_are_on(full_node(2));
	pthread_join(t, NULL);
	runs_are_on(full_node(2));
}
END_TEST

/* As alloc_pages_node() in the kernel: a node that is named comes first. */
START_TEST(a_named_node_comes_first)
{
	policy_is(MPOL_BIND, full_node(1));
	for (int i = 0; i < full_nodes(); i++) {
		void *p = rn_alloc_node(3000, RN_THISNODE, full_node(i));

		ck_assert_ptr_nonnull(p);
		memset(p, 1, 3000);
		ck_assert_int_eq(page_where(p), full_node(i));
		rn_free(p);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("policies");
	TCase *tc = tcase_create("policies");

	need_full_nodes(3);
	tcase_set_timeout(tc, 10);
	tcase_add_loop_test(tc, follows_at_run_time, 0, ARRAY_LEN(modes));
	tcase_add_test(tc, is_the_threads_own);
	tcase_add_test(tc, a_named_node_comes_first);
	suite_add_tcase(s, tc);
	return suite_main(s);
}
