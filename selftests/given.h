/* SPDX-License-Identifier: MIT */
/*
 * What tests from within ask for and need: without it they end there.
 */
#ifndef SELFTESTS_GIVEN_H
#define SELFTESTS_GIVEN_H

#include "slab.h"

#include <check.h>

static inline void init_given(void)
{
	mm_init();
	ck_assert_int_eq(mm_init_error(), 0);
}

static inline u32 pages_given(u32 nr)
{
	u32 pfn = pages_alloc(nr, 0, 0, NULL);

	ck_assert_uint_ne(pfn, NO_PFN);
	return pfn;
}

static inline struct sheaf *sheaf_given(unsigned int capacity)
{
	struct sheaf *s = sheaf_alloc(capacity);

	ck_assert_ptr_nonnull(s);
	return s;
}

/* The caller's to fill, on a node that it wants. */
static inline struct page *slab_given(struct rn_cache *c, int node)
{
	int where = node;
	struct page *slab = slab_get(c, &where, 0);

	ck_assert_ptr_nonnull(slab);
	ck_assert_int_eq(where, node);
	return slab;
}

#endif /* SELFTESTS_GIVEN_H */
