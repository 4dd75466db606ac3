/* SPDX-License-Identifier: MIT */
/*
 * slabbench reclaim: what its command, its tables and its scenarios share.
 */
#ifndef SLABBENCH_RECLAIM_H
#define SLABBENCH_RECLAIM_H

#include "results.h"
#include "slabbench.h"

enum scenario {
	COLLAPSE, FRAG, PHASES, IDLE, REDIS, DIURNAL, NR_SCENARIOS
};

/* What each thread of idle allocates, in all. */
#define BURST_BYTES	((size_t)100 << 10)

/* What redis is left with: one key in so many. */
#define KEYS_LEFT	10

/*
 * The marks of a run, by scenario:
 * collapse, idle, redis: all is there; all is freed that is to be; then a mark
 *	for each of rest_seconds()
 * frag: all is there; every second object is freed; as much is live again; then
 *	likewise
 * phases: the end of each phase
 * diurnal: the begin of the day, and its end
 */
#define MARK_PEAK	0
#define MARK_FREED	1
#define MARK_REFILLED	2
#define MARK_MORNING	0
#define MARK_NIGHT	1

#define MAX_RESTS	4
#define NR_SHIFTS	6	/* phases of phases */

static_assert(MARK_REFILLED + 1 + MAX_RESTS <= MAX_MARKS &&
	      NR_SHIFTS <= MAX_MARKS,
	      "a run has room for its marks");

/* workloads/reclaim.c */
extern const uint32_t shift_sizes[NR_SHIFTS];
unsigned int rest_seconds(const struct row *row, unsigned int *at);
void sleep_until(uint64_t ns);
size_t mixed_objects(const struct row *row);
size_t mixed_len(const struct row *row);

/* workloads/redis.c */
extern const char redis_program[];

/**
 * struct curve - what was held over the time of a run
 * @base_kb: of it the harness's
 * @zero_ms: when the time begins that the scenario is about, since the process
 *	was started
 * @end_ms: the last mark; then all is freed, and the process ends
 */
struct curve {
	struct series series;
	uint64_t base_kb;
	double zero_ms, end_ms;
};

/**
 * struct outcome - the runs of one scenario over one allocator
 * @n: runs that gave a result
 * @failed: a run failed; there are no more
 * @figure: MiB, those of a column one behind the other
 * @free_ns: p99.9 of single frees while memory was given back, by run
 * @curve: of the first run
 */
struct outcome {
	unsigned int n;
	bool failed;
	double *figure;
	double *free_ns;
	struct curve curve;
};

/**
 * struct reclaim - what is measured
 * @syscalls: a folder for what a run of each asks of the kernel, or NULL
 * @row: of each scenario that was chosen
 * @outcome: by row, then by peer
 */
struct reclaim {
	const struct peer *peers;
	unsigned int nr_peers, nr_rows, runs;
	const char *syscalls;
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

/* reclaim.c */
bool reclaim_takes_part(const struct reclaim *r, unsigned int row,
			unsigned int peer);

/* reclaim_syscalls.c */
int reclaim_syscalls_check(void);
bool reclaim_syscalls(const struct reclaim *r);

/* reclaim_table.c */
unsigned int reclaim_columns(const struct row *row);
void reclaim_add(const struct reclaim *r, unsigned int row, unsigned int peer,
		 struct series *series, const struct result *res);
double reclaim_excess_kb(const struct series *series,
			 const struct result *res);
void reclaim_print(const struct reclaim *r, FILE *out);

double mark_ms(const struct series *series, const struct mark *mark);
double point_held_kb(const struct point *p, uint64_t base_kb);

/* reclaim_plot.c */
int reclaim_plot(const struct reclaim *r, const char *svg);

/* reclaim_json.c */
int reclaim_json(struct json_out *out, const struct row *row,
		 const struct peer *peer, unsigned int run,
		 const struct series *series, const struct result *res);

#endif /* SLABBENCH_RECLAIM_H */
