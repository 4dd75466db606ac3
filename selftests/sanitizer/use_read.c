// SPDX-License-Identifier: MIT
/*
 * memcheck: Invalid read of size 1
 * memcheck: is 5 bytes inside a block of size 24 free'd
 * memcheck: Block was alloc'd at
 * asan: use-after-poison
 * asan: is 5 bytes inside an object of 24 bytes, freed
 * asan: ^Allocated in 
 * asan: ^Freed in 
 */
#include "fault.h"

int main(void)
{
	char *p = must_alloc(24);

	rn_free(p);
	return load(p, 5) == 1000;
}
