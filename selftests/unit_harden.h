/* SPDX-License-Identifier: MIT */
/*
 * What the tests of options that harden share.
 */
#ifndef SELFTESTS_UNIT_HARDEN_H
#define SELFTESTS_UNIT_HARDEN_H

#include "given.h"
#include "helpers.h"

#include "freelist.h"
#include "debug/harden.h"

#include <stdlib.h>

/* Before the first call of the library, in the child of each test. */
static inline void set_option(const char *name)
{
	setenv(name, "1", 1);
	init_given();
}

static inline struct rn_cache *new_cache(size_t size, void (*ctor)(void *))
{
	struct rn_cache_args args = {
		.sz = sizeof(args), .size = size, .ctor = ctor,
		.flags = RN_NOMERGE,
	};
	struct rn_cache *c = rn_cache_create("unit", &args);

	ck_assert_ptr_nonnull(c);
	return c;
}

static inline struct page *new_slab(struct rn_cache *c)
{
	int node = numa_local_node();
	struct page *slab = slab_new(c, &node, 0);

	ck_assert_ptr_nonnull(slab);
	return slab;
}

#endif /* SELFTESTS_UNIT_HARDEN_H */
