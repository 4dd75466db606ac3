// SPDX-License-Identifier: MIT
#include "crash.h"

int main(void)
{
	char *p = rn_alloc(64, 0);

	rn_free(blame(p + 1));
	rn_shrink_all();
	return 0;
}
