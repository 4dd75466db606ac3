// SPDX-License-Identifier: MIT
/* The first free is in the slab already when the second one comes. */
#include "crash.h"

int main(void)
{
	void *keep = rn_alloc(64, 0), *p = blame(victim(64));

	rn_free(p);
	rn_shrink_all();
	rn_free(p);
	rn_shrink_all();
	rn_free(keep);
	return came_through();
}
