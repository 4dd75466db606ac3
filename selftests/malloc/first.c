// SPDX-License-Identifier: MIT
/*
 * first FUNCTION: that is the first call of all, which has to start the library
 * before it looks at anything.
 */
#include "preload.h"

#include <malloc.h>
#include <stdint.h>

#define SIZE	1000
#define ALIGN	64

static void *call(const char *name)
{
	void *p = NULL;

	if (!strcmp(name, "malloc"))
		return malloc(SIZE);
	if (!strcmp(name, "calloc"))
		return calloc(1, SIZE);
	if (!strcmp(name, "realloc"))
		return realloc(NULL, SIZE);
	if (!strcmp(name, "reallocarray"))
		return reallocarray(NULL, 1, SIZE);
	if (!strcmp(name, "aligned_alloc"))
		return aligned_alloc(ALIGN, SIZE);
	if (!strcmp(name, "memalign"))
		return memalign(ALIGN, SIZE);
	if (!strcmp(name, "valloc"))
		return valloc(SIZE);
	if (!strcmp(name, "posix_memalign"))
		must(!posix_memalign(&p, ALIGN, SIZE));
	return p;
}

int main(int argc, char **argv)
{
	char *p;

	must(argc == 2);
	p = call(argv[1]);
	must(p);
	memset(p, 1, SIZE);
	must(malloc_usable_size(p) >= SIZE);
	must(!strstr(argv[1], "align") || (uintptr_t)p % ALIGN == 0);
	free(p);
	must_be_slabmalloc();
	return 0;
}
