// SPDX-License-Identifier: MIT
/*
 * What slots hold stays within the budget, however many CPUs and caches there
 * are and however small it is; and nothing depends on a slot holding anything.
 * Who is refused gets what others do not use. Time is this test's.
 */
#define _GNU_SOURCE
#include "given.h"
#include "helpers.h"

#include "slab.h"

#include <pthread.h>
#include <rn/slab.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define OBJECTS	600	/* more than a slot's two sheaves have */

static size_t size_of(unsigned int i)
{
	return (size_t)8 << i;
}

#define NR_SIZES	13	/* 8 bytes to 32 KiB */

/* --- the clock that clock_ms() reads --- */

static u64 ms = 1000;

int clock_gettime(clockid_t clock, struct timespec *t)
{
	if (clock != CLOCK_MONOTONIC_COARSE)
		return syscall(SYS_clock_gettime, clock, t);
	t->tv_sec = READ_ONCE(ms) / 1000;
	t->tv_nsec = READ_ONCE(ms) % 1000 * 1000000;
	return 0;
}

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
	if (options.percpu_budget)
		ck_assert_uint_eq(budget_left(),
				  options.percpu_budget - sum.granted);
}

static u64 granted_to(struct rn_cache *c)
{
	struct census sum = { .c = c };

	for (int node = 0; node < nr_node_ids(); node++)
		percpu_for_each(row_on(c, node), count_slot, &sum);
	return sum.granted;
}

static size_t tick(void)
{
	size_t bytes = 0;
	bool more = true;

	while (more) {
		unsigned int ticket = gate_enter();

		bytes += slots_age(WHY_DECAY, &more);
		gate_exit(ticket);
	}
	return bytes;
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
	expect_within(1);
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
		/* By now those who are refused look at the others' slots. */
		if (i % 1000 == 0)
			stat_add(&ms, 20);
		if (i % 3000 == 0)
			tick();
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
	init_given();
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

/* --- one has it, and another one wants it --- */

static struct rn_cache *has, *wants;

static struct rn_cache *make(void)
{
	struct rn_cache_args args = {
		.sz = sizeof(args), .size = 1024, .flags = RN_NOMERGE,
	};
	struct rn_cache *c = rn_cache_create("budget", &args);

	ck_assert_ptr_nonnull(c);
	return c;
}

static void use_cache(struct rn_cache *c)
{
	static void *p[OBJECTS];

	for (int i = 0; i < OBJECTS; i++) {
		p[i] = rn_cache_alloc(c, 0);
		ck_assert_ptr_nonnull(p[i]);
		pattern_set(p[i], 1024, i);
	}
	for (int i = 0; i < OBJECTS; i++) {
		ck_assert(pattern_ok(p[i], 1024, i));
		rn_cache_free(c, p[i]);
	}
}

#define BUDGET	(256UL << 10)

static void stay(void)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	ck_assert_int_eq(sched_setaffinity(0, sizeof(one), &one), 0);
}

/* One has nearly all of it, and both want twice as much. */
static void begin_unfair(void)
{
	stay();
	set_budget("256K");
	has = make();
	wants = make();
	for (int i = 0; i < 20; i++)
		use_cache(has);
	ck_assert_uint_gt(granted_to(has), BUDGET * 3 / 4);
	use_cache(wants);
	ck_assert_uint_lt(granted_to(wants), BUDGET / 4);
	expect_within(BUDGET);
}

static bool is_fair(void)
{
	return granted_to(has) > BUDGET / 4 && granted_to(wants) > BUDGET / 4;
}

static void begin(void)
{
	begin_unfair();
	for (int i = 0; i < 20 && !is_fair(); i++) {
		ms += 10;
		use_cache(has);
		use_cache(wants);
	}
	ck_assert(is_fair());
	expect_within(BUDGET);
}

static void end(void)
{
	expect_within(BUDGET);
	ck_assert_int_eq(rn_cache_destroy(has), 0);
	ck_assert_int_eq(rn_cache_destroy(wants), 0);
	ck_assert_int_eq(vmstat("percpu_granted_kbytes"), 0);
}

/* Both are busy; who came first has to give, and neither is left without. */
START_TEST(who_came_first_gives)
{
	begin();
	for (int i = 0; i < 100; i++) {
		ms += 10;
		use_cache(has);
		use_cache(wants);
		if (i % 10 == 0)
			tick();
		use_cache(has);
		use_cache(wants);
		ck_assert_uint_gt(granted_to(has), BUDGET / 8);
		ck_assert_uint_gt(granted_to(wants), BUDGET / 8);
	}
	end();
}
END_TEST

START_TEST(who_misses_steals_what_is_idle)
{
	long steals, stolen;
	u64 had;

	begin();
	had = granted_to(has);
	steals = vmstat("percpu_budget_steals");
	stolen = vmstat("percpu_stolen_kbytes");
	/* A look notes what there is; in the next one it is idle. */
	for (int i = 0; i < 200 && granted_to(has); i++) {
		ms += 10;
		use_cache(wants);
	}
	ck_assert_uint_eq(granted_to(has), 0);
	ck_assert_int_eq(vmstat("percpu_budget_steals"), steals + 1);
	ck_assert_int_ge(vmstat("percpu_stolen_kbytes"),
			 stolen + (long)(had >> 10));
	expect_within(BUDGET);
	/* It gets the most of it, a part at each visit. */
	for (int i = 0; i < 20; i++)
		use_cache(wants);
	ck_assert_uint_gt(granted_to(wants), BUDGET * 3 / 4);
	end();
}
END_TEST

/* Nobody steals as long as the clock stands still. */
START_TEST(but_not_at_once)
{
	long steals;

	begin();
	steals = vmstat("percpu_budget_steals");
	for (int i = 0; i < 20; i++)
		use_cache(wants);
	ck_assert_int_eq(vmstat("percpu_budget_steals"), steals);
	ck_assert_uint_gt(granted_to(has), BUDGET / 4);
	end();
}
END_TEST

static void expect_pause(u64 pause)
{
	ms += pause - 1;
	ck_assert(!budget_may_steal());
	ms++;
	ck_assert(budget_may_steal());
	ck_assert(!budget_may_steal());
}

START_TEST(looks_become_seldom)
{
	set_budget("256K");
	init_given();
	ck_assert(budget_may_steal());
	expect_pause(10);
	for (u64 pause = 20; pause <= 1280; pause *= 2) {
		budget_stolen(0, false);
		expect_pause(pause);
	}
	/* As seldom as that, and no less. */
	budget_stolen(100, false);
	expect_pause(1280);
	budget_stolen(100, true);
	expect_pause(10);
	ms += 1000;
	budget_looked();
	expect_pause(10);
}
END_TEST

/* The clock stands still: nobody steals, and it is the tick that shares. */
START_TEST(at_a_tick_it_goes_to_who_missed)
{
	u64 had, left;

	begin();
	tick();
	ck_assert(is_fair());
	use_cache(wants);
	had = granted_to(wants);
	left = budget_left() + granted_to(has);
	ck_assert_uint_gt(tick(), 0);
	ck_assert_uint_eq(granted_to(has), 0);
	/* It is the only one, so half is its share. */
	ck_assert_uint_eq(granted_to(wants), had + left / 2);
	expect_within(BUDGET);
	/* Not used, it is given up. */
	tick();
	ck_assert_uint_eq(granted_to(wants), 0);
	end();
}
END_TEST

static u64 refused_now(void)
{
	return vmstat("percpu_budget_refused");
}

/* What who does @pairs in a tick has after it; the other one misses. */
static u64 granted_after(int pairs)
{
	u64 refused;

	begin();
	tick();
	ck_assert(is_fair());
	refused = refused_now();
	use_cache(wants);
	refused = refused_now() - refused;
	ck_assert_uint_gt(refused, 8);
	ck_assert_uint_lt(refused, 1000);
	for (int i = 0; i < pairs; i++)
		rn_cache_free(has, rn_cache_alloc(has, 0));
	tick();
	return granted_to(has);
}

START_TEST(who_hardly_uses_it_gives_it_up)
{
	ck_assert_uint_eq(granted_after(1), 0);
	ck_assert_uint_gt(granted_to(wants), BUDGET / 2);
	end();
}
END_TEST

START_TEST(who_uses_it_keeps_it)
{
	ck_assert_uint_gt(granted_after(1000), BUDGET / 4);
	end();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("budget");
	TCase *tc = tcase_create("budget");

	/* No ticks but this test's. */
	setenv("RN_DECAY_MS", "-1", 1);
	tcase_add_test(tc, the_default);
	tcase_add_test(tc, less_for_each);
	tcase_add_test(tc, nothing_at_all);
	tcase_add_test(tc, drained_slots_return_it);
	tcase_add_test(tc, threads);
	tcase_add_test(tc, who_came_first_gives);
	tcase_add_test(tc, who_misses_steals_what_is_idle);
	tcase_add_test(tc, but_not_at_once);
	tcase_add_test(tc, looks_become_seldom);
	tcase_add_test(tc, at_a_tick_it_goes_to_who_missed);
	tcase_add_test(tc, who_hardly_uses_it_gives_it_up);
	tcase_add_test(tc, who_uses_it_keeps_it);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	return suite_main(s);
}
