// SPDX-License-Identifier: MIT
/*
 * slabbench run: rows of one or more of the allocators that the process has,
 * a line for each run.
 */
#include <stdlib.h>
#include <string.h>
#include "dpdk.h"
#include "options.h"
#include "results.h"
#include "trace.h"

struct run_args {
	struct selection sel;
	struct results results;
	unsigned int nr_allocators;
	enum allocator allocators[MAX_LIST];
	struct flamegraph graph;
	bool count_futexes;
	struct contention contention;
};

enum { OPT_FLAMEGRAPH = 0x500, OPT_CONTENTION };

static void add_allocator(struct argp_state *state, const char *word, void *arg)
{
	struct run_args *args = arg;

	for (unsigned int i = 0; i < NR_ALLOCATORS; i++) {
		if (strcmp(word, allocator_names[i]))
			continue;
		if (args->nr_allocators == MAX_LIST)
			argp_error(state, "-a: more than %d", MAX_LIST);
		if (dpdk_needed(i) && !dpdk_built())
			argp_error(state, "%s is missing: " DPDK_MISSING, word);
		args->allocators[args->nr_allocators++] = i;
		return;
	}
	argp_error(state, "unknown allocator '%s' (there are: rn, rn-memcg, rn-exec, malloc, null, freelist, dpdk, rn-cache, rn-bulk, dpdk-mempool; compare has others)",
		   word);
}

static error_t parse_run(int key, char *arg, struct argp_state *state)
{
	struct run_args *args = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &args->sel;
		state->child_inputs[1] = &args->results;
		return 0;
	case 'a':
		return split_list(state, arg, "-a", add_allocator, args);
	case OPT_FLAMEGRAPH:
		args->graph.svg = arg;
		return 0;
	case OPT_CONTENTION:
		args->count_futexes = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option run_options[] = {
	{ "allocator", 'a', "LIST", 0,
	  "rn (default): libslab's own API; rn-memcg: the same in a group with "
	  "a limit; rn-exec: libslab's execution memory; malloc: whatever "
	  "malloc the process has; null: does nothing; freelist: one mutex "
	  "over free lists; dpdk: rte_malloc, if built with it; in cache alone rn-cache: "
	  "the type has a cache of its own, rn-bulk: many from it at a time, "
	  "and dpdk-mempool: rte_mempool", 0 },
	{ "contention", OPT_CONTENTION, NULL, 0,
	  "Count the futex calls of each row in one more run: those that wait, "
	  "and how long, by the kernel's tracepoints, or all, by strace", 0 },
	{ "flamegraph", OPT_FLAMEGRAPH, "FILE.svg", 0,
	  "Draw where the time of one more run of each row goes, by perf's "
	  "stacks, which FILE.folded keeps", 0 },
	{ 0 }
};

static const struct argp_child run_children[] = {
	{ &selection_argp, 0, NULL, 1 },
	{ &results_argp, 0, NULL, 5 },
	{ 0 }
};

static const struct argp run_argp = {
	.options = run_options,
	.parser = parse_run,
	.doc = "Run workloads over one allocator, each row and run in a fresh process.",
	.children = run_children,
};

static void print_head(const struct run_args *args)
{
	FILE *out = args->results.out;

	where_start();
	print_where(out);
	if (args->contention.by)
		fprintf(out, "# futex calls: by %s%s%s\n", args->contention.by,
			args->contention.why_not ? ", as " : "",
			args->contention.why_not ? args->contention.why_not :
			"");
	fprintf(out, "%-18s %6s %7s %-12s %3s %12s %9s %9s %9s %9s\n",
		"workload", "size", "threads", "allocator", "run", "ops",
		"ns/op", "ms", "RSS kB", "huge kB");
}

static void print_latency(FILE *out, const struct result *res)
{
	static const char *const names[] = { "alloc", "free", "both" };

	for (int k = 0; k <= NR_LATENCIES; k++) {
		const struct percentiles *p = &res->latency[k];

		if (p->n)
			fprintf(out, "  %-5s ns: min %llu p50 %llu p95 %llu p99 %llu p99.9 %llu max %llu\n",
				names[k], (unsigned long long)p->min,
				(unsigned long long)p->p50,
				(unsigned long long)p->p95,
				(unsigned long long)p->p99,
				(unsigned long long)p->p999,
				(unsigned long long)p->max);
	}
	fprintf(out, "  without the %llu ns that the clock takes\n",
		(unsigned long long)res->clock_ns);
}

static void print_futexes(FILE *out, const struct futexes *futexes)
{
	fprintf(out, "  futex %llu calls %.6f s",
		(unsigned long long)futexes->calls, futexes->in_calls_ns / 1e9);
	if (futexes->waits_known)
		fprintf(out, ", %llu waits %.6f s",
			(unsigned long long)futexes->waits,
			futexes->blocked_ns / 1e9);
}

static void print_result(FILE *out, const struct row *row, unsigned int run,
			 const struct result *res)
{
	const struct workload *wl = workload_get(row->workload);
	double ops = res->ops ? (double)res->ops : 1;
	char size[24] = "";

	if (row->size)
		snprintf(size, sizeof(size), "%zu", row->size);
	fprintf(out, "%-18s %6s %7u %-12s %3u %12llu %9.2f %9.1f %9llu %9llu",
		wl->name, size, row->threads,
		allocator_names[row->allocator], run,
		(unsigned long long)res->ops, res->wall_ns / ops,
		res->wall_ns / 1e6, (unsigned long long)res->peak_rss_kb,
		(unsigned long long)res->peak_hugetlb_kb);
	for (unsigned int p = 0; p < MAX_PHASES && wl->phases[p]; p++)
		fprintf(out, "  %s %.2f", wl->phases[p],
			res->phase_ns[p] / ops);
	if (res->live_bytes)
		fprintf(out, "  held/live %.3f", result_frag(res));
	else if (workload_phases(wl) > 1)
		fprintf(out, "  held %llu kB, %.1f a thread",
			(unsigned long long)res->held_kb,
			(double)res->held_kb / row->threads);
	if (res->futexes.by)
		print_futexes(out, &res->futexes);
	fputc('\n', out);
	if (row->latency)
		print_latency(out, res);
}

static int run_once(struct results *results, const struct row *row,
		    unsigned int run, const struct futexes *futexes)
{
	const char *preload = getenv("LD_PRELOAD");
	struct peer as_it_is = { .allocator = row->allocator };
	struct result res = { .ops = 0 };

	snprintf(as_it_is.name, sizeof(as_it_is.name), "%s",
		 allocator_names[row->allocator]);
	snprintf(as_it_is.preload, sizeof(as_it_is.preload), "%s",
		 preload ? preload : "");
	progress_step("%s %s, %u threads, run %u",
		      workload_get(row->workload)->name,
		      allocator_names[row->allocator], row->threads, run);
	if (spawn_row(row, NULL, NULL, &res))
		return -1;
	res.futexes = *futexes;
	progress_clear();
	print_result(results->out, row, run, &res);
	fflush(results->out);
	return results_row(results, row, &as_it_is, run, &res);
}

/* Says once for each workload which allocators cannot run it. */
static void say_left_out(const struct run_args *args, const struct row *rows,
			 size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (unsigned int a = 0; a < args->nr_allocators; a++)
			if (!workload_takes(rows[i].workload,
					    args->allocators[a]) &&
			    (!i || rows[i].workload != rows[i - 1].workload))
				fprintf(stderr, "slabbench: %s cannot take part in %s\n",
					allocator_names[args->allocators[a]],
					workload_get(rows[i].workload)->name);
}

static unsigned int count_runs(const struct run_args *args,
			       const struct row *rows, size_t n)
{
	unsigned int runs = 0;

	for (size_t i = 0; i < n; i++)
		for (unsigned int a = 0; a < args->nr_allocators; a++)
			if (workload_takes(rows[i].workload,
					   args->allocators[a]))
				runs += args->sel.runs;
	return runs;
}

/* What it costs to look closely, the runs that are timed do not pay. */
static int trace(struct run_args *args, const struct row *row,
		 struct futexes *futexes)
{
	int ret = EXIT_OK;

	if (args->count_futexes)
		ret = contention_count(&args->contention, row, futexes);
	if (!ret && args->graph.svg)
		ret = flamegraph_add(&args->graph, row);
	return ret;
}

static int run_row(struct run_args *args, struct row *row)
{
	struct futexes futexes = { .by = NULL };
	int ret = trace(args, row, &futexes);

	for (unsigned int r = 1; !ret && r <= args->sel.runs; r++)
		if (run_once(&args->results, row, r, &futexes))
			ret = EXIT_FAILED;
	return interrupted() ? EXIT_INTERRUPTED : ret;
}

static int run_all(struct run_args *args, struct row *rows, size_t n)
{
	int ret = EXIT_OK;

	for (size_t i = 0; i < n; i++)
		for (unsigned int a = 0; !ret && a < args->nr_allocators; a++) {
			rows[i].allocator = args->allocators[a];
			if (workload_takes(rows[i].workload,
					   rows[i].allocator))
				ret = run_row(args, &rows[i]);
		}
	return ret;
}

/* Whatever can be known to fail fails before anything is measured. */
static int open_all(struct run_args *args)
{
	int ret = EXIT_OK;

	if (args->count_futexes)
		ret = contention_choose(&args->contention);
	if (!ret && args->graph.svg)
		ret = flamegraph_open(&args->graph);
	return ret ? ret : results_open(&args->results, args->sel.json);
}

int cmd_run(int argc, char **argv)
{
	struct run_args args = { .sel = SELECTION_DEFAULTS };
	struct row *rows;
	unsigned int runs;
	size_t n;
	int ret;

	argp_parse(&run_argp, argc, argv, 0, NULL, &args);
	if (!args.nr_allocators)
		args.allocators[args.nr_allocators++] = ALLOC_RN;
	rows = selection_rows(&args.sel, &n);
	say_left_out(&args, rows, n);
	runs = count_runs(&args, rows, n);
	if (!runs) {
		free(rows);
		return EXIT_USAGE;
	}
	ret = open_all(&args);
	if (ret) {
		free(rows);
		return ret;
	}
	print_head(&args);
	interrupt_catch();
	progress_start(runs);
	ret = run_all(&args, rows, n);
	progress_end();
	if (ret == EXIT_INTERRUPTED)
		fprintf(args.results.out, "# interrupted: these are the runs until then\n");
	free(rows);
	if (!ret && args.graph.svg)
		ret = flamegraph_draw(&args.graph);
	return results_end(&args.results, ret);
}
