// SPDX-License-Identifier: MIT
/*
 * memcheck: Invalid write of size 1
 * memcheck: is 7 bytes inside a block of size 48 free'd
 * slab: use-after-poison
 * slab: is 7 bytes inside an object of 48 bytes, freed
 * slab: of constructed$
 * asan: heap-use-after-free
 * asan: is located 7 bytes inside of 48-byte region
 */
#include "fault.h"

static void fill(void *p)
{
	memset(p, 7, 48);
}

int main(void)
{
	struct rn_cache_args args = {
		.sz = sizeof(args), .size = 48, .ctor = fill,
	};
	struct rn_cache *c = rn_cache_create("constructed", &args);
	char *p = rn_cache_alloc(c, 0);

	rn_cache_free(c, p);
	store(p, 7);
	return 0;
}
