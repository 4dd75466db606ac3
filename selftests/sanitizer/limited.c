// SPDX-License-Identifier: MIT
/*
 * A limit counts what lies in slabs, so all does.
 *
 * memcheck: Invalid write of size 1
 * asan: RN_SANITIZER: objects are not malloc\(\)'s: RN_LIMIT would not count it
 * asan: use-after-poison
 * slab: use-after-poison
 */
#include "fault.h"

int main(void)
{
	setenv("RN_LIMIT", "64M", 1);
	store(must_alloc(24), 24);
	return 0;
}
