// SPDX-License-Identifier: MIT
#include "crash.h"

static struct rn_cache *make(const char *name)
{
	struct rn_cache_args args = {
		.sz = sizeof(args), .size = 48, .flags = RN_NOMERGE,
	};

	return rn_cache_create(name, &args);
}

int main(void)
{
	struct rn_cache *a = make("apples"), *b = make("pears");

	rn_cache_free(a, blame(rn_cache_alloc(b, 0)));
	return came_through();
}
