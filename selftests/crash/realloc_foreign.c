// SPDX-License-Identifier: MIT
#include "crash.h"

int main(void)
{
	int here;
	void *p = rn_realloc(blame(&here), 100, 0);

	return p == NULL;
}
