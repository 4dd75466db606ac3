// SPDX-License-Identifier: MIT
#include "crash.h"

int main(void)
{
	int here;
	void *p[3] = { rn_alloc(64, 0), blame(&here), rn_alloc(64, 0) };

	rn_free_bulk(3, p);
	return 0;
}
