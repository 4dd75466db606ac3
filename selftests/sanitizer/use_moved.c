// SPDX-License-Identifier: MIT
/*
 * memcheck: Invalid write of size 1
 * memcheck: is 0 bytes inside a block of size 100,000 free'd
 * slab: use-after-poison
 * slab: is 0 bytes inside an object of 100000 bytes, freed
 * asan: heap-use-after-free
 * asan: is located 0 bytes inside of 100000-byte region
 */
#include "fault.h"

/* One that grows has moved, even where there is room. */
int main(void)
{
	char *p = must_alloc(100000), *q = rn_realloc(p, 200000, 0);

	store(p, 0);
	rn_free(q);
	return 0;
}
