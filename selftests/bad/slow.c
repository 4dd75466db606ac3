// SPDX-License-Identifier: MIT
/*
 * An allocator that is slow: the C library's, and each call burns time first.
 * slabbench must say so.
 */
#include <stddef.h>

#define ITERATIONS	2000

extern void *__libc_malloc(size_t size);
extern void __libc_free(void *p);

static void burn(void)
{
	/* A store each: the compiler may leave none out. */
	for (volatile unsigned int i = 0; i < ITERATIONS; i++)
		;
}

void *malloc(size_t size)
{
	burn();
	return __libc_malloc(size);
}

void free(void *p)
{
	burn();
	__libc_free(p);
}
