// SPDX-License-Identifier: MIT
/*
 * Linked with libnuma and libhugetlbfs, which allocate in their constructors.
 */
#include "preload.h"

#include <hugetlbfs.h>
#include <numa.h>

int main(void)
{
	struct bitmask *mask;

	must_be_slabmalloc();
	must(gethugepagesizes(NULL, 0) >= 0);
	if (numa_available() >= 0) {
		must(mask = numa_allocate_nodemask());
		numa_bitmask_setall(mask);
		numa_bitmask_free(mask);
	}
	use_memory(1000);
	return 0;
}
