// SPDX-License-Identifier: MIT
/* Both frees land in a sheaf, which is emptied into its slab. */
#include "crash.h"

int main(void)
{
	void *p = blame(rn_alloc(64, 0));

	rn_free(p);
	rn_free(p);
	rn_shrink_all();
	return 0;
}
