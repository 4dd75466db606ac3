// SPDX-License-Identifier: MIT
/*
 * Pages of slabs go while threads allocate from them and free into them: what
 * each has stays its own, whoever frees it, and nothing is lost in the count.
 */
#include "helpers.h"
#include "stress.h"

#include "slab.h"

#include <stdlib.h>
#include <string.h>

#define SECONDS		2
#define THREADS		4

#define WASTED		(32UL << 20)
#define WASTE_SIZE	2000

static void construct(void *object)
{
	memset(object, 0, 64);
}

static void **wasted;
static struct rn_cache *waste;

/* Beyond the bound: every other object is free, and none of it can go. */
static void waste_much(void)
{
	struct rn_cache_args args = {
		.sz = sizeof(args), .size = WASTE_SIZE, .ctor = construct,
	};
	size_t nr = WASTED / WASTE_SIZE;

	wasted = malloc(nr * sizeof(*wasted));
	waste = rn_cache_create("waste", &args);
	ck_assert_ptr_nonnull(waste);
	ck_assert_uint_eq(rn_cache_alloc_bulk(waste, 0, nr, wasted), nr);
	for (size_t i = 0; i < nr; i++)
		if (i % 2)
			rn_cache_free(waste, wasted[i]);
	ck_assert(slabs_are_wasteful());
}

static void waste_less(void)
{
	size_t nr = WASTED / WASTE_SIZE;

	for (size_t i = 0; i < nr; i += 2)
		rn_cache_free(waste, wasted[i]);
	ck_assert_int_eq(rn_cache_destroy(waste), 0);
	free(wasted);
}

/* As a tick does it, now a part of what was not needed and now all. */
static void age_all(u32 part)
{
	unsigned int ticket = gate_enter();

	lock(&slab_mutex);
	for (struct rn_cache *c = slab_caches; c; c = c->next)
		cache_age(c, part);
	unlock(&slab_mutex);
	gate_exit(ticket);
}

/* What is beyond the bound, as a free has it. */
static void give_all(struct rn_cache *c)
{
	unsigned int ticket = gate_enter();

	for (int node = 0; node < nr_node_ids(); node++)
		if (smp_load_acquire(&c->node[node]))
			slab_give_pages(c, c->node[node], WHY_FREE);
	gate_exit(ticket);
}

static void expect_exact(unsigned long before)
{
	struct cache_usage u;

	for (unsigned int i = 0; i < STRESS_CACHES; i++) {
		cache_usage(stress_caches[i], &u);
		ck_assert_uint_eq(u.active, stress_held(i));
	}
	stress_clear();
	ck_assert_uint_eq(slabinfo_active(), before);
	/* No page is hollow of slabs that are not there. */
	for (unsigned int i = 0; i < STRESS_CACHES; i++) {
		ck_assert(cache_flush(stress_caches[i]));
		for (int node = 0; node < nr_node_ids(); node++)
			if (stress_caches[i]->node[node])
				ck_assert_uint_eq(stress_caches[i]->node[node]->
						  nr_hollow, 0);
	}
	stress_destroy_caches();
}

START_TEST(ticks_beside)
{
	u64 end;
	unsigned long before;
	u32 tick = 0;

	/* Pages of hugetlb would stay. */
	setenv("RN_LADDER", "thp,small", 1);
	stress_make_caches();
	if (_i)
		waste_much();
	before = slabinfo_active();
	end = clock_ms() + SECONDS * 1000;
	stress_start(THREADS, 0);
	for (; clock_ms() < end || tick < 10; tick++) {
		age_all(1 + tick % 4);
		give_all(stress_caches[tick % STRESS_CACHES]);
	}
	stress_join();
	ck_assert_int_gt(vmstat("reclaim_decay_hollow_kbytes"), 0);
	expect_exact(before);
	if (_i)
		waste_less();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("hollow_threads");
	TCase *tc = tcase_create("hollow_threads");

	tcase_add_loop_test(tc, ticks_beside, 0, 2);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	return suite_main(s);
}
