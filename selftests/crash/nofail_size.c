// SPDX-License-Identifier: MIT
#include "crash.h"

int main(void)
{
	volatile size_t size = SIZE_MAX;

	blame(NULL);
	return rn_alloc(size, RN_NOFAIL) == NULL;
}
