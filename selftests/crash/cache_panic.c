// SPDX-License-Identifier: MIT
/* RN_PANIC: a cache that cannot be made ends the program. */
#include "crash.h"

int main(void)
{
	struct rn_cache_args args = {
		.sz = sizeof(args), .size = 48, .align = 3, .flags = RN_PANIC,
	};

	blame(NULL);
	return rn_cache_create("panic", &args) ? 0 : 1;
}
