// SPDX-License-Identifier: MIT
/*
 * slabbench pools: what it costs to have memory charged to a group, or taken
 * from a pool, next to rn_alloc(); and how long a request waits that does not
 * fit below a max.
 */
#include <stdlib.h>
#include <string.h>
#include "compare.h"
#include "held.h"

#define DEFAULT_RUNS	5
#define DEFAULT_WAITS	2000
#define MAX_WAITS	1000000

enum { OPT_WAITS = 0x600 };

/* Columns of the comparison. */
enum { PLAIN, GROUP, POOL, HARNESS };

/* How many times the time of rn memory may take that is charged. */
static const struct target {
	const char *workload;
	double most;
} targets[] = {
	{ "pair", 1.8 },
	{ "rnbench", 1.3 },
};

struct pools_args {
	struct comparison comparison;
	uint64_t waits;
};

static error_t parse_pools(int key, char *arg, struct argp_state *state)
{
	struct pools_args *args = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &args->comparison.sel;
		return 0;
	case OPT_WAITS:
		args->waits = parse_number(state, "--waits", arg, 1, MAX_WAITS);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option pools_options[] = {
	{ "waits", OPT_WAITS, "N", 0,
	  "Requests that are held, for each number of threads and each run "
	  "(default: 2000)", 0 },
	{ 0 }
};

static const struct argp_child pools_children[] = {
	{ &selection_argp, 0, NULL, 1 },
	{ 0 }
};

static const struct argp pools_argp = {
	.options = pools_options,
	.parser = parse_pools,
	.doc = "Measure what it costs to charge memory to a group, or to take "
	       "it from a pool, and how long a request waits for room below "
	       "the max of a group.\v"
	       "Without -w it is pair and rnbench that run, without -t 1, 2, 4 "
	       "and 16 threads, each 5 times without -r. As many threads then "
	       "wait for room, -r times --waits requests.",
	.children = pools_children,
};

static void apply_defaults(struct comparison *args)
{
	static const unsigned int threads[] = { 1, 2, 4, 16 };
	struct selection *sel = &args->sel;

	if (!sel->nr_workloads) {
		for (size_t i = 0; i < ARRAY_SIZE(targets); i++)
			sel->workloads[i] = workload_find(targets[i].workload);
		sel->nr_workloads = ARRAY_SIZE(targets);
	}
	if (!sel->nr_threads) {
		memcpy(sel->threads, threads, sizeof(threads));
		sel->nr_threads = ARRAY_SIZE(threads);
	}
	if (!sel->runs)
		sel->runs = DEFAULT_RUNS;
	peer_resolve(&args->peers[PLAIN], allocator_names[ALLOC_RN]);
	peer_resolve(&args->peers[GROUP], allocator_names[ALLOC_RN_MEMCG]);
	peer_resolve(&args->peers[POOL], allocator_names[ALLOC_RN_EXEC]);
	peer_resolve(&args->peers[HARNESS], allocator_names[ALLOC_NULL]);
	args->nr_peers = HARNESS + 1;
}

/* --- charged and not --- */

static bool has_figures(const struct cell *c)
{
	return c->n && !c->failed;
}

static void print_times(const struct cell *c, FILE *out)
{
	if (has_figures(c))
		fprintf(out, " %9.2f %6.1f%%", median(c->ns, c->n),
			spread_percent(c->ns, c->n));
	else
		fprintf(out, " %9s %7s", c->failed ? "failed" : "-", "");
}

/* Without the harness, where that is known and does not drown the rest. */
static void print_net(double plain, double charged, const struct cell *harness,
		      FILE *out)
{
	double none = median(harness->ns, harness->n);

	if (has_figures(harness) && plain > none && charged > none)
		fprintf(out, " %6.2f", (charged - none) / (plain - none));
	else
		fprintf(out, " %6s", "-");
}

/* Of the medians, to that of rn; 0 where one of them is not known. */
static double ratio(const struct table *t, size_t r, unsigned int peer)
{
	const struct cell *plain = table_cell(t, r, PLAIN);
	const struct cell *c = table_cell(t, r, peer);

	if (!has_figures(plain) || !has_figures(c))
		return 0;
	return median(c->ns, c->n) / median(plain->ns, plain->n);
}

static void print_charged(const struct table *t, size_t r, unsigned int peer,
			  FILE *out)
{
	const struct cell *plain = table_cell(t, r, PLAIN);
	const struct cell *c = table_cell(t, r, peer);

	print_times(c, out);
	if (!ratio(t, r, peer)) {
		fprintf(out, " %6s %6s", "-", "-");
		return;
	}
	fprintf(out, " %6.2f", ratio(t, r, peer));
	print_net(median(plain->ns, plain->n), median(c->ns, c->n),
		  table_cell(t, r, HARNESS), out);
}

static void print_target(const struct table *t, size_t r,
			 const struct target *target, FILE *out)
{
	const char *before = "  above: ";

	fprintf(out, " %6.2f", target->most);
	for (unsigned int p = GROUP; p <= POOL; p++) {
		if (ratio(t, r, p) <= target->most)
			continue;
		fprintf(out, "%s%s", before, t->peers[p].name);
		before = ", ";
	}
}

static void print_row(const struct table *t, size_t r, FILE *out)
{
	const struct row *row = &t->rows[r];
	const char *name = workload_get(row->workload)->name;
	char size[24] = "";

	if (row->size)
		snprintf(size, sizeof(size), "%zu", row->size);
	fprintf(out, "%-18s %6s %7u ", name, size, row->threads);
	print_times(table_cell(t, r, PLAIN), out);
	for (unsigned int p = GROUP; p <= POOL; p++)
		print_charged(t, r, p, out);
	for (size_t i = 0; i < ARRAY_SIZE(targets); i++)
		if (!strcmp(name, targets[i].workload))
			print_target(t, r, &targets[i], out);
	fputc('\n', out);
}

static void pools_print(const struct table *t, FILE *out)
{
	fprintf(out, "# ns/op: median; spread: least to most; x rn: the ratio of the medians;\n");
	fprintf(out, "# net: the same without what null costs; target: for x rn\n");
	fprintf(out, "%-18s %6s %7s  %9s %7s %9s %7s %6s %6s %9s %7s %6s %6s %6s\n",
		"workload", "size", "threads", "rn ns/op", "spread",
		"rn-memcg", "spread", "x rn", "net",
		"rn-exec", "spread", "x rn", "net", "target");
	for (size_t r = 0; r < t->nr_rows; r++)
		print_row(t, r, out);
}

/* --- held --- */

static int hold_once(struct pools_args *args, unsigned int waiters,
		     unsigned int run, struct held *sum)
{
	struct held held;

	progress_step("run %u: held, %u threads", run, waiters);
	if (held_measure(&held, waiters, args->waits))
		return -1;
	held_merge(sum, &held);
	return json_held(&args->comparison.results.json, &held, run);
}

/* 0, or -1 after a message or a signal. */
static int hold_all(struct pools_args *args, struct held *sums)
{
	const struct selection *sel = &args->comparison.sel;
	int ret = 0;

	progress_start(sel->runs * sel->nr_threads);
	for (unsigned int run = 1; !ret && run <= sel->runs; run++)
		for (unsigned int i = 0; !ret && i < sel->nr_threads; i++)
			ret = hold_once(args, sel->threads[i], run, &sums[i]);
	progress_end();
	return ret;
}

static void print_order(const struct held *held, FILE *out)
{
	if (held->out_of_order)
		fprintf(out, "%llu were not\n",
			(unsigned long long)held->out_of_order);
	else
		fprintf(out, "all\n");
}

static void print_held(const struct held *held, FILE *out)
{
	struct percentiles p = latency_percentiles(&held->latency,
						   NR_LATENCIES);

	if (!p.n)
		return;
	fprintf(out, "%-18s %6zu %7u  %9llu %9llu %9llu %9llu %9llu  ", "held",
		held->size, held->waiters, (unsigned long long)p.n,
		(unsigned long long)p.min, (unsigned long long)p.p50,
		(unsigned long long)p.p99, (unsigned long long)p.max);
	print_order(held, out);
}

/* True if all were served in their turn. */
static bool print_all_held(const struct held *sums, unsigned int n, FILE *out)
{
	bool in_order = true;

	fprintf(out, "# held: ns from the free that makes room until the request has returned;\n");
	fprintf(out, "# threads: so many waited at a time; in turn: served in the order they came\n");
	fprintf(out, "%-18s %6s %7s  %9s %9s %9s %9s %9s  %s\n", "requests",
		"size", "threads", "waits", "min", "p50", "p99", "max",
		"in turn");
	for (unsigned int i = 0; i < n; i++) {
		print_held(&sums[i], out);
		in_order &= !sums[i].out_of_order;
	}
	return in_order;
}

static int measure_held(struct pools_args *args)
{
	unsigned int n = args->comparison.sel.nr_threads;
	FILE *out = args->comparison.results.out;
	struct held *sums = calloc(n, sizeof(*sums));
	int ret = EXIT_FAILED;

	if (!sums) {
		fprintf(stderr, "slabbench: out of memory\n");
		return EXIT_FAILED;
	}
	if (!hold_all(args, sums))
		ret = EXIT_OK;
	else if (interrupted())
		ret = EXIT_INTERRUPTED;
	if (ret == EXIT_INTERRUPTED)
		fprintf(out, "# interrupted: these are the runs until then\n");
	if (sums[0].waiters && !print_all_held(sums, n, out)) {
		fprintf(stderr, "slabbench: held requests were not served in the order they came\n");
		ret = ret ? ret : EXIT_FAILED;
	}
	free(sums);
	return ret;
}

int cmd_pools(int argc, char **argv)
{
	static struct pools_args pools = {
		.comparison = { .sel = SELECTION_DEFAULTS },
		.waits = DEFAULT_WAITS,
	};
	struct comparison *args = &pools.comparison;
	int ret, held = EXIT_OK;

	args->sel.runs = 0;
	argp_parse(&pools_argp, argc, argv, 0, NULL, &pools);
	apply_defaults(args);
	ret = results_open(&args->results, args->sel.json);
	if (ret)
		return ret;
	ret = compare_measure(args, pools_print);
	if (ret != EXIT_INTERRUPTED)
		held = measure_held(&pools);
	return results_end(&args->results, held ? held : ret);
}
