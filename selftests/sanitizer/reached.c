// SPDX-License-Identifier: MIT
/*
 * memcheck: clean
 * slab: clean
 * asan: clean
 */
#include "fault.h"

extern void **ours;
void **ours;

/* Memory of malloc()'s that memory of ours alone points to is not lost. */
int main(void)
{
	ours = must_alloc(64);
	ours[3] = malloc(1000);
	return 0;
}
