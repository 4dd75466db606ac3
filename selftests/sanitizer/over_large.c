// SPDX-License-Identifier: MIT
/*
 * memcheck: Invalid write of size 1
 * memcheck: is 0 bytes after a block of size 131,072 alloc'd
 * slab: use-after-poison
 * slab: is 0 bytes after an object of 131072 bytes, in use
 * asan: heap-buffer-overflow
 * asan: is located 0 bytes (to the right of|after) 131072-byte region
 */
#include "fault.h"

int main(void)
{
	char *p = must_alloc(128 << 10);

	store(p, 128 << 10);
	rn_free(p);
	return 0;
}
