// SPDX-License-Identifier: MIT
#include "crash.h"

int main(void)
{
	rn_free_pages(blame(rn_alloc_pages(3, 0, RN_NO_NODE)), 2);
	return 0;
}
