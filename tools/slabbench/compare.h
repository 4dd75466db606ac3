/* SPDX-License-Identifier: MIT */
/*
 * Rows over allocators: what is asked for, and what was measured, a cell for
 * each row and allocator.
 */
#ifndef SLABBENCH_COMPARE_H
#define SLABBENCH_COMPARE_H

#include "options.h"
#include "results.h"

struct comparison {
	struct selection sel;
	struct results results;
	struct peer peers[MAX_LIST];
	unsigned int nr_peers;
	unsigned int limit;		/* seconds, or 0 */
	bool quick;
};

/**
 * struct cell - the runs of one row over one allocator
 * @n: runs that gave a result
 * @failed: a run failed; there are no more
 */
struct cell {
	unsigned int n;
	bool failed;
	double *ns;			/* per operation, by run */
	double *phase_ns[MAX_PHASES];	/* the same by phase, 0 without */
	double *peak_kb;		/* RSS + HugetlbPages */
	double *p50, *p999;		/* ns, with --latency */
	double *frag;			/* memory held / live bytes, or 0 */
	uint64_t checksum;		/* of the first run */
};

struct table {
	const struct peer *peers;
	unsigned int nr_peers;
	struct row *rows;
	size_t nr_rows;
	struct cell *cells;
	double *figures;		/* what the cells point into */
};

/* comparison.c: a child parser; its input is a struct comparison. */
extern const struct argp comparison_argp;

void add_peer(struct argp_state *state, const char *word, void *arg);
void default_peers(struct comparison *args);
void *alloc_or_exit(size_t n, size_t size);
bool one_missing(const struct comparison *args);
bool nothing_to_compare(const struct comparison *args);
void say_left_out(struct comparison *args, const struct row *rows,
		  size_t nr_rows);
int compare_measure(struct comparison *args,
		    void (*print)(const struct table *t, FILE *out));
int compare_rows(struct comparison *args,
		 void (*print)(const struct table *t, FILE *out));

/* table.c */
void table_alloc(struct table *t, unsigned int runs);
void table_free(struct table *t);
struct cell *table_cell(const struct table *t, size_t row, unsigned int peer);
void cell_add(struct cell *cell, const struct result *res);
size_t table_measured(const struct table *t);
bool table_failed(const struct table *t);
void table_print(const struct table *t, FILE *out);

#endif /* SLABBENCH_COMPARE_H */
