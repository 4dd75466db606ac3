// SPDX-License-Identifier: MIT
/*
 * memcheck: Invalid read of size 1
 * memcheck: is 1 bytes before a block of size 40 alloc'd
 * slab: use-after-poison
 * slab: is 1 bytes before an object of 40 bytes, in use
 * slab: ^Allocated in 
 * asan: heap-buffer-overflow
 * asan: is located 1 bytes (to the left of|before) 40-byte region
 * asan: ^allocated by thread T0 here
 */
#include "fault.h"

int main(void)
{
	char *p = must_alloc(40);
	int read = load(p, -1);

	rn_free(p);
	return read == 1000;
}
