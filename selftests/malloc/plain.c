// SPDX-License-Identifier: MIT
/*
 * Uses memory, without a look at whose it is: something may stand before it.
 */
#include "preload.h"

int main(void)
{
	use_memory(2000);
	return 0;
}
