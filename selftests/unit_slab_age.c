// SPDX-License-Identifier: MIT
/*
 * Ticks of slabs: of the empty ones what nobody needed since the last one goes,
 * a part at a time, and drained ones give their free pages back. Nothing is in
 * slots and barns.
 */
#include "given.h"
#include "helpers.h"

#include "slab.h"

#include <stdlib.h>

#define PER_SLAB	8
#define NR_SLABS	640

/* Each object has a page of its own. */
static struct rn_cache *c;
static struct cache_node *n;
static int node;
static uint64_t random_state = 11;

static void *out[NR_SLABS][PER_SLAB];

static struct page *get(void)
{
	return slab_given(c, node);
}

/* All of a slab. */
static void take_all(struct page *slab, void **objects)
{
	struct sheaf *s = sheaf_given(PER_SLAB);
	unsigned int nr = 0;

	do {
		slab_fill(c, slab, s, PER_SLAB);
		while (sheaf_count(s)) {
			ck_assert_uint_lt(nr, PER_SLAB);
			objects[nr] = sheaf_take(s);
			pattern_set(objects[nr], c->usable, 1);
			nr++;
		}
	} while (slab_reload(c, n, slab));
	ck_assert_uint_eq(nr, PER_SLAB);
	sheaf_free(s);
}

/* @nr of slab @i, which are not out any more. */
static void free_of(unsigned int i, unsigned int nr)
{
	for (unsigned int k = 0; k < nr; k++)
		ck_assert(pattern_ok(out[i][k], c->usable, 1));
	slab_free_objects(c, n, out[i], nr);
}

static void setup(void)
{
	struct rn_cache_args args = {
		.sz = sizeof(args), .flags = RN_NOMERGE,
		.size = PAGE_BYTES - (all_hardened() ? sizeof(u64) : 0),
	};

	/* Pages of hugetlb would stay. */
	setenv("RN_LADDER", "thp,small", 1);
	c = rn_cache_create("unit", &args);
	ck_assert_ptr_nonnull(c);
	ck_assert_uint_eq(c->objects, PER_SLAB);
	node = numa_local_node();
	n = cache_node_get(c, node);
	ck_assert_ptr_nonnull(n);
	for (unsigned int i = 0; i < NR_SLABS; i++)
		take_all(get(), out[i]);
	ck_assert_uint_eq(n->nr_slabs, NR_SLABS);
}

/* --- empty slabs --- */

#define NR_EMPTY	40

static void make_empty(void)
{
	for (unsigned int i = 0; i < NR_EMPTY; i++)
		free_of(i, PER_SLAB);
	/* Fewer than are kept of so many. */
	ck_assert_uint_eq(n->nr_empty, NR_EMPTY);
	ck_assert_uint_eq(n->nr_slabs, NR_SLABS);
}

/* What a tick has to take, when there were at least @low all the time. */
static unsigned int expect_tick(unsigned int low, u32 part)
{
	unsigned int before = n->nr_empty, all = n->nr_slabs;
	unsigned int nr = (low + part - 1) / part;

	slab_age(c, n, part);
	ck_assert_uint_eq(n->nr_empty, before - nr);
	ck_assert_uint_eq(n->nr_slabs, all - nr);
	return n->nr_empty;
}

START_TEST(what_nobody_needs_goes)
{
	unsigned int low = 0, ticks;

	make_empty();
	/* They came since the last one. */
	low = expect_tick(low, 4);
	ck_assert_uint_eq(low, NR_EMPTY);
	for (ticks = 0; low; ticks++) {
		if (ticks == 8)
			ck_assert_uint_le(low, NR_EMPTY / 10);
		low = expect_tick(low, 4);
	}
	ck_assert_uint_le(ticks, 12);
	ck_assert_uint_eq(n->nr_free, 0);
}
END_TEST

/* A tick of which all is due takes the whole mark. */
START_TEST(all_at_once)
{
	make_empty();
	expect_tick(0, 1);
	ck_assert_uint_eq(expect_tick(NR_EMPTY, 1), 0);
}
END_TEST

/* @nr empty slabs are taken and come back. */
static unsigned int swing(unsigned int nr)
{
	struct page *owned[NR_EMPTY];
	unsigned int low;

	for (unsigned int i = 0; i < nr; i++)
		owned[i] = get();
	low = n->nr_empty;
	for (unsigned int i = 0; i < nr; i++)
		slab_put(c, owned[i]);
	return low;
}

START_TEST(what_a_swing_needs_stays)
{
	unsigned int low = 0;

	make_empty();
	for (int tick = 0; tick < 100; tick++) {
		low = min(low, swing(25));
		low = expect_tick(low, 4);
	}
	ck_assert_uint_eq(low, 25);
}
END_TEST

START_TEST(swings_at_random)
{
	unsigned int low = 0, gone = 0;

	make_empty();
	for (int tick = 0; tick < 1000 && n->nr_empty; tick++) {
		for (int i = xorshift(&random_state) % 3; i > 0; i--)
			low = min(low, swing(xorshift(&random_state) %
					     (n->nr_empty + 1)));
		gone += low > 0;
		low = expect_tick(low, 1 + xorshift(&random_state) % 8);
	}
	ck_assert_uint_gt(gone, 0);
	ck_assert_uint_eq(n->nr_empty, 0);
}
END_TEST

/* --- drained ones --- */

#define NR_DRAINED	200
#define LEFT		1

/* Ticks until all slabs have had their turn, and nothing more goes. */
static void age_all(void)
{
	for (int tick = 0; tick < 2 * NR_SLABS / 64; tick++)
		slab_age(c, n, 4);
}

static void drain(unsigned int from, unsigned int to, unsigned int left)
{
	for (unsigned int i = from; i < to; i++)
		free_of(i, PER_SLAB - left);
}

/* Of any number, wherever they are in the lists, and each page once. */
START_TEST(free_pages_go)
{
	long before;

	drain(0, NR_DRAINED, LEFT);
	drain(NR_DRAINED, NR_DRAINED + 10, 3);
	drain(NR_DRAINED + 10, NR_DRAINED + 20, 5);
	/* So much may be free; no free gives any of it back. */
	ck_assert(!slabs_are_wasteful());
	ck_assert_uint_eq(n->nr_hollow, 0);
	ck_assert_int_eq(vmstat("reclaim_free_hollow_kbytes"), -1);
	age_all();
	ck_assert_uint_eq(n->nr_hollow, NR_DRAINED * (PER_SLAB - LEFT) +
			  10 * (PER_SLAB - 3) + 10 * (PER_SLAB - 5));
	before = vmstat("reclaim_decay_hollow_kbytes");
	ck_assert_int_eq(before, n->nr_hollow * PAGE_BYTES / 1024);
	age_all();
	ck_assert_int_eq(vmstat("reclaim_decay_hollow_kbytes"), before);
}
END_TEST

/* A slab that is filled and drained again has the same number out as before. */
START_TEST(again_after_a_refill)
{
	void *again[PER_SLAB];

	drain(0, 1, LEFT);
	for (int round = 0; round < 10; round++) {
		struct sheaf *s = sheaf_given(PER_SLAB);
		struct page *slab;

		age_all();
		ck_assert_uint_eq(n->nr_hollow, PER_SLAB - LEFT);
		slab = get();
		while (slab_reload(c, n, slab))
			slab_fill(c, slab, s, PER_SLAB);
		ck_assert_uint_eq(n->nr_hollow, 0);
		for (int i = 0; i < PER_SLAB - LEFT; i++)
			again[i] = sheaf_take(s);
		ck_assert_uint_eq(sheaf_count(s), 0);
		slab_free_objects(c, n, again, PER_SLAB - LEFT);
		sheaf_free(s);
	}
}
END_TEST

/* The same, with the frees while it is owned: no list has seen it fuller. */
START_TEST(again_after_its_owner)
{
	struct sheaf *s = sheaf_given(PER_SLAB);
	struct page *slab;
	void *again[PER_SLAB];

	drain(0, 1, LEFT);
	age_all();
	ck_assert_uint_eq(n->nr_hollow, PER_SLAB - LEFT);
	slab = get();
	do
		slab_fill(c, slab, s, PER_SLAB - LEFT - 1);
	while (sheaf_count(s) < PER_SLAB - LEFT - 1 &&
	       slab_reload(c, n, slab));
	ck_assert_uint_eq(n->nr_hollow, 1);
	for (int i = 0; i < PER_SLAB - LEFT - 1; i++)
		again[i] = sheaf_take(s);
	slab_free_objects(c, n, again, PER_SLAB - LEFT - 1);
	slab_put(c, slab);
	age_all();
	ck_assert_uint_eq(n->nr_hollow, PER_SLAB - LEFT);
	sheaf_free(s);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("slab_age");
	TCase *tc = tcase_create("slab_age");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, what_nobody_needs_goes);
	tcase_add_test(tc, all_at_once);
	tcase_add_test(tc, what_a_swing_needs_stays);
	tcase_add_test(tc, swings_at_random);
	tcase_add_test(tc, free_pages_go);
	tcase_add_test(tc, again_after_a_refill);
	tcase_add_test(tc, again_after_its_owner);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	return suite_main(s);
}
