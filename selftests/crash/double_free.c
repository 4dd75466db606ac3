// SPDX-License-Identifier: MIT
/* Both frees land in a sheaf, which is emptied into its slab. */
#include "crash.h"

int main(void)
{
	void *p = blame(victim(64));

	rn_free(p);
	rn_free(p);
	return came_through();
}
