// SPDX-License-Identifier: MIT
/*
 * memcheck: BUG: invalid free of .*: not memory of this library
 * memcheck: main \(free_foreign\.c
 * asan: BUG: invalid free of .*: not memory of this library
 */
#include "fault.h"

int main(void)
{
	rn_free(hide(malloc(20)));
	return 0;
}
