// SPDX-License-Identifier: MIT
/*
 * memcheck: Invalid read of size 1
 * memcheck: is 0 bytes after a block of size 60 alloc'd
 * slab: use-after-poison
 * slab: is 0 bytes after an object of 60 bytes, in use
 * asan: use-after-poison
 * asan: is located 60 bytes inside of 100-byte region
 */
#include "fault.h"

/* It stays where it is, and what was its end is so no more. */
int main(void)
{
	char *p = rn_zalloc(100, 0), *q = rn_realloc(p, 60, 0);
	int read = load(q, 60);

	if (p != q)
		return 1;
	rn_free(q);
	return read == 1000;
}
