// SPDX-License-Identifier: MIT
#include "crash.h"

int main(void)
{
	rn_free(rn_alloc(64, 0));
	rn_free(blame(malloc(64)));
	return came_through();
}
