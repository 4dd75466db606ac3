// SPDX-License-Identifier: MIT
/*
 * Who has no such heap says so.
 *
 * memcheck: RN_SANITIZER: objects are not malloc\(\)'s: that is AddressSan
 * memcheck: Invalid write of size 1
 * asan: heap-buffer-overflow
 * slab: heap-buffer-overflow
 */
#include "fault.h"

int main(void)
{
	setenv("RN_SANITIZER", "malloc", 1);
	store(must_alloc(24), 24);
	return 0;
}
