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

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include "counters.h"
#include "latency.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define MAX_SIZES	128
#define MAX_LIST	64	/* entries of a list given as an option */
#define MAX_THREADS	1024
#define MAX_SIZE	((size_t)1 << 30)
#define DEFAULT_SLOTS	100000
#define TYPED_BYTES	240	/* of the type that cache has */
#define DEFAULT_SEED	88172645463325252ULL

/* What main() returns. */
enum {
	EXIT_OK = 0,
	EXIT_FAILED = 1,	/* a run or an output failed */
	EXIT_USAGE = 2,		/* an option, or a peer asked for, is no good */
	EXIT_UNAVAILABLE = 3,	/* this machine cannot do it */
	EXIT_WORSE = 4,		/* than the baseline */
	EXIT_INTERRUPTED = 130,	/* by a signal, half-way */
};

enum allocator {
	ALLOC_RN,		/* libslab's own API, called directly */
	ALLOC_MALLOC,		/* whatever malloc the process has */
	ALLOC_NULL,		/* does nothing: the cost of the harness */
	ALLOC_FREELIST,		/* one mutex over free lists: the baseline */
	ALLOC_RN_CACHE,		/* libslab's cache of a type: only in cache */
	ALLOC_RN_BULK,		/* the same, many at a time */
	ALLOC_DPDK,		/* rte_malloc, in an object loaded for it */
	ALLOC_DPDK_MEMPOOL,	/* rte_mempool: only in cache */
	ALLOC_RN_MEMCG,		/* libslab, charged to a group */
	ALLOC_RN_EXEC,		/* libslab, execution memory of its pools */
	NR_ALLOCATORS
};

#define MAX_PHASES	4
#define MAX_MARKS	8
#define SCENARIO	1000	/* + n: the index of a workload of reclaim */
#define REPLAY		2000	/* that of replay's */

/* Where sizes that are drawn come from. */
enum dist {
	DIST_LIST,		/* one of row.sizes, all alike or by weight */
	DIST_UNIFORM,		/* from row.least to row.most */
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
	bool latency;			/* time each operation */
	size_t count;			/* objects per thread; 0 without */
	size_t bytes;			/* to ask for, over all threads */
	enum dist dist;
	size_t least, most;		/* bytes, for DIST_UNIFORM */
	unsigned int nr_sizes;
	uint32_t sizes[MAX_SIZES];
	uint32_t weights[MAX_SIZES];	/* running sums; 0: all alike */
	/* rnbench */
	enum op_mode ops;
	enum pattern pattern;
	/* prodcons */
	unsigned int producers;		/* of the threads */
	/* the scenarios of reclaim */
	unsigned int seconds;		/* of rest, of each phase, of the day */
	bool poke;			/* a little goes on in between */
	/* replay */
	int plan;			/* a descriptor that is inherited */
	/* frames of a memory map */
	int memmap_dir;			/* a descriptor likewise */
	char memmap_name[128];		/* "": there are none */
};
static_assert(sizeof(struct row) <= 4096, "a pipe takes it whole");

/**
 * struct futexes - the futex calls of a run, all threads added up
 * @by: "tracepoint" or "strace"; NULL where they were not counted
 * @in_calls_ns: from their entry to their exit
 * @waits: those that wait, and
 * @blocked_ns: the time in those, where @waits_known
 * @lost: records that could not be taken in time
 */
struct futexes {
	const char *by;
	uint64_t calls, in_calls_ns;
	uint64_t waits, blocked_ns;
	bool waits_known;
	uint64_t lost;
};

/* What mark_memory() found; held without what was held before the timed part. */
struct mark {
	uint64_t at_ns, live_bytes, held_kb;
};

/**
 * struct result - what a measured process found out
 * @ops: operations timed, over all threads
 * @wall_ns: first start to last end, summed over the phases
 * @phase_ns: the same of each phase, or 0
 * @base_kb: RSS + HugetlbPages before the timed part: harness and warm-up
 * @peak_rss_kb: VmHWM
 * @peak_hugetlb_kb: the most HugetlbPages seen at the ends of the phases and
 *	from outside, as the kernel keeps no high-water mark of it
 * @peak_vsz_kb: VmPeak
 * @final_rss_kb: RSS when all was freed
 * @final_hugetlb_kb: HugetlbPages then
 * @rollup_rss_kb: RSS then, by smaps_rollup: the same by another road, or 0
 * @live_bytes: bytes asked for and not freed at the end of the last phase but
 *	one, where the workload keeps count
 * @usable_bytes: what the allocator made of them, or 0
 * @held_kb: RSS + HugetlbPages at that time, without @base_kb
 * @peak_live_bytes: the most that was live at a time, where that is counted
 * @charged_kb: the most that was charged to the group at a time, with what lay
 *	in stock; rn-memcg and rn-exec only
 * @nr_marks: how many there are in @mark
 * @futexes: of another run; filled in by whoever started both
 * @counters: of the timed part
 * @clock_ns: with --latency: the cost of the clock, subtracted from @latency
 * @latency: of allocations, frees, both
 * @checksum: of the sequence of operations; equal for equal rows whatever the
 *	allocator
 */
struct result {
	uint64_t ops;
	uint64_t wall_ns;
	uint64_t phase_ns[MAX_PHASES];
	uint64_t base_kb;
	uint64_t peak_rss_kb;
	uint64_t peak_hugetlb_kb;
	uint64_t peak_vsz_kb;
	uint64_t final_rss_kb;
	uint64_t final_hugetlb_kb;
	uint64_t rollup_rss_kb;
	uint64_t live_bytes, usable_bytes, held_kb;
	uint64_t peak_live_bytes;
	uint64_t charged_kb;
	unsigned int nr_marks;
	struct mark mark[MAX_MARKS];
	struct futexes futexes;
	struct counters counters;
	uint64_t clock_ns;
	struct percentiles latency[NR_LATENCIES + 1];
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
	uint64_t start_ns[MAX_PHASES], end_ns[MAX_PHASES];
	uint64_t *live;			/* bytes; seen by the parent process */
	uint64_t usable;		/* bytes, for result.usable_bytes */
	uint64_t peak_live;		/* for result.peak_live_bytes */
	struct latency *latency;
};

/**
 * struct workload - one kind of program to imitate
 * @sizes: a row for each, or NULL where a size is no part of a row
 * @mix: or sizes to draw from, 0 ends them
 * @least: or bytes of the smallest object drawn
 * @most: and of the largest
 * @median: if they are log-normal within those two; 0: uniform
 * @count: objects per thread, where none were asked for; 0: it has no count
 * @bytes: to ask for, likewise
 * @total: iterations over all threads, where none were asked for
 * @threads: thread counts, where none were asked for; 0 ends them
 * @table_len: pointers that a thread has to keep
 * @live: most objects of a thread that are live at a time
 * @next_size: draws the size of the next object, for the null ring's layout
 * @prepare: what the harness needs beside the table, before what it holds is
 *	told apart from what the allocator will; or NULL
 * @run: one pass over w->iterations, by allocator; calls hold_peak() before
 *	it frees what threads have piled up. NULL where an allocator cannot
 *	take part: null has no memory that could hold a structure, and
 *	those for a type are for the one workload that has a type
 * @phases: their names; run() calls phase_end() between them. NULL: one
 * @cold: measured from a fresh start, so no warm-up in the same process, but
 *	as much memory is touched in another one before
 * @watches: run() starts a program, and what that holds is measured: it calls
 *	watch_process(), and watch_end() before the program ends
 */
struct workload {
	const char *name;
	const char *help;
	const size_t *sizes;
	unsigned int nr_sizes;
	const uint32_t *mix;
	size_t least, most, median;
	size_t count, bytes;
	uint64_t total;
	const unsigned int *threads;
	const char *phases[MAX_PHASES];
	bool cold, watches;
	size_t (*table_len)(const struct row *row);
	size_t (*live)(const struct row *row);
	size_t (*next_size)(const struct row *row, uint64_t *rng);
	void (*prepare)(struct worker *w);
	void (*run[NR_ALLOCATORS])(struct worker *w);
};

/* workload.c */
extern const char *const allocator_names[NR_ALLOCATORS];
const struct workload *workload_get(unsigned int index);
int workload_find(const char *name);
uint64_t worker_seed(const struct row *row, unsigned int index);
uint64_t default_iterations(const struct row *row);
uint64_t row_bytes(const struct row *row);
unsigned int workload_phases(const struct workload *w);
bool workload_takes(unsigned int index, enum allocator allocator);
bool workload_draws(const struct workload *w);

/* dist.c */
void dist_lognormal(struct row *row, size_t median, size_t least, size_t most);
int dist_read(struct row *row, const char *path);

/* worker.c */
int row_worker(int argc, char **argv);
void phase_end(struct worker *w);
void hold_peak(struct worker *w);
void mark_memory(struct worker *w);
void watch_process(struct worker *w, pid_t pid);
void watch_end(struct worker *w);
struct worker *worker_peer(struct worker *w, unsigned int index);
void wait_for_others(struct worker *w);
/* A live counter has a cache line to itself. */
#define LIVE_STRIDE	8
/* Behind them, the process that is watched in the worker's stead; 0: none. */
#define LIVE_WATCHED	(MAX_THREADS * LIVE_STRIDE)
#define LIVE_BYTES	((LIVE_WATCHED + LIVE_STRIDE) * sizeof(uint64_t))
uint64_t *live_map(int fd);
uint64_t live_sum(const uint64_t *live);
void out_of_memory(size_t size) __attribute__((noreturn, cold));
void wrong_result(const struct worker *w, const char *what)
	__attribute__((noreturn, cold));
uint64_t now_ns(void);
void *map_populated(size_t bytes);

/* frames.c */
void frames_start(const struct row *row);
void frames_mark(void);
void frames_stop(void);

/* own_stats.c */
bool own_stats(int fd);

/* null.c */
void null_prepare(const struct worker *w);

/* dpdk.c */
bool dpdk_needed(enum allocator allocator);
bool dpdk_built(void);
const char *dpdk_start(const struct row *row);

/* memcg.c */
void memcg_start(void);
uint64_t memcg_peak_kb(void);

/* exec.c */
void exec_start(void);
uint64_t exec_peak_kb(void);

/* spawn.c */
struct point {
	double ms;			/* since the process was started */
	uint64_t held_kb, live_kb;	/* RSS + HugetlbPages; asked for */
};
struct series {
	unsigned int ms;		/* from one point to the next */
	uint64_t start_ns;		/* when the process was started */
	struct point *point;
	size_t n, max;
};
struct peer;
int spawn_row(const struct row *row, const struct peer *peer,
	      struct series *series, struct result *res);

int spawn_row_under(const struct row *row, const struct peer *peer,
		    const char *const *tool, struct result *res);
struct tracepoint;
int spawn_row_traced(const struct row *row, struct tracepoint *t,
		     struct result *res);

/* interrupt.c */
void interrupt_catch(void);
bool interrupted(void);
void interrupt_block(void);
void interrupt_unblock(bool child);

/* measure.c */
struct memory {
	uint64_t hwm_kb, rss_kb, hugetlb_kb, vsz_kb;
};
int read_memory(const char *status, struct memory *m);
uint64_t rollup_rss_kb(void);
uint64_t meminfo_kb(const char *field);

/* program.c */
bool have_program(const char *name);

/* where.c */
void cpus_allowed(char *buf, size_t len);
void nodes_allowed(char *buf, size_t len);
struct machine {
	char cpu[128], kernel[80], thp[32];
	char hypervisor[80];		/* "none" where no sign of one is seen */
};
void machine_read(struct machine *m);
void where_start(void);
void print_where(FILE *out);

/* stats.c */
double median(const double *v, size_t n);
double spread_percent(const double *v, size_t n);
bool spreads_meet(const double *a, size_t na, const double *b, size_t nb);
double result_frag(const struct result *res);

/* json.c */
struct json_out {
	FILE *f;
	const char *name;
};
int json_open(struct json_out *out, const char *name);
int json_row(struct json_out *out, const struct row *row,
	     const struct peer *peer, unsigned int run,
	     const struct result *res);
int json_floor(struct json_out *out, const char *variant, size_t size,
	       unsigned int run, uint64_t ops, double ns_per_op);
struct held;
int json_held(struct json_out *out, const struct held *held, unsigned int run);
int json_close(struct json_out *out);
void json_command(int argc, char **argv);

/* peers.c */
struct peer {
	char name[64];
	enum allocator allocator;
	bool given;			/* on the command line, by name or path */
	bool missing;
	char preload[4096];		/* "" for none */
	char env[512];			/* NAME=VALUE to add, "" for none */
	char reason[512];		/* why it is missing */
};
int peer_resolve(struct peer *peer, const char *spec);
unsigned int peers_group(struct peer *peers, unsigned int most,
			 const char *word);
const char *peer_linkage(const struct peer *peer);
bool path_from_self(char *path, size_t len, const char *relative);
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
int cmd_scale(int argc, char **argv);
int cmd_frag(int argc, char **argv);
int cmd_reclaim(int argc, char **argv);
int cmd_steady(int argc, char **argv);
int cmd_floor(int argc, char **argv);
int cmd_pools(int argc, char **argv);
int cmd_report(int argc, char **argv);

/* those of tools/slabtrace */
extern const struct workload workload_replay;
int cmd_record(int argc, char **argv);
int cmd_replay(int argc, char **argv);
int cmd_trace(int argc, char **argv);

#endif /* SLABBENCH_H */
