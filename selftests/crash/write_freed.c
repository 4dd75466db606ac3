// SPDX-License-Identifier: MIT
/* SIZE OFFSET BYTES: written there after the free; the next use finds it. */
#include "crash.h"

int main(int argc, char **argv)
{
	size_t size = argc > 3 ? strtoul(argv[1], NULL, 0) : 0;
	char *p = blame(victim(size)), *q = rn_alloc(size, 0);

	if (argc <= 3)
		return 2;
	rn_free(q);
	rn_free(p);
	memset(p + strtol(argv[2], NULL, 0), 'A', strtoul(argv[3], NULL, 0));
	q = rn_alloc(size, 0);
	q = rn_alloc(size, 0);
	rn_free(q);
	return came_through();
}
