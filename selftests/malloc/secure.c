// SPDX-License-Identifier: MIT
/*
 * Linked with libslabmalloc.a, to be run setuid: there nothing is preloaded.
 */
#include "preload.h"

#include <malloc.h>
#include <sys/auxv.h>

int main(void)
{
	use_memory(10000);
	/* Ours, since the least object of the C library is larger. */
	must(malloc_usable_size(malloc(1)) == 8);
	puts(getauxval(AT_SECURE) ? "secure" : "ordinary");
	return 0;
}
