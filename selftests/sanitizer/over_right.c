// SPDX-License-Identifier: MIT
/*
 * memcheck: Invalid write of size 1
 * memcheck: is 0 bytes after a block of size 13 alloc'd
 * memcheck: main \(over_right\.c
 * asan: use-after-poison
 * asan: is 0 bytes after an object of 13 bytes, in use
 * asan: of kmalloc-16$
 * asan: ^Allocated in 
 */
#include "fault.h"

int main(void)
{
	char *p = must_alloc(13);

	store(p, 13);
	rn_free(p);
	return 0;
}
