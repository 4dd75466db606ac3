// SPDX-License-Identifier: MIT
/*
 * cache: objects of one type, of a size that no general class fits. From a
 * table of them a random 64 are freed and replaced, over and over, each
 * initialised. Three of the allocators take part nowhere else: rn-cache has a
 * cache for the type, rn-bulk takes and gives the 64 from it in one call,
 * dpdk-mempool has a pool of as many objects as the row needs.
 */
#include <string.h>
#include "alloc.h"
#include "workloads.h"

#define BATCH	64

struct typed {
	uint64_t serial;
	unsigned char rest[224];
	uint64_t check;
};
static_assert(sizeof(struct typed) == TYPED_BYTES, "between two size classes");

__bench_inline void *cached_get(size_t size)
{
	(void)size;
	return rn_cache_alloc(RN_CACHE(struct typed), RN_KERNEL);
}

__bench_inline void cached_put(void *p)
{
	rn_cache_free(RN_CACHE(struct typed), p);
}

BENCH_TIMED_PAIR(cached)

__bench_inline void *mempool_get(size_t size)
{
	(void)size;
	return dpdk.pool_get();
}

__bench_inline void mempool_put(void *p)
{
	dpdk.pool_put(p);
}

BENCH_TIMED_PAIR(mempool)

#define ONE_BY_ONE(name, timed)						\
	__bench_inline void name##_get_all##timed(void **p, size_t n)	\
	{								\
		size_t size = sizeof(struct typed);			\
									\
		for (size_t i = 0; i < n; i++)				\
			p[i] = must(name##_get##timed(size), size);	\
	}								\
	__bench_inline void name##_put_all##timed(void **p, size_t n)	\
	{								\
		for (size_t i = 0; i < n; i++)				\
			name##_put##timed(p[i]);			\
	}
ONE_BY_ONE(rn, )
ONE_BY_ONE(rn, _timed)
ONE_BY_ONE(memcg, )
ONE_BY_ONE(memcg, _timed)
ONE_BY_ONE(exec, )
ONE_BY_ONE(exec, _timed)
ONE_BY_ONE(malloc, )
ONE_BY_ONE(malloc, _timed)
ONE_BY_ONE(freelist, )
ONE_BY_ONE(freelist, _timed)
ONE_BY_ONE(dpdk, )
ONE_BY_ONE(dpdk, _timed)
ONE_BY_ONE(cached, )
ONE_BY_ONE(cached, _timed)
ONE_BY_ONE(mempool, )
ONE_BY_ONE(mempool, _timed)

__bench_inline void bulk_get_all(void **p, size_t n)
{
	if (rn_cache_alloc_bulk(RN_CACHE(struct typed), RN_KERNEL, n, p) != n)
		out_of_memory(n * sizeof(struct typed));
}

__bench_inline void bulk_put_all(void **p, size_t n)
{
	rn_cache_free_bulk(RN_CACHE(struct typed), n, p);
}

/* The clock goes around a call, not around an object. */
__bench_inline void bulk_get_all_timed(void **p, size_t n)
{
	uint64_t start = now_ns();

	bulk_get_all(p, n);
	latency_add(LATENCY_ALLOC, now_ns() - start);
}

__bench_inline void bulk_put_all_timed(void **p, size_t n)
{
	uint64_t start = now_ns();

	bulk_put_all(p, n);
	latency_add(LATENCY_FREE, now_ns() - start);
}

/* Several objects at a time. */
struct group_ops {
	void (*get_all)(void **p, size_t n);
	void (*put_all)(void **p, size_t n);
};

static uint64_t typed_check(uint64_t serial)
{
	return serial * 0x9e3779b97f4a7c15ULL;
}

__bench_inline void typed_init(struct typed *t, uint64_t serial)
{
	t->serial = serial;
	memset(t->rest, 0, sizeof(t->rest));
	t->check = typed_check(serial);
}

__bench_inline void cache_get(struct worker *w, struct group_ops g, void **p,
			      size_t n)
{
	g.get_all(p, n);
	for (size_t i = 0; i < n; i++)
		typed_init(p[i], w->ops++);
}

__bench_inline void cache_put(struct worker *w, struct group_ops g, void **p,
			      size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct typed *t = p[i];

		if (t->check != typed_check(t->serial))
			wrong_result(w, "an object has changed");
		fold(&w->checksum, t->serial);
	}
	g.put_all(p, n);
}

/* Moves a random @n of the table to its end. */
__bench_inline void cache_pick(struct worker *w, size_t n, uint64_t *x)
{
	size_t len = w->table_len;

	for (size_t left = len; left > len - n; left--) {
		size_t k = (next_random(x) >> 32) * left >> 32;
		void *p = w->table[k];

		w->table[k] = w->table[left - 1];
		w->table[left - 1] = p;
	}
}

__bench_inline void cache(struct worker *w, struct group_ops g)
{
	size_t len = w->table_len, n = len < BATCH ? len : BATCH;
	void **end = w->table + len - n;
	uint64_t x = w->rng;

	w->ops = 0;
	for (size_t i = 0; i < len; i += n)
		cache_get(w, g, w->table + i, len - i < n ? len - i : n);
	for (uint64_t i = 0; i < w->iterations; i++) {
		cache_pick(w, n, &x);
		cache_put(w, g, end, n);
		cache_get(w, g, end, n);
	}
	hold_peak(w);
	for (size_t i = 0; i < len; i += n)
		cache_put(w, g, w->table + i, len - i < n ? len - i : n);
}

#define GROUP_OPS(name, timed) ((struct group_ops) {			\
	name##_get_all##timed, name##_put_all##timed,			\
})

#define CACHE_INSTANCE(name)						\
	static void cache_##name(struct worker *w)			\
	{								\
		if (w->row->latency && !w->checked)			\
			cache(w, GROUP_OPS(name, _timed));		\
		else							\
			cache(w, GROUP_OPS(name, ));			\
	}
CACHE_INSTANCE(rn)
CACHE_INSTANCE(memcg)
CACHE_INSTANCE(exec)
CACHE_INSTANCE(malloc)
CACHE_INSTANCE(freelist)
CACHE_INSTANCE(dpdk)
CACHE_INSTANCE(cached)
CACHE_INSTANCE(bulk)
CACHE_INSTANCE(mempool)

static size_t cache_len(const struct row *row)
{
	return row->count;
}

const struct workload workload_cache = {
	.name = "cache",
	.help = "--count objects of 240 bytes, a random 64 of them replaced "
		"at a time; an operation is an object allocated, initialised "
		"and freed",
	.count = 10000,
	.total = 300000,
	.threads = one_thread,
	.table_len = cache_len,
	.run = {
		[ALLOC_RN] = cache_rn,
		[ALLOC_RN_MEMCG] = cache_memcg,
		[ALLOC_RN_EXEC] = cache_exec,
		[ALLOC_MALLOC] = cache_malloc,
		[ALLOC_FREELIST] = cache_freelist,
		[ALLOC_RN_CACHE] = cache_cached,
		[ALLOC_RN_BULK] = cache_bulk,
		[ALLOC_DPDK] = cache_dpdk,
		[ALLOC_DPDK_MEMPOOL] = cache_mempool,
	},
};
