// SPDX-License-Identifier: MIT
/* An object of the slab, 64 bytes in each mode, that nobody was ever given. */
#include "crash.h"

int main(void)
{
	struct rn_cache_args args = {
		.sz = sizeof(args), .size = 56, .align = 64,
		.flags = RN_NOMERGE,
	};
	struct rn_cache *c = rn_cache_create("young", &args);
	char *p = rn_cache_alloc(c, 0);
	uintptr_t page = (uintptr_t)p & -RN_PAGE_SIZE;

	rn_free(blame((void *)(page + RN_PAGE_SIZE - 64)));
	rn_cache_shrink(c);
	return 0;
}
