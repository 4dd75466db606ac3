// SPDX-License-Identifier: MIT
/*
 * memcheck: Invalid write of size 1
 * memcheck: is 0 bytes after a block of size 13 alloc'd
 * memcheck: main \(over_right\.c
 * slab: use-after-poison
 * slab: is 0 bytes after an object of 13 bytes, in use
 * slab: of kmalloc-16$
 * slab: ^Allocated in 
 * asan: heap-buffer-overflow
 * asan: is located 0 bytes (to the right of|after) 13-byte region
 * asan: main .*over_right\.c
 * asan: ^allocated by thread T0 here
 */
#include "fault.h"

int main(void)
{
	char *p = must_alloc(13);

	store(p, 13);
	rn_free(p);
	return 0;
}
