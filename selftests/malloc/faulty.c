// SPDX-License-Identifier: MIT
/*
 * What memcheck is to find: a read behind an object, and one that is lost.
 */
#include <stdio.h>
#include <stdlib.h>

static char *volatile p;

int main(void)
{
	int sum;

	p = malloc(40);
	p[0] = 1;
	sum = p[0] + p[40];
	p = malloc(1234);
	p = NULL;
	printf("to the end %d\n", sum != 0);
	return 0;
}
