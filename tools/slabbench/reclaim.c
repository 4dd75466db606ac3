// SPDX-License-Identifier: MIT
/*
 * slabbench reclaim: how much a process still holds when most of what it had
 * is freed. One allocator after the other; each run is a fresh process, which
 * is looked at from outside.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "compare.h"
#include "reclaim.h"

#define SERIES_MS	100
#define DEFAULT_RUNS	3
#define LEAST_PEAK	((size_t)1 << 20)
#define MOST_PEAK	((size_t)64 << 30)
#define MOST_SECONDS	86400

enum { OPT_PEAK = 0x700, OPT_IDLE, OPT_PHASE, OPT_DAY, OPT_POKE, OPT_QUICK,
	OPT_SEED, OPT_JSON };

/**
 * struct reclaim_args - what was asked for
 * @cmp: the allocators, runs, seed and outputs
 * @chosen: scenarios, in the order in which they run
 * @seconds: for each scenario; 0: not given
 */
struct reclaim_args {
	struct comparison cmp;
	unsigned int nr_chosen;
	enum scenario chosen[NR_SCENARIOS];
	size_t peak;
	unsigned int threads;
	unsigned int seconds[NR_SCENARIOS];
	bool poke, quick;
};

/* --- options --- */

static void add_scenario(struct argp_state *state, const char *word, void *arg)
{
	struct reclaim_args *args = arg;
	int s = 0;

	while (s < NR_SCENARIOS &&
	       strcmp(word, workload_get(SCENARIO + s)->name))
		s++;
	if (s == NR_SCENARIOS)
		argp_error(state, "unknown scenario '%s' (slabbench list has them)",
			   word);
	for (unsigned int i = 0; i < args->nr_chosen; i++)
		if (args->chosen[i] == (enum scenario)s)
			argp_error(state, "scenario %s is named twice", word);
	args->chosen[args->nr_chosen++] = s;
}

static unsigned int parse_seconds(struct argp_state *state, const char *what,
				  const char *arg)
{
	return parse_number(state, what, arg, 1, MOST_SECONDS);
}

static bool is_chosen(const struct reclaim_args *args, enum scenario s)
{
	for (unsigned int i = 0; i < args->nr_chosen; i++)
		if (args->chosen[i] == s)
			return true;
	return !args->nr_chosen;
}

static void needs(struct argp_state *state, bool given, const char *option,
		  bool chosen)
{
	if (given && !chosen)
		argp_error(state, "%s means nothing to the scenarios that were chosen",
			   option);
}

/* A request that would change nothing is refused, not ignored. */
static void check(struct argp_state *state, const struct reclaim_args *args)
{
	bool mixed = is_chosen(args, COLLAPSE) || is_chosen(args, PHASES);

	needs(state, args->peak, "--peak", mixed || is_chosen(args, DIURNAL));
	needs(state, args->threads, "-t", is_chosen(args, IDLE));
	needs(state, args->seconds[IDLE], "--idle",
	      is_chosen(args, COLLAPSE) || is_chosen(args, IDLE));
	needs(state, args->seconds[PHASES], "--phase", is_chosen(args, PHASES));
	needs(state, args->seconds[DIURNAL], "--day", is_chosen(args, DIURNAL));
	needs(state, args->poke, "--poke", mixed || is_chosen(args, IDLE));
}

static error_t parse_reclaim(int key, char *arg, struct argp_state *state)
{
	struct reclaim_args *args = state->input;
	struct selection *sel = &args->cmp.sel;

	switch (key) {
	case 'w':
		return split_list(state, arg, "-w", add_scenario, args);
	case 'p':
		return split_list(state, arg, "-p", add_peer, &args->cmp);
	case 't':
		args->threads = parse_number(state, "-t", arg, 1, MAX_THREADS);
		return 0;
	case 'r':
		sel->runs = parse_number(state, "-r", arg, 1, 1000);
		return 0;
	case OPT_PEAK:
		args->peak = parse_number(state, "--peak", arg, LEAST_PEAK,
					  MOST_PEAK);
		return 0;
	case OPT_IDLE:
		args->seconds[IDLE] = parse_seconds(state, "--idle", arg);
		return 0;
	case OPT_PHASE:
		args->seconds[PHASES] = parse_seconds(state, "--phase", arg);
		return 0;
	case OPT_DAY:
		args->seconds[DIURNAL] = parse_seconds(state, "--day", arg);
		return 0;
	case OPT_POKE:
		args->poke = true;
		return 0;
	case OPT_QUICK:
		args->quick = true;
		return 0;
	case OPT_SEED:
		sel->seed = parse_number(state, "--seed", arg, 0, UINT64_MAX);
		return 0;
	case OPT_JSON:
		sel->json = arg;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "'%s': there are only options here", arg);
		return EINVAL;
	case ARGP_KEY_END:
		check(state, args);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option reclaim_options[] = {
	{ "scenario", 'w', "LIST", 0,
	  "Scenarios: collapse, phases, idle, diurnal (default: all)", 0 },
	{ "peers", 'p', "LIST", 0,
	  "Allocators, as in compare (default: its own, and rn-malloc)", 0 },
	{ "threads", 't', "N", 0, "Threads of idle (default: 1000)", 0 },
	{ "runs", 'r', "N", 0,
	  "Runs of each, a fresh process each (default: 3)", 0 },
	{ "peak", OPT_PEAK, "SIZE", 0,
	  "Most bytes that are live, but in idle; K, M, G (default: 512M)", 0 },
	{ "idle", OPT_IDLE, "SECONDS", 0,
	  "How long collapse and idle rest (default: 30)", 0 },
	{ "phase", OPT_PHASE, "SECONDS", 0,
	  "How long each phase lasts after the move (default: 2)", 0 },
	{ "day", OPT_DAY, "SECONDS", 0, "A day of diurnal (default: 24)", 0 },
	{ "poke", OPT_POKE, NULL, 0,
	  "Do 4,000 pairs a second meanwhile, as a server that is all but "
	  "idle; one thread of idle does (default: sleep)", 0 },
	{ "quick", OPT_QUICK, NULL, 0,
	  "Rest for 5 seconds, 1 in each phase, a day of 6, and one run: a look, "
	  "not a result", 0 },
	{ "seed", OPT_SEED, "N", 0, "Seed of the sequence of operations", 0 },
	{ "json", OPT_JSON, "FILE", 0,
	  "Write an object a line for each run to FILE, with what was held "
	  "each 100 ms; - is the standard output, and moves the table to "
	  "standard error", 0 },
	{ 0 }
};

static const struct argp reclaim_argp = {
	.options = reclaim_options,
	.parser = parse_reclaim,
	.doc = "How much of its memory a process still holds after it has "
	       "freed most of it.\v"
	       "Without options it takes half an hour; --quick, -w and -r 1 "
	       "end it sooner.",
};

static void apply_defaults(struct reclaim_args *args)
{
	static const unsigned int full[NR_SCENARIOS] = { 30, 2, 30, 24 };
	static const unsigned int quick[NR_SCENARIOS] = { 5, 1, 5, 6 };
	struct comparison *cmp = &args->cmp;

	for (int s = 0; s < NR_SCENARIOS && !args->nr_chosen; s++)
		args->chosen[s] = s;
	if (!args->nr_chosen)
		args->nr_chosen = NR_SCENARIOS;
	if (!cmp->nr_peers) {
		default_peers(cmp);
		peer_resolve(&cmp->peers[cmp->nr_peers++], "rn-malloc");
	}
	args->seconds[COLLAPSE] = args->seconds[IDLE];
	for (int s = 0; s < NR_SCENARIOS; s++)
		if (!args->seconds[s])
			args->seconds[s] = args->quick ? quick[s] : full[s];
	if (!cmp->sel.runs)
		cmp->sel.runs = args->quick ? 1 : DEFAULT_RUNS;
	if (!args->peak)
		args->peak = (size_t)512 << 20;
}

/* --- measuring --- */

static struct row make_row(const struct reclaim_args *args, enum scenario s)
{
	const struct workload *w = workload_get(SCENARIO + s);
	struct row row = {
		.workload = SCENARIO + s,
		.threads = w->threads[0],
		.iterations = 1,
		.seed = args->cmp.sel.seed,
		.bytes = args->peak,
		.seconds = args->seconds[s],
		.poke = args->poke,
	};

	if (s == IDLE) {
		row.threads = args->threads ? args->threads : row.threads;
		row.bytes = row.threads * BURST_BYTES;
	}
	dist_lognormal(&row, w->median, w->least, w->most);
	return row;
}

/* 0, or -1 after a message, or without one if interrupted(). */
static int run_one(const struct reclaim *r, unsigned int nr, unsigned int peer,
		   unsigned int run, struct json_out *json)
{
	struct series series = { .ms = SERIES_MS };
	struct result res = { .ops = 0 };
	struct row row = r->row[nr];
	int ret;

	row.allocator = r->peers[peer].allocator;
	progress_step("run %u: %s, %s", run, workload_get(row.workload)->name,
		      r->peers[peer].name);
	ret = spawn_row(&row, &r->peers[peer], &series, &res);
	progress_clear();
	if (!ret) {
		reclaim_add(r, nr, peer, &series, &res);
		if (reclaim_json(json, &row, &r->peers[peer], run, &series,
				 &res))
			exit(EXIT_FAILED);
	}
	free(series.point);
	return ret;
}

static bool takes_part(const struct reclaim *r, unsigned int nr,
		       unsigned int peer)
{
	return !r->peers[peer].missing &&
		!reclaim_outcome(r, nr, peer)->failed &&
		workload_takes(r->row[nr].workload, r->peers[peer].allocator);
}

/* The peers take turns; another one is first in each run. */
static void run_once(const struct reclaim *r, unsigned int run,
		     struct json_out *json)
{
	for (unsigned int nr = 0; nr < r->nr_rows; nr++)
		for (unsigned int i = 0; i < r->nr_peers; i++) {
			unsigned int peer = (i + run) % r->nr_peers;

			if (interrupted() || !takes_part(r, nr, peer) ||
			    !run_one(r, nr, peer, run, json) || interrupted())
				continue;
			fprintf(stderr, "slabbench: %s over %s failed in run %u\n",
				workload_get(r->row[nr].workload)->name,
				r->peers[peer].name, run);
			reclaim_outcome(r, nr, peer)->failed = true;
		}
}

static void run_all(const struct reclaim *r, struct json_out *json)
{
	unsigned int steps = 0;

	for (unsigned int nr = 0; nr < r->nr_rows; nr++)
		for (unsigned int peer = 0; peer < r->nr_peers; peer++)
			steps += takes_part(r, nr, peer);
	interrupt_catch();
	progress_start(steps * r->runs);
	for (unsigned int run = 1; run <= r->runs; run++)
		run_once(r, run, json);
	progress_end();
}

static void *alloc_or_exit(size_t n, size_t size)
{
	void *p = calloc(n, size);

	if (p)
		return p;
	fprintf(stderr, "slabbench: out of memory\n");
	exit(EXIT_FAILED);
}

static void alloc_outcomes(struct reclaim *r)
{
	r->outcome = alloc_or_exit(r->nr_rows * r->nr_peers,
				   sizeof(*r->outcome));
	for (unsigned int nr = 0; nr < r->nr_rows; nr++)
		for (unsigned int p = 0; p < r->nr_peers; p++)
			reclaim_outcome(r, nr, p)->figure =
				alloc_or_exit(reclaim_columns(&r->row[nr]) *
					      r->runs, sizeof(double));
}

static bool one_failed(const struct reclaim *r)
{
	for (size_t i = 0; i < (size_t)r->nr_rows * r->nr_peers; i++)
		if (r->outcome[i].failed)
			return true;
	return false;
}

static void free_outcomes(struct reclaim *r)
{
	for (size_t i = 0; i < (size_t)r->nr_rows * r->nr_peers; i++)
		free(r->outcome[i].figure);
	free(r->outcome);
}

static int measure_and_print(struct comparison *cmp, struct reclaim *r)
{
	FILE *out = cmp->results.out;
	int ret = EXIT_OK;

	alloc_outcomes(r);
	where_start();
	run_all(r, &cmp->results.json);
	if (interrupted())
		fprintf(out, "# interrupted: these are the runs until then\n");
	reclaim_print(r, out);
	if (interrupted())
		ret = EXIT_INTERRUPTED;
	else if (one_failed(r))
		ret = EXIT_FAILED;
	else if (one_missing(cmp))
		ret = EXIT_USAGE;
	free_outcomes(r);
	return ret;
}

int cmd_reclaim(int argc, char **argv)
{
	static struct reclaim_args args = { .cmp.sel = SELECTION_DEFAULTS };
	struct comparison *cmp = &args.cmp;
	struct reclaim r;
	int ret;

	cmp->sel.runs = 0;
	argp_parse(&reclaim_argp, argc, argv, 0, NULL, &args);
	apply_defaults(&args);
	r = (struct reclaim) {
		.peers = cmp->peers,
		.nr_peers = cmp->nr_peers,
		.nr_rows = args.nr_chosen,
		.runs = cmp->sel.runs,
	};
	for (unsigned int nr = 0; nr < r.nr_rows; nr++)
		r.row[nr] = make_row(&args, args.chosen[nr]);
	say_left_out(cmp, r.row, r.nr_rows);
	if (nothing_to_compare(cmp))
		return EXIT_USAGE;
	ret = results_open(&cmp->results, cmp->sel.json);
	if (ret)
		return ret;
	ret = measure_and_print(cmp, &r);
	return results_end(&cmp->results, ret);
}
