// SPDX-License-Identifier: MIT
/*
 * Changing the size of objects, copies of bytes and strings, and the flags
 * that say where memory may come from.
 */
#include "debugged.h"
#include "hugepages.h"

#include <rn/pages.h>
#include <rn/slab.h>

START_TEST(realloc_random)
{
	uint64_t random = 42;
	size_t size = 1;
	char *p = rn_alloc(size, 0);

	mark_bytes(p, 0, size);
	for (int i = 0; i < 2000 / LESS; i++) {
		size_t new = 1 + xorshift(&random) %
			     (1UL << (1 + xorshift(&random) % 22));

		p = rn_realloc(p, new, 0);
		ck_assert_ptr_nonnull(p);
		ck_assert_uint_ge(rn_size(p), new);
		ck_assert_msg(bytes_marked(p, size < new ? size : new),
			      "from %zu to %zu bytes", size, new);
		mark_bytes(p, 0, new);
		size = new;
	}
	rn_free(p);
}
END_TEST

START_TEST(realloc_edges)
{
	char *p = rn_realloc(NULL, 100, 0), *q;

	ck_assert_ptr_nonnull(p);
	mark_bytes(p, 0, 100);
	/* Fits and uses more than half: stays. */
	ck_assert_ptr_eq(rn_realloc(p, rn_size(p), 0), p);
	ck_assert_ptr_eq(rn_realloc(p, rn_size(p) / 2 + 1, 0), p);
	/* Uses less: moves to where it wastes less. */
	q = rn_realloc(p, 10, 0);
	ck_assert_uint_eq(rn_size(q), usable_size(10));
	ck_assert(bytes_marked(q, 10));
	ck_assert_ptr_eq(rn_realloc(q, opaque(0), 0), RN_ZERO_SIZE_PTR);
	p = rn_realloc(RN_ZERO_SIZE_PTR, 50, RN_ZERO);
	ck_assert(all_zero(p, rn_size(p)));
	rn_free(p);
	ck_assert_ptr_eq(rn_realloc(NULL, opaque(0), 0), RN_ZERO_SIZE_PTR);
}
END_TEST

START_TEST(realloc_array)
{
	char *p = rn_realloc_array(NULL, 10, 12, RN_ZERO);

	ck_assert(all_zero(p, 120));
	mark_bytes(p, 0, 120);
	p = rn_realloc_array(p, 1000, 12, 0);
	ck_assert_uint_ge(rn_size(p), 12000);
	ck_assert(bytes_marked(p, 120));
	p = rn_realloc_array(p, 0, 12, 0);
	ck_assert_ptr_eq(p, RN_ZERO_SIZE_PTR);
}
END_TEST

/* With RN_ZERO everywhere, what the user never wrote is zero. */
START_TEST(realloc_zero_tail)
{
	static const size_t steps[] = {
		100, 120, 70, 128, 300, 160, 5000, 4000, 40000, 70000, 36000,
		65000, 200000, 101000, 3000000, 1600000, 5000000, 9, 64,
	};
	size_t written = 0;
	char *p = NULL;

	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		size_t size = steps[i], kept = written < size ? written : size;

		p = rn_realloc(p, size, RN_ZERO);
		ck_assert_ptr_nonnull(p);
		ck_assert(bytes_marked(p, kept));
		ck_assert_msg(all_zero(p + kept, rn_size(p) - kept),
			      "step %zu, to %zu bytes", i, size);
		mark_bytes(p, 0, size);
		written = size;
	}
	rn_free(p);
}
END_TEST

/* A large object that grows step by step is not copied each time. */
START_TEST(realloc_large_in_place)
{
	size_t size = 4 << 20;
	char *p = rn_alloc(size, 0), *before;
	unsigned int stayed = 0, steps = 0;

	mark_bytes(p, 0, size);
	while (size < 64UL << 20) {
		size_t new = size + (2 << 20);

		before = p;
		p = rn_realloc(p, new, 0);
		ck_assert_ptr_nonnull(p);
		steps++;
		stayed += p == before;
		mark_bytes(p, size, new);
		size = new;
	}
	ck_assert(bytes_marked(p, size));
	/* Nobody else is there, so most steps find room behind. */
	ck_assert_msg(stayed > steps / 2, "%u of %u in place", stayed, steps);
	before = p;
	p = rn_realloc(p, size / 2 + 4096, 0);
	ck_assert_ptr_eq(p, before);
	ck_assert(bytes_marked(p, size / 2 + 4096));
	p = rn_realloc(p, 5 << 20, 0);
	ck_assert(bytes_marked(p, 5 << 20));
	ck_assert_uint_eq(rn_size(p), 5 << 20);
	rn_free(p);
}
END_TEST

/* Two that hem each other in have to move, and lose nothing. */
START_TEST(realloc_large_moves)
{
	size_t size = 3 << 20;
	char *p[2] = { rn_alloc(size, 0), rn_alloc(size, 0) };

	mark_bytes(p[0], 0, size);
	mark_bytes(p[1], 0, size);
	for (int i = 0; i < 8; i++) {
		size_t new = size + (4 << 20);

		for (int k = 0; k < 2; k++) {
			p[k] = rn_realloc(p[k], new, RN_ZERO);
			ck_assert_ptr_nonnull(p[k]);
			ck_assert(bytes_marked(p[k], size));
			ck_assert(all_zero(p[k] + size, new - size));
			mark_bytes(p[k], 0, new);
		}
		size = new;
	}
	rn_free(p[0]);
	ck_assert(bytes_marked(p[1], size));
	rn_free(p[1]);
}
END_TEST

START_TEST(memdup)
{
	char text[5000];
	char *p;

	mark_bytes(text, 0, sizeof(text));
	for (size_t n = 1; n <= sizeof(text); n += 61) {
		p = rn_memdup(text, n, 0);
		ck_assert_ptr_ne(p, text);
		ck_assert(bytes_marked(p, n));
		rn_free(p);
	}
	ck_assert_ptr_eq(rn_memdup(text, 0, 0), RN_ZERO_SIZE_PTR);
}
END_TEST

START_TEST(strings)
{
	char *p = rn_strdup("thoroughly", 0);
	int before = 17;

	ck_assert_str_eq(p, "thoroughly");
	rn_free(p);
	p = rn_strdup("", 0);
	ck_assert_str_eq(p, "");
	rn_free(p);
	p = rn_strndup("thoroughly", 5, 0);
	ck_assert_str_eq(p, "thoro");
	rn_free(p);
	p = rn_strndup("thoroughly", SIZE_MAX, 0);
	ck_assert_str_eq(p, "thoroughly");
	rn_free(p);
	p = rn_strndup("thoroughly", 0, 0);
	ck_assert_str_eq(p, "");
	rn_free(p);
	/* No end within the first three bytes, and none is looked for. */
	p = rn_strndup((const char[]){ 'a', 'b', 'c' }, 3, 0);
	ck_assert_str_eq(p, "abc");
	rn_free(p);
	errno = before;
	ck_assert_ptr_null(rn_strdup(NULL, 0));
	ck_assert_ptr_null(rn_strndup(NULL, 5, 0));
	ck_assert_int_eq(errno, before);
}
END_TEST

/* --- flags --- */

START_TEST(nowait_maps_nothing)
{
	void *p;

	errno = 0;
	ck_assert_ptr_null(rn_alloc(opaque(64), RN_NOWAIT));
	ck_assert_int_eq(errno, ENOMEM);
	ck_assert_ptr_null(rn_alloc(1 << 20, RN_NOWAIT));
	/* Once there is some, it is given. */
	rn_free(rn_alloc(opaque(64), 0));
	p = rn_alloc(opaque(64), RN_NOWAIT);
	ck_assert_ptr_nonnull(p);
	rn_free(p);
	p = rn_alloc(opaque(3000), RN_NOWAIT);
	ck_assert_ptr_nonnull(p);
	rn_free(p);
	errno = 0;
	ck_assert_ptr_null(rn_alloc(1UL << 30, RN_NOWAIT));
	ck_assert_int_eq(errno, ENOMEM);
}
END_TEST

START_TEST(thisnode)
{
	unsigned int nodes = 0;

	for (int node = 0; node < 64; node++) {
		void *p = rn_alloc_node(100, RN_THISNODE, node);
		void *large = rn_alloc_node(1 << 20, RN_THISNODE, node);

		if (p)
			ck_assert_int_eq(rn_addr_to_node(p), node);
		if (large)
			ck_assert_int_eq(rn_addr_to_node(large), node);
		nodes += p && large;
		rn_free(p);
		rn_free(large);
	}
	ck_assert_uint_gt(nodes, 0);
}
END_TEST

START_TEST(nofail)
{
	static const size_t some[] = { 1, 100, 5000, 100000, 3 << 20 };

	for (size_t i = 0; i < ARRAY_LEN(some); i++) {
		char *p = rn_alloc(opaque(some[i]), RN_NOFAIL | RN_ZERO);

		ck_assert(all_zero(p, some[i]));
		rn_free(p);
	}
	ck_assert_ptr_eq(rn_alloc(opaque(0), RN_NOFAIL), RN_ZERO_SIZE_PTR);
}
END_TEST

/* --- hugetlb: the parent sets up the pool, and puts it back --- */

static const char *no_hugepages;

static void hugepages_setup(void)
{
	no_hugepages = huge_begin();
}

START_TEST(hugetlb_only)
{
	static const size_t some[] = { 64, 3000, 100000, 2 << 20 };
	char *p[ARRAY_LEN(some)];

	if (no_hugepages) {
		skip_part("hugetlb_only", no_hugepages);
		return;
	}
	/* An ordinary heap beside it must not be mistaken for it. */
	setenv("RN_LADDER", "thp,small,hugetlb", 1);
	rn_free(rn_alloc(opaque(64), 0));
	ck_assert_int_eq(status_value("HugetlbPages"), 0);
	for (size_t i = 0; i < ARRAY_LEN(some); i++) {
		p[i] = rn_alloc(opaque(some[i]), RN_HUGETLB);
		ck_assert_ptr_nonnull(p[i]);
		pattern_set(p[i], some[i], i);
	}
	/* 64, 3000 and 100000 may share a page; the last has its own. */
	ck_assert_int_ge(status_value("HugetlbPages"), 4096);
	for (size_t i = 0; i < ARRAY_LEN(some); i++) {
		ck_assert(pattern_ok(p[i], some[i], i));
		rn_free(p[i]);
	}
	rn_shrink_all();
	ck_assert_int_eq(status_value("HugetlbPages"), 0);
}
END_TEST

/* A cache is on hugetlb pages as a whole, or not at all. */
START_TEST(hugetlb_caches)
{
	struct rn_cache_args args = {
		.sz = sizeof(args), .size = 200, .flags = RN_CACHE_HUGETLB,
	};
	struct rn_cache *huge, *plain;
	void *p, *q;

	if (no_hugepages) {
		skip_part("hugetlb_caches", no_hugepages);
		return;
	}
	ck_assert_int_eq(huge_set_free(16), 0);
	setenv("RN_LADDER", "thp,small,hugetlb", 1);
	huge = rn_cache_create("on-hugetlb", &args);
	args.flags = 0;
	plain = rn_cache_create("anywhere", &args);
	p = rn_cache_alloc(huge, 0);
	q = rn_cache_alloc(huge, RN_HUGETLB);
	ck_assert_ptr_nonnull(p);
	ck_assert_ptr_nonnull(q);
	ck_assert_int_eq(status_value("HugetlbPages"), 2048);
	errno = 0;
	ck_assert_ptr_null(rn_cache_alloc(plain, RN_HUGETLB));
	ck_assert_int_eq(errno, EINVAL);
	rn_cache_free(huge, p);
	rn_cache_free(huge, q);
	ck_assert_int_eq(rn_cache_destroy(huge), 0);
	ck_assert_int_eq(rn_cache_destroy(plain), 0);
}
END_TEST

START_TEST(hugetlb_pool_empty)
{
	void *p;

	if (no_hugepages) {
		skip_part("hugetlb_pool_empty", no_hugepages);
		return;
	}
	ck_assert_int_eq(huge_set_free(0), 0);
	errno = 0;
	ck_assert_ptr_null(rn_alloc(opaque(64), RN_HUGETLB));
	ck_assert_int_eq(errno, ENOMEM);
	ck_assert_ptr_null(rn_alloc(1 << 20, RN_HUGETLB));
	/* The ladder steps down for who did not insist. */
	p = rn_alloc(opaque(64), 0);
	ck_assert_ptr_nonnull(p);
	rn_free(p);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("realloc");
	TCase *resize = tcase_create("realloc");
	TCase *copies = tcase_create("copies");
	TCase *flags = tcase_create("flags");
	TCase *hugetlb = tcase_create("hugetlb");

	tcase_add_test(resize, realloc_random);
	tcase_add_test(resize, realloc_edges);
	tcase_add_test(resize, realloc_array);
	tcase_add_test(resize, realloc_zero_tail);
	tcase_add_test(resize, realloc_large_in_place);
	tcase_add_test(resize, realloc_large_moves);
	tcase_add_test(copies, memdup);
	tcase_add_test(copies, strings);
	tcase_add_test(flags, nowait_maps_nothing);
	tcase_add_test(flags, thisnode);
	tcase_add_test(flags, nofail);
	tcase_add_test(hugetlb, hugetlb_only);
	tcase_add_test(hugetlb, hugetlb_caches);
	tcase_add_test(hugetlb, hugetlb_pool_empty);
	tcase_set_timeout(resize, 60);
	tcase_set_timeout(flags, 30);
	tcase_set_timeout(hugetlb, 30);
	tcase_add_unchecked_fixture(hugetlb, hugepages_setup, huge_end);
	suite_add_tcase(s, resize);
	suite_add_tcase(s, copies);
	suite_add_tcase(s, flags);
	suite_add_tcase(s, hugetlb);
	return suite_main(s);
}
