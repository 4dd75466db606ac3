// SPDX-License-Identifier: MIT
#include "crash.h"

int main(void)
{
	char *p = victim(64);

	rn_free(blame(p + 1));
	return came_through();
}
