/* SPDX-License-Identifier: MIT */
/*
 * Debugged caches, made and spoilt.
 */
#ifndef SELFTESTS_UNIT_SLAB_DEBUG_H
#define SELFTESTS_UNIT_SLAB_DEBUG_H

#include "given.h"
#include "helpers.h"

#include "debug/slab_debug.h"

#include <stdlib.h>
#include <string.h>

#define F RN_CONSISTENCY_CHECKS
#define Z RN_RED_ZONE
#define P RN_POISON
#define U RN_STORE_USER
#define T RN_TRACE

/* Before the first call of the library, in the child of each test. */
static inline void set_option(const char *value)
{
	setenv("RN_SLAB_DEBUG", value, 1);
	setenv("RN_SLAB_DEBUG_ACTION", "continue", 1);
	init_given();
}

static inline struct rn_cache *cache(const char *name, size_t size,
				     size_t align, unsigned int flags)
{
	struct rn_cache_args args = {
		.sz = sizeof(args), .size = size, .align = align,
		.flags = flags,
	};
	struct rn_cache *c = rn_cache_create(name, &args);

	ck_assert_ptr_nonnull(c);
	return c;
}

/* The compiler knows that nobody may, and would leave it out. */
__attribute__((unused)) static noinline void spoil(void *p, long at)
{
	((volatile char *)p)[at] = 1;
}

#endif /* SELFTESTS_UNIT_SLAB_DEBUG_H */
