// SPDX-License-Identifier: MIT
#include "crash.h"

int main(void)
{
	void *p = blame(rn_alloc_pages(3, 0, RN_NO_NODE));

	rn_free_pages(p, 3);
	rn_free_pages(p, 3);
	return 0;
}
