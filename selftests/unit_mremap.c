// SPDX-License-Identifier: MIT
/*
 * Runs of pages that grow in place, move without a copy, and are trimmed.
 *
 * Each test is a process of its own and starts the library as it needs it.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "helpers.h"
#include "zone_census.h"

START_TEST(realloc_grows_in_place_and_shrinks)
{
	char *p, *q;
	u32 nr;

	start("small");
	p = large_alloc(100 * PAGE_BYTES, 0, 0);
	memset(p, 7, 100 * PAGE_BYTES);
	q = large_realloc(p, 5 * PAGEBLOCK_BYTES, RN_ZERO);
	ck_assert_ptr_eq(p, q);
	ck_assert_int_eq(q[100 * PAGE_BYTES - 1], 7);
	ck_assert_int_eq(q[100 * PAGE_BYTES], 0);
	q[5 * PAGEBLOCK_BYTES - 1] = 9;
	q = large_realloc(p, 10 * PAGE_BYTES + 1, 0);
	ck_assert_ptr_eq(p, q);
	nr = ptr_to_page(p)->nr_pages;
	ck_assert_uint_eq(nr, 11);
	check_zone(my_zone());
	large_free(q, ptr_to_page(q));
	ck_assert_uint_eq(check_zone(my_zone()).partial, 0);
}
END_TEST

static void check_move(void)
{
	size_t bytes = 3 * PAGEBLOCK_BYTES + 5 * PAGE_BYTES;
	struct census c;
	char *p, *q, *wall;

	p = large_alloc(bytes, 0, 0);
	ck_assert_ptr_nonnull(p);
	/* In the way: the pages behind the run are taken. */
	wall = pfn_to_ptr(ptr_to_pfn(p) + bytes / PAGE_BYTES);
	ck_assert(pages_extend(ptr_to_pfn(p), bytes / PAGE_BYTES,
			       bytes / PAGE_BYTES + 1, 0));
	for (size_t i = 0; i < bytes; i += PAGE_BYTES)
		p[i] = i / PAGE_BYTES * 31 + 1;
	*wall = 42;
	q = large_realloc(p, 2 * bytes, 0);
	ck_assert_ptr_nonnull(q);
	ck_assert_ptr_ne(p, q);
	for (size_t i = 0; i < bytes; i += PAGE_BYTES)
		ck_assert_int_eq(q[i], (char)(i / PAGE_BYTES * 31 + 1));
	memset(q + bytes, 5, bytes);
	ck_assert_int_eq(*wall, 42);
	ck_assert(!readable(p));
	c = check_zone(my_zone());
	ck_assert_uint_eq(c.full, 6);
	large_free(q, ptr_to_page(q));
	pages_free(ptr_to_pfn(wall), 1);
	pages_shrink();
	ck_assert_uint_eq(check_zone(my_zone()).used, 0);
}

START_TEST(realloc_moves_small)
{
	start("small");
	check_move();
}
END_TEST

START_TEST(realloc_moves_thp)
{
	start("thp,small");
	check_move();
}
END_TEST

START_TEST(realloc_moves_hugetlb)
{
	NEED_HUGE();
	ck_assert_int_eq(huge_set_free(16), 0);
	start("hugetlb,small");
	check_move();
	ck_assert_int_eq(huge_mine(), 0);
}
END_TEST

/* A user's mlock() splits the mapping: older kernels do not move that. */
START_TEST(realloc_of_a_split_mapping)
{
	size_t bytes = 2 * PAGEBLOCK_BYTES;
	char *p, *q, *wall;

	start("small");
	p = large_alloc(bytes, 0, 0);
	wall = large_alloc(bytes, 0, 0);
	ck_assert_ptr_eq(wall, p + bytes);
	memset(p, 3, bytes);
	if (madvise(p + PAGEBLOCK_BYTES / 2, 65536, MADV_DONTDUMP))
		ck_abort_msg("madvise: %s", strerror(errno));
	q = large_realloc(p, 2 * bytes, 0);
	/* Moved, or NULL and all is as it was. */
	if (!q)
		q = p;
	for (size_t i = 0; i < bytes; i += 4096)
		ck_assert_int_eq(q[i], 3);
	large_free(q, ptr_to_page(q));
	check_zone(my_zone());
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mremap");
	TCase *t = tcase(s, "growing");
	int ret;

	no_huge = huge_begin();
	tcase_add_test(t, realloc_grows_in_place_and_shrinks);
	tcase_add_test(t, realloc_moves_small);
	tcase_add_test(t, realloc_moves_thp);
	tcase_add_test(t, realloc_moves_hugetlb);
	tcase_add_test(t, realloc_of_a_split_mapping);
	ret = suite_main(s);
	huge_end();
	return ret;
}
