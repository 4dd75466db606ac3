// SPDX-License-Identifier: MIT
#include "crash.h"

int main(void)
{
	char *p = rn_alloc_pages(3, 0, RN_NO_NODE);

	rn_free_pages(blame(p + 64), 3);
	return 0;
}
