// SPDX-License-Identifier: MIT
/*
 * memcheck: Invalid write of size 1
 * memcheck: is 0 bytes inside a block of size 3,000 free'd
 * slab: use-after-poison
 * slab: is 0 bytes inside an object of 3000 bytes, freed
 * asan: heap-use-after-free
 * asan: is located 0 bytes inside of 3000-byte region
 */
#include "fault.h"

/* Others come and go meanwhile: it is held back. */
int main(void)
{
	char *p = must_alloc(3000);

	rn_free(p);
	for (int i = 0; i < 100; i++)
		rn_free(must_alloc(3000));
	store(p, 0);
	return 0;
}
