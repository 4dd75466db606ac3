// SPDX-License-Identifier: MIT
/*
 * memcheck: Invalid write of size 1
 * memcheck: is 0 bytes after a block of size 131,072 alloc'd
 * asan: use-after-poison
 * asan: is 0 bytes after an object of 131072 bytes, in use
 */
#include "fault.h"

int main(void)
{
	char *p = must_alloc(128 << 10);

	store(p, 128 << 10);
	rn_free(p);
	return 0;
}
