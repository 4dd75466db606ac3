/* SPDX-License-Identifier: MIT */
/*
 * How long single operations take: a histogram for each thread, in the manner
 * of G. Tene's HDR histograms: 32 steps for each power of two, so that any
 * figure is right to 3 %.
 */
#ifndef SLABBENCH_LATENCY_H
#define SLABBENCH_LATENCY_H

#include <stdint.h>

enum latency_kind { LATENCY_ALLOC, LATENCY_FREE, NR_LATENCIES };

#define LATENCY_STEP_BITS	5
#define LATENCY_STEPS		(1U << LATENCY_STEP_BITS)
/* Up to 2^40 ns, 18 minutes; what takes longer counts as that. */
#define LATENCY_BUCKETS		(36 * LATENCY_STEPS)

/**
 * struct latency - the histograms of a thread
 * @clock_ns: what reading the clock adds to each operation
 * @n: operations by bucket
 * @min: the shortest one, ns without the clock's part
 * @max: the longest one
 */
struct latency {
	uint64_t clock_ns;
	uint64_t n[NR_LATENCIES][LATENCY_BUCKETS];
	uint64_t min[NR_LATENCIES], max[NR_LATENCIES];
};

extern __thread struct latency *latency;	/* NULL: nobody measures */

static inline unsigned int latency_bucket(uint64_t ns)
{
	unsigned int shift, bucket;

	if (ns < LATENCY_STEPS)
		return ns;
	shift = 63 - __builtin_clzll(ns) - LATENCY_STEP_BITS;
	bucket = (shift << LATENCY_STEP_BITS) + (ns >> shift);
	return bucket < LATENCY_BUCKETS ? bucket : LATENCY_BUCKETS - 1;
}

static inline void latency_add(enum latency_kind kind, uint64_t ns)
{
	struct latency *l = latency;

	ns = ns > l->clock_ns ? ns - l->clock_ns : 0;
	l->n[kind][latency_bucket(ns)]++;
	l->min[kind] = ns < l->min[kind] ? ns : l->min[kind];
	l->max[kind] = ns > l->max[kind] ? ns : l->max[kind];
}

/**
 * struct percentiles - what a table says of many operations; ns
 * @n: operations
 */
struct percentiles {
	uint64_t n, min, p50, p95, p99, p999, max;
};

void latency_start(struct latency *l);	/* this thread's, from here on */
void latency_stop(void);
void latency_merge(struct latency *to, const struct latency *from);
/* Of one kind, or of all with NR_LATENCIES. */
struct percentiles latency_percentiles(const struct latency *l,
				       enum latency_kind kind);

#endif /* SLABBENCH_LATENCY_H */
