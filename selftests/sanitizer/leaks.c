// SPDX-License-Identifier: MIT
/*
 * What was freed and is held back is no leak.
 *
 * memcheck: ^leak: 72 bytes in 3 objects of kmalloc-24
 * memcheck: ^leaks: 200072 bytes in 4 objects
 * slab: ^leak: 72 bytes in 3 objects, allocated in
 * slab: ^leaks: 200072 bytes in 4 objects
 * asan: ^leak: 72 bytes in 3 objects, allocated in
 * asan: ^leaks: 200072 bytes in 4 objects
 */
#include "fault.h"

int main(void)
{
	setenv("RN_LEAKS", "1", 1);
	setenv("RN_LEAKS_EXITCODE", "23", 1);
	for (int i = 0; i < 3; i++)
		must_alloc(24);
	must_alloc(200000);
	rn_free(must_alloc(24));
	rn_free(must_alloc(300000));
	return 0;
}
