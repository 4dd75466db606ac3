/* SPDX-License-Identifier: MIT */
/*
 * slabbench: what its files share.
 *
 * A *row* is one workload at one size and thread count; a row is measured in a
 * process of its own, started afresh for each run, by spawn_row(). That process
 * runs row_worker(); whoever started it looks at its memory from outside, so
 * that nothing of the measuring (a sampling thread above all: glibc's malloc
 * is faster in a process that never had a second thread) is in the measured
 * process.
 */
#ifndef SLABBENCH_H
#define SLABBENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define MAX_SIZES	32
#define MAX_LIST	64	/* entries of a list given as an option */
#define MAX_THREADS	1024
#define MAX_SIZE	((size_t)1 << 30)
#define DEFAULT_SLOTS	100000
#define DEFAULT_SEED	88172645463325252ULL

/* What main() returns. */
enum {
	EXIT_OK = 0,
	EXIT_FAILED = 1,	/* a run or an output failed */
	EXIT_USAGE = 2,		/* an option, or a peer asked for, is no good */
	EXIT_UNAVAILABLE = 3,	/* this machine cannot do it */
};

enum allocator {
	ALLOC_RN,		/* libslab's own API, called directly */
	ALLOC_MALLOC,		/* whatever malloc the process has */
	ALLOC_NULL,		/* does nothing: the cost of the harness */
	NR_ALLOCATORS
};

enum op_mode { OPS_TOGGLE, OPS_RANDOM, OPS_ALLOC_ONLY };
enum pattern { PATTERN_RAND, PATTERN_SEQ };

/**
 * struct row - all that decides what a measured process does
 *
 * Sent as it is to the measured process, which is the same executable: so it
 * holds no pointers.
 */
struct row {
	unsigned int workload;		/* index for workload_get() */
	enum allocator allocator;
	unsigned int threads;
	size_t size;			/* bytes; 0: the workload has no one size */
	uint64_t iterations;		/* per thread */
	uint64_t seed;
	unsigned int warmup;		/* percent of the iterations, untimed */
	bool pin;			/* a CPU for each thread, in turn */
	/* rnbench */
	size_t slots;			/* per thread */
	enum op_mode ops;
	enum pattern pattern;
	unsigned int nr_sizes;
	uint32_t sizes[MAX_SIZES];
	/* seq */
	size_t bytes;			/* to ask for, over all threads */
};

/**
 * struct result - what a measured process found out
 * @ops: operations timed, over all threads
 * @wall_ns: first start to last end, summed over the phases
 * @phase_ns: the two phases of a workload that has them, or 0
 * @base_kb: RSS + HugetlbPages before the timed part: harness and warm-up
 * @peak_rss_kb: VmHWM
 * @peak_hugetlb_kb: the most HugetlbPages seen at the ends of the phases and
 *	from outside, as the kernel keeps no high-water mark of it
 * @checksum: of the sequence of operations; equal for equal rows whatever the
 *	allocator
 */
struct result {
	uint64_t ops;
	uint64_t wall_ns;
	uint64_t phase_ns[2];
	uint64_t base_kb;
	uint64_t peak_rss_kb;
	uint64_t peak_hugetlb_kb;
	uint64_t checksum;
	char malloc_from[1024];		/* the object that defines malloc */
};

struct shared;				/* of the workers of a process */

struct worker {
	const struct row *row;
	struct shared *shared;
	unsigned int index;
	uint64_t rng;			/* xorshift state, never 0 */
	uint64_t iterations;		/* of this pass */
	bool checked;			/* fold every operation into checksum */
	uint64_t checksum;
	void **table;			/* populated before the clock starts */
	size_t table_len;
	uint64_t ops;			/* done in the timed pass */
	unsigned int phase;
	uint64_t start_ns[2], end_ns[2];	/* by phase */
};

/**
 * struct workload - one kind of program to imitate
 * @sizes: a row for each, or NULL where a size is no part of a row
 * @total: iterations over all threads, where none were asked for
 * @threads: thread counts, where none were asked for; 0 ends them
 * @table_len: pointers that a thread has to keep
 * @live: most objects of a thread that are live at a time
 * @next_size: draws the size of the next object, for the null ring's layout
 * @run: one pass over w->iterations, by allocator; calls hold_peak() before
 *	it frees what threads have piled up
 * @phases: how many are timed; run() calls phase_end() between them
 * @cold: measured from a fresh start, so no warm-up in the same process, but
 *	as much memory is touched in another one before
 */
struct workload {
	const char *name;
	const char *help;
	const size_t *sizes;
	unsigned int nr_sizes;
	uint64_t total;
	const unsigned int *threads;
	unsigned int phases;
	bool cold;
	size_t (*table_len)(const struct row *row);
	size_t (*live)(const struct row *row);
	size_t (*next_size)(const struct row *row, uint64_t *rng);
	void (*run[NR_ALLOCATORS])(struct worker *w);
};

/* workload.c */
extern const char *const allocator_names[NR_ALLOCATORS];
const struct workload *workload_get(unsigned int index);
int workload_find(const char *name);
uint64_t worker_seed(const struct row *row, unsigned int index);
uint64_t default_iterations(const struct row *row);
uint64_t row_bytes(const struct row *row);

/* worker.c */
int row_worker(int argc, char **argv);
void phase_end(struct worker *w);
void hold_peak(struct worker *w);
void out_of_memory(size_t size) __attribute__((noreturn, cold));
uint64_t now_ns(void);
void *map_populated(size_t bytes);

/* null.c */
void null_prepare(const struct worker *w);

/* spawn.c */
int spawn_row(const struct row *row, const char *preload, struct result *res);

/* measure.c */
struct memory {
	uint64_t hwm_kb, rss_kb, hugetlb_kb;
};
int read_memory(const char *status, struct memory *m);
uint64_t meminfo_kb(const char *field);

/* where.c */
void cpus_allowed(char *buf, size_t len);
void nodes_allowed(char *buf, size_t len);
void print_where(FILE *out);

/* stats.c */
double median(const double *v, size_t n);
double spread_percent(const double *v, size_t n);

/* json.c */
struct json_out {
	FILE *f;
	const char *name;
};
int json_open(struct json_out *out, const char *name);
int json_row(struct json_out *out, const struct row *row, const char *allocator,
	     const char *linkage, unsigned int run, const struct result *res);
int json_floor(struct json_out *out, const char *variant, size_t size,
	       unsigned int run, uint64_t ops, double ns_per_op);
int json_close(struct json_out *out);

/* peers.c */
struct peer {
	char name[64];
	enum allocator allocator;
	bool given;			/* on the command line, by name or path */
	bool missing;
	char preload[4096];		/* "" for none */
};
int peer_resolve(struct peer *peer, const char *spec);
const char *peer_linkage(const struct peer *peer);
void peers_list(FILE *out);

/* progress.c */
void progress_start(unsigned int steps);
void progress_step(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void progress_clear(void);
void progress_end(void);

/* the sub-commands */
int cmd_list(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_compare(int argc, char **argv);
int cmd_floor(int argc, char **argv);

#endif /* SLABBENCH_H */
