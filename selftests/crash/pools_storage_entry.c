// SPDX-License-Identifier: MIT
/* It goes by its id. */
#include "crash.h"

#include <rn/pools.h>

int main(void)
{
	rn_pools_init(1 << 20);
	rn_storage_free(blame(rn_storage_acquire(1, 8192)));
	return 0;
}
