// SPDX-License-Identifier: MIT
#include "crash.h"

int main(void)
{
	blame(NULL);
	return rn_alloc(64, RN_NOFAIL | 0x10000) == NULL;
}
