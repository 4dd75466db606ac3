// SPDX-License-Identifier: MIT
/* The second free takes the object from who has it now; the third is one more. */
#include "crash.h"

int main(void)
{
	void *p = blame(victim(64)), *q;

	rn_free(p);
	q = rn_alloc(64, 0);
	rn_free(p);
	rn_free(q);
	return came_through();
}
