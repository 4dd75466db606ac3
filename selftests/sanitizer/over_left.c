// SPDX-License-Identifier: MIT
/*
 * memcheck: Invalid read of size 1
 * memcheck: is 1 bytes before a block of size 40 alloc'd
 * asan: use-after-poison
 * asan: is 1 bytes before an object of 40 bytes, in use
 * asan: ^Allocated in 
 */
#include "fault.h"

int main(void)
{
	char *p = must_alloc(40);
	int read = load(p, -1);

	rn_free(p);
	return read == 1000;
}
