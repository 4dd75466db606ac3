// SPDX-License-Identifier: MIT
/*
 * memcheck: Invalid free\(\)
 * memcheck: is 8 bytes inside a block of size 64 alloc'd
 * memcheck: Invalid object pointer
 * slab: Invalid object pointer
 * asan: attempting free on address which was not malloc
 * asan: is located 8 bytes inside of 64-byte region
 * asan: main .*free_middle\.c
 */
#include "fault.h"

int main(void)
{
	char *p = must_alloc(64);

	rn_free(hide(p + 8));
	rn_free(p);
	return 0;
}
