// SPDX-License-Identifier: MIT
/* After the first free the whole slab went back to the pages. */
#include "crash.h"

int main(void)
{
	void *p = blame(rn_alloc(64, 0));

	rn_free(p);
	rn_shrink_all();
	rn_free(p);
	return 0;
}
