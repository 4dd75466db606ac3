// SPDX-License-Identifier: MIT
/*
 * memcheck: Mismatched free\(\)
 * memcheck: is 0 bytes inside a block of size 20 alloc'd
 * memcheck: BUG: invalid free of .*: not memory of this library
 * memcheck: main \(free_foreign\.c
 * slab: 20-byte region
 * slab: allocated by thread T0
 * slab: BUG: invalid free of .*: not memory of this library
 * asan: 20-byte region
 * asan: allocated by thread T0
 * asan: BUG: invalid free of .*: not memory of this library
 */
#include "fault.h"

int main(void)
{
	rn_free(must_alloc(20));
	rn_free(hide(malloc(20)));
	return 0;
}
