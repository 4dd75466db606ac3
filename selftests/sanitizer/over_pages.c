// SPDX-License-Identifier: MIT
/*
 * memcheck: Invalid write of size 1
 * memcheck: is 9 bytes after a block of size 4,096 alloc'd
 * slab: use-after-poison
 * slab: is 9 bytes after an object of 4096 bytes, in use
 * asan: use-after-poison
 * asan: is 9 bytes after an object of 4096 bytes, in use
 */
#include "fault.h"

int main(void)
{
	char *p = rn_alloc_pages(0, 0, RN_NO_NODE);

	store(p, RN_PAGE_SIZE + 9);
	rn_free_pages(p, 0);
	return 0;
}
