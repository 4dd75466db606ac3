// SPDX-License-Identifier: MIT
/*
 * The pools that rn-exec takes execution memory from. Their total is the memory
 * of the machine, and no object is too large: what is measured is how memory
 * is shared out, not the want of it.
 */
#include <string.h>
#include <unistd.h>
#include <rn/memcg.h>
#include <rn/pools.h>
#include "slabbench.h"

void exec_start(void)
{
	size_t total = meminfo_kb("MemTotal") * 1024;
	struct rn_pools_options options = {
		.sz = sizeof(options), .exec_most = total,
		/* Nothing is stored; this way no table is made for it. */
		.victim = RN_POOLS_LRU,
	};
	int err = rn_pools_init_options(total, &options);

	if (!err)
		return;
	fprintf(stderr, "slabbench: cannot make pools: %s\n", strerror(-err));
	_exit(EXIT_FAILED);
}

uint64_t exec_peak_kb(void)
{
	return rn_memcg_peak(rn_pools_memcg(RN_POOLS_EXEC)) / 1024;
}
