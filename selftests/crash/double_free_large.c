// SPDX-License-Identifier: MIT
#include "crash.h"

int main(void)
{
	void *p = blame(rn_alloc(100000, 0));

	rn_free(p);
	rn_free(p);
	return came_through();
}
