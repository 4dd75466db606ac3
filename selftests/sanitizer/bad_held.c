// SPDX-License-Identifier: MIT
/*
 * What is found bad while it is held back is not given out again, nor does it
 * keep the cache.
 *
 * memcheck: clean
 * slab: clean
 * asan: clean
 */
#include "fault.h"

#include <rn/debug.h>

#define SIZE	24
#define META	(SIZE + 16 + 8)		/* behind the zone and the link */
#define MORE	100

int main(void)
{
	struct rn_cache_args args = { .sz = sizeof(args), .size = SIZE };
	struct rn_cache *c;
	char *bad, *more[MORE];

	setenv("RN_SANITIZER", "slab", 1);
	c = rn_cache_create("bad", &args);
	bad = rn_cache_alloc(c, 0);
	more[0] = rn_cache_alloc(c, 0);
	rn_cache_free(c, bad);
	store(bad, META);
	if (rn_validate(c) != 1)
		abort();
	rn_cache_shrink(c);
	for (int i = 1; i < MORE; i++) {
		more[i] = rn_cache_alloc(c, 0);
		if (more[i] == bad)
			abort();
	}
	for (int i = 0; i < MORE; i++)
		rn_cache_free(c, more[i]);
	if (rn_cache_destroy(c))
		abort();
	return 0;
}
