// SPDX-License-Identifier: MIT
/*
 * What test_gdb.sh looks at over libslabmalloc.so: it has the replacement write
 * its figures (RN_SLABINFO_SIGNAL), and aborts.
 */
#include "preload.h"

#include <signal.h>

enum { MANY = 5000 };

void *used;

static void *objects[MANY];

int main(void)
{
	must_be_slabmalloc();
	for (int i = 0; i < MANY; i++)
		must(objects[i] = malloc(8 + i % 2000));
	for (int i = 0; i < MANY; i += 3)
		free(objects[i]);
	used = objects[1];
	raise(SIGUSR2);
	abort();
}
