// SPDX-License-Identifier: MIT
#include "crash.h"

int main(void)
{
	static char page[RN_PAGE_SIZE] __attribute__((aligned(4096)));

	rn_free_pages(blame(page), 0);
	return 0;
}
