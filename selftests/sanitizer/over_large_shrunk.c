// SPDX-License-Identifier: MIT
/*
 * memcheck: Invalid read of size 1
 * memcheck: is 0 bytes after a block of size 70,000 alloc'd
 * slab: use-after-poison
 * slab: is 0 bytes after an object of 70000 bytes, in use
 * asan: use-after-poison
 * asan: is located 70000 bytes inside of 100000-byte region
 */
#include "fault.h"

int main(void)
{
	char *p = rn_zalloc(100000, 0), *q = rn_realloc(p, 70000, 0);
	int read = load(q, 70000);

	if (p != q)
		return 1;
	rn_free(q);
	return read == 1000;
}
