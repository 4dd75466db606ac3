/* SPDX-License-Identifier: MIT */
/*
 * slabbench reclaim: what its command, its tables and its scenarios share.
 */
#ifndef SLABBENCH_RECLAIM_H
#define SLABBENCH_RECLAIM_H

#include "results.h"
#include "slabbench.h"

enum scenario { COLLAPSE, PHASES, IDLE, DIURNAL, NR_SCENARIOS };

/* What each thread of idle allocates, in all. */
#define BURST_BYTES	((size_t)100 << 10)

/*
 * The marks of a run, by scenario:
 * collapse, idle: all is there; all is freed that is to be; then a mark for
 *	each of rest_seconds()
 * phases: the end of each phase
 * diurnal: the begin of the day, and its end
 */
#define MARK_PEAK	0
#define MARK_FREED	1
#define MARK_REST	2
#define MARK_MORNING	0
#define MARK_NIGHT	1

#define MAX_RESTS	4
#define NR_SHIFTS	6	/* phases of phases */

static_assert(MARK_REST + MAX_RESTS <= MAX_MARKS && NR_SHIFTS <= MAX_MARKS,
	      "a run has room for its marks");

/* workloads/reclaim.c */
extern const uint32_t shift_sizes[NR_SHIFTS];
unsigned int rest_seconds(const struct row *row, unsigned int *at);

/**
 * struct outcome - the runs of one scenario over one allocator
 * @n: runs that gave a result
 * @failed: a run failed; there are no more
 * @figure: MiB, those of a column one behind the other
 */
struct outcome {
	unsigned int n;
	bool failed;
	double *figure;
};

/**
 * struct reclaim - what is measured
 * @row: of each scenario that was chosen
 * @outcome: by row, then by peer
 */
struct reclaim {
	const struct peer *peers;
	unsigned int nr_peers, nr_rows, runs;
	struct row row[NR_SCENARIOS];
	struct outcome *outcome;
};

static inline struct outcome *reclaim_outcome(const struct reclaim *r,
					      unsigned int row,
					      unsigned int peer)
{
	return &r->outcome[row * r->nr_peers + peer];
}

static inline enum scenario row_scenario(const struct row *row)
{
	return (enum scenario)(row->workload - SCENARIO);
}

/* reclaim_table.c */
unsigned int reclaim_columns(const struct row *row);
void reclaim_add(const struct reclaim *r, unsigned int row, unsigned int peer,
		 const struct series *series, const struct result *res);
double reclaim_excess_kb(const struct series *series,
			 const struct result *res);
void reclaim_print(const struct reclaim *r, FILE *out);

/* reclaim_json.c */
int reclaim_json(struct json_out *out, const struct row *row,
		 const struct peer *peer, unsigned int run,
		 const struct series *series, const struct result *res);

#endif /* SLABBENCH_RECLAIM_H */
