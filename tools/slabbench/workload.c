// SPDX-License-Identifier: MIT
/*
 * The table of workloads and what they have in common.
 */
#include <string.h>
#include "workloads.h"

const char *const allocator_names[NR_ALLOCATORS] = {
	[ALLOC_RN] = "rn",
	[ALLOC_MALLOC] = "malloc",
	[ALLOC_NULL] = "null",
	[ALLOC_FREELIST] = "freelist",
	[ALLOC_RN_CACHE] = "rn-cache",
	[ALLOC_RN_BULK] = "rn-bulk",
	[ALLOC_DPDK] = "dpdk",
	[ALLOC_DPDK_MEMPOOL] = "dpdk-mempool",
	[ALLOC_RN_MEMCG] = "rn-memcg",
	[ALLOC_RN_EXEC] = "rn-exec",
};

const size_t common_sizes[NR_COMMON_SIZES] = { 16, 64, 256, 1024 };
const unsigned int one_thread[] = { 1, 0 };

static const struct workload *const workloads[] = {
	&workload_pair,
	&workload_batch,
	&workload_rnbench,
	&workload_seq,
	&workload_small,
	&workload_medium,
	&workload_large,
	&workload_mixed,
	&workload_churn,
	&workload_reuse,
	&workload_mtseq,
	&workload_frag,
	&workload_falseshare_active,
	&workload_falseshare_passive,
	&workload_threadlocal,
	&workload_prodcons,
	&workload_sharedpool,
	&workload_threadchurn,
	&workload_idle,
	&workload_collatz,
	&workload_list,
	&workload_vector,
	&workload_web,
	&workload_kv,
	&workload_json,
	&workload_cache,
};

/* Not for run and compare: they take as long as they are told to. */
static const struct workload *const scenarios[] = {
	&scenario_collapse,
	&scenario_frag,
	&scenario_phases,
	&scenario_idle,
	&scenario_redis,
	&scenario_diurnal,
};

const struct workload *workload_get(unsigned int index)
{
	if (index == REPLAY)
		return &workload_replay;
	if (index >= SCENARIO) {
		index -= SCENARIO;
		return index < ARRAY_SIZE(scenarios) ? scenarios[index] : NULL;
	}
	return index < ARRAY_SIZE(workloads) ? workloads[index] : NULL;
}

int workload_find(const char *name)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(workloads); i++)
		if (!strcmp(name, workloads[i]->name))
			return (int)i;
	return -1;
}

bool workload_takes(unsigned int index, enum allocator allocator)
{
	return workload_get(index)->run[allocator];
}

unsigned int workload_phases(const struct workload *w)
{
	unsigned int n = 1;

	while (n < MAX_PHASES && w->phases[n])
		n++;
	return n;
}

bool workload_draws(const struct workload *w)
{
	return w->mix || w->most;
}

size_t row_size(const struct row *row, uint64_t *rng)
{
	(void)rng;
	return row->size;
}

/* A sequence for each thread; 0 is the one state xorshift never leaves. */
uint64_t worker_seed(const struct row *row, unsigned int index)
{
	uint64_t x = row->seed ^ (index + 1) * 7919ULL;

	return x ? x : DEFAULT_SEED;
}

uint64_t default_iterations(const struct row *row)
{
	const struct workload *w = workload_get(row->workload);
	uint64_t n = w->total / row->threads;

	/* All that is allocated stays: 2 GB of it would measure the kernel. */
	if (row->ops == OPS_ALLOC_ONLY)
		n /= 10;
	return n ? n : 1;
}

static double mean_size(const struct row *row)
{
	double sum = 0;
	uint32_t before = 0, n = 0;

	if (row->dist == DIST_UNIFORM)
		return ((double)row->least + row->most) / 2;
	for (unsigned int i = 0; i < row->nr_sizes; i++) {
		uint32_t weight = row->weights[0] ? row->weights[i] - before : 1;

		before = row->weights[i];
		sum += (double)row->sizes[i] * weight;
		n += weight;
	}
	return n ? sum / n : (double)row->size;
}

/* About what a row takes, its harness included. */
uint64_t row_bytes(const struct row *row)
{
	const struct workload *w = workload_get(row->workload);
	double table = w->table_len ? 8.0 * w->table_len(row) : 0;
	double each = table + (w->live ? w->live(row) * mean_size(row) : 0);

	return each * row->threads + row->bytes * 1.15;
}
