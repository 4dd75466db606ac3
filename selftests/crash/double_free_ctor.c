// SPDX-License-Identifier: MIT
/* The link of a constructed object lies behind it. */
#include "crash.h"

static void construct(void *object)
{
	memset(object, 1, 48);
}

int main(void)
{
	struct rn_cache_args args = {
		.sz = sizeof(args), .size = 48, .ctor = construct,
	};
	struct rn_cache *c = rn_cache_create("made", &args);
	void *p = blame(rn_cache_alloc(c, 0));

	rn_cache_free(c, p);
	rn_cache_free(c, p);
	rn_cache_shrink(c);
	return 0;
}
