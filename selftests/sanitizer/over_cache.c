// SPDX-License-Identifier: MIT
/*
 * memcheck: Invalid write of size 1
 * memcheck: is 0 bytes after a block of size 20 alloc'd
 * slab: use-after-poison
 * slab: is 0 bytes after an object of 20 bytes, in use
 * slab: of twenty$
 * asan: heap-buffer-overflow
 * asan: is located 0 bytes (to the right of|after) 20-byte region
 */
#include "fault.h"

int main(void)
{
	struct rn_cache_args args = { .sz = sizeof(args), .size = 20 };
	struct rn_cache *c = rn_cache_create("twenty", &args);
	char *p = rn_cache_alloc(c, 0);

	store(p, 20);
	rn_cache_free(c, p);
	return rn_cache_destroy(c);
}
