// SPDX-License-Identifier: MIT
#include "crash.h"

#include <rn/pools.h>

int main(void)
{
	rn_pools_init(1 << 20);
	rn_exec_free(blame(rn_storage_alloc(8192, 0)));
	return 0;
}
