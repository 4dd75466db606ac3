// SPDX-License-Identifier: MIT
/*
 * What is left of a cache is listed when that is to end, with who allocated it.
 *
 * memcheck: rn_cache_destroy\(left\): 2 of .* objects are still allocated
 * asan: rn_cache_destroy\(left\): 2 of 2 objects are still allocated
 * asan: Object .* of 24 bytes of left
 * asan: is located 0 bytes inside of 24-byte region
 * asan: make .*left\.c
 * asan: left: 48 bytes in 2 objects, allocated in
 * slab: rn_cache_destroy\(left\): 2 of .* objects are still allocated
 * slab: Object .* of left
 */
#include "fault.h"

static __attribute__((noinline)) void *make(struct rn_cache *c)
{
	return hide(rn_cache_alloc(c, 0));
}

int main(void)
{
	struct rn_cache_args args = { .sz = sizeof(args), .size = 24 };
	struct rn_cache *c = rn_cache_create("left", &args);
	void *first = make(c), *second = make(c);
	int busy = rn_cache_destroy(c);

	rn_cache_free(c, first);
	rn_cache_free(c, second);
	if (!busy || rn_cache_destroy(c))
		abort();
	return 3;
}
