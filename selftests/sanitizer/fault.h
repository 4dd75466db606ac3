/* SPDX-License-Identifier: MIT */
/*
 * What the programs of this folder share. Each has one fault, or none; its
 * first comment says what is reported, as scripts/check-valgrind reads it:
 *
 *   memcheck: RE	a line of memcheck's report matches it
 *   asan: RE		likewise of AddressSanitizer's, and ours behind it
 *   slab: RE		likewise with RN_SANITIZER=slab
 *   ...: clean		it ends as it should, and nothing is reported
 */
#ifndef FAULT_H
#define FAULT_H

#include <rn/pages.h>
#include <rn/reclaim.h>
#include <rn/slab.h>
#include <stdlib.h>
#include <string.h>

/* The compiler knows nothing of what it gets, and leaves nothing out. */
static inline void *hide(void *p)
{
	__asm__ volatile("" : "+r"(p) : : "memory");
	return p;
}

static inline void *must_alloc(size_t size)
{
	void *p = hide(rn_alloc(size, 0));

	if (!p)
		abort();
	return p;
}

static inline void store(void *p, long at)
{
	((volatile char *)hide(p))[at] = 1;
}

/* Nor does valgrind leave it out, which does so with what nobody needs. */
static inline int load(void *p, long at)
{
	int byte = ((volatile char *)hide(p))[at];

	__asm__ volatile("" : "+r"(byte));
	return byte;
}

#endif /* FAULT_H */
