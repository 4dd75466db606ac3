// SPDX-License-Identifier: MIT
/*
 * The measured process: its threads, their warm-up, and the clock.
 *
 * A row with one thread runs on the main thread: a program with one thread is
 * what it imitates, and a malloc may be faster there.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include "dpdk.h"
#include "slabbench.h"

/* Written by worker 0, but for the barrier. */
struct shared {
	pthread_barrier_t barrier;	/* all workers */
	uint64_t base_kb;
	uint64_t hugetlb_kb;		/* the most seen */
	uint64_t live_bytes, held_kb;	/* at the end of a phase, or a mark */
	unsigned int nr_marks;
	struct mark mark[MAX_MARKS];
	pid_t watched;			/* whose memory it is; 0: our own */
	bool watch_over;		/* it has gone, or may go: */
	struct memory last;		/* what it held */
	struct memory final;
	struct counters counters;
};


static void __attribute__((noreturn, format(printf, 1, 2)))
die(const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fprintf(stderr, "slabbench: %s\n", text);
	_exit(EXIT_FAILED);
}

void out_of_memory(size_t size)
{
	die("the allocator has no %zu bytes: %s", size, strerror(errno));
}

/* A workload read back something else than it had written. */
void wrong_result(const struct worker *w, const char *what)
{
	die("%s over %s, thread %u: %s",
	    workload_get(w->row->workload)->name,
	    allocator_names[w->row->allocator], w->index, what);
}

uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

/* The harness's own memory: not from the allocator that is measured. */
void *map_populated(size_t bytes)
{
	void *p;

	if (!bytes)
		return NULL;
	p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (p == MAP_FAILED)
		die("cannot map %zu bytes for the harness: %s", bytes,
		    strerror(errno));
	return p;
}

static void wait_for_all(struct worker *w)
{
	if (w->row->threads > 1)
		pthread_barrier_wait(&w->shared->barrier);
}

static struct memory note_memory(struct shared *s)
{
	char path[64] = "/proc/self/status";
	struct memory m;

	if (s->watch_over)
		return s->last;
	if (s->watched)
		snprintf(path, sizeof(path), "/proc/%d/status",
			 (int)s->watched);
	if (read_memory(path, &m))
		die("cannot read %s: %s", path, strerror(errno));
	if (m.hugetlb_kb > s->hugetlb_kb)
		s->hugetlb_kb = m.hugetlb_kb;
	return m;
}

static void note_base(struct shared *s)
{
	struct memory m = note_memory(s);

	s->base_kb = m.rss_kb + m.hugetlb_kb;
}

/* Of worker 0. What it holds now is the base of what it will. */
void watch_process(struct worker *w, pid_t pid)
{
	w->shared->watched = pid;
	note_base(w->shared);
	__atomic_store_n(&w->live[LIVE_WATCHED], (uint64_t)pid,
			 __ATOMIC_RELAXED);
}

/* Before the process ends. */
void watch_end(struct worker *w)
{
	w->shared->last = note_memory(w->shared);
	w->shared->watch_over = true;
}

/* What is held for what is live; all workers stand still. */
static void note_live(struct worker *w)
{
	struct memory m = note_memory(w->shared);
	uint64_t held_kb = m.rss_kb + m.hugetlb_kb, live = 0;

	for (unsigned int i = 0; i < w->row->threads; i++)
		live += *worker_peer(w, i)->live;
	w->shared->live_bytes = live;
	w->shared->held_kb = held_kb > w->shared->base_kb ?
		held_kb - w->shared->base_kb : 0;
}

/* Between two phases: all are done with one before any starts the next. */
void phase_end(struct worker *w)
{
	w->end_ns[w->phase] = now_ns();
	wait_for_all(w);
	if (!w->index)
		note_live(w);
	wait_for_all(w);
	w->start_ns[++w->phase] = now_ns();
}

/* Of worker 0, between barriers if there are others. */
void mark_memory(struct worker *w)
{
	struct shared *s = w->shared;

	note_live(w);
	assert(s->nr_marks < MAX_MARKS);
	s->mark[s->nr_marks++] = (struct mark) {
		.at_ns = now_ns(),
		.live_bytes = s->live_bytes,
		.held_kb = s->held_kb,
	};
	frames_mark();
}

struct worker *worker_peer(struct worker *w, unsigned int index)
{
	return w - w->index + index;
}

void wait_for_others(struct worker *w)
{
	wait_for_all(w);
}

/*
 * Warming up, all threads reach their peak before any frees: the timed pass
 * finds memory that the machine has behind it, as much as it will use. A
 * virtual machine's host may take ten times as long over the first touch.
 */
void hold_peak(struct worker *w)
{
	if (w->checked)
		wait_for_all(w);
}

static void pass(struct worker *w, uint64_t iterations, bool checked)
{
	const struct workload *wl = workload_get(w->row->workload);

	w->rng = worker_seed(w->row, w->index);
	w->iterations = iterations;
	w->checked = checked;
	w->phase = 0;
	w->start_ns[0] = now_ns();
	wl->run[w->row->allocator](w);
	w->end_ns[w->phase] = now_ns();
}

/* More than a kernel can be built for. */
#define MAX_CPUS	16384

/*
 * The n-th CPU that the process may use, in turn. Not by CPU_ALLOC(): its
 * malloc would be the first call that the measured allocator sees of a thread.
 */
static void pin_to_cpu(unsigned int n)
{
	unsigned long bits[MAX_CPUS / (8 * sizeof(long))];
	cpu_set_t *set = (cpu_set_t *)bits;
	int cpu = -1;

	if (sched_getaffinity(0, sizeof(bits), set))
		die("cannot read the CPUs allowed: %s", strerror(errno));
	for (n %= CPU_COUNT_S(sizeof(bits), set); cpu < 0 || n--;)
		while (!CPU_ISSET_S(++cpu, sizeof(bits), set))
			;
	CPU_ZERO_S(sizeof(bits), set);
	CPU_SET_S(cpu, sizeof(bits), set);
	if (sched_setaffinity(0, sizeof(bits), set))
		die("cannot pin to CPU %d: %s", cpu, strerror(errno));
}

static void enter_pool(const struct worker *w)
{
	const char *wrong = dpdk.pool_enter();

	if (wrong)
		die("DPDK does not take thread %u: %s", w->index, wrong);
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	const struct row *row = w->row;
	const struct workload *wl = workload_get(row->workload);
	uint64_t warm = row->iterations * row->warmup / 100;

	if (row->pin)
		pin_to_cpu(w->index);
	w->rng = worker_seed(row, w->index);
	w->table_len = wl->table_len ? wl->table_len(row) : 0;
	w->table = map_populated(w->table_len * sizeof(*w->table));
	if (wl->prepare)
		wl->prepare(w);
	if (row->allocator == ALLOC_NULL)
		null_prepare(w);
	if (row->allocator == ALLOC_DPDK_MEMPOOL)
		enter_pool(w);
	if (!wl->cold && warm)
		pass(w, warm, true);
	wait_for_all(w);
	if (!w->index) {
		frames_start(row);
		note_base(w->shared);
		counters_start();
	}
	wait_for_all(w);
	if (w->latency)
		latency_start(w->latency);
	pass(w, row->iterations, false);
	latency_stop();
	wait_for_all(w);
	if (!w->index) {
		counters_stop(&w->shared->counters);
		w->shared->final = note_memory(w->shared);
		frames_stop();
	}
	return NULL;
}

static void run_threads(struct worker *workers, unsigned int n)
{
	pthread_t thread[MAX_THREADS];
	int err;

	if (n == 1) {
		worker_main(&workers[0]);
		return;
	}
	for (unsigned int i = 0; i < n; i++) {
		err = pthread_create(&thread[i], NULL, worker_main,
				     &workers[i]);
		if (err)
			die("cannot start thread %u of %u: %s", i + 1, n,
			    strerror(err));
	}
	for (unsigned int i = 0; i < n; i++)
		pthread_join(thread[i], NULL);
}

/* From the first start to the last end. */
static uint64_t phase_ns(const struct worker *w, unsigned int n,
			 unsigned int phase)
{
	uint64_t start = w[0].start_ns[phase], end = w[0].end_ns[phase];

	for (unsigned int i = 1; i < n; i++) {
		if (w[i].start_ns[phase] < start)
			start = w[i].start_ns[phase];
		if (w[i].end_ns[phase] > end)
			end = w[i].end_ns[phase];
	}
	return end - start;
}

/* Counters of live bytes, a cache line for each thread; NULL with errno. */
uint64_t *live_map(int fd)
{
	void *p = mmap(NULL, LIVE_BYTES, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_POPULATE, fd, 0);

	return p == MAP_FAILED ? NULL : p;
}

uint64_t live_sum(const uint64_t *live)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < MAX_THREADS; i++)
		sum += __atomic_load_n(&live[i * LIVE_STRIDE],
				       __ATOMIC_RELAXED);
	return sum;
}

static void find_malloc(struct result *res)
{
	void *sym = dlsym(RTLD_DEFAULT, "malloc");
	Dl_info info;

	if (sym && dladdr(sym, &info) && info.dli_fname)
		snprintf(res->malloc_from, sizeof(res->malloc_from), "%s",
			 info.dli_fname);
}

static void collect_latency(const struct row *row, const struct worker *w,
			    struct result *res)
{
	struct latency *all = w[0].latency;

	for (unsigned int i = 1; i < row->threads; i++)
		latency_merge(all, w[i].latency);
	res->clock_ns = all->clock_ns;
	for (int k = 0; k <= NR_LATENCIES; k++)
		res->latency[k] = latency_percentiles(all, k);
}

static void collect_memory(struct shared *s, struct result *res)
{
	struct memory m = note_memory(s);

	res->base_kb = s->base_kb;
	res->peak_rss_kb = m.hwm_kb;
	res->peak_hugetlb_kb = s->hugetlb_kb;
	res->peak_vsz_kb = m.vsz_kb;
	res->final_rss_kb = s->final.rss_kb;
	res->final_hugetlb_kb = s->final.hugetlb_kb;
	res->rollup_rss_kb = s->watched ? 0 : rollup_rss_kb();
	res->live_bytes = s->live_bytes;
	res->held_kb = s->held_kb;
	res->nr_marks = s->nr_marks;
	memcpy(res->mark, s->mark, sizeof(res->mark));
}

static void collect(const struct row *row, const struct worker *w,
		    struct shared *s, struct result *res)
{
	unsigned int phases = workload_phases(workload_get(row->workload));

	collect_memory(s, res);
	res->counters = s->counters;
	for (unsigned int i = 0; i < row->threads; i++) {
		res->ops += w[i].ops;
		res->usable_bytes += w[i].usable;
		res->peak_live_bytes += w[i].peak_live;
		res->checksum = res->checksum * 31 + w[i].checksum;
	}
	for (unsigned int p = 0; p < phases; p++) {
		uint64_t ns = phase_ns(w, row->threads, p);

		res->wall_ns += ns;
		if (phases > 1)
			res->phase_ns[p] = ns;
	}
	if (row->allocator == ALLOC_RN_MEMCG)
		res->charged_kb = memcg_peak_kb();
	if (row->allocator == ALLOC_RN_EXEC)
		res->charged_kb = exec_peak_kb();
	if (row->latency)
		collect_latency(row, w, res);
	find_malloc(res);
}

static void prepare_dpdk(const struct row *row)
{
	const char *wrong = dpdk_start(row);

	if (wrong)
		die("DPDK does not start: %s", wrong);
}

static void measure(const struct row *row, uint64_t *live, struct result *res)
{
	struct worker *w = map_populated(row->threads * sizeof(*w));
	struct shared shared = { .hugetlb_kb = 0 };
	int err = pthread_barrier_init(&shared.barrier, NULL, row->threads);

	counters_open();

	if (err)
		die("cannot make a barrier: %s", strerror(err));
	for (unsigned int i = 0; i < row->threads; i++) {
		w[i].row = row;
		w[i].shared = &shared;
		w[i].index = i;
		w[i].live = live + i * LIVE_STRIDE;
		if (row->latency)
			w[i].latency = map_populated(sizeof(*w[i].latency));
	}
	if (dpdk_needed(row->allocator))
		prepare_dpdk(row);
	if (row->allocator == ALLOC_RN_MEMCG)
		memcg_start();
	if (row->allocator == ALLOC_RN_EXEC)
		exec_start();
	run_threads(w, row->threads);
	collect(row, w, &shared, res);
}

/*
 * slabbench row-worker IN OUT LIVE: takes a struct row, gives a struct result,
 * and counts live bytes in memory that the starter sees.
 */
int row_worker(int argc, char **argv)
{
	struct result res = { .ops = 0 };
	struct row row;
	uint64_t *live;
	int in, out;

	if (argc != 4)
		die("row-worker is what run and compare start; see --help");
	in = atoi(argv[1]);
	out = atoi(argv[2]);
	live = live_map(atoi(argv[3]));
	if (!live)
		die("cannot map the live counters: %s", strerror(errno));
	if (read(in, &row, sizeof(row)) != sizeof(row) ||
	    !workload_get(row.workload))
		die("row-worker: no row to measure");
	close(in);
	measure(&row, live, &res);
	if (write(out, &res, sizeof(res)) != sizeof(res))
		die("cannot hand over the result: %s", strerror(errno));
	return EXIT_OK;
}
