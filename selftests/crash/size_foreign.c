// SPDX-License-Identifier: MIT
#include "crash.h"

int main(void)
{
	int here;

	return rn_size(blame(&here)) == 0;
}
