// SPDX-License-Identifier: MIT
/*
 * rn_alloc() and its relatives: sizes, classes, alignment, zeroing, bulk, and
 * what is refused.
 */
#include "debugged.h"

#include <errno.h>
#include <rn/pages.h>
#include <rn/slab-inline.h>
#include <rn/vmstat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLASS_MAX	RN_CLASS_MAX

/* One size of every class, and some that are larger than any. */
static size_t sizes[RN_NR_CLASSES + 16];
static unsigned int nr_sizes;

static void find_sizes(void)
{
	static const size_t large[] = {
		32769, 65536, 100000, 131072, 1 << 20, (1 << 20) + 1, 2 << 20,
		(2 << 20) + 4096, 5 << 20, 16 << 20,
	};

	nr_sizes = 0;
	/* Where the library could not start there is no class. */
	ck_assert_uint_gt(rn_size_roundup(1), 1);
	for (size_t s = 1; s <= CLASS_MAX; s = rn_size_roundup(s) + 1)
		sizes[nr_sizes++] = rn_size_roundup(s);
	for (size_t i = 0; i < ARRAY_LEN(large); i++)
		sizes[nr_sizes++] = large[i];
}

START_TEST(zero_size)
{
	ck_assert_ptr_eq(rn_alloc(0, 0), RN_ZERO_SIZE_PTR);
	ck_assert_ptr_eq(rn_zalloc(opaque(0), 0), RN_ZERO_SIZE_PTR);
	ck_assert_ptr_eq(rn_calloc(0, 8, 0), RN_ZERO_SIZE_PTR);
	ck_assert_ptr_eq(rn_calloc(8, 0, 0), RN_ZERO_SIZE_PTR);
	ck_assert_ptr_eq(rn_alloc_node(0, 0, 0), RN_ZERO_SIZE_PTR);
	ck_assert_uint_eq(rn_size(RN_ZERO_SIZE_PTR), 0);
	ck_assert_uint_eq(rn_size_roundup(0), 0);
	rn_free(RN_ZERO_SIZE_PTR);
	rn_free_sized(RN_ZERO_SIZE_PTR, 0);
	rn_free_sensitive(RN_ZERO_SIZE_PTR);
}
END_TEST

START_TEST(null_is_nothing)
{
	void *none[3] = { NULL, NULL, NULL };

	rn_free(NULL);
	rn_free_sized(NULL, 10);
	rn_free_sensitive(NULL);
	rn_free_bulk(3, none);
	rn_free_bulk(0, NULL);
	ck_assert_uint_eq(rn_size(NULL), 0);
}
END_TEST

static void refused(void *p, int error)
{
	ck_assert_ptr_null(p);
	ck_assert_int_eq(errno, error);
	errno = 0;
}

START_TEST(impossible_sizes)
{
	static const size_t bad[] = {
		SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - 4095, RN_MAX_SIZE + 1,
		RN_MAX_SIZE, RN_MAX_SIZE - 4096, (size_t)1 << 62,
		(size_t)1 << 47,
	};
	void *p = rn_alloc(100, 0);

	pattern_set(p, 100, 1);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		size_t size = opaque(bad[i]);

		refused(rn_alloc(size, 0), ENOMEM);
		refused(rn_zalloc(size, 0), ENOMEM);
		refused(rn_alloc(size, RN_NOWAIT), ENOMEM);
		refused(rn_alloc_node(size, 0, 0), ENOMEM);
		refused(rn_zalloc_node(size, RN_THISNODE, 0), ENOMEM);
		refused(rn_alloc_array(size, 1, 0), ENOMEM);
		refused(rn_realloc(p, size, 0), ENOMEM);
		refused(rn_realloc(NULL, size, 0), ENOMEM);
		refused(rn_memdup(p, size, 0), ENOMEM);
		ck_assert_uint_eq(rn_alloc_bulk(size, 0, 1, &p), 0);
		refused(p, ENOMEM);
		p = rn_alloc(100, 0);
		pattern_set(p, 100, 1);
	}
	ck_assert(pattern_ok(p, 100, 1));
	ck_assert_uint_eq(rn_size_roundup(opaque(SIZE_MAX)), SIZE_MAX);
	ck_assert_uint_eq(rn_size_roundup(opaque(RN_MAX_SIZE + 1)),
			  RN_MAX_SIZE + 1);
	rn_free(p);
}
END_TEST

START_TEST(array_overflow)
{
	size_t half = opaque(SIZE_MAX / 2 + 1), huge = opaque(SIZE_MAX);
	void *p = rn_alloc_array(10, 10, 0);

	ck_assert_uint_eq(rn_size(p), usable_size(100));
	pattern_set(p, 100, 2);
	refused(rn_alloc_array(half, 2, 0), ENOMEM);
	refused(rn_alloc_array(2, half, 0), ENOMEM);
	refused(rn_alloc_array(huge, huge, 0), ENOMEM);
	refused(rn_calloc(half, 2, 0), ENOMEM);
	refused(rn_calloc(huge, huge, 0), ENOMEM);
	/* (2^32 + 1)^2 is 2^33 + 1 where it wraps. */
	refused(rn_alloc_array(opaque(0x100000001), opaque(0x100000001), 0),
		ENOMEM);
	refused(rn_realloc_array(p, half, 2, 0), ENOMEM);
	ck_assert(pattern_ok(p, 100, 2));
	rn_free(p);
}
END_TEST

START_TEST(unknown_flags)
{
	void *p = rn_alloc(100, 0);
	struct rn_cache *c = RN_CACHE(struct slabinfo);

	for (unsigned int bit = 0; bit < 32; bit++) {
		rn_gfp_t flag = 1U << bit;

		if (flag & RN_GFP_MASK)
			continue;
		refused(rn_alloc(opaque(64), flag), EINVAL);
		refused(rn_alloc(64, flag), EINVAL);
		refused(rn_alloc(opaque(0), flag), EINVAL);
		refused(rn_alloc(opaque(1 << 20), flag | RN_ZERO), EINVAL);
		refused(rn_zalloc(opaque(64), flag), EINVAL);
		refused(rn_alloc_node(64, flag, 0), EINVAL);
		refused(rn_calloc(8, 8, flag), EINVAL);
		refused(rn_realloc(p, 50, flag), EINVAL);
		refused(rn_realloc(p, 500, flag), EINVAL);
		refused(rn_memdup(p, 10, flag), EINVAL);
		refused(rn_strdup("x", flag), EINVAL);
		refused(rn_strndup("x", 1, flag), EINVAL);
		refused(rn_cache_alloc(c, flag), EINVAL);
		refused(rn_cache_zalloc(c, flag), EINVAL);
		refused(rn_cache_alloc_node(c, flag, 0), EINVAL);
		refused(rn_alloc_pages(0, flag, RN_NO_NODE), EINVAL);
	}
	rn_free(p);
}
END_TEST

START_TEST(bad_nodes)
{
	static const int bad[] = { -2, -100, 64, 65, 1000, 0x7fffffff };
	struct rn_cache *c = RN_CACHE(struct slabinfo);
	void *p;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		refused(rn_alloc_node(64, 0, bad[i]), EINVAL);
		refused(rn_zalloc_node(1 << 20, 0, bad[i]), EINVAL);
		refused(rn_cache_alloc_node(c, 0, bad[i]), EINVAL);
	}
	p = rn_alloc_node(64, 0, RN_NO_NODE);
	ck_assert_ptr_nonnull(p);
	rn_free(p);
}
END_TEST

/* --- classes --- */

static size_t alignment_of(size_t usable)
{
	size_t low = usable & -usable;
	size_t most = usable > CLASS_MAX ? 2 << 20 : 4096;

	/* A large object that is no power of two is only known by pages. */
	if (usable > CLASS_MAX && low != usable)
		return 4096;
	return low < most || low == usable ? (low < (2 << 20) ? low : 2 << 20)
					   : most;
}

START_TEST(alignment_and_usable_size)
{
	enum { MANY = 40 };
	void *p[MANY];

	find_sizes();
	for (unsigned int i = 0; i < nr_sizes; i++) {
		size_t size = sizes[i], usable = usable_size(size);
		unsigned int n = size > 1 << 20 ? 4 : MANY;

		for (unsigned int k = 0; k < n; k++) {
			p[k] = rn_alloc(size, 0);
			ck_assert_ptr_nonnull(p[k]);
			ck_assert_uint_eq(rn_size(p[k]), usable);
			ck_assert_msg((uintptr_t)p[k] %
				      alignment_of(rn_size_roundup(size)) == 0,
				      "%p of %zu bytes", p[k], size);
			pattern_set(p[k], usable, size + k);
		}
		for (unsigned int k = 0; k < n; k++)
			ck_assert_msg(pattern_ok(p[k], usable, size + k),
				      "%zu bytes, number %u", size, k);
		for (unsigned int k = 0; k < n; k++)
			rn_free(p[k]);
	}
}
END_TEST

START_TEST(powers_of_two_are_aligned)
{
	for (size_t size = 8; size <= 8 << 20; size *= 2) {
		size_t align = size < 2 << 20 ? size : 2 << 20;
		void *p[8];

		for (size_t i = 0; i < ARRAY_LEN(p); i++) {
			p[i] = rn_alloc(size, 0);
			ck_assert_ptr_nonnull(p[i]);
			ck_assert_uint_eq((uintptr_t)p[i] % align, 0);
		}
		rn_free_bulk(ARRAY_LEN(p), p);
	}
}
END_TEST

/* Every size has a class that holds it, and wastes little. */
START_TEST(every_size)
{
	size_t before = 0;

	for (size_t size = 1; size <= 2 * CLASS_MAX; size++) {
		size_t usable = usable_size(size);
		void *p = rn_alloc(size, 0);

		ck_assert_ptr_nonnull(p);
		ck_assert_uint_ge(usable, size);
		ck_assert_uint_ge(usable, before);
		ck_assert_uint_eq(rn_size(p), usable);
		/* An eighth, or the step to the next word or page. */
		ck_assert_uint_le(usable - size, size <= 64 ? 7 :
				  size > CLASS_MAX ? 4095 : size / 4);
		((char *)p)[0] = 1;
		((char *)p)[usable - 1] = 1;
		rn_free(p);
		before = usable;
	}
}
END_TEST

/* The same object must not be out twice, whatever path it took. */
static int by_address(const void *a, const void *b)
{
	uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;

	return x < y ? -1 : x > y;
}

START_TEST(no_overlap)
{
	unsigned int many = 20000 / LESS;
	static const size_t some[] = { 8, 24, 100, 240, 1000, 3000, 9000 };

	for (size_t i = 0; i < ARRAY_LEN(some); i++) {
		size_t usable = rn_size_roundup(some[i]);
		unsigned int n = some[i] > 1000 ? many / 16 : many;
		uintptr_t *p = calloc(n, sizeof(*p));

		for (unsigned int k = 0; k < n; k++)
			p[k] = (uintptr_t)rn_alloc(some[i], 0);
		/* Every third goes and comes back. */
		for (unsigned int k = 0; k < n; k += 3)
			rn_free((void *)p[k]);
		for (unsigned int k = 0; k < n; k += 3)
			p[k] = (uintptr_t)rn_alloc(some[i], 0);
		qsort(p, n, sizeof(*p), by_address);
		for (unsigned int k = 1; k < n; k++)
			ck_assert_uint_ge(p[k] - p[k - 1], usable);
		for (unsigned int k = 0; k < n; k++)
			rn_free((void *)p[k]);
		free(p);
	}
}
END_TEST

START_TEST(inline_agrees)
{
	/* Sizes known at compile time go the other way. */
	void *p = rn_alloc(240, 0), *q = (rn_alloc)(opaque(240), 0);
	void *z = rn_zalloc(240, 0);

	ck_assert_uint_eq(rn_size(p), rn_size(q));
	ck_assert_uint_eq(rn_size(z), rn_size(q));
	ck_assert(all_zero(z, rn_size(z)));
	rn_free(p);
	rn_free(q);
	rn_free(z);
	for (size_t size = 1; size <= RN_CLASS_MAX; size++) {
		p = rn_alloc_class_v3(size, RN_CLASS(size));
		ck_assert_uint_eq(rn_size(p), usable_size(size));
		if (size % LESS == 0)
			pattern_set(p, size, size);
		rn_free(p);
	}
	ck_assert_uint_eq(RN_CLASS(RN_CLASS_MAX), RN_NR_CLASSES);
	refused(rn_alloc(64, 1U << 31), EINVAL);
	/* Above the last class and at 0 the macro calls the function. */
	ck_assert_ptr_eq(rn_alloc(0, 0), RN_ZERO_SIZE_PTR);
	p = rn_alloc(RN_CLASS_MAX + 1, 0);
	ck_assert_uint_eq(rn_size(p), RN_CLASS_MAX + 4096);
	rn_free(p);
}
END_TEST

/* --- contents --- */

/* Makes sure that what comes next has been used before. */
static void dirty(size_t size)
{
	void *p[64];
	unsigned int n = size > 1 << 20 ? 2 : ARRAY_LEN(p);

	for (unsigned int i = 0; i < n; i++) {
		p[i] = rn_alloc(size, 0);
		memset(p[i], 0xa5, rn_size(p[i]));
	}
	rn_free_bulk(n, p);
}

START_TEST(zeroed)
{
	find_sizes();
	for (unsigned int i = 0; i < nr_sizes; i++) {
		size_t size = opaque(sizes[i]);
		void *p[5];

		dirty(size);
		p[0] = rn_zalloc(size, 0);
		p[1] = rn_alloc(size, RN_ZERO);
		p[2] = rn_calloc(1, size, 0);
		p[3] = rn_zalloc_node(size, 0, RN_NO_NODE);
		p[4] = rn_alloc_array(1, size, RN_ZERO);
		for (size_t k = 0; k < ARRAY_LEN(p); k++) {
			ck_assert_ptr_nonnull(p[k]);
			ck_assert(all_zero(p[k], rn_size(p[k])));
		}
		rn_free_bulk(ARRAY_LEN(p), p);
	}
}
END_TEST

START_TEST(sensitive_is_wiped)
{
	find_sizes();
	for (unsigned int i = 0; i < nr_sizes; i++) {
		char *p = rn_alloc(sizes[i], 0);
		size_t usable = rn_size(p);

		memset(p, 0x5a, usable);
		rn_free_sensitive(p);
		/* A small one lies in a sheaf now, mapped and unmarked. */
		if (usable <= CLASS_MAX && !all_debugged() && !all_hardened())
			ck_assert(all_zero(p, usable));
	}
}
END_TEST

START_TEST(bulk)
{
	enum { MANY = 3000 };
	static void *p[MANY];
	static const size_t some[] = { 16, 200, 4096, 40000 };

	for (size_t i = 0; i < ARRAY_LEN(some); i++) {
		size_t n = some[i] > 1000 ? MANY / 10 : MANY;

		ck_assert_uint_eq(rn_alloc_bulk(some[i], RN_ZERO, n, p), n);
		for (size_t k = 0; k < n; k++) {
			ck_assert(all_zero(p[k], some[i]));
			pattern_set(p[k], some[i], k);
		}
		for (size_t k = 0; k < n; k++)
			ck_assert(pattern_ok(p[k], some[i], k));
		rn_free_bulk(n, p);
	}
	ck_assert_uint_eq(rn_alloc_bulk(16, 0, 0, NULL), 0);
	errno = 0;
	ck_assert_uint_eq(rn_alloc_bulk(16, 1U << 30, 4, p), 0);
	ck_assert_int_eq(errno, EINVAL);
}
END_TEST

START_TEST(errno_survives_free)
{
	enum { MANY = 5000 };
	static void *p[MANY];

	find_sizes();
	for (unsigned int i = 0; i < nr_sizes; i++) {
		unsigned int n = sizes[i] > 1 << 20 ? 4 :
				 sizes[i] > 1024 ? 200 : MANY;

		for (unsigned int k = 0; k < n; k++)
			p[k] = rn_alloc(sizes[i], 0);
		errno = 4711;
		for (unsigned int k = 0; k < n; k++) {
			if (k % 2)
				rn_free_sized(p[k], sizes[i]);
			else
				rn_free(p[k]);
			ck_assert_int_eq(errno, 4711);
		}
	}
}
END_TEST

START_TEST(check_object)
{
	char *p = rn_alloc(240, 0), *large = rn_alloc(100000, 0), here;
	size_t n = rn_size(p);

	ck_assert_int_eq(rn_check_object(p, n), 0);
	ck_assert_int_eq(rn_check_object(p, 0), 0);
	ck_assert_int_eq(rn_check_object(p + 10, n - 10), 0);
	ck_assert_int_eq(rn_check_object(p + 10, n - 9), -EFAULT);
	ck_assert_int_eq(rn_check_object(p, n + 1), -EFAULT);
	ck_assert_int_eq(rn_check_object(p + 1, SIZE_MAX), -EFAULT);
	ck_assert_int_eq(rn_check_object(&here, 1), -EFAULT);
	ck_assert_int_eq(rn_check_object(NULL, 1), -EFAULT);
	n = rn_size(large);
	ck_assert_int_eq(rn_check_object(large, n), 0);
	ck_assert_int_eq(rn_check_object(large, n + 1), -EFAULT);
	rn_free(p);
	rn_free(large);
}
END_TEST

START_TEST(version)
{
	unsigned int a, b, c;
	char end;

	ck_assert_int_eq(sscanf(rn_version(), "%u.%u.%u%c", &a, &b, &c, &end),
			 3);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("alloc");
	TCase *refusals = tcase_create("refusals");
	TCase *classes = tcase_create("classes");
	TCase *contents = tcase_create("contents");

	tcase_add_test(refusals, zero_size);
	tcase_add_test(refusals, null_is_nothing);
	tcase_add_test(refusals, impossible_sizes);
	tcase_add_test(refusals, array_overflow);
	tcase_add_test(refusals, unknown_flags);
	tcase_add_test(refusals, bad_nodes);
	tcase_add_test(classes, alignment_and_usable_size);
	tcase_add_test(classes, powers_of_two_are_aligned);
	tcase_add_test(classes, every_size);
	tcase_add_test(classes, no_overlap);
	tcase_add_test(classes, inline_agrees);
	tcase_add_test(contents, zeroed);
	tcase_add_test(contents, sensitive_is_wiped);
	tcase_add_test(contents, bulk);
	tcase_add_test(contents, errno_survives_free);
	tcase_add_test(contents, check_object);
	tcase_add_test(contents, version);
	tcase_set_timeout(classes, 30);
	tcase_set_timeout(contents, 30);
	suite_add_tcase(s, refusals);
	suite_add_tcase(s, classes);
	suite_add_tcase(s, contents);
	return suite_main(s);
}
