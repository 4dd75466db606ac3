// SPDX-License-Identifier: MIT
/*
 * What is held back is as it should be, and free: it is freed twice.
 *
 * memcheck: slab kmalloc-24 start .* pointer offset 3 size 24, free, held back
 * memcheck: Invalid free\(\)
 * memcheck: BUG kmalloc-24 \(Not tainted\): Object already free
 * slab: slab kmalloc-24 start .* pointer offset 3 size 24, free, held back
 * slab: ^Freed in 
 * slab: BUG kmalloc-24 \(Not tainted\): Object already free
 * asan: slab kmalloc-24 start .* pointer offset 3 size 24, free, held back
 * asan: ^Freed in 
 * asan: BUG kmalloc-24 \(Not tainted\): Object already free
 */
#include "fault.h"

#include <rn/debug.h>

int main(void)
{
	char *p;

	setenv("RN_SANITIZER", "slab", 1);
	p = must_alloc(24);

	rn_free(p);
	if (rn_dump_obj(p + 3) || rn_validate(NULL))
		return 0;
	rn_free(hide(p));
	return 0;
}
