// SPDX-License-Identifier: MIT
/* alloc or destroy: a cache that was destroyed is used. */
#include "crash.h"

int main(int argc, char **argv)
{
	struct rn_cache_args args = {
		.sz = sizeof(args), .size = 100, .flags = RN_NOMERGE,
	};
	struct rn_cache *c = rn_cache_create("gone", &args);

	if (argc < 2 || !c)
		return 2;
	blame(c);
	rn_cache_free(c, rn_cache_alloc(c, 0));
	rn_cache_destroy(c);
	if (!strcmp(argv[1], "alloc"))
		return !rn_cache_alloc(c, 0);
	return rn_cache_destroy(c);
}
