// SPDX-License-Identifier: MIT
/*
 * memcheck: Invalid write of size 1
 * memcheck: is 90,000 bytes inside a block of size 100,000 free'd
 * slab: use-after-poison
 * slab: is 90000 bytes inside an object of 100000 bytes, freed
 * asan: heap-use-after-free
 * asan: is located 90000 bytes inside of 100000-byte region
 */
#include "fault.h"

int main(void)
{
	char *p = must_alloc(100000);

	rn_free(p);
	store(p, 90000);
	return 0;
}
