// SPDX-License-Identifier: MIT
#include "crash.h"

#include <rn/pools.h>

int main(void)
{
	static char page[RN_PAGE_SIZE] __attribute__((aligned(4096)));

	rn_pools_init(1 << 20);
	rn_storage_free(blame(page));
	return 0;
}
