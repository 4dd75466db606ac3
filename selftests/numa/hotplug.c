// SPDX-License-Identifier: MIT
/*
 * CPUs that go and come back while threads allocate on them, one and a whole
 * node's; threads that go from node to node. Nothing is lost in the count.
 */
#define _GNU_SOURCE
#include "nodes.h"
#include "../stress.h"

#include <numa.h>
#include <rn/pages.h>
#include <rn/slab.h>
#include <rn/vmstat.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#define OBJECTS	500

/* While nobody runs, every object is accounted for; then none is left. */
static void expect_exact(unsigned long before)
{
	struct slabinfo info;

	for (unsigned int i = 0; i < STRESS_CACHES; i++) {
		ck_assert(slabinfo_of(rn_cache_name(stress_caches[i]), &info));
		ck_assert_uint_eq(info.active, stress_held(i));
	}
	stress_clear();
	ck_assert_uint_eq(slabinfo_active(), before);
	stress_destroy_caches();
}

static void a_while(void)
{
	usleep(300000);
}

START_TEST(one_cpu_goes_and_comes_back)
{
	enum { ROUNDS = 4 };
	int cpu = cpu_that_can_go();
	unsigned long before;

	stress_make_caches();
	before = slabinfo_active();
	stress_start(STRESS_THREADS, 0);
	for (int i = 0; i < ROUNDS; i++) {
		a_while();
		cpu_online(cpu, false);
		a_while();
		/* What lies in the absent one's slots is in the count, too. */
		free(dump_text(rn_slabinfo));
		if (i % 2)
			rn_cache_shrink(stress_caches[0]);
		cpu_online(cpu, true);
	}
	stress_join();
	expect_exact(before);
}
END_TEST

static void cpus_of(int node, struct bitmask *cpus)
{
	ck_assert_int_eq(numa_node_to_cpus(node, cpus), 0);
}

static void all_online(const struct bitmask *cpus, bool online)
{
	for (int cpu = 0; cpu < numa_num_configured_cpus(); cpu++)
		if (numa_bitmask_isbitset(cpus, cpu))
			cpu_online(cpu, online);
}

static void fill(void **p, int node)
{
	for (int i = 0; i < OBJECTS; i++) {
		p[i] = rn_cache_alloc_node(stress_caches[0], RN_THISNODE,
					   node);
		if (!p[i] || page_where(p[i]) != node)
			ck_abort_msg("%p is not on node %d", p[i], node);
	}
}

static void drop(void **p)
{
	for (int i = 0; i < OBJECTS; i++)
		rn_cache_free(stress_caches[0], p[i]);
}

START_TEST(a_whole_node_goes_and_comes_back)
{
	struct bitmask *cpus = numa_allocate_cpumask();
	void *p[OBJECTS], *q[OBJECTS];
	int node = full_node(full_nodes() - 1);	/* the first CPU cannot go */
	unsigned long before;

	stress_make_caches();
	before = slabinfo_active();
	cpus_of(node, cpus);
	stress_start(STRESS_THREADS, 0);
	a_while();
	fill(p, node);
	all_online(cpus, false);
	/* Its memory is still there for who asks. */
	a_while();
	fill(q, node);
	drop(p);
	rn_shrink_all();
	all_online(cpus, true);
	a_while();
	drop(q);
	stress_join();
	expect_exact(before);
	numa_bitmask_free(cpus);
}
END_TEST

/* --- threads that move --- */

/* A thread's own memory is where it runs, at once after it has moved. */
START_TEST(memory_follows_the_thread)
{
	void *p[OBJECTS];

	stress_make_caches();
	for (int round = 0; round < 16; round++) {
		int node = full_node(round % full_nodes());

		run_on(node);
		for (int k = 0; k < OBJECTS; k++) {
			p[k] = rn_cache_alloc(stress_caches[k % STRESS_CACHES],
					      0);
			if (!p[k] || page_where(p[k]) != node)
				ck_abort_msg("%p is not on node %d", p[k],
					     node);
		}
		/* Half of them are freed from the next node. */
		if (round % 2)
			run_on(full_node(0));
		for (int k = 0; k < OBJECTS; k++)
			rn_cache_free(stress_caches[k % STRESS_CACHES], p[k]);
	}
	ck_assert_uint_eq(slabinfo_active(), 0);
	stress_destroy_caches();
}
END_TEST

START_TEST(threads_go_from_node_to_node)
{
	enum { MOVES = 200 };
	unsigned long before;

	stress_make_caches();
	before = slabinfo_active();
	stress_start(STRESS_THREADS, 0);
	for (int i = 0; i < MOVES; i++) {
		struct bitmask *cpus = numa_allocate_cpumask();
		int node = full_node(i % full_nodes());

		cpus_of(node, cpus);
		ck_assert_int_eq(numa_sched_setaffinity(
			stress_tid(i % STRESS_THREADS), cpus), 0);
		numa_bitmask_free(cpus);
		usleep(5000);
	}
	stress_join();
	expect_exact(before);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("hotplug");
	TCase *going = tcase_create("going");
	TCase *moving = tcase_create("moving");

	need_full_nodes(2);
	tcase_set_timeout(going, 10);
	tcase_set_timeout(moving, 10);
	if (cpu_that_can_go() >= 0) {
		tcase_add_test(going, one_cpu_goes_and_comes_back);
		tcase_add_test(going, a_whole_node_goes_and_comes_back);
	} else {
		skip_part("CPUs that go", "no CPU can be taken offline");
	}
	tcase_add_test(moving, memory_follows_the_thread);
	tcase_add_test(moving, threads_go_from_node_to_node);
	suite_add_tcase(s, going);
	suite_add_tcase(s, moving);
	return suite_main(s);
}
