// SPDX-License-Identifier: MIT
#include "crash.h"

#include <rn/pools.h>

int main(void)
{
	rn_pools_init(1 << 20);
	rn_storage_free(blame(rn_exec_alloc(4096, 0)));
	return 0;
}
