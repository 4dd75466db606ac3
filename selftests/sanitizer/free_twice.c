// SPDX-License-Identifier: MIT
/*
 * memcheck: Invalid free\(\)
 * memcheck: is 0 bytes inside a block of size 64 free'd
 * memcheck: BUG kmalloc-64 .*: Object already free
 * slab: BUG kmalloc-64 .*: Object already free
 * slab: ^Freed in 
 * asan: attempting double-free
 * asan: ^freed by thread T0 here
 * asan: ^previously allocated by thread T0 here
 * asan: main .*free_twice\.c
 */
#include "fault.h"

int main(void)
{
	char *p = must_alloc(64);

	rn_free(p);
	rn_free(hide(p));
	return 0;
}
