// SPDX-License-Identifier: MIT
/* A pointer that nobody set: what was in memory, which is no address. */
#include "crash.h"

int main(void)
{
	void *volatile *p = victim(64);

	memset((void *)p, 0xa5, 64);
	rn_free(blame(p[3]));
	return came_through();
}
