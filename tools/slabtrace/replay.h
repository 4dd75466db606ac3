/* SPDX-License-Identifier: MIT */
/*
 * slabbench replay: what its command, its table and its workload share.
 */
#ifndef SLABTRACE_REPLAY_H
#define SLABTRACE_REPLAY_H

#include "results.h"
#include "slabbench.h"
#include "trace.h"

/**
 * struct replayed - the runs of one trace over one allocator
 * @n: runs that gave a result
 * @failed: one did not; there are no more
 * @mops: million calls a second, by run, as are
 * @peak_mib: the most that was held
 * @mean_mib: held on average over the replay
 * @end_mib: at its end
 * @left_mib: when all is freed
 * @latency: of both kinds, all runs
 */
struct replayed {
	unsigned int n;
	bool failed;
	double *mops, *peak_mib, *mean_mib, *end_mib, *left_mib;
	double *p50, *p99, *p999, *max;
};

/**
 * struct recording - a trace that is replayed
 * @calls: to be replayed
 * @row: for its runs
 * @replayed: by peer
 */
struct recording {
	const char *name;
	struct totals sum;
	uint64_t calls, nr_threads;
	struct row row;
	struct replayed *replayed;
};

/* replay_table.c */
void replayed_add(struct replayed *r, const struct series *series,
		  const struct result *res);
double replay_seconds(const struct result *res);
void replay_print(const struct recording *rec, const struct peer *peers,
		  unsigned int nr_peers, FILE *out);
int replay_json(struct json_out *out, const struct recording *rec,
		const struct peer *peer, unsigned int run,
		const struct series *series, const struct result *res);

#endif /* SLABTRACE_REPLAY_H */
