// SPDX-License-Identifier: MIT
/*
 * What a tracer of malloc looks like: it stands before it, looks the next one
 * up inside of the first call, and counts.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

static unsigned long mallocs, frees;

static void *next(const char *name)
{
	return dlsym(RTLD_NEXT, name);
}

void *malloc(size_t size)
{
	void *(*real)(size_t) = (void *(*)(size_t))next("malloc");

	__atomic_fetch_add(&mallocs, 1, __ATOMIC_RELAXED);
	return real(size);
}

void *calloc(size_t n, size_t size)
{
	void *(*real)(size_t, size_t) =
		(void *(*)(size_t, size_t))next("calloc");

	__atomic_fetch_add(&mallocs, 1, __ATOMIC_RELAXED);
	return real(n, size);
}

void *realloc(void *p, size_t size)
{
	void *(*real)(void *, size_t) =
		(void *(*)(void *, size_t))next("realloc");

	return real(p, size);
}

void free(void *p)
{
	void (*real)(void *) = (void (*)(void *))next("free");

	__atomic_fetch_add(&frees, 1, __ATOMIC_RELAXED);
	real(p);
}

static __attribute__((destructor)) void say(void)
{
	dprintf(2, "traced %lu and %lu\n", mallocs, frees);
}
