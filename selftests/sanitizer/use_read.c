// SPDX-License-Identifier: MIT
/*
 * memcheck: Invalid read of size 1
 * memcheck: is 5 bytes inside a block of size 24 free'd
 * memcheck: Block was alloc'd at
 * slab: use-after-poison
 * slab: is 5 bytes inside an object of 24 bytes, freed
 * slab: ^Allocated in 
 * slab: ^Freed in 
 * asan: heap-use-after-free
 * asan: is located 5 bytes inside of 24-byte region
 * asan: ^freed by thread T0 here
 * asan: ^previously allocated by thread T0 here
 */
#include "fault.h"

int main(void)
{
	char *p = must_alloc(24);

	rn_free(p);
	return load(p, 5) == 1000;
}
