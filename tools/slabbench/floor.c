// SPDX-License-Identifier: MIT
/*
 * slabbench floor: the least that an alloc+free pair can cost on this machine,
 * next to what it does cost, in one process and in the loop of the pair
 * workload.
 *
 * The floor is a restartable pop and push of one word of this CPU that stays
 * in the cache. It is given twice: with the two inlined into the loop, which
 * no allocator behind a function call can reach, and called out of line, as
 * rn_alloc() and rn_free() are. The ratios are to both.
 */
#include <argp.h>
#include <errno.h>
#include <numa.h>
#include <stdlib.h>
#include <string.h>
#include <asm/rseq_floor.h>
#include "options.h"
#include "pair.h"
#include "workloads.h"

static struct rseq_floor_slot *slots;	/* by CPU number */
static long spare;			/* the one object */

/* A pair that was interrupted by a migration finds another CPU's slot. */
static __attribute__((cold, noinline)) void *refill(void)
{
	return &spare;
}

__bench_inline void *inlined_get(size_t size)
{
	void *p = rseq_floor_pop(slots);

	(void)size;
	return __builtin_expect(!p, 0) ? refill() : p;
}

__bench_inline void inlined_put(void *p)
{
	rseq_floor_push(slots, p);
}

static __attribute__((noinline)) void *called_get(size_t size)
{
	return inlined_get(size);
}

static __attribute__((noinline)) void called_put(void *p)
{
	inlined_put(p);
}

static void pair_inlined(struct worker *w)
{
	pair(w, (struct ops) { .get = inlined_get, .put = inlined_put });
}

static void pair_called(struct worker *w)
{
	pair(w, (struct ops) { .get = called_get, .put = called_put });
}

static void pair_null_prepared(struct worker *w)
{
	workload_pair.run[ALLOC_NULL](w);
}

static void pair_native(struct worker *w)
{
	workload_pair.run[ALLOC_RN](w);
}

struct variant {
	const char *name;
	size_t size;
	void (*run)(struct worker *w);
};

static const struct variant variants[] = {
	{ "rseq-inlined", 0, pair_inlined },
	{ "rseq-called", 0, pair_called },
	{ "null", 0, pair_null_prepared },
	{ "rn", 16, pair_native },
	{ "rn", 64, pair_native },
	{ "rn", 256, pair_native },
	{ "rn", 1024, pair_native },
};

#define NR_VARIANTS	ARRAY_SIZE(variants)
#define INLINED		0
#define CALLED		1

struct floor_args {
	uint64_t iterations;
	unsigned int runs;
	const char *json;
};

enum { OPT_FLOOR_JSON = 0x300 };

static error_t parse_floor(int key, char *arg, struct argp_state *state)
{
	struct floor_args *args = state->input;

	switch (key) {
	case 'n':
		args->iterations = parse_number(state, "-n", arg, 1,
						(uint64_t)1 << 40);
		return 0;
	case 'r':
		args->runs = parse_number(state, "-r", arg, 1, 1000);
		return 0;
	case OPT_FLOOR_JSON:
		args->json = arg;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "'%s': there are only options here", arg);
		return EINVAL;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option floor_options[] = {
	{ "iterations", 'n', "N", 0, "Pairs a run (default: 10000000)", 0 },
	{ "runs", 'r', "N", 0, "Runs of each, in turn (default: 5)", 0 },
	{ "json", OPT_FLOOR_JSON, "FILE", 0,
	  "Write an object a line for each run to FILE; - is the standard "
	  "output, and moves the table to standard error", 0 },
	{ 0 }
};

static const struct argp floor_argp = {
	.options = floor_options,
	.parser = parse_floor,
	.doc = "Measure the least that an alloc+free pair can cost here: a "
	       "restartable pop and push of one cached word.",
};

static void make_slots(void)
{
	size_t n = numa_num_possible_cpus();

	slots = map_populated(n * sizeof(*slots));
	for (size_t i = 0; i < n; i++)
		slots[i].word = &spare;
}

static double run_variant(const struct variant *v, uint64_t iterations)
{
	struct row row = {
		.workload = workload_find("pair"),
		.threads = 1,
		.size = v->size ? v->size : 64,
	};
	struct worker w = { .row = &row, .rng = DEFAULT_SEED };
	uint64_t start;

	w.iterations = iterations / 10 + 1;
	v->run(&w);
	w.iterations = iterations;
	start = now_ns();
	v->run(&w);
	return (double)(now_ns() - start) / iterations;
}

/* @runs: how many of args->runs there are. */
static void print_floor(FILE *out, const struct floor_args *args,
			unsigned int runs, const double *ns)
{
	double inlined = median(&ns[INLINED * args->runs], runs);
	double called = median(&ns[CALLED * args->runs], runs);

	print_where(out);
	fprintf(out, "# ns per alloc+free pair, median of %u runs of %llu\n",
		runs, (unsigned long long)args->iterations);
	fprintf(out, "%-14s %6s %8s %7s %9s %9s\n", "variant", "size",
		"ns/pair", "spread", "x called", "x inlined");
	for (size_t i = 0; i < NR_VARIANTS; i++) {
		const double *v = &ns[i * args->runs];
		char size[24] = "";

		if (variants[i].size)
			snprintf(size, sizeof(size), "%zu", variants[i].size);
		fprintf(out, "%-14s %6s %8.2f %6.1f%% %9.2f %9.2f\n",
			variants[i].name, size, median(v, runs),
			spread_percent(v, runs), median(v, runs) / called,
			median(v, runs) / inlined);
	}
}

static int run_variants(const struct floor_args *args, struct json_out *json,
			unsigned int run, double *ns)
{
	for (size_t i = 0; i < NR_VARIANTS && !interrupted(); i++) {
		const struct variant *v = &variants[i];
		double *t = &ns[i * args->runs + run];

		progress_step("%s", v->name);
		*t = run_variant(v, args->iterations);
		if (json_floor(json, v->name, v->size, run + 1,
			       args->iterations, *t))
			return -1;
	}
	return 0;
}

/* @runs gets how many were not interrupted; 0, or -1 after a message. */
static int measure_floor(const struct floor_args *args, struct json_out *json,
			 double *ns, unsigned int *runs)
{
	const struct row row = {
		.workload = workload_find("pair"),
		.size = 64,
	};
	const struct worker w = { .row = &row, .rng = DEFAULT_SEED };

	where_start();
	null_prepare(&w);
	make_slots();
	interrupt_catch();
	progress_start(args->runs * NR_VARIANTS);
	for (*runs = 0; *runs < args->runs; ++*runs) {
		if (run_variants(args, json, *runs, ns))
			return -1;
		if (interrupted())
			break;
	}
	progress_end();
	return 0;
}

static int measure_and_print(const struct floor_args *args,
			     struct json_out *json)
{
	double *ns = calloc(args->runs * NR_VARIANTS, sizeof(*ns));
	FILE *out = json->f == stdout ? stderr : stdout;
	unsigned int runs = 0;
	int ret = EXIT_FAILED;

	if (ns && !measure_floor(args, json, ns, &runs))
		ret = interrupted() ? EXIT_INTERRUPTED : EXIT_OK;
	if (ret == EXIT_INTERRUPTED)
		fprintf(out, "# interrupted in run %u of %u\n", runs + 1,
			args->runs);
	if (runs && ret != EXIT_FAILED)
		print_floor(out, args, runs, ns);
	free(ns);
	return ret;
}

int cmd_floor(int argc, char **argv)
{
	struct floor_args args = { .iterations = 10000000, .runs = 5 };
	struct json_out json;
	int ret;

	argp_parse(&floor_argp, argc, argv, 0, NULL, &args);
	if (!rseq_floor_usable()) {
		fprintf(stderr, "slabbench: no restartable sequences here (glibc has not registered rseq): there is no floor to measure\n");
		return EXIT_UNAVAILABLE;
	}
	if (json_open(&json, args.json))
		return EXIT_FAILED;
	ret = measure_and_print(&args, &json);
	if (json_close(&json))
		ret = EXIT_FAILED;
	return ret;
}
