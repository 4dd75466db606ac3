/* SPDX-License-Identifier: MIT */
/*
 * A program that must end in a report: it says on stdout which address the
 * report will name, and then does the one wrong thing. test_crash.c knows the
 * words. Whoever comes out alive at the end exits with 0, which is a failure.
 */
#ifndef SELFTESTS_CRASH_H
#define SELFTESTS_CRASH_H

#include <rn/pages.h>
#include <rn/slab.h>
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

#endif /* SELFTESTS_CRASH_H */
