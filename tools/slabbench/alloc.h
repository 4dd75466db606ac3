/* SPDX-License-Identifier: MIT */
/*
 * The allocators as the workloads see them.
 *
 * A struct of function pointers would put an indirect call around an operation
 * that costs two nanoseconds. So a workload is an always-inline function that
 * takes its allocator as two constant function arguments, and is instantiated
 * once per allocator: after inlining, a call is the direct call (through the
 * PLT for malloc) that a user's program would make.
 */
#ifndef SLABBENCH_ALLOC_H
#define SLABBENCH_ALLOC_H

#include <stdlib.h>
#include <rn/slab.h>
#include "slabbench.h"

#define __bench_inline	static inline __attribute__((always_inline))

typedef void *(*get_fn)(size_t size);
typedef void (*put_fn)(void *p);

__bench_inline void *rn_get(size_t size)
{
	return rn_alloc(size, RN_KERNEL);
}

__bench_inline void rn_put(void *p)
{
	rn_free(p);
}

__bench_inline void *malloc_get(size_t size)
{
	return malloc(size);
}

__bench_inline void malloc_put(void *p)
{
	free(p);
}

/* null.c: out of line, as the others are. */
void *null_get(size_t size);
void null_put(void *p);

/* The compiler must not see that an object is never used, or drop the pair. */
__bench_inline void keep(const void *p)
{
	asm volatile("" : : "r"(p) : "memory");
}

/* For a null check that costs a fused compare and a branch never taken. */
__bench_inline void *must(void *p, size_t size)
{
	if (__builtin_expect(!p, 0))
		out_of_memory(size);
	return p;
}

/* xorshift64: three shifts, so that the harness stays below the allocator. */
__bench_inline uint64_t next_random(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

__bench_inline void fold(uint64_t *sum, uint64_t value)
{
	*sum = (*sum ^ value) * 0x9e3779b97f4a7c15ULL;
	*sum ^= *sum >> 29;
}

/* The functions that struct workload's run[] names. */
#define BENCH_INSTANCES(body)						\
	static void body##_rn(struct worker *w)				\
	{								\
		body(w, rn_get, rn_put);				\
	}								\
	static void body##_malloc(struct worker *w)			\
	{								\
		body(w, malloc_get, malloc_put);			\
	}								\
	static void body##_null(struct worker *w)			\
	{								\
		body(w, null_get, null_put);				\
	}

#define BENCH_RUN(body) {						\
	[ALLOC_RN] = body##_rn,						\
	[ALLOC_MALLOC] = body##_malloc,					\
	[ALLOC_NULL] = body##_null,					\
}

#endif /* SLABBENCH_ALLOC_H */
