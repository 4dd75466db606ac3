// SPDX-License-Identifier: MIT
/*
 * slabbench reclaim: how much a process still holds when most of what it had
 * is freed. One allocator after the other; each run is a fresh process, which
 * is looked at from outside.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "compare.h"
#include "reclaim.h"

#define SERIES_MS	100
#define DEFAULT_RUNS	3
#define DEFAULT_PEAK	((size_t)512 << 20)
#define QUICK_PEAK	((size_t)128 << 20)
#define LEAST_PEAK	((size_t)1 << 20)
#define MOST_PEAK	((size_t)64 << 30)
#define MOST_SECONDS	86400

enum { OPT_PEAK = 0x700, OPT_IDLE, OPT_PHASE, OPT_DAY, OPT_POKE, OPT_QUICK,
	OPT_SEED, OPT_JSON, OPT_PLOT, OPT_MEMMAP, OPT_SYSCALLS };

/**
 * struct reclaim_args - what was asked for
 * @cmp: the allocators, runs, seed and outputs
 * @chosen: scenarios, in the order in which they run
 * @seconds: for each scenario; 0: not given
 * @plot: a file to draw into, or NULL
 * @memmap: a folder for memory maps, or NULL
 * @memmap_dir: its descriptor, or -1
 * @syscalls: a folder for what a run of each asks of the kernel, or NULL
 * @no_redis: it was asked for, and is not here
 */
struct reclaim_args {
	struct comparison cmp;
	unsigned int nr_chosen;
	enum scenario chosen[NR_SCENARIOS];
	size_t peak;
	unsigned int threads;
	unsigned int seconds[NR_SCENARIOS];
	bool poke, quick;
	int memmap_dir;
	const char *plot, *memmap, *syscalls;
	bool no_redis;
};

/* Those that --idle is of. */
static const enum scenario rests[] = { COLLAPSE, FRAG, IDLE, REDIS };

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

static bool is_any_chosen(const struct reclaim_args *args,
			  const enum scenario *s, size_t n)
{
	while (n--)
		if (is_chosen(args, s[n]))
			return true;
	return false;
}

/* A request that would change nothing is refused, not ignored. */
static void check(struct argp_state *state, const struct reclaim_args *args)
{
	static const enum scenario
		peaks[] = { COLLAPSE, FRAG, PHASES, REDIS, DIURNAL },
		pokes[] = { COLLAPSE, FRAG, PHASES, IDLE },
		inside[] = { COLLAPSE, FRAG, PHASES, IDLE, DIURNAL };

	needs(state, args->peak, "--peak",
	      is_any_chosen(args, peaks, ARRAY_SIZE(peaks)));
	needs(state, args->threads, "-t", is_chosen(args, IDLE));
	needs(state, args->seconds[IDLE], "--idle",
	      is_any_chosen(args, rests, ARRAY_SIZE(rests)));
	needs(state, args->seconds[PHASES], "--phase", is_chosen(args, PHASES));
	needs(state, args->seconds[DIURNAL], "--day", is_chosen(args, DIURNAL));
	needs(state, args->poke, "--poke",
	      is_any_chosen(args, pokes, ARRAY_SIZE(pokes)));
	needs(state, args->memmap, "--memmap",
	      is_any_chosen(args, inside, ARRAY_SIZE(inside)));
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
	case OPT_PLOT:
		args->plot = arg;
		return 0;
	case OPT_MEMMAP:
		args->memmap = arg;
		return 0;
	case OPT_SYSCALLS:
		args->syscalls = arg;
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
	  "Scenarios: collapse, frag, phases, idle, redis, diurnal (default: "
	  "all, redis if there is one)", 0 },
	{ "peers", 'p', "LIST", 0,
	  "Allocators, as in compare (default: its own, rn-malloc, and both "
	  "of the library with a background thread)", 0 },
	{ "threads", 't', "N", 0, "Threads of idle (default: 1000)", 0 },
	{ "runs", 'r', "N", 0,
	  "Runs of each, a fresh process each (default: 3)", 0 },
	{ "peak", OPT_PEAK, "SIZE", 0,
	  "Most bytes that are live, but in idle; K, M, G (default: 512M; "
	  "128M with --quick)", 0 },
	{ "idle", OPT_IDLE, "SECONDS", 0,
	  "How long collapse, frag, idle and redis rest (default: 30)", 0 },
	{ "phase", OPT_PHASE, "SECONDS", 0,
	  "How long each phase lasts after the move (default: 2)", 0 },
	{ "day", OPT_DAY, "SECONDS", 0, "A day of diurnal (default: 24)", 0 },
	{ "poke", OPT_POKE, NULL, 0,
	  "Do 4,000 pairs a second meanwhile, as a server that is all but "
	  "idle; one thread of idle does (default: sleep)", 0 },
	{ "quick", OPT_QUICK, NULL, 0,
	  "Rest for 2 seconds, not in phases, a day of 3, and one run: a look, "
	  "not a result", 0 },
	{ "seed", OPT_SEED, "N", 0, "Seed of the sequence of operations", 0 },
	{ "json", OPT_JSON, "FILE", 0,
	  "Write an object a line for each run to FILE, with what was held "
	  "each 100 ms; - is the standard output, and moves the table to "
	  "standard error", 0 },
	{ "plot", OPT_PLOT, "FILE.svg", 0,
	  "Draw what was held over time, the first run of each, a panel for "
	  "each scenario; needs gnuplot", 0 },
	{ "memmap", OPT_MEMMAP, "DIR", 0,
	  "Write memory maps of rn, each second and at each mark, and what "
	  "mallocs say of themselves to DIR, for slabbench report; that takes "
	  "time, which is in the figures", 0 },
	{ "syscalls", OPT_SYSCALLS, "DIR", 0,
	  "Write what each asks of the kernel for memory to DIR, for slabbench "
	  "report: a run more of each, under strace, which is in no figure", 0 },
	{ 0 }
};

static const struct argp reclaim_argp = {
	.options = reclaim_options,
	.parser = parse_reclaim,
	.doc = "How much of its memory a process still holds after it has "
	       "freed most of it.\v"
	       "Without options it takes more than an hour; --quick, which takes "
	       "three minutes, -w and -r 1 end it sooner.",
};

static void reclaim_peers(struct comparison *cmp)
{
	static const char *const more[] = {
		"rn+bg", "rn-malloc", "rn-malloc+bg", "rn-lean",
		"rn-malloc-lean", "jemalloc-lean", "tcmalloc-lean",
		"mimalloc-lean",
	};

	default_peers(cmp);
	for (size_t i = 0; i < ARRAY_SIZE(more); i++)
		peer_resolve(&cmp->peers[cmp->nr_peers++], more[i]);
}

static void apply_seconds(struct reclaim_args *args)
{
	static const unsigned int full[NR_SCENARIOS] = {
		[COLLAPSE] = 30, [FRAG] = 30, [PHASES] = 2, [IDLE] = 30,
		[REDIS] = 30, [DIURNAL] = 24,
	};
	static const unsigned int quick[NR_SCENARIOS] = {
		[COLLAPSE] = 2, [FRAG] = 2, [PHASES] = 0, [IDLE] = 2,
		[REDIS] = 2, [DIURNAL] = 3,
	};

	for (size_t i = 0; i < ARRAY_SIZE(rests); i++)
		args->seconds[rests[i]] = args->seconds[IDLE];
	for (int s = 0; s < NR_SCENARIOS; s++)
		if (!args->seconds[s])
			args->seconds[s] = args->quick ? quick[s] : full[s];
}

static void apply_defaults(struct reclaim_args *args)
{
	struct comparison *cmp = &args->cmp;

	if (!cmp->nr_peers)
		reclaim_peers(cmp);
	apply_seconds(args);
	if (!cmp->sel.runs)
		cmp->sel.runs = args->quick ? 1 : DEFAULT_RUNS;
	if (!args->peak)
		args->peak = args->quick ? QUICK_PEAK : DEFAULT_PEAK;
}

/* All that there are, in place of none; without redis where it is not here. */
static void choose(struct reclaim_args *args)
{
	bool named = args->nr_chosen;
	unsigned int n = 0;

	for (int s = 0; s < NR_SCENARIOS && !named; s++)
		args->chosen[args->nr_chosen++] = s;
	for (unsigned int i = 0; i < args->nr_chosen; i++)
		if (args->chosen[i] != REDIS || have_program(redis_program))
			args->chosen[n++] = args->chosen[i];
	if (n == args->nr_chosen)
		return;
	fprintf(stderr, "slabbench: redis is left out: there is no %s (Debian package redis-server)\n",
		redis_program);
	args->nr_chosen = n;
	args->no_redis = named;
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
		.latency = true,
		.memmap_dir = args->memmap_dir,
	};

	if (s == IDLE) {
		row.threads = args->threads ? args->threads : row.threads;
		row.bytes = row.threads * BURST_BYTES;
	}
	dist_lognormal(&row, w->median, w->least, w->most);
	return row;
}

/* Those that can be looked into: the library itself, and mallocs. */
static bool has_inside(enum allocator allocator)
{
	return allocator == ALLOC_RN || allocator == ALLOC_MALLOC;
}

/* Not where the worker is but a client. */
static void name_frames(struct row *row, const char *peer, unsigned int run)
{
	if (row->memmap_dir < 0 || !has_inside(row->allocator) ||
	    workload_get(row->workload)->watches)
		return;
	snprintf(row->memmap_name, sizeof(row->memmap_name), "%s-%s-run%u",
		 workload_get(row->workload)->name, peer, run);
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
	name_frames(&row, r->peers[peer].name, run);
	progress_step("run %u: %s, %s", run, workload_get(row.workload)->name,
		      r->peers[peer].name);
	ret = spawn_row(&row, &r->peers[peer], &series, &res);
	progress_clear();
	if (!ret) {
		if (reclaim_json(json, &row, &r->peers[peer], run, &series,
				 &res))
			exit(EXIT_FAILED);
		reclaim_add(r, nr, peer, &series, &res);
	}
	free(series.point);
	return ret;
}

bool reclaim_takes_part(const struct reclaim *r, unsigned int nr,
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

			if (interrupted() || !reclaim_takes_part(r, nr, peer) ||
			    !run_one(r, nr, peer, run, json) || interrupted())
				continue;
			fprintf(stderr, "slabbench: %s over %s failed in run %u\n",
				workload_get(r->row[nr].workload)->name,
				r->peers[peer].name, run);
			reclaim_outcome(r, nr, peer)->failed = true;
		}
}

/* Whether there is all that was asked for but the runs, which say so. */
static bool run_all(const struct reclaim *r, struct json_out *json)
{
	unsigned int steps = 0;
	bool good;

	for (unsigned int nr = 0; nr < r->nr_rows; nr++)
		for (unsigned int peer = 0; peer < r->nr_peers; peer++)
			steps += reclaim_takes_part(r, nr, peer);
	interrupt_catch();
	progress_start(steps * (r->runs + !!r->syscalls));
	for (unsigned int run = 1; run <= r->runs; run++)
		run_once(r, run, json);
	good = !r->syscalls || reclaim_syscalls(r);
	progress_end();
	return good;
}

static void alloc_outcomes(struct reclaim *r)
{
	r->outcome = alloc_or_exit(r->nr_rows * r->nr_peers,
				   sizeof(*r->outcome));
	for (unsigned int nr = 0; nr < r->nr_rows; nr++)
		for (unsigned int p = 0; p < r->nr_peers; p++) {
			struct outcome *o = reclaim_outcome(r, nr, p);

			o->figure = alloc_or_exit(
				reclaim_columns(&r->row[nr]) * r->runs,
				sizeof(double));
			o->free_ns = alloc_or_exit(r->runs, sizeof(double));
		}
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
	for (size_t i = 0; i < (size_t)r->nr_rows * r->nr_peers; i++) {
		free(r->outcome[i].figure);
		free(r->outcome[i].free_ns);
		free(r->outcome[i].curve.series.point);
	}
	free(r->outcome);
}

static int exit_code(const struct reclaim_args *args, const struct reclaim *r)
{
	if (interrupted())
		return EXIT_INTERRUPTED;
	if (one_failed(r))
		return EXIT_FAILED;
	if (one_missing(&args->cmp))
		return EXIT_USAGE;
	return args->no_redis ? EXIT_UNAVAILABLE : EXIT_OK;
}

static int measure_and_print(struct reclaim_args *args, struct reclaim *r)
{
	struct results *results = &args->cmp.results;
	bool good;
	int ret;

	alloc_outcomes(r);
	where_start();
	good = run_all(r, &results->json);
	if (interrupted())
		fprintf(results->out, "# interrupted: these are the runs until then\n");
	reclaim_print(r, results->out);
	ret = exit_code(args, r);
	if (args->plot && reclaim_plot(r, args->plot))
		good = false;
	if (!good && ret == EXIT_OK)
		ret = EXIT_FAILED;
	free_outcomes(r);
	return ret;
}

static struct reclaim what_to_measure(const struct reclaim_args *args)
{
	struct reclaim r = {
		.peers = args->cmp.peers,
		.nr_peers = args->cmp.nr_peers,
		.nr_rows = args->nr_chosen,
		.runs = args->cmp.sel.runs,
		.syscalls = args->syscalls,
	};

	for (unsigned int nr = 0; nr < r.nr_rows; nr++)
		r.row[nr] = make_row(args, args->chosen[nr]);
	return r;
}

/* Before hours of measuring: EXIT_OK, or after a message another exit code. */
static int check_plot(const char *svg)
{
	FILE *f;

	if (!svg)
		return EXIT_OK;
	if (!have_program("gnuplot")) {
		fprintf(stderr, "slabbench: --plot needs gnuplot (Debian package gnuplot-nox)\n");
		return EXIT_UNAVAILABLE;
	}
	f = fopen(svg, "we");
	if (f)
		return fclose(f) ? EXIT_FAILED : EXIT_OK;
	fprintf(stderr, "slabbench: cannot write %s: %s\n", svg,
		strerror(errno));
	return EXIT_FAILED;
}

static bool can_look_inside(const struct comparison *cmp)
{
	for (unsigned int i = 0; i < cmp->nr_peers; i++)
		if (has_inside(cmp->peers[i].allocator))
			return true;
	return false;
}

/* A descriptor, or -1 after a message. */
static int open_folder(const char *path)
{
	int fd = -1;

	/* A measured process inherits it. */
	if (!mkdir(path, 0777) || errno == EEXIST)
		fd = open(path, O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		fprintf(stderr, "slabbench: cannot open %s: %s\n", path,
			strerror(errno));
	return fd;
}

/* EXIT_OK, or after a message another exit code. */
static int open_memmap(struct reclaim_args *args)
{
	args->memmap_dir = -1;
	if (!args->memmap)
		return EXIT_OK;
	if (!can_look_inside(&args->cmp)) {
		fprintf(stderr, "slabbench: --memmap: only rn has memory maps, and only mallocs say something of themselves\n");
		return EXIT_USAGE;
	}
	args->memmap_dir = open_folder(args->memmap);
	return args->memmap_dir < 0 ? EXIT_FAILED : EXIT_OK;
}

/* Likewise. */
static int check_syscalls(const char *dir)
{
	int fd, ret = dir ? reclaim_syscalls_check() : EXIT_OK;

	if (!dir || ret)
		return ret;
	fd = open_folder(dir);
	if (fd >= 0)
		close(fd);
	return fd < 0 ? EXIT_FAILED : EXIT_OK;
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
	choose(&args);
	if (!args.nr_chosen)
		return EXIT_UNAVAILABLE;
	ret = open_memmap(&args);
	if (!ret)
		ret = check_syscalls(args.syscalls);
	if (ret)
		return ret;
	r = what_to_measure(&args);
	say_left_out(cmp, r.row, r.nr_rows);
	if (nothing_to_compare(cmp))
		return EXIT_USAGE;
	ret = check_plot(args.plot);
	if (!ret)
		ret = results_open(&cmp->results, cmp->sel.json);
	if (ret)
		return ret;
	ret = measure_and_print(&args, &r);
	return results_end(&cmp->results, ret);
}
