/* SPDX-License-Identifier: MIT */
/*
 * What the files of the malloc replacement share.
 */
#ifndef COMPAT_H
#define COMPAT_H

#include "slab.h"

#pragma GCC visibility push(hidden)

/*
 * What to ask for so that the object is aligned as malloc's must be: classes
 * of 24, 40 and 56 bytes are passed over, since alignof(max_align_t) is 16.
 * What is smaller than that can hold nothing that needs it. At least 1.
 */
static inline size_t malloc_fit(size_t size)
{
	if (size > 64)
		return size;
	return size > 8 ? ALIGN(size, 16) : 8;
}

/* --- foreign.c: memory of the C library's own malloc --- */

void foreign_free(void *p);
void *foreign_realloc(void *p, size_t size);
size_t foreign_usable_size(void *p);

/*
 * The function of that name in the libraries behind this one, or in @library
 * if it is loaded; NULL if there is none. It may take the loader's lock.
 */
void *next_function(const char *name, const char *library);

#pragma GCC visibility pop

#endif /* COMPAT_H */
