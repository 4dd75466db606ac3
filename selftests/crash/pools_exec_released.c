// SPDX-License-Identifier: MIT
#include "crash.h"

#include <rn/pools.h>

int main(void)
{
	void *p;

	rn_pools_init(1 << 20);
	p = blame(rn_exec_acquire(1, 64));
	rn_exec_release(1);
	rn_exec_free(p);
	return 0;
}
