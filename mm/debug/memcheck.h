/* SPDX-License-Identifier: MIT */
/*
 * What valgrind's memcheck is told of memory. Each of these is a few
 * instructions that do nothing unless valgrind runs the program.
 */
#ifndef MM_MEMCHECK_H
#define MM_MEMCHECK_H

#include <linux/compiler.h>

#pragma GCC visibility push(hidden)

#ifdef RN_MEMCHECK

bool memcheck_runs(void);
void memcheck_forbid(const void *p, size_t size);
/* It may be read, or be written first. */
void memcheck_allow(const void *p, size_t size, bool written);
/* A heap block from here on; what lies around it is as it was. */
void memcheck_alloc(const void *p, size_t size, bool written);
void memcheck_resize(const void *p, size_t old, size_t size);
void memcheck_free(const void *p);
/* What this thread does is nobody's error, until it is not @quiet any more. */
void memcheck_quiet(bool quiet);
/* An error with the stack, whose words are the report of ours above it. */
void memcheck_count(void);

#else /* without valgrind/memcheck.h it is left out */

static inline bool memcheck_runs(void)
{
	return false;
}

static inline void memcheck_forbid(const void *p, size_t size)
{
	(void)p;
	(void)size;
}

static inline void memcheck_allow(const void *p, size_t size, bool written)
{
	(void)p;
	(void)size;
	(void)written;
}

static inline void memcheck_alloc(const void *p, size_t size, bool written)
{
	(void)p;
	(void)size;
	(void)written;
}

static inline void memcheck_resize(const void *p, size_t old, size_t size)
{
	(void)p;
	(void)old;
	(void)size;
}

static inline void memcheck_free(const void *p)
{
	(void)p;
}

static inline void memcheck_quiet(bool quiet)
{
	(void)quiet;
}

static inline void memcheck_count(void)
{
}

#endif

#pragma GCC visibility pop

#endif /* MM_MEMCHECK_H */
