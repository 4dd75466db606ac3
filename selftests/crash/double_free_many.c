// SPDX-License-Identifier: MIT
/* Between the two frees lie so many others that the first waits in a barn. */
#include "crash.h"

enum { MANY = 200000 };

int main(void)
{
	static void *q[MANY];
	void *p;

	if (rn_alloc_bulk(64, 0, MANY, q) != MANY)
		return 1;
	p = blame(q[MANY / 2]);
	rn_free(p);
	/* The others keep the slabs. */
	for (int i = 0; i < MANY; i += 2)
		rn_free(q[i]);
	rn_shrink_all();
	return 0;
}
