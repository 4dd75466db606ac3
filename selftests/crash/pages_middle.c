// SPDX-License-Identifier: MIT
#include "crash.h"

int main(void)
{
	char *p = rn_alloc_pages(3, 0, RN_NO_NODE);

	rn_free_pages(blame(p + RN_PAGE_SIZE), 0);
	return 0;
}
