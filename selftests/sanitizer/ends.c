// SPDX-License-Identifier: MIT
/*
 * Who asks for it ends with our report under memcheck, too.
 *
 * memcheck: BUG kmalloc-64 .*: Object already free
 * memcheck: Process terminating .*SIGABRT
 * slab: BUG kmalloc-64 .*: Object already free
 * asan: attempting double-free
 */
#include "fault.h"

int main(void)
{
	char *p;

	setenv("RN_SLAB_DEBUG_ACTION", "abort", 1);
	p = must_alloc(64);
	rn_free(p);
	rn_free(hide(p));
	return 0;
}
