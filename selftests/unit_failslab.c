// SPDX-License-Identifier: MIT
/*
 * Objects that are refused on purpose, where the library asks for memory more
 * than once for one request: it is one call, and the program sees the failure.
 */
#include "helpers.h"

#include "debug/fault_inject.h"
#include "internal.h"

#include <errno.h>
#include <rn/fault_inject.h>
#include <rn/memcg.h>
#include <rn/profile.h>
#include <rn/slab.h>

static void set(const char *how)
{
	ck_assert_int_eq(rn_fault_set("failslab", how), 0);
}

static struct rn_memcg *group(void)
{
	struct rn_memcg *m = rn_memcg_create(NULL, "group");

	ck_assert_ptr_nonnull(m);
	return m;
}

static const size_t sizes[] = { 64, 5000, 1 << 20 };

/* A sample is a run of pages, or else an object as any other. */
START_TEST(of_samples)
{
	void *p;

	ck_assert_int_eq(rn_profile_start(1), 0);
	set("nth=2,verbose=0");
	p = rn_alloc(opaque(sizes[_i]), 0);
	ck_assert_ptr_nonnull(p);
	ck_assert_ptr_null(rn_alloc(opaque(sizes[_i]), 0));
	ck_assert_int_eq(rn_fault_count("failslab"), 1);
	rn_free(p);
}
END_TEST

/* Room in the group is looked for again and again. */
START_TEST(of_groups)
{
	struct rn_memcg *m = group();
	void *p;

	set("nth=2,verbose=0");
	p = rn_memcg_alloc(m, opaque(sizes[_i]), 0);
	ck_assert_ptr_nonnull(p);
	errno = 0;
	ck_assert_ptr_null(rn_memcg_alloc(m, opaque(sizes[_i]), 0));
	ck_assert_int_eq(errno, ENOMEM);
	ck_assert_int_eq(rn_fault_count("failslab"), 1);
	rn_free(p);
	ck_assert_int_eq(rn_memcg_destroy(m, RN_MEMCG_REFUSE), 0);
}
END_TEST

/* Also where the slots of a group are to hold nothing. */
START_TEST(of_full_groups)
{
	struct rn_memcg *m = group();
	void *p;

	ck_assert_int_eq(rn_memcg_set(m, RN_MEMCG_MAX, 33 << 10), 0);
	p = rn_memcg_alloc(m, 32 << 10, 0);
	ck_assert_ptr_nonnull(p);
	set("nth=2,verbose=0");
	ck_assert_ptr_nonnull(rn_memcg_alloc(m, opaque(64), 0));
	ck_assert_ptr_null(rn_memcg_alloc(m, opaque(64), 0));
	ck_assert_int_eq(rn_fault_count("failslab"), 1);
}
END_TEST

START_TEST(nofail)
{
	struct rn_memcg *m = group();
	void *p;

	set("times=1,verbose=0");
	p = rn_memcg_alloc(m, opaque(sizes[_i]), RN_NOFAIL);
	ck_assert_ptr_nonnull(p);
	ck_assert_int_eq(rn_fault_count("failslab"), 0);
	rn_free(p);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("failslab");
	TCase *tc = tcase_create("once");

	tcase_add_loop_test(tc, of_samples, 0, ARRAY_LEN(sizes));
	tcase_add_loop_test(tc, of_groups, 0, ARRAY_LEN(sizes));
	tcase_add_test(tc, of_full_groups);
	tcase_add_loop_test(tc, nofail, 0, ARRAY_LEN(sizes));
	suite_add_tcase(s, tc);
	return suite_main(s);
}
