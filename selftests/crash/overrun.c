// SPDX-License-Identifier: MIT
/* SIZE OFFSET BYTES: so many are written there, around an object. */
#include "crash.h"

int main(int argc, char **argv)
{
	size_t size = argc > 3 ? strtoul(argv[1], NULL, 0) : 0;
	char *p = blame(victim(size));

	if (argc <= 3)
		return 2;
	memset(p + strtol(argv[2], NULL, 0), 'A', strtoul(argv[3], NULL, 0));
	rn_free(p);
	return came_through();
}
