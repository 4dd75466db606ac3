// SPDX-License-Identifier: MIT
/*
 * memcheck: BUG: invalid free of .*: nothing is allocated there
 * asan: BUG: invalid free of .*: nothing is allocated there
 */
#include "fault.h"

int main(void)
{
	char *p = must_alloc(100000);

	rn_free(p);
	rn_free(hide(p));
	return 0;
}
