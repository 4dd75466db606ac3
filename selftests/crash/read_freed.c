// SPDX-License-Identifier: MIT
/* What was freed is read. */
#include "crash.h"

int main(void)
{
	volatile char *p = blame(victim(64));

	rn_free((void *)p);
	(void)p[8];
	return came_through();
}
