/* SPDX-License-Identifier: MIT */
/*
 * What the workloads share, and the workloads.
 */
#ifndef SLABBENCH_WORKLOADS_H
#define SLABBENCH_WORKLOADS_H

#include "slabbench.h"

#define NR_COMMON_SIZES	4

extern const size_t common_sizes[NR_COMMON_SIZES];
extern const unsigned int one_thread[];

size_t row_size(const struct row *row, uint64_t *rng);

extern const struct workload workload_pair;
extern const struct workload workload_batch;
extern const struct workload workload_rnbench;
extern const struct workload workload_seq;
extern const struct workload workload_small;
extern const struct workload workload_medium;
extern const struct workload workload_large;
extern const struct workload workload_mixed;
extern const struct workload workload_churn;
extern const struct workload workload_reuse;
extern const struct workload workload_mtseq;
extern const struct workload workload_frag;
extern const struct workload workload_falseshare_active;
extern const struct workload workload_falseshare_passive;
extern const struct workload workload_threadlocal;
extern const struct workload workload_prodcons;
extern const struct workload workload_sharedpool;
extern const struct workload workload_threadchurn;
extern const struct workload workload_idle;
extern const struct workload workload_collatz;
extern const struct workload workload_list;
extern const struct workload workload_vector;
extern const struct workload workload_web;
extern const struct workload workload_kv;
extern const struct workload workload_json;
extern const struct workload workload_cache;

/* in the order of enum scenario */
extern const struct workload scenario_collapse;
extern const struct workload scenario_frag;
extern const struct workload scenario_phases;
extern const struct workload scenario_idle;
extern const struct workload scenario_redis;
extern const struct workload scenario_diurnal;

#endif /* SLABBENCH_WORKLOADS_H */
