// SPDX-License-Identifier: MIT
/*
 * Memory that the C library's own malloc handed out: before this library was
 * there, or by code that was linked to find it first. It goes back where it
 * came from, which also knows what to say of a pointer that is nobody's.
 */
#include "compat.h"

#include <dlfcn.h>

/* In a program that is linked statically they are not there. */
extern void __libc_free(void *p) __attribute__((weak));
extern void *__libc_realloc(void *p, size_t size) __attribute__((weak));

void *next_function(const char *name, const char *library)
{
	void *next = dlsym(RTLD_NEXT, name), *handle = NULL;

	if (!next && library)
		handle = dlopen(library, RTLD_LAZY | RTLD_NOLOAD);
	return handle ? dlsym(handle, name) : next;
}

static __noreturn void nobodys(const char *what, const void *p)
{
	bug("BUG: invalid %s of %p: not memory of this library", what, p);
}

void foreign_free(void *p)
{
	int saved = errno;

	if (!__libc_free)
		nobodys("free", p);
	__libc_free(p);
	errno = saved;
}

void *foreign_realloc(void *p, size_t size)
{
	if (!__libc_realloc)
		nobodys("realloc", p);
	return __libc_realloc(p, size);
}

size_t foreign_usable_size(void *p)
{
	size_t (*next)(void *) = (size_t (*)(void *))
		next_function("malloc_usable_size", NULL);

	if (!next)
		nobodys("malloc_usable_size", p);
	return next(p);
}
