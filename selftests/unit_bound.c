// SPDX-License-Identifier: MIT
/*
 * What may be free in slabs and barns: beyond the bound frees alone give it
 * back, with no tick; below it they give nothing. What is counted as free is no
 * more than there is, whatever became of it.
 */
#include "given.h"
#include "helpers.h"

#include "slab.h"

#include <rn/memcg.h>
#include <stdlib.h>
#include <string.h>

#define MIB		(1UL << 20)
#define BOUND		(8 * MIB)
#define EACH		(12 * MIB)
#define MAX_OBJECTS	(EACH / 64)

static uint64_t random_state = 5;

/* Pages of hugetlb would stay. */
static void setup(void)
{
	setenv("RN_LADDER", "thp,small", 1);
	init_given();
	ck_assert_int_eq(mm_init_error(), 0);
}

/* --- what could go, as a census of all caches has it --- */

static u64 free_on_pages(const struct rn_cache *c, const struct cache_node *n)
{
	u64 bytes = 0;

	/* One page of a drained slab may be left for each object out. */
	for (int i = 0; i < NR_BUCKETS / 2; i++)
		for (u32 pfn = n->partial[i]; pfn != NO_PFN;
		     pfn = pfn_to_page(pfn)->next) {
			const struct page *slab = pfn_to_page(pfn);
			u64 hollow = slab_hollow(slab)->hollow;
			unsigned int taken = slab->fresh - slab->nr_free -
					     slab_hollow(slab)->nr_hollow;
			unsigned int keeps = taken *
				DIV_ROUND_UP(c->size, PAGE_BYTES);
			unsigned int has = c->pages -
				__builtin_popcountll(hollow);

			if (has > keeps)
				bytes += (has - keeps) * PAGE_BYTES;
		}
	return bytes;
}

static u64 could_go(void)
{
	u64 bytes = 0;

	for (struct rn_cache *c = slab_caches; c; c = c->next) {
		struct cache_node *n = c->node[numa_local_node()];

		if (!n)
			continue;
		bytes += n->barn.objects * c->size;
		bytes += (u64)n->nr_empty * c->pages * PAGE_BYTES;
		bytes += free_on_pages(c, n);
	}
	return bytes;
}

static long resident_kb(void)
{
	return status_value("VmRSS");
}

/* --- beyond it --- */

static const size_t sizes[] = { 64, 512, 2048, 4096, 16384, 65536 };
static void *held[ARRAY_LEN(sizes)][MAX_OBJECTS];

static void fill(void)
{
	for (size_t k = 0; k < ARRAY_LEN(sizes); k++) {
		size_t nr = EACH / sizes[k];

		ck_assert_uint_eq(rn_alloc_bulk(sizes[k], 0, nr, held[k]), nr);
		for (size_t i = 0; i < nr; i++)
			pattern_set(held[k][i], sizes[k], i);
	}
}

/* All but one of @keep, those at random. */
static void drain(unsigned int keep)
{
	for (size_t k = 0; k < ARRAY_LEN(sizes); k++) {
		for (size_t i = 0; i < EACH / sizes[k]; i++) {
			ck_assert(pattern_ok(held[k][i], sizes[k], i));
			if (!(xorshift(&random_state) % keep))
				continue;
			rn_free(held[k][i]);
			held[k][i] = NULL;
		}
	}
}

static void check_rest(void)
{
	for (size_t k = 0; k < ARRAY_LEN(sizes); k++)
		for (size_t i = 0; i < EACH / sizes[k]; i++)
			if (held[k][i])
				ck_assert(pattern_ok(held[k][i], sizes[k], i));
}

static void free_rest(void)
{
	for (size_t k = 0; k < ARRAY_LEN(sizes); k++)
		for (size_t i = 0; i < EACH / sizes[k]; i++)
			rn_free(held[k][i]);
}

/* Of 72 MiB a 64th stays, on a page each where it is not on fewer. */
START_TEST(frees_give_back)
{
	long before, after, hollow;

	fill();
	before = resident_kb();
	drain(64);
	after = resident_kb();
	check_rest();
	hollow = vmstat("reclaim_free_hollow_kbytes");
	ck_assert_int_gt(hollow, (long)(EACH / 1024));
	ck_assert_int_gt(vmstat("reclaim_free_slab_kbytes"), 0);
	/* Of each cache 64 KiB may not have been added up. */
	ck_assert_uint_le(could_go(), BOUND + ARRAY_LEN(sizes) * 64 * 1024);
	/* But for what the test itself has touched meanwhile. */
	if (!SANITIZED && !emulator())
		ck_assert_int_lt(after, before - hollow + 2048);
	free_rest();
	ck_assert_uint_le(could_go(), BOUND);
}
END_TEST

/* And when most is free, a sheaf of objects cannot hold that many slabs. */
START_TEST(nearly_all)
{
	fill();
	drain(4096);
	check_rest();
	ck_assert_uint_le(could_go(), BOUND + ARRAY_LEN(sizes) * 64 * 1024);
	free_rest();
}
END_TEST

/* --- below it --- */

START_TEST(nothing_below)
{
	size_t nr = 6 * MIB / 4096;
	void **p = held[0];

	ck_assert_uint_eq(rn_alloc_bulk(4096, 0, nr, p), nr);
	for (size_t i = 0; i < nr; i++) {
		pattern_set(p[i], 4096, i);
		if (i % 8)
			rn_free(p[i]);
	}
	ck_assert(!slabs_are_wasteful());
	ck_assert_int_eq(vmstat("reclaim_free_hollow_kbytes"), -1);
	for (size_t i = 0; i < nr; i += 8) {
		ck_assert(pattern_ok(p[i], 4096, i));
		rn_free(p[i]);
	}
}
END_TEST

/* --- what is counted --- */

static struct rn_cache *make(size_t size, void (*ctor)(void *))
{
	struct rn_cache_args args = {
		.sz = sizeof(args), .size = size, .flags = RN_NOMERGE,
		.ctor = ctor,
	};
	struct rn_cache *c = rn_cache_create("unit", &args);

	ck_assert_ptr_nonnull(c);
	return c;
}

static void construct(void *object)
{
	memset(object, 0, 64);
}

/* What is free here cannot go: every slab has objects that are out. */
static struct rn_cache *waste_much(void **p, size_t nr)
{
	struct rn_cache *c = make(2000, construct);

	ck_assert_uint_eq(rn_cache_alloc_bulk(c, 0, nr, p), nr);
	for (size_t i = 0; i < nr; i += 2)
		rn_cache_free(c, p[i]);
	ck_assert(slabs_are_wasteful());
	return c;
}

START_TEST(allocations_count)
{
	size_t nr = 32 * MIB / 2048;
	void **p = held[0];
	struct rn_cache *c = waste_much(p, nr);

	for (size_t i = 0; i < nr; i += 2) {
		p[i] = rn_cache_alloc(c, 0);
		ck_assert_ptr_nonnull(p[i]);
	}
	ck_assert(!slabs_are_wasteful());
	rn_cache_free_bulk(c, nr, p);
	ck_assert_int_eq(rn_cache_destroy(c), 0);
	ck_assert(!slabs_are_wasteful());
}
END_TEST

/* Each leaves empty slabs behind when its last object is freed. */
START_TEST(caches_that_are_gone)
{
	for (int i = 0; i < 200; i++) {
		struct rn_cache *c = make(KMALLOC_MAX, NULL);

		rn_cache_free(c, rn_cache_alloc(c, 0));
		ck_assert_int_eq(rn_cache_destroy(c), 0);
	}
	ck_assert(!slabs_are_wasteful());
}
END_TEST

START_TEST(groups_that_are_gone)
{
	for (int i = 0; i < 200; i++) {
		struct rn_memcg *m = rn_memcg_create(NULL, "unit");

		ck_assert_ptr_nonnull(m);
		ck_assert_ptr_nonnull(rn_memcg_alloc(m, KMALLOC_MAX, 0));
		ck_assert_int_eq(rn_memcg_destroy(m, RN_MEMCG_FREE), 0);
	}
	ck_assert(!slabs_are_wasteful());
}
END_TEST

int main(void)
{
	Suite *s = suite_create("bound");
	TCase *tc = tcase_create("bound");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, frees_give_back);
	tcase_add_test(tc, nearly_all);
	tcase_add_test(tc, nothing_below);
	tcase_add_test(tc, allocations_count);
	tcase_add_test(tc, caches_that_are_gone);
	tcase_add_test(tc, groups_that_are_gone);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	return suite_main(s);
}
