/* SPDX-License-Identifier: MIT */
/*
 * The options that run and compare share: which rows, and how often.
 */
#ifndef SLABBENCH_OPTIONS_H
#define SLABBENCH_OPTIONS_H

#include <argp.h>
#include "slabbench.h"

struct selection {
	unsigned int nr_workloads, nr_threads, nr_sizes;
	unsigned int workloads[MAX_LIST];
	unsigned int threads[MAX_LIST];
	size_t sizes[MAX_SIZES];
	uint64_t iterations;		/* 0: the workload's own, as below */
	size_t count, bytes;
	size_t least, most;		/* sizes from and to; 0: not given */
	const char *dist;		/* a file of sizes */
	enum op_mode ops;
	enum pattern pattern;
	unsigned int producers;		/* 0: not given */
	uint64_t seed;
	unsigned int warmup, runs;
	const unsigned int *quick_threads;	/* instead of several; 0 ends */
	unsigned int divide;		/* the default iterations by this */
	bool pin, latency;
	bool ops_given, alloc_only, pattern_given;
	const char *json;
};

#define SELECTION_DEFAULTS {						\
	.seed = DEFAULT_SEED, .warmup = 10, .runs = 1, .divide = 1, .pin = true,	\
}

/* A child parser; its input is a struct selection. */
extern const struct argp selection_argp;

struct row *selection_rows(const struct selection *sel, size_t *n);

int split_list(struct argp_state *state, char *list, const char *what,
	       void (*add)(struct argp_state *, const char *, void *),
	       void *arg);
uint64_t parse_number(struct argp_state *state, const char *what,
		      const char *text, uint64_t least, uint64_t most);

#endif /* SLABBENCH_OPTIONS_H */
