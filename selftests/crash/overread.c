// SPDX-License-Identifier: MIT
/* SIZE OFFSET: a byte is read there, around an object. */
#include "crash.h"

int main(int argc, char **argv)
{
	volatile char *p;

	if (argc <= 2)
		return 2;
	p = blame(victim(strtoul(argv[1], NULL, 0)));
	(void)p[strtol(argv[2], NULL, 0)];
	rn_free((void *)p);
	return came_through();
}
