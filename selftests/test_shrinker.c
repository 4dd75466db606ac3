// SPDX-License-Identifier: MIT
/*
 * Shrinkers: who is called when memory is short and when not, and what a program
 * can live on.
 */
#include "probe.h"

#include <errno.h>
#include <pthread.h>
#include <rn/pages.h>
#include <rn/slab.h>
#include <stdlib.h>
#include <unistd.h>

/* --- no memory --- */

static void **chain;

/* Takes all there is, of 64 MiB; each test is a process of its own. */
static void probe_register_and_exhaust(size_t size)
{
	void **p;

	setenv("RN_RESERVATION", "64M", 1);
	probe_register(0, 0);
	/* With shrinking: what other CPUs hold is found too. */
	while ((p = rn_alloc(size, 0))) {
		*p = chain;
		chain = p;
	}
	ck_assert_int_eq(errno, ENOMEM);
	probe.has = 1000;
	probe.counts = 0;
	probe.last_resorts = 0;
	probe.nr_order = 0;
}

static void relent(void)
{
	while (chain) {
		void **next = *chain;

		rn_free(chain);
		chain = next;
	}
}

/* --- registration --- */

START_TEST(bad_input)
{
	struct rn_shrinker s = probe_shrinker;

	ck_assert_int_eq(rn_shrinker_register(NULL), -EINVAL);
	ck_assert_int_eq(rn_shrinker_unregister(NULL), -EINVAL);
	ck_assert_int_eq(rn_shrinker_unregister(&s), -EINVAL);
	s.sz = 0;
	ck_assert_int_eq(rn_shrinker_register(&s), -EINVAL);
	s.sz = sizeof(s) + 8;
	ck_assert_int_eq(rn_shrinker_register(&s), -EINVAL);
	s = probe_shrinker;
	s.count = NULL;
	ck_assert_int_eq(rn_shrinker_register(&s), -EINVAL);
	s = probe_shrinker;
	s.scan = NULL;
	ck_assert_int_eq(rn_shrinker_register(&s), -EINVAL);
	s = probe_shrinker;
	s.name = NULL;
	ck_assert_int_eq(rn_shrinker_register(&s), -EINVAL);
	s.name = "";
	ck_assert_int_eq(rn_shrinker_register(&s), -EINVAL);
	s = probe_shrinker;
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(rn_shrinker_register(&s), 0);
		ck_assert_int_eq(rn_shrinker_register(&s), -EBUSY);
		ck_assert_int_eq(rn_shrinker_unregister(&s), 0);
		ck_assert_int_eq(rn_shrinker_unregister(&s), -EINVAL);
	}
}
END_TEST

START_TEST(figures)
{
	unsigned long before = slabinfo_active();

	ck_assert_int_eq(vmstat("shrinker_calls"), 0);
	probe_register(100, 7);
	ck_assert_int_eq(vmstat("shrinker_the_probe_calls"), 0);
	rn_shrink_all();
	ck_assert_uint_gt(probe.scans, 0);
	ck_assert_int_eq(vmstat("shrinker_calls"), probe.scans);
	ck_assert_int_eq(vmstat("shrinker_freed"), 7 * probe.scans);
	ck_assert_int_eq(vmstat("shrinker_scanned"), 100 * probe.scans);
	ck_assert_int_eq(vmstat("shrinker_the_probe_calls"), probe.scans);
	ck_assert_int_eq(vmstat("shrinker_the_probe_freed"), 7 * probe.scans);
	ck_assert_int_eq(vmstat("shrinker_the_probe_scanned"),
			 100 * probe.scans);
	probe_unregister();
	ck_assert_int_eq(vmstat("shrinker_the_probe_calls"), -1);
	ck_assert_int_eq(vmstat("shrinker_calls"), probe.scans);
	ck_assert_uint_eq(slabinfo_active(), before);
}
END_TEST

/* --- who is called when --- */

/* Everything goes, as the kernel's drop_caches would have it. */
START_TEST(drop_all)
{
	for (int i = 0; i < 5000; i++)
		ck_assert(add_item(0));
	ck_assert_int_eq(rn_shrinker_register(&items_shrinker), 0);
	ck_assert_uint_gt(rn_shrink_all(), 0);
	ck_assert_uint_eq(items.nr, 0);
	ck_assert_int_eq(rn_shrinker_unregister(&items_shrinker), 0);
}
END_TEST

/* Nobody is asked as long as there is memory. */
START_TEST(not_before)
{
	probe_register(1000, 1);
	for (int i = 0; i < 1000; i++)
		rn_free(rn_alloc(100 * i, 0));
	ck_assert_uint_eq(probe.counts, 0);
	probe_unregister();
}
END_TEST

START_TEST(priorities)
{
	probe_register_and_exhaust(5000);
	ck_assert_ptr_null(rn_alloc(5000, 0));
	/* Once each, from the mildest to the last resort. */
	ck_assert_uint_eq(probe.nr_order, RN_DEF_PRIORITY + 1);
	for (unsigned int i = 0; i <= RN_DEF_PRIORITY; i++)
		ck_assert_uint_eq(probe.order[i], RN_DEF_PRIORITY - i);
	/* While it claims to free something, the next round is harder. */
	probe.nr_order = 0;
	probe.gives = 1;
	probe.has = 1UL << 20;
	ck_assert_ptr_null(rn_alloc(5000, 0));
	ck_assert_uint_eq(probe.nr_order, RN_DEF_PRIORITY + 1);
	for (unsigned int i = 0; i <= RN_DEF_PRIORITY; i++)
		ck_assert_uint_eq(probe.order[i], RN_DEF_PRIORITY - i);
	probe_unregister();
	relent();
}
END_TEST

static unsigned long rounds_of(size_t size, rn_gfp_t flags)
{
	probe.counts = 0;
	probe.last_resorts = 0;
	errno = 0;
	ck_assert_ptr_null(rn_alloc(size, flags));
	ck_assert_int_eq(errno, ENOMEM);
	return probe.last_resorts;
}

START_TEST(retries)
{
	static const size_t some[] = { 1000, 200000 };
	size_t size = some[_i];

	probe_register_and_exhaust(1000);
	ck_assert_uint_eq(rounds_of(size, RN_KERNEL), 1);
	ck_assert_uint_eq(rounds_of(size, RN_ZERO), 1);
	for (unsigned int n = 1; n < 6; n++)
		ck_assert_uint_eq(rounds_of(size, RN_RETRIES(n)), n);
	ck_assert_uint_eq(rounds_of(size, RN_NOWAIT), 0);
	ck_assert_uint_eq(probe.counts, 0);
	ck_assert_uint_eq(rounds_of(size, RN_NORETRY | RN_RETRIES(3)), 0);
	ck_assert_uint_eq(rounds_of(size, RN_NOWAIT | RN_RETRIES(3)), 0);
	ck_assert_uint_eq(probe.counts, 0);
	probe_unregister();
	relent();
}
END_TEST

static void *wait_for_memory(void *arg)
{
	return rn_alloc((size_t)arg, RN_NOFAIL | RN_RETRIES(1));
}

START_TEST(nofail_goes_on)
{
	pthread_t t;
	void *p;

	probe_register_and_exhaust(1000);
	ck_assert_int_eq(pthread_create(&t, NULL, wait_for_memory,
					(void *)1000), 0);
	while (__atomic_load_n(&probe.last_resorts, __ATOMIC_RELAXED) < 4)
		usleep(1000);
	relent();
	ck_assert_int_eq(pthread_join(t, &p), 0);
	ck_assert_ptr_nonnull(p);
	rn_free(p);
	probe_unregister();
}
END_TEST

/* --- a program that lives on what it can do without --- */

/* Fills memory with items, and then needs some for something else. */
static void live_on(void)
{
	static const size_t some[] = { 240, 5000, 100000, 3 << 20 };
	unsigned long full;

	/* Later there might be no memory to register it. */
	items.hidden = true;
	ck_assert_int_eq(rn_shrinker_register(&items_shrinker), 0);
	while (add_item(0))
		;
	full = items.nr;
	ck_assert_uint_gt(full, 10000);
	for (size_t i = 0; i < ARRAY_LEN(some); i++)
		ck_assert_ptr_null(rn_alloc(some[i] + (1 << 20), 0));
	items.hidden = false;
	for (size_t i = 0; i < ARRAY_LEN(some); i++) {
		char *p = rn_alloc(some[i], 0);

		ck_assert_msg(p, "%zu bytes, %lu items", some[i], items.nr);
		pattern_set(p, some[i], i);
		/* Not all had to go for that. */
		if (some[i] < 1 << 20)
			ck_assert_uint_gt(items.nr, full / 2);
		ck_assert(pattern_ok(p, some[i], i));
		rn_free(p);
	}
	/* Ten times what there is room for, and never a NULL. */
	for (unsigned long i = 0; i < 10 * full / LESS; i++)
		ck_assert_msg(add_item(0), "after %lu", i);
	ck_assert_int_eq(rn_shrinker_unregister(&items_shrinker), 0);
	drop_items();
}

START_TEST(tiny_reservation)
{
	setenv("RN_RESERVATION", "64M", 1);
	live_on();
}
END_TEST

START_TEST(address_space_limit)
{
	long kb = status_value("VmSize");

	if (SANITIZED) {
		skip_part("address_space_limit", "a sanitizer's own mappings "
			  "would be what the limit stops");
	} else if (!limit_address_space(((size_t)kb << 10) + (160 << 20))) {
		skip_part("address_space_limit", "RLIMIT_AS has no effect");
	} else {
		live_on();
	}
}
END_TEST

static void *add_items(void *arg)
{
	for (int i = 0; i < 100000 / LESS; i++)
		must(add_item(RN_RETRIES(100)));
	return arg;
}

START_TEST(several_live_on)
{
	pthread_t t[4];

	setenv("RN_RESERVATION", "64M", 1);
	ck_assert_int_eq(rn_shrinker_register(&items_shrinker), 0);
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, add_items, NULL),
				 0);
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		ck_assert_int_eq(pthread_join(t[i], NULL), 0);
	ck_assert_int_eq(rn_shrinker_unregister(&items_shrinker), 0);
	drop_items();
	ck_assert_uint_eq(items.nr, 0);
}
END_TEST

/* --- out of a callback --- */

static int nested;

static void do_all_kinds(void)
{
	unsigned long scans = probe.scans;
	void *p = rn_alloc(1000, 0);

	nested += !!p;
	nested += !!rn_alloc(200000, RN_RETRIES(3));
	rn_shrink_all();
	nested += probe.scans != scans;
	nested += rn_shrinker_unregister(&probe_shrinker) != -EDEADLK;
	nested += rn_shrinker_unregister(&items_shrinker) != -EDEADLK;
	nested += rn_shrinker_register(&probe_shrinker) != -EBUSY;
}

START_TEST(recursion)
{
	probe.in_scan = do_all_kinds;
	probe_register_and_exhaust(1000);
	ck_assert_ptr_null(rn_alloc(1000, 0));
	ck_assert_uint_gt(probe.scans, 0);
	ck_assert_int_eq(nested, 0);
	probe_unregister();
	relent();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("shrinker");
	TCase *alone = tcase_create("alone");
	TCase *living = tcase_create("living");

	tcase_add_test(alone, bad_input);
	tcase_add_test(alone, figures);
	tcase_add_test(alone, drop_all);
	tcase_add_test(alone, not_before);
	tcase_add_test(alone, priorities);
	tcase_add_loop_test(alone, retries, 0, 2);
	tcase_add_test(alone, nofail_goes_on);
	tcase_add_test(alone, recursion);
	tcase_add_test(living, tiny_reservation);
	tcase_add_test(living, address_space_limit);
	tcase_add_test(living, several_live_on);
	tcase_set_timeout(alone, 60);
	tcase_set_timeout(living, 60);
	suite_add_tcase(s, alone);
	suite_add_tcase(s, living);
	return suite_main(s);
}
