/* SPDX-License-Identifier: MIT */
/*
 * What the files of the malloc replacement share.
 */
#ifndef COMPAT_H
#define COMPAT_H

#include "debug/harden.h"
#include "debug/kfence.h"

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

/* Of any other address the C library's malloc is asked. */
static inline bool is_ours(const void *p)
{
	return likely(mem_has(p)) || kfence_has(p);
}

/* Is it known of each object what was asked for? */
static inline bool keeps_sizes(void)
{
	return slab_debug_on || options.hardened;
}

/* Is it of use for the next object of @fit bytes what was asked for? */
static inline bool wants_size(size_t fit)
{
	return slab_debug_on || slab_hooks ||
		(fit <= KMALLOC_MAX && kfence_wants(size_to_row(fit)));
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
