// SPDX-License-Identifier: MIT
/*
 * Slots that nobody uses: they are found and emptied, all of a slice with one
 * fence, and those in use are left alone, whatever else goes on.
 */
#define _GNU_SOURCE
#include "slots.h"

#include <pthread.h>
#include <stdlib.h>

/* --- nobody uses them --- */

/* A fence each; of few caches there is one, but with many CPUs. */
static long nr_stretches(void)
{
	struct rows rows = all_rows();

	return DIV_ROUND_UP(rows_limit(&rows, UINT32_MAX), SLICE_SLOTS) *
	       percpu_has_rseq();
}

START_TEST(one_fence_for_all)
{
	void *out[CACHES];
	struct held h;
	long fences, fences_now, idle;

	for (int i = 0; i < CACHES; i++)
		out[i] = rn_cache_alloc(caches[i], 0);
	use_on_each_cpu(CACHES);
	fences = vmstat("slot_fences");
	idle = vmstat("slots_idle");
	ck_assert_uint_eq(tick(), 0);
	ck_assert_int_eq(vmstat("slot_fences"), fences);
	h = held_by_all();
	ck_assert_uint_ge(h.slots, CACHES);
	ck_assert_uint_ge(tick(), h.objects * 64);
	ck_assert_int_eq(vmstat("slots_idle"), idle + (long)h.slots);
	fences_now = vmstat("slot_fences");
	ck_assert_int_le(fences_now, fences + nr_stretches());
	ck_assert_int_ge(fences_now, fences + percpu_has_rseq());
	ck_assert_int_ge(vmstat("reclaim_decay_slot_kbytes"),
			 (long)(h.objects * 64 >> 10));
	expect_slots_empty();
	/* Nothing is there, and nobody fenced. */
	ck_assert_uint_eq(tick(), 0);
	ck_assert_int_eq(vmstat("slot_fences"), fences_now);
	for (int i = 0; i < CACHES; i++) {
		expect_active(caches[i], 1);
		rn_cache_free(caches[i], out[i]);
		expect_active(caches[i], 0);
	}
}
END_TEST

/* --- more than there are in a slice --- */

#define MANY	1200	/* caches, of which opened rows are more than one unit */

static struct rn_cache *many[MANY];

static void use_many(void)
{
	struct rn_cache_args args = {
		.sz = sizeof(args), .size = 64, .flags = RN_NOMERGE,
	};

	for (int i = 0; i < MANY; i++) {
		many[i] = rn_cache_create("many", &args);
		ck_assert_ptr_nonnull(many[i]);
	}
	for (int nth = 0; nth_cpu(nth) >= 0; nth++) {
		pin(nth_cpu(nth));
		for (int i = 0; i < MANY; i++)
			rn_cache_free(many[i], rn_cache_alloc(many[i], 0));
	}
}

static bool slice(void)
{
	unsigned int ticket = gate_enter();
	bool more;

	slots_age(WHY_DECAY, &more);
	gate_exit(ticket);
	return more;
}

START_TEST(a_slice_is_bounded)
{
	u64 slots, emptied = 0;
	int slices = 0;
	bool more;

	use_many();
	ck_assert_uint_eq(tick(), 0);
	slots = held_by_all().slots;
	ck_assert_uint_ge(slots, MANY);
	do {
		long idle = vmstat("slots_idle"), fences;

		fences = vmstat("slot_fences");
		more = slice();
		idle = vmstat("slots_idle") - idle;
		ck_assert_int_le(idle, SLICE_SLOTS);
		ck_assert_int_eq(vmstat("slot_fences") - fences,
				 idle && percpu_has_rseq());
		emptied += idle;
		slices++;
	} while (more);
	ck_assert_uint_eq(emptied, slots);
	ck_assert_int_gt(slices, 2 * MANY / SLICE_SLOTS);
	expect_slots_empty();
}
END_TEST

/* Who comes after the look is seen when it is his slot's turn. */
START_TEST(used_between_slices)
{
	struct rn_cache *first, *last;

	use_many();
	first = many[0];
	last = many[MANY - 1];
	tick();
	ck_assert(slice());
	rn_cache_free(first, rn_cache_alloc(first, 0));
	rn_cache_free(last, rn_cache_alloc(last, 0));
	while (slice())
		;
	ck_assert_uint_eq(held_by(first).slots, 1);
	ck_assert_uint_eq(held_by(last).slots, 1);
	ck_assert_uint_eq(held_by_all().slots, 2);
	tick();
	expect_slots_empty();
}
END_TEST

static bool stop;
static u64 rounds;

static void *allocate_and_free(void *arg)
{
	use(caches[0]);
	while (!READ_ONCE(stop)) {
		rn_cache_free(caches[0], rn_cache_alloc(caches[0], 0));
		stat_inc(&rounds);
	}
	return arg;
}

static void await_rounds(u64 more)
{
	u64 before = READ_ONCE(rounds);

	while (READ_ONCE(rounds) < before + more)
		usleep(100);
}

START_TEST(who_is_busy_is_left_alone)
{
	struct cache_usage before, after;
	long idle = vmstat("slots_idle");
	pthread_t busy;

	pin(nth_cpu(0));
	pthread_create(&busy, NULL, allocate_and_free, NULL);
	use(caches[1]);
	await_rounds(100);
	tick();
	cache_usage(caches[0], &before);
	for (int i = 0; i < 5; i++) {
		await_rounds(100);
		tick();
		/* Only the other one's, and only once. */
		ck_assert_int_eq(vmstat("slots_idle"), idle + 1);
		ck_assert_uint_eq(held_by(caches[1]).slots, 0);
		ck_assert_uint_eq(held_by(caches[0]).slots, 1);
	}
	cache_usage(caches[0], &after);
	ck_assert_uint_eq(after.slow_allocs, before.slow_allocs);
	ck_assert_uint_eq(after.slow_frees, before.slow_frees);
	WRITE_ONCE(stop, true);
	pthread_join(busy, NULL);
	tick();
	tick();
	expect_slots_empty();
}
END_TEST

/* --- all at once --- */

#define THREADS	4
#define SHARED	256

/* Objects go from thread to thread through these. */
static u64 *shared[SHARED];

static void *exchange(void *arg)
{
	u64 random = (u64)arg + 1;

	pin(nth_cpu(nth_cpu(1) < 0 ? 0 : (u64)arg % 2));
	while (!READ_ONCE(stop)) {
		u64 at = xorshift(&random) % SHARED, *p, *old;

		p = rn_cache_alloc(caches[at % 3], 0);
		must(p);
		p[0] = p[7] = at;
		old = __atomic_exchange_n(&shared[at], p, __ATOMIC_ACQ_REL);
		if (!old)
			continue;
		must(old[0] == at && old[7] == at);
		old[0] = old[7] = ~0UL;
		rn_cache_free(caches[at % 3], old);
	}
	return NULL;
}

static void clear_shared(void)
{
	for (int i = 0; i < SHARED; i++)
		if (shared[i])
			rn_cache_free(caches[i % 3], shared[i]);
}

/* Little budget, so that the threads drain as well, for themselves. */
START_TEST(threads_beside)
{
	static const char *const budgets[] = { "1G", "256K" };
	pthread_t t[THREADS];
	u64 end;

	setenv("RN_PERCPU_BUDGET", budgets[_i], 1);
	setup();
	end = clock_ms() + 1500;
	for (u64 i = 0; i < THREADS; i++)
		must(!pthread_create(&t[i], NULL, exchange, (void *)i));
	while (clock_ms() < end)
		tick();
	WRITE_ONCE(stop, true);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	clear_shared();
	/* What was idle at the first is gone, and all after the second. */
	tick();
	tick();
	expect_slots_empty();
	for (int i = 0; i < 3; i++)
		expect_active(caches[i], 0);
}
END_TEST

/* So much budget that no slot is emptied since another one wants more. */
static void setup_roomy(void)
{
	setenv("RN_PERCPU_BUDGET", "64G", 1);
	setup();
}

int main(void)
{
	Suite *s = suite_create("slots");
	TCase *tc = tcase_create("idle");

	tcase_add_checked_fixture(tc, setup_roomy, NULL);
	tcase_add_test(tc, one_fence_for_all);
	tcase_add_test(tc, a_slice_is_bounded);
	tcase_add_test(tc, used_between_slices);
	tcase_add_test(tc, who_is_busy_is_left_alone);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	tc = tcase_create("threads");
	tcase_add_loop_test(tc, threads_beside, 0, 2);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	return suite_main(s);
}
