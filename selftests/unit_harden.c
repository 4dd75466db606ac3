// SPDX-License-Identifier: MIT
/*
 * Hardening: what the options do to objects and their order. What is found of
 * misuse is in test_crash.
 */
#include "unit_harden.h"

#include "slab_hooks.h"

#include <stdio.h>
#include <string.h>

/* The compiler knows that nobody may look at what is free. */
static bool is_zero(const void *p, size_t n)
{
	const volatile char *v = p;

	for (size_t i = 0; i < n; i++)
		if (v[i])
			return false;
	return true;
}

/* --- the options --- */

static const struct {
	const char *name;
	unsigned int hooks;
	bool shuffles;
} options_of[] = {
	{ "RN_HARDENED", HOOK_HARDENED, true },
	{ "RN_FREELIST_RANDOM", 0, true },
	{ "RN_INIT_ON_ALLOC", HOOK_INIT_ALLOC, false },
	{ "RN_INIT_ON_FREE", HOOK_INIT_FREE, false },
	{ "RN_RANDOM_KMALLOC_CACHES", HOOK_RANDOM_CACHES, false },
};

START_TEST(option)
{
	set_option(options_of[_i].name);
	ck_assert_uint_eq(slab_hooks, options_of[_i].hooks);
	ck_assert_int_eq(options.freelist_random, options_of[_i].shuffles);
}
END_TEST

START_TEST(nonsense_is_said)
{
	char said[100], *text;

	setenv(options_of[_i].name, "yes", 1);
	stderr_catch();
	mm_init();
	text = stderr_caught();
	snprintf(said, sizeof(said), "%s=yes is not 0 or 1; ignored",
		 options_of[_i].name);
	ck_assert_msg(strstr(text, said), "\"%s\"", text);
	free(text);
	ck_assert_uint_eq(slab_hooks, 0);
	ck_assert(!options.freelist_random);
}
END_TEST

START_TEST(vmstat_says_so)
{
	static const char *const names[] = {
		"hardened", "freelist_random", "init_on_alloc",
		"init_on_free", "random_kmalloc_caches",
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		ck_assert_int_eq(vmstat(names[i]), 0);
	slab_hook_set(HOOK_HARDENED, true);
	ck_assert_int_eq(vmstat("hardened"), 1);
}
END_TEST

/* --- the mark --- */

START_TEST(word_says_whose_it_is)
{
	struct rn_cache *c;
	struct page *slab;
	u64 *p;

	set_option("RN_HARDENED");
	p = rn_alloc(64, 0);
	c = row_to_cache(ptr_to_row(p));
	slab = ptr_to_slab(c, p);
	/* Neither key nor mark comes into the program's hands. */
	ck_assert_uint_eq(*link_of(c, p), 0);
	rn_free(p);
	ck_assert_uint_eq(*link_of(c, p), link_mark(slab, link_of(c, p)));
	ck_assert_int_lt(link_decode(c, slab, link_of(c, p)), 0);
	ck_assert_ptr_eq(rn_alloc(64, 0), p);
	ck_assert_uint_eq(*link_of(c, p), 0);
	rn_free(p);
	cache_flush(c);
}
END_TEST

/* What a program may leave in its objects is never taken for a second free. */
START_TEST(any_contents)
{
	static void *p[1000];

	set_option("RN_HARDENED");
	for (int round = 0; round < 100 / LESS; round++) {
		for (size_t i = 0; i < ARRAY_LEN(p); i++) {
			p[i] = rn_alloc(i % 200 + 8, 0);
			/* Of the round before it may be what lay there. */
			pattern_set(p[i], i % 200 + 8, round);
			memcpy(p[i], &p[i / 2], sizeof(p[i]));
		}
		for (size_t i = 0; i < ARRAY_LEN(p); i++)
			rn_free(p[i * 7 % ARRAY_LEN(p)]);
		if (round % 8 == 0)
			rn_shrink_all();
	}
	ck_assert_int_eq(rn_validate(NULL), 0);
}
END_TEST

/* --- order --- */

static unsigned int constructed;

static void construct(void *object)
{
	constructed++;
	memset(object, 'c', 32);
}

/* The indices on the private list, which must be all of them. */
static void read_order(const struct rn_cache *c, const struct page *slab,
		       unsigned int *order)
{
	static bool seen[65536];
	unsigned int index = slab->private;

	memset(seen, 0, sizeof(seen));
	ck_assert_uint_eq(slab->nr_private, c->objects);
	ck_assert_uint_eq(fresh_objects(c, slab), 0);
	for (unsigned int i = 0; i < c->objects; i++) {
		ck_assert_uint_lt(index, c->objects);
		ck_assert(!seen[index]);
		seen[index] = true;
		order[i] = index;
		index = link_next(c, slab, index);
	}
	ck_assert_uint_eq(index, NO_OBJECT);
}

/* Objects whose successor is the next by address. */
static unsigned int nr_in_order(const unsigned int *order, unsigned int nr)
{
	unsigned int n = 0;

	for (unsigned int i = 1; i < nr; i++)
		n += order[i] == order[i - 1] + 1;
	return n;
}

START_TEST(slabs_are_shuffled)
{
	static unsigned int one[4096], two[4096];
	struct rn_cache *c;
	struct page *a, *b;

	set_option("RN_FREELIST_RANDOM");
	c = new_cache(64, NULL);
	a = new_slab(c);
	b = new_slab(c);
	read_order(c, a, one);
	read_order(c, b, two);
	/* One is expected of all. */
	ck_assert_uint_lt(nr_in_order(one, c->objects), c->objects / 8);
	ck_assert(memcmp(one, two, c->objects * sizeof(*one)));
	slab_put(c, a);
	slab_put(c, b);
	ck_assert_int_eq(rn_cache_destroy(c), 0);
}
END_TEST

/* Of four objects there are 24 orders; so of 24,000 slabs 1,000 have each. */
START_TEST(all_orders_are_alike)
{
	unsigned int seen[256] = { 0 }, order[64], orders = 0;
	struct rn_cache *c;
	struct page *slab;

	set_option("RN_FREELIST_RANDOM");
	c = new_cache(16384, NULL);
	slab = new_slab(c);
	c->objects = 4;
	for (int i = 0; i < 24000; i++) {
		slab->key += 0x9e3779b97f4a7c15;
		slab_shuffle(c, slab);
		read_order(c, slab, order);
		seen[order[0] | order[1] << 2 | order[2] << 4 |
		     order[3] << 6]++;
	}
	for (size_t i = 0; i < ARRAY_LEN(seen); i++) {
		if (!seen[i])
			continue;
		orders++;
		/* Six times the deviation that is expected. */
		ck_assert_uint_gt(seen[i], 800);
		ck_assert_uint_lt(seen[i], 1200);
	}
	ck_assert_uint_eq(orders, 24);
}
END_TEST

START_TEST(shuffled_are_constructed)
{
	struct rn_cache *c;
	char *p[500];

	set_option("RN_FREELIST_RANDOM");
	c = new_cache(32, construct);
	for (size_t i = 0; i < ARRAY_LEN(p); i++) {
		p[i] = rn_cache_alloc(c, 0);
		ck_assert(p[i][0] == 'c' && p[i][31] == 'c');
	}
	ck_assert_uint_ge(constructed, ARRAY_LEN(p));
	ck_assert_uint_eq(constructed % c->objects, 0);
	rn_cache_free_bulk(c, ARRAY_LEN(p), (void **)p);
	ck_assert_int_eq(rn_cache_destroy(c), 0);
}
END_TEST

/* --- clearing --- */

static const size_t sizes[] = {
	1, 8, 9, 64, 100, 1000, 1024, 4096, 20000, 65536, 65537, 300000,
	5 << 20,
};

static void *dirty(size_t size)
{
	void *p = rn_alloc(size, 0);

	memset(p, 0xff, rn_size(p));
	return p;
}

START_TEST(cleared_on_allocation)
{
	size_t size = sizes[_i];
	char *p;

	set_option("RN_INIT_ON_ALLOC");
	for (int i = 0; i < 4; i++) {
		rn_free(dirty(size));
		p = rn_alloc(size, 0);
		ck_assert(all_zero(p, rn_size(p)));
		rn_free(p);
	}
}
END_TEST

/* What it grows by is new. */
START_TEST(cleared_on_growth)
{
	size_t size = sizes[_i], old;
	char *p;

	set_option("RN_INIT_ON_ALLOC");
	rn_free(dirty(4 * size));
	p = dirty(size);
	old = rn_size(p);
	p = rn_realloc(p, 4 * size, 0);
	ck_assert(all_zero(p + old, rn_size(p) - old));
	ck_assert_int_eq(p[old - 1], -1);
	rn_free(p);
}
END_TEST

/* Without the option it keeps what it had; with it, not even the mark is. */
START_TEST(cleared_on_free)
{
	size_t size = sizes[_i], usable;
	char *p;

	if (size > KMALLOC_MAX)
		return;
	p = dirty(size);
	usable = rn_size(p);
	rn_free(p);
	ck_assert(!is_zero(p, usable));
	slab_hook_set(HOOK_INIT_FREE, true);
	p = dirty(size);
	rn_free(p);
	ck_assert(is_zero(p, usable));
}
END_TEST

START_TEST(runs_are_cleared_on_free)
{
	size_t size = 200000;
	char *p, *beside;

	set_option("RN_INIT_ON_FREE");
	beside = dirty(size);
	for (int i = 0; i < 10; i++) {
		p = dirty(size);
		rn_free(p);
		p = rn_alloc(size, 0);
		ck_assert(is_zero(p, size));
		rn_free(p);
	}
	rn_free(beside);
}
END_TEST

/* What is cut off, too. */
START_TEST(tails_are_cleared_on_free)
{
	char *p, *q;

	set_option("RN_INIT_ON_FREE");
	p = dirty(400000);
	p = rn_realloc(p, 201000, 0);
	q = rn_alloc(190000, 0);
	ck_assert(is_zero(q, 190000));
	rn_free(q);
	rn_free(p);
}
END_TEST

static const char *const clearing[] = {
	"RN_INIT_ON_ALLOC", "RN_INIT_ON_FREE",
};

START_TEST(constructed_are_not_cleared)
{
	struct rn_cache *c;
	char *p;

	set_option(clearing[_i]);
	c = new_cache(32, construct);
	p = rn_cache_alloc(c, 0);
	ck_assert(p[0] == 'c' && p[31] == 'c');
	p[0] = 'd';
	rn_cache_free(c, p);
	ck_assert_ptr_eq(rn_cache_alloc(c, 0), p);
	ck_assert(p[0] == 'd' && p[31] == 'c');
	rn_cache_free(c, p);
	ck_assert_int_eq(rn_cache_destroy(c), 0);
}
END_TEST

/* Both look at the same word. */
START_TEST(cleared_and_hardened)
{
	char *p;

	setenv("RN_HARDENED", "1", 1);
	setenv("RN_INIT_ON_ALLOC", "1", 1);
	set_option("RN_INIT_ON_FREE");
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		for (int round = 0; round < 3; round++) {
			p = dirty(sizes[i]);
			rn_free(p);
			if (sizes[i] <= KMALLOC_MAX)
				ck_assert(is_zero(p + 8, sizes[i] > 8 ?
						  sizes[i] - 8 : 0));
			p = rn_alloc(sizes[i], round ? RN_ZERO : 0);
			ck_assert(all_zero(p, rn_size(p)));
			rn_free(p);
		}
	}
	rn_shrink_all();
	ck_assert_int_eq(rn_validate(NULL), 0);
}
END_TEST

/* --- caches by call site --- */

#define SITE	rn_alloc(64, 0)
#define SITES_4	SITE, SITE, SITE, SITE
#define SITES	SITES_4, SITES_4, SITES_4, SITES_4, SITES_4, SITES_4, SITES_4, \
		SITES_4

enum { NR_SITES = 32 };

static noinline void alloc_at_sites(struct rn_cache **caches)
{
	void *p[] = { SITES };

	static_assert(ARRAY_LEN(p) == NR_SITES, "all of them");
	for (int i = 0; i < NR_SITES; i++) {
		caches[i] = row_to_cache(ptr_to_row(p[i]));
		rn_free(p[i]);
	}
}

START_TEST(call_sites_have_caches)
{
	struct rn_cache *first[NR_SITES], *again[NR_SITES];
	unsigned int others = 0, rnd = 0;

#ifdef SANITIZER_THREAD
	skip_part("call_sites_have_caches", "rn_alloc() makes no tail calls");
	return;
#endif
	set_option("RN_RANDOM_KMALLOC_CACHES");
	alloc_at_sites(first);
	alloc_at_sites(again);
	for (int i = 0; i < NR_SITES; i++) {
		ck_assert_ptr_eq(first[i], again[i]);
		ck_assert_uint_eq(first[i]->usable, 64);
		others += first[i] != first[0];
		rnd += !strncmp(first[i]->name, "kmalloc-rnd-", 12) &&
			!strcmp(first[i]->name + 14, "-64");
	}
	/* By chance none: once in 2^124, and in 2^128. */
	ck_assert_uint_gt(others, 0);
	ck_assert_uint_gt(rnd, 0);
}
END_TEST

START_TEST(copies_are_used_alike)
{
	unsigned int nr[NR_RANDOM_CACHES] = { 0 };

	set_option("RN_RANDOM_KMALLOC_CACHES");
	for (uintptr_t site = 0; site < 16000; site++)
		nr[harden_copy((void *)(0x555555554000 + site * 5))]++;
	for (int i = 0; i < NR_RANDOM_CACHES; i++) {
		ck_assert_uint_gt(nr[i], 500);
		ck_assert_uint_lt(nr[i], 2000);
	}
}
END_TEST

/* Those of one shape share a cache with others, but not with these. */
START_TEST(copies_are_not_merged)
{
	struct rn_cache *first[NR_SITES], *c;
	struct rn_cache_args args = { .sz = sizeof(args), .size = 64 };

	set_option("RN_RANDOM_KMALLOC_CACHES");
	alloc_at_sites(first);
	c = rn_cache_create("mine", &args);
	ck_assert_str_eq(c->name, "kmalloc-64");
	ck_assert_int_eq(rn_cache_destroy(c), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("harden");
	TCase *tc = tcase_create("harden");

	tcase_add_loop_test(tc, option, 0, ARRAY_LEN(options_of));
	tcase_add_loop_test(tc, nonsense_is_said, 0, ARRAY_LEN(options_of));
	tcase_add_test(tc, vmstat_says_so);
	tcase_add_test(tc, word_says_whose_it_is);
	tcase_add_test(tc, any_contents);
	tcase_add_test(tc, slabs_are_shuffled);
	tcase_add_test(tc, all_orders_are_alike);
	tcase_add_test(tc, shuffled_are_constructed);
	tcase_add_loop_test(tc, cleared_on_allocation, 0, ARRAY_LEN(sizes));
	tcase_add_loop_test(tc, cleared_on_growth, 0, ARRAY_LEN(sizes));
	tcase_add_loop_test(tc, cleared_on_free, 0, ARRAY_LEN(sizes));
	tcase_add_test(tc, runs_are_cleared_on_free);
	tcase_add_test(tc, tails_are_cleared_on_free);
	tcase_add_loop_test(tc, constructed_are_not_cleared, 0,
			    ARRAY_LEN(clearing));
	tcase_add_test(tc, cleared_and_hardened);
	tcase_add_test(tc, call_sites_have_caches);
	tcase_add_test(tc, copies_are_used_alike);
	tcase_add_test(tc, copies_are_not_merged);
	tcase_set_timeout(tc, 30);
	suite_add_tcase(s, tc);
	return suite_main(s);
}
