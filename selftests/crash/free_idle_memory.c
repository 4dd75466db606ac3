// SPDX-License-Identifier: MIT
/* Inside the library's memory, where nothing is allocated. */
#include "crash.h"

int main(void)
{
	char *p = rn_alloc(RN_PAGE_SIZE * 16, 0);

	rn_free(blame(p + (512UL << 20)));
	return 0;
}
