// SPDX-License-Identifier: MIT
#include "crash.h"

int main(void)
{
	char here[64];

	/* The first thing that the library is asked to do. */
	rn_free(blame(here));
	return came_through();
}
