// SPDX-License-Identifier: MIT
/*
 * The two pairs of C++ operators that all others are made of: the C++ library
 * defines new[], the sized and the nothrow forms by calls of these, and a
 * program that replaces one of them replaces what is built on it. So those stay
 * the C++ library's.
 *
 * This library needs no C++ library: where memory runs out, the program's own
 * operator calls the new_handler, and throws.
 */
#include "compat.h"

#include <stdlib.h>

void *operator_new(size_t size) __asm__("_Znwm");
void *operator_new_aligned(size_t size, size_t align)
	__asm__("_ZnwmSt11align_val_t");
void operator_delete(void *p) __asm__("_ZdlPv");
void operator_delete_aligned(void *p, size_t align)
	__asm__("_ZdlPvSt11align_val_t");

/* Of the library that throws, when this one has no memory. */
static void *next_operator(const char *name)
{
	void *next = next_function(name, "libstdc++.so.6");

	if (!next)
		next = next_function(name, "libc++.so.1");
	if (!next)
		bug("operator new: out of memory, and no C++ library is there "
		    "to say so");
	return next;
}

static noinline void *new_failed(size_t size)
{
	return ((void *(*)(size_t))next_operator("_Znwm"))(size);
}

static noinline void *new_aligned_failed(size_t size, size_t align)
{
	const char *name = "_ZnwmSt11align_val_t";

	return ((void *(*)(size_t, size_t))next_operator(name))(size, align);
}

RN_API void *operator_new(size_t size)
{
	void *p = malloc(size);

	return likely(p) ? p : new_failed(size);
}

RN_API void *operator_new_aligned(size_t size, size_t align)
{
	void *p = aligned_alloc(align, size);

	return likely(p) ? p : new_aligned_failed(size, align);
}

RN_API void operator_delete(void *p)
{
	free(p);
}

RN_API void operator_delete_aligned(void *p, size_t align)
{
	(void)align;
	free(p);
}
