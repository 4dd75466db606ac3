// SPDX-License-Identifier: MIT
#include "crash.h"

int main(void)
{
	char *p = rn_alloc(100000, 0);

	rn_free(blame(p + 8192));
	return came_through();
}
