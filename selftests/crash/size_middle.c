// SPDX-License-Identifier: MIT
#include "crash.h"

int main(void)
{
	char *p = rn_alloc(64, 0);

	return rn_size(blame(p + 16)) == 0;
}
