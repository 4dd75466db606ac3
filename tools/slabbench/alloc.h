/* SPDX-License-Identifier: MIT */
/*
 * The allocators as the workloads see them.
 *
 * A struct of function pointers would put an indirect call around an operation
 * that costs two nanoseconds. So a workload is an always-inline function that
 * takes its allocator as a constant struct of functions, and is instantiated
 * for each allocator: after inlining, a call is the direct call (through the
 * PLT for malloc) that a user's program would make.
 */
#ifndef SLABBENCH_ALLOC_H
#define SLABBENCH_ALLOC_H

#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <rn/memcg.h>
#include <rn/pools.h>
#include <rn/slab.h>
#include "dpdk.h"
#include "slabbench.h"

#define __bench_inline	static inline __attribute__((always_inline))

/**
 * struct ops - an allocator
 * @get: memory of that many bytes, or NULL
 * @put: gives it back
 * @resize: as realloc(); the old size is for allocators that keep none
 * @usable: bytes of an object that may be written, 0 where nobody knows
 */
struct ops {
	void *(*get)(size_t size);
	void (*put)(void *p);
	void *(*resize)(void *p, size_t old, size_t size);
	size_t (*usable)(void *p);
};

__bench_inline void *rn_get(size_t size)
{
	return rn_alloc(size, RN_KERNEL);
}

__bench_inline void rn_put(void *p)
{
	rn_free(p);
}

__bench_inline void *rn_resize(void *p, size_t old, size_t size)
{
	(void)old;
	return rn_realloc(p, size, RN_KERNEL);
}

__bench_inline size_t rn_usable(void *p)
{
	return rn_size(p);
}

/* memcg.c: a group that every object of a row is charged to. */
extern struct rn_memcg *memcg_group;

__bench_inline void *memcg_get(size_t size)
{
	return rn_memcg_alloc(memcg_group, size, RN_KERNEL);
}

/* Objects know their group: from here on all is as for any object. */
__bench_inline void memcg_put(void *p)
{
	rn_put(p);
}

__bench_inline void *memcg_resize(void *p, size_t old, size_t size)
{
	return rn_resize(p, old, size);
}

__bench_inline size_t memcg_usable(void *p)
{
	return rn_usable(p);
}

/* exec.c: pools that are never short of memory. */
__bench_inline void *exec_get(size_t size)
{
	return rn_exec_alloc(size, RN_KERNEL);
}

__bench_inline void exec_put(void *p)
{
	rn_exec_free(p);
}

/* Execution memory does not grow: another object takes its place. */
__bench_inline void *exec_resize(void *p, size_t old, size_t size)
{
	void *q = rn_exec_alloc(size, RN_KERNEL);

	if (!q || !p)
		return q;
	memcpy(q, p, old < size ? old : size);
	rn_exec_free(p);
	return q;
}

__bench_inline size_t exec_usable(void *p)
{
	return rn_usable(p);
}

__bench_inline void *malloc_get(size_t size)
{
	return malloc(size);
}

__bench_inline void malloc_put(void *p)
{
	free(p);
}

__bench_inline void *malloc_resize(void *p, size_t old, size_t size)
{
	(void)old;
	return realloc(p, size);
}

__bench_inline size_t malloc_usable(void *p)
{
	return malloc_usable_size(p);
}

/* null.c: out of line, as the others are. */
void *null_get(size_t size);
void null_put(void *p);
void *null_resize(void *p, size_t old, size_t size);
size_t null_usable(void *p);

/* freelist.c: likewise. */
void *freelist_get(size_t size);
void freelist_put(void *p);
void *freelist_resize(void *p, size_t old, size_t size);
size_t freelist_usable(void *p);

/* A call through a pointer in memory, which is what one through the PLT is. */
__bench_inline void *dpdk_get(size_t size)
{
	return dpdk.get(size);
}

__bench_inline void dpdk_put(void *p)
{
	dpdk.put(p);
}

__bench_inline void *dpdk_resize(void *p, size_t old, size_t size)
{
	(void)old;
	return dpdk.resize(p, size);
}

__bench_inline size_t dpdk_usable(void *p)
{
	return dpdk.usable(p);
}

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

/* Bytes asked for, or with a minus freed: one store that others may read. */
__bench_inline void live_add(struct worker *w, size_t bytes)
{
	__atomic_store_n(w->live, *w->live + bytes, __ATOMIC_RELAXED);
}

/* The size of the next object, where sizes are drawn. */
__bench_inline size_t draw_size(const struct row *row, uint64_t *x)
{
	uint64_t r = next_random(x) >> 32;
	unsigned int i;

	if (row->dist == DIST_UNIFORM)
		return row->least + (r * (row->most - row->least + 1) >> 32);
	if (!row->weights[0])
		return row->sizes[r * row->nr_sizes >> 32];
	r = r * row->weights[row->nr_sizes - 1] >> 32;
	for (i = 0; row->weights[i] <= r; i++)
		;
	return row->sizes[i];
}

__bench_inline void fold(uint64_t *sum, uint64_t value)
{
	*sum = (*sum ^ value) * 0x9e3779b97f4a7c15ULL;
	*sum ^= *sum >> 29;
}

/*
 * The same with a clock around each call, for --latency: what the operation
 * took goes into the histogram of the thread.
 */
#define BENCH_TIMED_PAIR(name)						\
	__bench_inline void *name##_get_timed(size_t size)		\
	{								\
		uint64_t start = now_ns();				\
		void *p = name##_get(size);				\
									\
		latency_add(LATENCY_ALLOC, now_ns() - start);		\
		return p;						\
	}								\
	__bench_inline void name##_put_timed(void *p)			\
	{								\
		uint64_t start = now_ns();				\
									\
		name##_put(p);						\
		latency_add(LATENCY_FREE, now_ns() - start);		\
	}
#define BENCH_TIMED(name)						\
	BENCH_TIMED_PAIR(name)						\
	__bench_inline void *name##_resize_timed(void *p, size_t old,	\
						 size_t size)		\
	{								\
		uint64_t start = now_ns();				\
		void *q = name##_resize(p, old, size);			\
									\
		latency_add(LATENCY_ALLOC, now_ns() - start);		\
		return q;						\
	}
BENCH_TIMED(rn)
BENCH_TIMED(memcg)
BENCH_TIMED(exec)
BENCH_TIMED(malloc)
BENCH_TIMED(null)
BENCH_TIMED(freelist)
BENCH_TIMED(dpdk)

#define BENCH_OPS(name, timed) ((struct ops) {				\
	name##_get##timed, name##_put##timed, name##_resize##timed,	\
	name##_usable,							\
})

/* The functions that struct workload's run[] names. */
#define BENCH_INSTANCE(body, name)					\
	static void body##_##name(struct worker *w)			\
	{								\
		if (w->row->latency && !w->checked)			\
			body(w, BENCH_OPS(name, _timed));		\
		else							\
			body(w, BENCH_OPS(name, ));			\
	}
#define BENCH_INSTANCES_REAL(body)					\
	BENCH_INSTANCE(body, rn)					\
	BENCH_INSTANCE(body, memcg)					\
	BENCH_INSTANCE(body, exec)					\
	BENCH_INSTANCE(body, malloc)					\
	BENCH_INSTANCE(body, freelist)					\
	BENCH_INSTANCE(body, dpdk)
#define BENCH_INSTANCES(body)						\
	BENCH_INSTANCES_REAL(body)					\
	BENCH_INSTANCE(body, null)

#define BENCH_RUN(body) {						\
	[ALLOC_RN] = body##_rn,						\
	[ALLOC_RN_MEMCG] = body##_memcg,				\
	[ALLOC_RN_EXEC] = body##_exec,					\
	[ALLOC_MALLOC] = body##_malloc,					\
	[ALLOC_NULL] = body##_null,					\
	[ALLOC_FREELIST] = body##_freelist,				\
	[ALLOC_DPDK] = body##_dpdk,					\
}

/* Without null, where the workload reads what it wrote into its objects. */
#define BENCH_RUN_REAL(body) {						\
	[ALLOC_RN] = body##_rn,						\
	[ALLOC_RN_MEMCG] = body##_memcg,				\
	[ALLOC_RN_EXEC] = body##_exec,					\
	[ALLOC_MALLOC] = body##_malloc,					\
	[ALLOC_FREELIST] = body##_freelist,				\
	[ALLOC_DPDK] = body##_dpdk,					\
}

#endif /* SLABBENCH_ALLOC_H */
