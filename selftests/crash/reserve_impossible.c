// SPDX-License-Identifier: MIT
/*
 * RN_RESERVE is a condition: test_crash sets it to more than can be addressed,
 * and the library looks for it before main().
 */
#include "crash.h"

int main(void)
{
	return rn_size_roundup(1) == 0;
}
