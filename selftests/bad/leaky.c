// SPDX-License-Identifier: MIT
/*
 * An allocator that leaks: the C library's, but every fourth free() of a thread
 * does nothing. slabbench must see the memory grow.
 */
#include <stddef.h>

#define KEPT_OF	4

extern void __libc_free(void *p);
extern void *__libc_malloc(size_t size);

/* slabbench asks where malloc comes from. */
void *malloc(size_t size)
{
	return __libc_malloc(size);
}

void free(void *p)
{
	static __thread unsigned int calls;

	if (++calls % KEPT_OF)
		__libc_free(p);
}
