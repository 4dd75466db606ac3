// SPDX-License-Identifier: MIT
/*
 * Histograms of latency: see latency.h.
 */
#include <string.h>
#include "latency.h"
#include "slabbench.h"

#define CLOCK_SAMPLES	1001

__thread struct latency *latency;

/* The median of what two readings of the clock are apart. */
static uint64_t clock_cost(void)
{
	unsigned int seen[256] = { 0 }, sum = 0, ns;

	for (int i = 0; i < CLOCK_SAMPLES; i++) {
		uint64_t start = now_ns(), d = now_ns() - start;

		seen[d < 255 ? d : 255]++;
	}
	for (ns = 0; ns < 255; ns++) {
		sum += seen[ns];
		if (sum > CLOCK_SAMPLES / 2)
			break;
	}
	return ns;
}

void latency_start(struct latency *l)
{
	memset(l, 0, sizeof(*l));
	for (int k = 0; k < NR_LATENCIES; k++)
		l->min[k] = UINT64_MAX;
	l->clock_ns = clock_cost();
	latency = l;
}

void latency_stop(void)
{
	latency = NULL;
}

void latency_merge(struct latency *to, const struct latency *from)
{
	for (int k = 0; k < NR_LATENCIES; k++) {
		for (int i = 0; i < (int)LATENCY_BUCKETS; i++)
			to->n[k][i] += from->n[k][i];
		if (from->min[k] < to->min[k])
			to->min[k] = from->min[k];
		if (from->max[k] > to->max[k])
			to->max[k] = from->max[k];
	}
	if (from->clock_ns > to->clock_ns)
		to->clock_ns = from->clock_ns;
}

/* The middle of what falls into a bucket. */
static uint64_t bucket_value(unsigned int bucket)
{
	unsigned int shift = bucket >> LATENCY_STEP_BITS;
	uint64_t low;

	if (shift <= 1)
		return bucket;
	shift--;
	low = (uint64_t)(bucket - (shift << LATENCY_STEP_BITS)) << shift;
	return low + (1ULL << shift) / 2;
}

static uint64_t count(const struct latency *l, enum latency_kind kind, int i)
{
	return kind == NR_LATENCIES ? l->n[LATENCY_ALLOC][i] +
		l->n[LATENCY_FREE][i] : l->n[kind][i];
}

/* The value that @part of the operations do not exceed. */
static uint64_t quantile(const struct latency *l, enum latency_kind kind,
			 uint64_t total, double part)
{
	uint64_t want = (uint64_t)(total * part), sum = 0;

	for (int i = 0; i < (int)LATENCY_BUCKETS; i++) {
		sum += count(l, kind, i);
		if (sum > want)
			return bucket_value(i);
	}
	return bucket_value(LATENCY_BUCKETS - 1);
}

struct percentiles latency_percentiles(const struct latency *l,
				       enum latency_kind kind)
{
	struct percentiles p = { .min = UINT64_MAX };

	for (int i = 0; i < (int)LATENCY_BUCKETS; i++)
		p.n += count(l, kind, i);
	if (!p.n)
		return (struct percentiles){ .n = 0 };
	for (int k = 0; k < NR_LATENCIES; k++) {
		if (kind != NR_LATENCIES && kind != (enum latency_kind)k)
			continue;
		p.min = l->min[k] < p.min ? l->min[k] : p.min;
		p.max = l->max[k] > p.max ? l->max[k] : p.max;
	}
	p.p50 = quantile(l, kind, p.n, 0.5);
	p.p95 = quantile(l, kind, p.n, 0.95);
	p.p99 = quantile(l, kind, p.n, 0.99);
	p.p999 = quantile(l, kind, p.n, 0.999);
	return p;
}
