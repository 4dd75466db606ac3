// SPDX-License-Identifier: MIT
/*
 * What slots hold stays within the budget, however many CPUs and caches there
 * are and however small it is; and nothing depends on a slot holding anything.
 */
#define _GNU_SOURCE
#include "helpers.h"

#include "slab.h"

#include <pthread.h>
#include <rn/slab.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#define OBJECTS	600	/* more than a slot's two sheaves have */

static size_t size_of(unsigned int i)
{
	return (size_t)8 << i;
}

#define NR_SIZES	13	/* 8 bytes to 32 KiB */

/* --- what slots hold, counted --- */

struct census {
	const struct rn_cache *c;
	u64 bytes;
	u64 granted;
};

static void count_slot(void *arg, const struct slot *slot)
{
	struct census *sum = arg;

	for (int i = 0; i < 2; i++)
		if (slot->sheaf[i])
			sum->bytes += sheaf_count(slot->sheaf[i]) *
				      (sum->c->size + sizeof(void *));
	if (slot->active)
		sum->bytes += sum->c->pages * PAGE_BYTES;
	sum->granted += slot->granted;
}

static struct census census(void)
{
	struct census sum = { 0 };

	for (struct rn_cache *c = slab_caches; c; c = c->next) {
		sum.c = c;
		for (int node = 0; node < nr_node_ids(); node++)
			percpu_for_each(row_on(c, node), count_slot, &sum);
	}
	return sum;
}

static void expect_within(size_t budget)
{
	struct census sum = census();

	ck_assert_uint_le(sum.bytes, sum.granted);
	ck_assert_uint_le(sum.granted, budget);
	ck_assert_int_eq(vmstat("percpu_granted_kbytes"), sum.granted >> 10);
}

/* --- what a program does --- */

static void use(size_t size, void **p)
{
	for (int k = 0; k < OBJECTS; k++) {
		p[k] = rn_alloc(size, 0);
		ck_assert_ptr_nonnull(p[k]);
		pattern_set(p[k], size, k);
	}
	for (int k = 0; k < OBJECTS; k++) {
		ck_assert(pattern_ok(p[k], size, k));
		rn_free(p[k]);
	}
}

static void use_all_sizes(void)
{
	static void *p[OBJECTS];

	for (unsigned int i = 0; i < NR_SIZES; i++)
		use(size_of(i), p);
}

static void use_on_each_cpu(void)
{
	cpu_set_t allowed, one;

	ck_assert_int_eq(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &allowed))
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		ck_assert_int_eq(sched_setaffinity(0, sizeof(one), &one), 0);
		use_all_sizes();
	}
	sched_setaffinity(0, sizeof(allowed), &allowed);
}

/* What the slots that were used would hold without a budget. */
static u64 wanted(void)
{
	u64 bytes = 0;
	cpu_set_t allowed;

	for (struct rn_cache *c = slab_caches; c; c = c->next)
		bytes += 2 * c->sheaf_capacity * (c->size + sizeof(void *)) +
			 c->pages * PAGE_BYTES;
	ck_assert_int_eq(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
	return bytes * CPU_COUNT(&allowed);
}

/* Each test is a process, whose first call is yet to come. */
static void set_budget(const char *value)
{
	setenv("RN_PERCPU_BUDGET", value, 1);
}

START_TEST(the_default)
{
	size_t budget;

	use_on_each_cpu();
	budget = vmstat("percpu_budget_kbytes") << 10;
	ck_assert_uint_ge(budget, 64 << 20);
	ck_assert_uint_gt(census().bytes, 0);
	expect_within(budget);
	printf("# wanted %lu KiB, granted %ld of %zu, resident %ld\n",
	       wanted() >> 10, vmstat("percpu_granted_kbytes"), budget >> 10,
	       status_value("VmRSS"));
	if (wanted() <= budget / 2)
		ck_assert_int_eq(vmstat("percpu_budget_refused"), 0);
}
END_TEST

START_TEST(less_for_each)
{
	set_budget("1M");
	use_on_each_cpu();
	ck_assert_int_eq(vmstat("percpu_budget_kbytes"), 1024);
	ck_assert_int_gt(vmstat("percpu_budget_refused"), 0);
	ck_assert_uint_gt(census().bytes, 0);
	expect_within(1 << 20);
}
END_TEST

START_TEST(nothing_at_all)
{
	set_budget("1");
	use_on_each_cpu();
	ck_assert_uint_eq(census().bytes, 0);
	expect_within(0);
}
END_TEST

/* What a shrink takes out of the slots can be granted again. */
START_TEST(drained_slots_return_it)
{
	set_budget("1M");
	use_on_each_cpu();
	rn_shrink_all();
	ck_assert_int_eq(vmstat("percpu_granted_kbytes"), 0);
	ck_assert_uint_eq(census().granted, 0);
	use_on_each_cpu();
	expect_within(1 << 20);
}
END_TEST

static void *churn(void *arg)
{
	static __thread void *p[64];
	uint64_t random = (uint64_t)arg;

	for (int i = 0; i < 200000 / LESS; i++) {
		unsigned int k = xorshift(&random) % ARRAY_LEN(p);

		rn_free(p[k]);
		p[k] = rn_alloc(size_of(xorshift(&random) % NR_SIZES), 0);
		if (i % 5000 == 0)
			rn_shrink_all();
	}
	for (size_t k = 0; k < ARRAY_LEN(p); k++)
		rn_free(p[k]);
	return NULL;
}

/* Grants and returns at once. */
START_TEST(threads)
{
	pthread_t t[4];

	set_budget("256K");
	for (uint64_t i = 0; i < ARRAY_LEN(t); i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, churn,
						(void *)(i + 1)), 0);
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		pthread_join(t[i], NULL);
	expect_within(256 << 10);
	rn_shrink_all();
	ck_assert_int_eq(vmstat("percpu_granted_kbytes"), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("budget");
	TCase *tc = tcase_create("budget");

	tcase_add_test(tc, the_default);
	tcase_add_test(tc, less_for_each);
	tcase_add_test(tc, nothing_at_all);
	tcase_add_test(tc, drained_slots_return_it);
	tcase_add_test(tc, threads);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	return suite_main(s);
}
