// SPDX-License-Identifier: MIT
/*
 * Policies that change while the program runs, and the node of an address. On a
 * machine with several nodes; everything is checked against what the kernel
 * says of each page.
 */
#define _GNU_SOURCE
#include "helpers.h"

#include "slab.h"
#include "zone.h"

#include <numaif.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { OBJECTS = 4000, SIZE = 512 };

static int nodes[MAX_NODES], nr_nodes;	/* those with memory */

static void find_nodes(void)
{
	mm_init();
	for (int n = 0; n < nr_node_ids(); n++)
		if (node_has_memory(n))
			nodes[nr_nodes++] = n;
}

/* By the kernel alone; -1 where nothing is there. */
static int kernel_node(void *p)
{
	int node = -1;

	*(volatile char *)p;
	ck_assert_int_eq(move_pages(0, 1, &p, NULL, &node, 0), 0);
	return node < 0 ? -1 : node;
}

static void set_policy(int mode, unsigned long mask)
{
	ck_assert_int_eq(set_mempolicy(mode, mask ? &mask : NULL,
				       mask ? 64 : 0), 0);
}

static void *touched(size_t size)
{
	void *p = rn_alloc(size, 0);

	ck_assert_ptr_nonnull(p);
	memset(p, 1, size);
	return p;
}

/* Of @nr objects, which stay allocated, those that are not on @node. */
static int elsewhere(int nr, size_t size, int node)
{
	int wrong = 0;

	for (int i = 0; i < nr; i++)
		wrong += kernel_node(touched(size)) != node;
	return wrong;
}

static void stay_on_this_cpu(void)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	ck_assert_int_eq(sched_setaffinity(0, sizeof(one), &one), 0);
}

/* --- a policy that changes --- */

START_TEST(shrinking_makes_it_so_at_once)
{
	for (int i = 0; i < nr_nodes; i++) {
		elsewhere(OBJECTS, SIZE, nodes[i]);
		set_policy(MPOL_BIND, 1UL << nodes[i]);
		rn_shrink_all();
		ck_assert_int_eq(elsewhere(OBJECTS, SIZE, nodes[i]), 0);
	}
	set_policy(MPOL_PREFERRED, 1UL << nodes[1]);
	rn_shrink_all();
	ck_assert_int_eq(elsewhere(OBJECTS, SIZE, nodes[1]), 0);
	set_policy(MPOL_DEFAULT, 0);
	rn_shrink_all();
	ck_assert_int_eq(elsewhere(OBJECTS, SIZE, numa_local_node()), 0);
}
END_TEST

/* What two sheaves and an active slab hold, and not more. */
START_TEST(it_follows_by_itself)
{
	struct rn_cache *c;
	int most, other;

	rn_free(touched(SIZE));
	c = row_to_cache(ptr_to_row(touched(SIZE)));
	most = 2 * c->sheaf_capacity + c->objects;
	elsewhere(OBJECTS, SIZE, 0);
	other = nodes[numa_local_node() == nodes[0]];
	set_policy(MPOL_BIND, 1UL << other);
	ck_assert_int_le(elsewhere(OBJECTS, SIZE, other), most);
	ck_assert_int_eq(elsewhere(OBJECTS, SIZE, other), 0);
}
END_TEST

/* Objects go round by the slab, runs one by one. */
START_TEST(interleaving_is_even)
{
	enum { ALL = 2000, RUNS = 64, OBJECT = 4096, RUN = 128 << 10 };
	int objects[MAX_NODES] = { 0 }, runs[MAX_NODES] = { 0 };
	unsigned long mask = 0;

	for (int i = 0; i < nr_nodes; i++)
		mask |= 1UL << nodes[i];
	set_policy(MPOL_INTERLEAVE, mask);
	for (int i = 0; i < ALL; i++)
		objects[kernel_node(touched(OBJECT))]++;
	for (int i = 0; i < RUNS; i++)
		runs[kernel_node(touched(RUN))]++;
	for (int i = 0; i < nr_nodes; i++) {
		ck_assert_int_ge(objects[nodes[i]], ALL / nr_nodes * 9 / 10);
		ck_assert_int_le(objects[nodes[i]], ALL / nr_nodes * 11 / 10);
		ck_assert_int_ge(runs[nodes[i]], RUNS / nr_nodes - 1);
		ck_assert_int_le(runs[nodes[i]], RUNS / nr_nodes + 1);
	}
}
END_TEST

static pthread_barrier_t both;

/* A policy is the thread's own: two of them, on one CPU, in turns. */
static void *bound_thread(void *arg)
{
	int node = *(int *)arg, wrong = 0;

	set_policy(MPOL_BIND, 1UL << node);
	for (int round = 0; round < 20; round++) {
		pthread_barrier_wait(&both);
		wrong += elsewhere(OBJECTS / 20, 4096, node);
	}
	return (void *)(intptr_t)wrong;
}

START_TEST(threads_have_policies_of_their_own)
{
	int threads = min(nr_nodes, 2), wrong = 0;
	pthread_t t[2];
	void *n;

	stay_on_this_cpu();
	pthread_barrier_init(&both, NULL, threads);
	for (int i = 0; i < threads; i++)
		pthread_create(&t[i], NULL, bound_thread, &nodes[i]);
	for (int i = 0; i < threads; i++) {
		pthread_join(t[i], &n);
		wrong += (intptr_t)n;
	}
	/* In a round a slot that the other one has filled is used up first. */
	ck_assert_int_le(wrong, 20 * threads * 2 * 30);
}
END_TEST

/* Large runs and pages ask for themselves. */
START_TEST(runs_follow_at_once)
{
	for (int i = 0; i < nr_nodes; i++) {
		set_policy(MPOL_BIND, 1UL << nodes[i]);
		ck_assert_int_eq(elsewhere(20, 100 << 10, nodes[i]), 0);
		ck_assert_int_eq(elsewhere(2, 3 << 20, nodes[i]), 0);
		for (int k = 0; k < 20; k++)
			ck_assert_int_eq(kernel_node(
				rn_alloc_pages(2, RN_ZERO, RN_NO_NODE)),
				nodes[i]);
	}
}
END_TEST

#define CGROUPS	"/sys/fs/cgroup/"
#define MINE	CGROUPS "libslab-test/"

static bool write_text(const char *path, const char *fmt, int n)
{
	FILE *f = fopen(path, "w");

	if (!f)
		return false;
	fprintf(f, fmt, n);
	return !fclose(f);
}

/* Into a cpuset of our own, with one node; false where that cannot be. */
static bool into_cpuset(int node)
{
	write_text(CGROUPS "cgroup.subtree_control", "+cpuset", 0);
	mkdir(MINE, 0755);
	return write_text(MINE "cpuset.mems", "%d", node) &&
	       write_text(MINE "cgroup.procs", "%d", getpid());
}

static void out_of_cpuset(void)
{
	write_text(CGROUPS "cgroup.procs", "%d", getpid());
	rmdir(MINE);
}

/* The default policy, and one that the kernel shifts along. */
START_TEST(a_cpuset_that_changes)
{
	static const int modes[] = { MPOL_DEFAULT, MPOL_BIND };
	void *p;

	if (!into_cpuset(nodes[0])) {
		skip_part(__func__, "no cpusets can be made here");
		return;
	}
	set_policy(modes[_i], modes[_i] ? 1UL << nodes[0] : 0);
	elsewhere(OBJECTS, SIZE, nodes[0]);
	ck_assert(write_text(MINE "cpuset.mems", "%d", nodes[1]));
	rn_shrink_all();
	ck_assert_int_eq(elsewhere(OBJECTS, SIZE, nodes[1]), 0);
	ck_assert_ptr_null(rn_alloc_node(SIZE, RN_THISNODE, nodes[0]));
	ck_assert_int_eq(kernel_node(touched(3 << 20)), nodes[1]);
	ck_assert(write_text(MINE "cpuset.mems", "0-%d", nodes[nr_nodes - 1]));
	rn_shrink_all();
	/* New memory: what there was the kernel has migrated. */
	p = rn_alloc_pages(PAGEBLOCK_ORDER, RN_ZERO, nodes[0]);
	ck_assert_int_eq(kernel_node(p), nodes[0]);
	out_of_cpuset();
}
END_TEST

/* --- named nodes --- */

/* On one CPU: another one's fast path may be another node's yet. */
START_TEST(a_named_node_goes_before_the_policy)
{
	stay_on_this_cpu();
	set_policy(MPOL_BIND, 1UL << nodes[0]);
	rn_shrink_all();
	touched(SIZE);
	for (int i = 0; i < nr_nodes; i++) {
		for (int k = 0; k < 1000; k++) {
			void *p = rn_alloc_node(SIZE, RN_ZERO | RN_THISNODE,
						nodes[i]);

			ck_assert_ptr_nonnull(p);
			ck_assert_int_eq(kernel_node(p), nodes[i]);
		}
	}
	ck_assert_int_eq(elsewhere(OBJECTS, SIZE, nodes[0]), 0);
}
END_TEST

START_TEST(nodes_without_memory)
{
	for (int n = 0; n < nr_node_ids(); n++) {
		void *p;

		if (node_has_memory(n))
			continue;
		ck_assert_ptr_null(rn_alloc_node(SIZE, RN_THISNODE, n));
		ck_assert_int_eq(errno, ENOMEM);
		ck_assert_ptr_null(rn_alloc_pages(0, RN_THISNODE, n));
		p = rn_alloc_node(SIZE, RN_ZERO, n);
		ck_assert_int_eq(kernel_node(p), node_fallback(n, 0));
	}
	errno = 0;
	ck_assert_ptr_null(rn_alloc_node(SIZE, 0, nr_node_ids()));
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_ptr_null(rn_alloc_node(SIZE, 0, -2));
	ck_assert_int_eq(errno, EINVAL);
}
END_TEST

/* --- the node of an address --- */

static void move_to(void *p, int node)
{
	int status = -1;

	ck_assert_int_eq(move_pages(0, 1, &p, &node, &status, MPOL_MF_MOVE), 0);
	ck_assert_int_eq(status, node);
}

START_TEST(a_page_that_was_migrated)
{
	char *p = rn_alloc_pages(0, RN_ZERO, nodes[0]);

	p[0] = 1;
	ck_assert_int_eq(rn_addr_to_node(p), nodes[0]);
	move_to(p, nodes[1]);
	ck_assert_int_eq(rn_addr_to_node(p), nodes[1]);
	ck_assert_int_eq(rn_addr_to_node(p + 4095), nodes[1]);
}
END_TEST

/* The child's copy comes from where the child says, the parent's page stays. */
START_TEST(a_page_that_a_child_has_copied)
{
	char *p = rn_alloc_pages(PAGEBLOCK_ORDER, 0, nodes[0]);
	unsigned long mask = 1UL << nodes[1];
	int status;
	pid_t pid;

	p[0] = 1;
	pid = fork();
	if (!pid) {
		mbind(p, PAGEBLOCK_BYTES, MPOL_PREFERRED, &mask, 64, 0);
		p[0] = 2;
		_exit(kernel_node(p) != nodes[1] ||
		      rn_addr_to_node(p) != nodes[1]);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(rn_addr_to_node(p), nodes[0]);
}
END_TEST

START_TEST(pages_that_are_not_there)
{
	size_t size = 256 << 20;
	char *p = rn_alloc_node(size, 0, nodes[1]);
	int foreign;

	ck_assert_ptr_nonnull(p);
	errno = 77;
	ck_assert_int_eq(rn_addr_to_node(p + size / 2), nodes[1]);
	/* It was not brought in by being asked for. */
	ck_assert_int_lt(page_node(p + size / 2), 0);
	p[size / 2] = 1;
	ck_assert_int_eq(rn_addr_to_node(p + size / 2),
			 kernel_node(p + size / 2));
	ck_assert_int_eq(rn_addr_to_node(&foreign), -EFAULT);
	ck_assert_int_eq(errno, 77);
}
END_TEST

START_TEST(hugetlb_pages)
{
	char *p = rn_alloc(1 << 20, RN_HUGETLB);

	if (!p) {
		skip_part(__func__, "no hugetlb pages");
		return;
	}
	for (size_t at = 0; at < 1 << 20; at += 60000) {
		p[at] = 1;
		ck_assert_int_eq(rn_addr_to_node(p + at), kernel_node(p + at));
	}
}
END_TEST

/* --- figures --- */

static long figure(int node, const char *name)
{
	char line[64];

	snprintf(line, sizeof(line), "node%d_%s", node, name);
	return vmstat(line);
}

static int home(void)
{
	unsigned int node;

	ck_assert_int_eq(getcpu(NULL, &node), 0);
	return node;
}

START_TEST(figures_of_a_bound_thread)
{
	long hit[MAX_NODES], other[MAX_NODES];

	stay_on_this_cpu();
	for (int i = 0; i < nr_nodes; i++) {
		int node = nodes[i];

		set_policy(MPOL_BIND, 1UL << node);
		rn_shrink_all();
		for (int n = 0; n < nr_nodes; n++) {
			hit[n] = figure(nodes[n], "numa_hit");
			other[n] = figure(nodes[n], "other_node");
		}
		elsewhere(OBJECTS, SIZE, node);
		elsewhere(3, 1 << 20, node);
		for (int n = 0; n < nr_nodes; n++) {
			long want = n == i ? OBJECTS + 3 : 0;

			ck_assert_int_eq(figure(nodes[n], "numa_hit") - hit[n],
					 want);
			ck_assert_int_eq(figure(nodes[n], "other_node") -
					 other[n], node == home() ? 0 : want);
		}
		ck_assert_int_eq(figure(node, "interleave_hit"), 0);
		ck_assert_int_eq(figure(node, "numa_miss"), 0);
	}
}
END_TEST

START_TEST(figures_of_interleaving)
{
	unsigned long mask = 0;

	for (int i = 0; i < nr_nodes; i++)
		mask |= 1UL << nodes[i];
	set_policy(MPOL_INTERLEAVE, mask);
	elsewhere(OBJECTS, SIZE, 0);
	elsewhere(3 * nr_nodes, 1 << 20, 0);
	ck_assert_int_eq(vmstat_nodes("interleave_hit"),
			 OBJECTS + 3 * nr_nodes);
	ck_assert_int_eq(vmstat_nodes("numa_hit"), OBJECTS + 3 * nr_nodes);
	for (int i = 0; i < nr_nodes; i++)
		ck_assert_int_gt(figure(nodes[i], "interleave_hit"), 0);
}
END_TEST

/* One with hugetlb pages, or one without; -1 where there is none. */
static int a_node(bool with_hugetlb)
{
	for (int i = 0; i < nr_nodes; i++) {
		char line[64];
		long pages;

		snprintf(line, sizeof(line), "hugetlb_2048kB_node%d_free",
			 nodes[i]);
		pages = vmstat(line);
		if (pages >= 0 && with_hugetlb == (pages > 0))
			return nodes[i];
	}
	return -1;
}

START_TEST(figures_of_what_had_to_come_from_elsewhere)
{
	enum { N = 100, RUNS = 3, RUN = 70000 };
	int poor = a_node(false);

	if (poor < 0 || a_node(true) < 0) {
		skip_part(__func__, "no node without and no node with "
			  "hugetlb pages");
		return;
	}
	for (int i = 0; i < N; i++)
		ck_assert_ptr_nonnull(rn_alloc_node(SIZE, RN_HUGETLB, poor));
	for (int i = 0; i < RUNS; i++)
		ck_assert_ptr_nonnull(rn_alloc_node(RUN, RN_HUGETLB, poor));
	ck_assert_int_eq(figure(poor, "numa_foreign"), N + RUNS);
	ck_assert_int_eq(vmstat_nodes("numa_miss"), N + RUNS);
	ck_assert_int_eq(figure(poor, "numa_miss"), 0);
	ck_assert_int_eq(vmstat_nodes("numa_hit"), 0);
	ck_assert_ptr_null(rn_alloc_node(SIZE, RN_HUGETLB | RN_THISNODE, poor));
	ck_assert_ptr_null(rn_alloc_node(RUN, RN_HUGETLB | RN_THISNODE, poor));
	ck_assert_int_eq(figure(poor, "numa_foreign"), N + RUNS);
}
END_TEST

/* --- a node that is full --- */

static bool set_pool(int node, int pages)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/"
		 "hugepages/hugepages-2048kB/nr_hugepages", node);
	return write_text(path, "%d", pages);
}

static long refused_on(int node)
{
	return max(figure(node, "ladder_hugetlb_pool_empty"), 0) +
	       max(figure(node, "ladder_hugetlb_populate_failed"), 0);
}

/* What comes from elsewhere asks the full node seldom, and loses nothing. */
START_TEST(a_full_node_is_asked_seldom)
{
	enum { N = 20000 };
	int poor = a_node(false);
	long slabs, start;
	struct timespec nap = { 0, 200000000 };
	void *first;

	if (poor < 0 || a_node(true) < 0) {
		skip_part(__func__, "no node without and no node with "
			  "hugetlb pages");
		return;
	}
	first = rn_alloc_node(SIZE, RN_HUGETLB, poor);
	ck_assert_ptr_nonnull(first);
	ck_assert_int_ne(kernel_node(first), poor);
	start = time(NULL);
	for (int i = 0; i < N; i++)
		ck_assert_ptr_nonnull(rn_alloc_node(SIZE, RN_HUGETLB, poor));
	/* 20 times a second. */
	ck_assert_int_le(refused_on(poor), (time(NULL) - start + 2) * 20);
	slabs = vmstat("nr_slabs");
	ck_assert_int_le(slabs, 4 + N * SIZE / (16 << 10));
	/* Who wants no other node asks at once. */
	ck_assert_ptr_null(rn_alloc_node(70000, RN_HUGETLB | RN_THISNODE,
					 poor));
	if (!set_pool(poor, 4)) {
		skip_part(__func__, "the pool cannot be made larger");
		return;
	}
	first = rn_alloc_node(70000, RN_HUGETLB | RN_THISNODE, poor);
	ck_assert_int_eq(kernel_node(memset(first, 1, 70000)), poor);
	nanosleep(&nap, NULL);
	first = rn_alloc_node(4 << 20, RN_HUGETLB, poor);
	ck_assert_int_eq(kernel_node(memset(first, 1, 4 << 20)), poor);
	/* What is freed there is used there, full or not. */
	ck_assert_int_ne(rn_addr_to_node(rn_alloc_node(4 << 20, RN_HUGETLB,
						       poor)), poor);
	rn_free(first);
	first = rn_alloc_node(4 << 20, RN_HUGETLB, poor);
	ck_assert_int_eq(rn_addr_to_node(first), poor);
	set_pool(poor, 0);
}
END_TEST

int main(void)
{
	Suite *s;
	TCase *t;

	find_nodes();
	if (nr_nodes < 2) {
		puts("one node has all memory");
		return 77;
	}
	s = suite_create("mempolicy");
	t = tcase_create("policy");
	suite_add_tcase(s, t);
	tcase_add_test(t, shrinking_makes_it_so_at_once);
	tcase_add_test(t, it_follows_by_itself);
	tcase_add_test(t, interleaving_is_even);
	tcase_add_test(t, threads_have_policies_of_their_own);
	tcase_add_test(t, runs_follow_at_once);
	tcase_add_loop_test(t, a_cpuset_that_changes, 0, 2);
	t = tcase_create("named");
	suite_add_tcase(s, t);
	tcase_add_test(t, a_named_node_goes_before_the_policy);
	tcase_add_test(t, nodes_without_memory);
	t = tcase_create("address");
	suite_add_tcase(s, t);
	tcase_add_test(t, a_page_that_was_migrated);
	tcase_add_test(t, a_page_that_a_child_has_copied);
	tcase_add_test(t, pages_that_are_not_there);
	tcase_add_test(t, hugetlb_pages);
	t = tcase_create("figures");
	suite_add_tcase(s, t);
	tcase_add_test(t, figures_of_a_bound_thread);
	tcase_add_test(t, figures_of_interleaving);
	tcase_add_test(t, figures_of_what_had_to_come_from_elsewhere);
	t = tcase_create("full");
	suite_add_tcase(s, t);
	tcase_add_test(t, a_full_node_is_asked_seldom);
	return suite_main(s);
}
