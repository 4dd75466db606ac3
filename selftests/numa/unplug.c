// SPDX-License-Identifier: MIT
/*
 * CPUs that go and come back while slots are emptied, at each moment of it, and
 * at any moment while threads allocate there and everything takes long: nothing
 * is lost, and nothing is handed out twice.
 */
#define _GNU_SOURCE
#include "../drain.h"
#include "nodes.h"

#include <pthread.h>
#include <rn/reclaim.h>
#include <stdio.h>

static int cpu;			/* that goes */
static bool stop, is_there;

/* False where it is gone. */
static bool try_pin(int to)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(to, &one);
	return !sched_setaffinity(0, sizeof(one), &one);
}

/* Allocates and frees on that CPU, and elsewhere while it is gone. */
static void *stay(void *arg)
{
	while (!READ_ONCE(stop)) {
		WRITE_ONCE(is_there, try_pin(cpu));
		for (int i = 0; i < 64; i++)
			exchange_one();
	}
	return arg;
}

/* On all CPUs. */
static void *roam(void *arg)
{
	while (!READ_ONCE(stop)) {
		try_pin(nth_cpu(below(CPU_COUNT(&allowed))));
		for (int i = 0; i < 64; i++)
			exchange_one();
	}
	return arg;
}

/* --- at one moment --- */

static void go(void)
{
	cpu_online(cpu, false);
}

static void come(void)
{
	cpu_online(cpu, true);
}

static u64 held_there(void)
{
	u64 nr = 0;

	for (unsigned int i = 0; i < SHARED_CACHES; i++)
		for (int node = 0; node < nr_node_ids(); node++) {
			unsigned int row = row_on(caches[i], node);

			nr += slot_is_open(row, cpu) &&
			      !slot_is_empty(slot_of(row, cpu));
		}
	return nr;
}

/* Nobody runs there, so what it had is gone for good; by CPU, that is. */
static void expect_nothing_there(void)
{
	if (!percpu_has_rseq() || vmstat("percpu_index_mm_cid"))
		return;
	drain_all();
	ck_assert_uint_eq(held_there(), 0);
}

static bool can_be(enum moment m)
{
	return percpu_has_rseq() || m == PICKED || m == TAKEN;
}

START_TEST(at_a_moment)
{
	pthread_t t;

	setup();
	if (!can_be(_i))
		return;
	pin(nth_cpu(0));
	inject_delay = PAUSES;
	must(!pthread_create(&t, NULL, stay, NULL));
	for (int i = 0; i < 3; i++) {
		wait_for_flag(&is_there);
		use(caches[0]);
		drain_with(_i, go);
		expect_nothing_there();
		use(caches[0]);
		drain_with(_i, come);
		WRITE_ONCE(is_there, false);
	}
	wait_for_flag(&is_there);
	WRITE_ONCE(stop, true);
	pthread_join(t, NULL);
	end_exchange();
}
END_TEST

/* --- at any moment --- */

static u64 drains;

static void *age_on(void *arg)
{
	pin(nth_cpu(0));
	while (!READ_ONCE(stop)) {
		tick();
		drain_all();
		stat_inc(&drains);
		usleep(below(MOMENT_US));
	}
	return arg;
}

static void *shrink_on(void *arg)
{
	pin(nth_cpu(0));
	while (!READ_ONCE(stop)) {
		rn_shrink_all();
		stat_inc(&drains);
		usleep(below(MOMENT_US));
	}
	return arg;
}

static const struct {
	const char *decay_ms;
	void *(*drain)(void *arg);	/* NULL: the background thread */
} drainers[] = {
	{ "-1", age_on }, { "-1", shrink_on }, { "80", NULL },
};

static void go_and_come(void)
{
	enum { ROUNDS = 6 };

	for (int i = 0; i < ROUNDS; i++) {
		usleep(below(100000));
		go();
		usleep(below(100000));
		come();
	}
}

START_TEST(beside_threads)
{
	void *(*const work[])(void *) = {
		stay, stay, roam, roam, drainers[_i].drain,
	};
	size_t nr = ARRAY_LEN(work) - !drainers[_i].drain;
	pthread_t t[ARRAY_LEN(work)];
	long emptied;

	setup_with(drainers[_i].decay_ms);
	emptied = vmstat("slot_drains");
	take_long();
	for (size_t i = 0; i < nr; i++)
		must(!pthread_create(&t[i], NULL, work[i], NULL));
	if (!drainers[_i].drain)
		ck_assert_int_eq(rn_background_start(), 0);
	pin(nth_cpu(0));
	go_and_come();
	WRITE_ONCE(stop, true);
	for (size_t i = 0; i < nr; i++)
		pthread_join(t[i], NULL);
	ck_assert_int_eq(rn_background_stop(), 0);
	ck_assert_int_gt(vmstat("slot_drains"), emptied);
	printf("# %ld drains, %lu long moments\n",
	       vmstat("slot_drains") - emptied, long_moments);
	end_exchange();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("unplug");
	TCase *tc = tcase_create("unplug");

	need_full_nodes(1);
	cpu = cpu_that_can_go();
	if (cpu < 0) {
		puts("no CPU can be taken offline");
		return 77;
	}
	tcase_set_timeout(tc, 20);
	tcase_add_loop_test(tc, at_a_moment, 0, NR_MOMENTS);
	tcase_add_loop_test(tc, beside_threads, 0, ARRAY_LEN(drainers));
	suite_add_tcase(s, tc);
	return suite_main(s);
}
