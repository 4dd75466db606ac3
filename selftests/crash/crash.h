/* SPDX-License-Identifier: MIT */
/*
 * A program that must end in a report: it says on stdout which address the
 * report will name, and then does the one wrong thing. test_crash.c knows the
 * words. Whoever comes out alive at the end exits with 0, which is a failure.
 */
#ifndef SELFTESTS_CRASH_H
#define SELFTESTS_CRASH_H

#include <rn/debug.h>
#include <rn/pages.h>
#include <rn/slab-inline.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Also keeps the compiler from seeing through a wrong use. */
static inline void *blame(void *p)
{
	void *volatile v = p;

	printf("%p\n", v);
	fflush(stdout);
	return v;
}

/* What the wrong thing is done to. There is another object before it. */
static inline void *victim(size_t size)
{
	return rn_alloc(size, 0) ? rn_alloc(size, 0) : NULL;
}

/*
 * Nobody noticed, or reports do not end the program: then at least the library
 * is whole. For main() to return.
 */
static inline int came_through(void)
{
	void *p[RN_CLASS(RN_CLASS_MAX)];
	unsigned int n = 0;

	for (size_t size = 8; size <= RN_CLASS_MAX; size += 8)
		if (RN_CLASS(size) == n + 1)
			p[n++] = memset(rn_alloc(size, RN_NOFAIL), 1, size);
	while (n-- > 0)
		rn_free(p[n]);
	rn_shrink_all();
	return rn_validate(NULL) ? 3 : 0;
}

#endif /* SELFTESTS_CRASH_H */
