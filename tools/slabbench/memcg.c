// SPDX-License-Identifier: MIT
/*
 * The group that rn-memcg charges: a child within a root, so that each charge
 * goes to two counters. The root has a max, which no row comes near: what is
 * measured is the accounting, not the want of memory.
 */
#include <stdio.h>
#include <unistd.h>
#include <rn/memcg.h>
#include "slabbench.h"

struct rn_memcg *memcg_group;

void memcg_start(void)
{
	struct rn_memcg *root = rn_memcg_create(NULL, "slabbench");

	/* A row that needs as much memory as there is would not be run. */
	if (root && !rn_memcg_set(root, RN_MEMCG_MAX,
				  meminfo_kb("MemTotal") * 1024))
		memcg_group = rn_memcg_create(root, "row");
	if (memcg_group)
		return;
	perror("slabbench: cannot make a group");
	_exit(EXIT_FAILED);
}

uint64_t memcg_peak_kb(void)
{
	return rn_memcg_peak(memcg_group) / 1024;
}
