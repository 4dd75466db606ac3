// SPDX-License-Identifier: MIT
#include "crash.h"

#include <rn/pools.h>

int main(void)
{
	void *p;

	rn_pools_init(1 << 20);
	p = blame(rn_storage_alloc(100000, 0));
	rn_storage_free(p);
	rn_storage_free(p);
	return 0;
}
