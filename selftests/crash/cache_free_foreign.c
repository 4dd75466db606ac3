// SPDX-License-Identifier: MIT
#include "crash.h"

int main(void)
{
	struct rn_cache_args args = {
		.sz = sizeof(args), .size = 48, .flags = RN_NOMERGE,
	};
	struct rn_cache *c = rn_cache_create("apples", &args);

	rn_cache_free(c, blame(malloc(48)));
	return 0;
}
