// SPDX-License-Identifier: MIT
#include "crash.h"

#include <rn/pools.h>

int main(void)
{
	rn_pools_init(1 << 20);
	rn_exec_free(blame((char *)rn_exec_acquire(1, 64) + 8));
	return 0;
}
