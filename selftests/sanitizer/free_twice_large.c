// SPDX-License-Identifier: MIT
/*
 * memcheck: Invalid free\(\)
 * memcheck: is 0 bytes inside a block of size 100,000 free'd
 * memcheck: BUG: invalid free of .*: nothing is allocated there
 * slab: is 0 bytes inside an object of 100000 bytes, freed
 * slab: BUG: invalid free of .*: nothing is allocated there
 * asan: attempting double-free
 * asan: is located 0 bytes inside of 100000-byte region
 */
#include "fault.h"

int main(void)
{
	char *p = must_alloc(100000);

	rn_free(p);
	rn_free(hide(p));
	return 0;
}
