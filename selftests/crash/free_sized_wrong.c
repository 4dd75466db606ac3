// SPDX-License-Identifier: MIT
/* Freed with another size than it was allocated with. */
#include "crash.h"

int main(void)
{
	void *p = blame(victim(60));

	rn_free_sized(p, 40);
	return came_through();
}
