// SPDX-License-Identifier: MIT
/* Another object is freed between the two frees. */
#include "crash.h"

int main(void)
{
	void *p = blame(victim(64)), *q = rn_alloc(64, 0);

	rn_free(p);
	rn_free(q);
	rn_free(p);
	return came_through();
}
