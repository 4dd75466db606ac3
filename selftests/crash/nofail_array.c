// SPDX-License-Identifier: MIT
#include "crash.h"

int main(void)
{
	volatile size_t n = SIZE_MAX / 4;

	blame(NULL);
	return rn_alloc_array(n, 16, RN_NOFAIL) == NULL;
}
