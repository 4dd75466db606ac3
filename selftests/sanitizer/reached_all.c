// SPDX-License-Identifier: MIT
/*
 * What only memory of ours points to is not lost, wherever that lies: a chunk
 * of malloc()'s, an object of a slab, whole pages, the reserve of a pool.
 *
 * memcheck: clean
 * asan: clean
 * slab: clean
 */
#include "fault.h"

#include <rn/mempool.h>

extern void **pages, **object, **chunk;
void **pages, **object, **chunk;

/* Debugged as it is, its objects lie in slabs. */
static void *of_slab(void)
{
	struct rn_cache_args args = {
		.sz = sizeof(args), .size = 64, .flags = RN_CONSISTENCY_CHECKS,
	};

	return rn_cache_alloc(rn_cache_create("slabs", &args), 0);
}

int main(void)
{
	struct rn_mempool *pool = rn_mempool_create_size(4, 100);

	pages = rn_alloc_pages(0, 0, RN_NO_NODE);
	object = of_slab();
	chunk = malloc(64);
	if (!pool || !pages || !object || !chunk)
		abort();
	pages[5] = must_alloc(1000);
	object[3] = must_alloc(2000);
	chunk[2] = must_alloc(200000);
	*(void **)chunk[2] = must_alloc(24);
	return 0;
}
