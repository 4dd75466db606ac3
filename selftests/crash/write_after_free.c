// SPDX-License-Identifier: MIT
/* A freed object's link is overwritten; whoever follows it finds out. */
#include "crash.h"

enum { MANY = 500 };

int main(void)
{
	struct rn_cache_args args = {
		.sz = sizeof(args), .size = 64, .flags = RN_NOMERGE,
	};
	struct rn_cache *c = rn_cache_create("written", &args);
	void *p[MANY], *keep = rn_cache_alloc(c, 0), *wrong;

	wrong = blame(rn_cache_alloc(c, 0));
	rn_cache_free(c, wrong);
	/* Into the slab, which @keep keeps. */
	rn_cache_shrink(c);
	memset(wrong, 0x41, 64);
	for (int i = 0; i < MANY; i++)
		p[i] = rn_cache_alloc(c, 0);
	return p[0] == keep;
}
