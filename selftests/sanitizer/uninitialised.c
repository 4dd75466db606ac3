// SPDX-License-Identifier: MIT
/*
 * memcheck: Conditional jump or move depends on uninitialised value
 * slab: clean
 * asan: clean
 */
#include "fault.h"

/* It was written once, but by who had it before. */
int main(void)
{
	char *p = must_alloc(64);
	int is_one;

	memset(p, 1, 64);
	rn_free(p);
	rn_shrink_all();
	p = must_alloc(64);
	is_one = load(p, 30) == 1;
	if (is_one)
		store(p, 0);
	rn_free(p);
	return 0;
}
