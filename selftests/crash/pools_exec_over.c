// SPDX-License-Identifier: MIT
/* The pools are gone, and all that was in them. */
#include "crash.h"

#include <rn/pools.h>

int main(void)
{
	void *p;

	rn_pools_init(1 << 20);
	p = blame(rn_exec_alloc(64, 0));
	rn_pools_destroy();
	rn_exec_free(p);
	return 0;
}
