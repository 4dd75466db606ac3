// SPDX-License-Identifier: MIT
/*
 * An allocator that writes where it must not: the C library's, but each call
 * flips a bit in the last byte of the block that the thread got before. The
 * workloads that verify what they wrote must find out. The first calls are left
 * alone: the process has to start.
 */
#include <stddef.h>

#define SPARED	1000
#define LEAST	17		/* bytes; what is smaller is left alone, too */

extern void __libc_free(void *p);
extern void *__libc_malloc(size_t size);
extern void *__libc_realloc(void *p, size_t size);

static __thread char *before;	/* NULL: nothing to write to */
static __thread size_t before_size;
static __thread unsigned int calls;

static void forget(const void *p)
{
	if (p == before)
		before = NULL;
}

static void *remember(void *p, size_t size)
{
	if (before)
		before[before_size - 1] ^= 1;
	before = size >= LEAST && ++calls > SPARED ? p : NULL;
	before_size = size;
	return p;
}

void *malloc(size_t size)
{
	return remember(__libc_malloc(size), size);
}

void *realloc(void *p, size_t size)
{
	forget(p);
	return remember(__libc_realloc(p, size), size);
}

void free(void *p)
{
	forget(p);
	__libc_free(p);
}
