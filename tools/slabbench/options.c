// SPDX-License-Identifier: MIT
/*
 * From options to rows. Whatever is no good ends the program here, before
 * anything is measured.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "options.h"

enum {
	OPT_COUNT = 0x100, OPT_DIST, OPT_LATENCY, OPT_OPS, OPT_ALLOC_ONLY,
	OPT_PATTERN, OPT_PRODUCERS, OPT_BYTES,
	OPT_SEED, OPT_WARMUP, OPT_NO_PIN, OPT_JSON,
};

static const struct argp_option selection_options[] = {
	{ NULL, 0, NULL, 0, "What to run:", 1 },
	{ "workload", 'w', "LIST", 0, "Workloads, by comma (default: all)", 1 },
	{ "threads", 't', "LIST", 0,
	  "Thread counts (default: 1; rnbench: 1,4,8,16,32)", 1 },
	{ "sizes", 's', "LIST", 0,
	  "Bytes: a row for each where a workload has one size (pair, batch), "
	  "else those to draw from; LOW-HIGH draws from all between", 1 },
	{ "dist", OPT_DIST, "FILE", 0,
	  "Draw sizes as FILE says: lines of SIZE [WEIGHT]", 1 },
	{ "count", OPT_COUNT, "N", 0,
	  "Objects per thread: slots in rnbench, live objects elsewhere "
	  "(default: see list)", 1 },
	{ "slots", 0, NULL, OPTION_ALIAS, NULL, 1 },
	{ "bytes", OPT_BYTES, "SIZE", 0,
	  "Bytes to ask for in all; K, M, G (default: see list)", 1 },
	{ "iterations", 'n', "N", 0,
	  "Iterations per thread (default: the workload's total, shared "
	  "out)", 1 },
	{ "runs", 'r', "N", 0,
	  "Runs of each row, each a fresh process (default: 1; compare, scale: 5)",
	  1 },
	{ NULL, 0, NULL, 0, "rnbench:", 2 },
	{ "ops", OPT_OPS, "toggle|random", 0,
	  "toggle: allocate if the slot is empty, else free; random: one of "
	  "the two at random, skipped where it does not apply", 2 },
	{ "alloc-only", OPT_ALLOC_ONLY, NULL, 0,
	  "Allocate in each iteration, free after the clock has stopped", 2 },
	{ "pattern", OPT_PATTERN, "rand|seq", 0,
	  "The order in which slots are visited", 2 },
	{ NULL, 0, NULL, 0, "prodcons:", 3 },
	{ "producers", OPT_PRODUCERS, "N", 0,
	  "So many of the threads allocate, the others free (default: half)",
	  3 },
	{ NULL, 0, NULL, 0, "How:", 4 },
	{ "seed", OPT_SEED, "N", 0, "Seed of the sequence of operations", 4 },
	{ "warmup", OPT_WARMUP, "PERCENT", 0,
	  "Untimed iterations before the timed ones (default: 10; not where "
	  "a fresh start is measured, as in seq)", 4 },
	{ "latency", OPT_LATENCY, NULL, 0,
	  "Time each operation too: percentiles, at the price of throughput", 4 },
	{ "no-pin", OPT_NO_PIN, NULL, 0,
	  "Leave threads to the scheduler (default: each thread has a CPU of "
	  "those allowed, in turn)", 4 },
	{ "json", OPT_JSON, "FILE", 0,
	  "Write an object a line for each run to FILE; - is the standard "
	  "output, and moves the table to standard error", 4 },
	{ 0 }
};

/* Calls @add for each word of a list; an empty word is an error. */
int split_list(struct argp_state *state, char *list, const char *what,
	       void (*add)(struct argp_state *, const char *, void *),
	       void *arg)
{
	char *word;

	while ((word = strsep(&list, ","))) {
		if (!*word)
			argp_error(state, "%s: an empty name or number",
				   what);
		add(state, word, arg);
	}
	return 0;
}

/* Decimal, with K, M or G for a power of 1,024. */
uint64_t parse_number(struct argp_state *state, const char *what,
		      const char *text, uint64_t least, uint64_t most)
{
	static const char suffix[] = "KMG";
	unsigned long long v;
	const char *s;
	char *end;

	errno = 0;
	v = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || errno)
		end = (char *)"?";
	s = *end ? strchr(suffix, *end) : NULL;
	if (s) {
		unsigned int shift = 10 * (s - suffix + 1);

		errno = v << shift >> shift == v ? 0 : ERANGE;
		v <<= shift;
		end++;
	}
	if (*end || errno)
		argp_error(state, "%s: '%s' is not a number", what, text);
	if (v < least || v > most)
		argp_error(state, "%s: %s is not within %llu and %llu", what,
			   text, (unsigned long long)least,
			   (unsigned long long)most);
	return v;
}

static void too_many(struct argp_state *state, const char *what,
		     unsigned int have, unsigned int most)
{
	if (have >= most)
		argp_error(state, "%s: more than %u", what, most);
}

static void add_workload(struct argp_state *state, const char *word, void *arg)
{
	struct selection *sel = arg;
	char names[1024] = "";
	int i = workload_find(word);

	if (i < 0) {
		for (i = 0; workload_get(i); i++) {
			const char *name = workload_get(i)->name;
			size_t n = strlen(names);

			snprintf(names + n, sizeof(names) - n, "%s%s",
				 i ? ", " : "", name);
		}
		argp_error(state, "unknown workload '%s' (there are: %s)",
			   word, names);
	}
	too_many(state, "-w", sel->nr_workloads, MAX_LIST);
	sel->workloads[sel->nr_workloads++] = i;
}

static void add_threads(struct argp_state *state, const char *word, void *arg)
{
	struct selection *sel = arg;

	too_many(state, "-t", sel->nr_threads, MAX_LIST);
	sel->threads[sel->nr_threads++] =
		parse_number(state, "-t", word, 1, MAX_THREADS);
}

static void set_range(struct argp_state *state, struct selection *sel,
		      const char *word, const char *dash)
{
	char low[32];

	snprintf(low, sizeof(low), "%.*s", (int)(dash - word), word);
	sel->least = parse_number(state, "-s", low, 1, MAX_SIZE);
	sel->most = parse_number(state, "-s", dash + 1, sel->least, MAX_SIZE);
}

static void add_size(struct argp_state *state, const char *word, void *arg)
{
	struct selection *sel = arg;
	const char *dash = strchr(word, '-');

	if (dash && dash != word) {
		set_range(state, sel, word, dash);
		return;
	}
	too_many(state, "-s", sel->nr_sizes, MAX_SIZES);
	sel->sizes[sel->nr_sizes++] =
		parse_number(state, "-s", word, 1, MAX_SIZE);
}

static int one_of(struct argp_state *state, const char *what, const char *word,
		  const char *first, const char *second)
{
	if (!strcmp(word, first))
		return 0;
	if (strcmp(word, second))
		argp_error(state, "%s: '%s' is neither %s nor %s", what, word,
			   first, second);
	return 1;
}

static bool selected(const struct selection *sel, const char *name)
{
	for (unsigned int i = 0; i < sel->nr_workloads; i++)
		if (!strcmp(workload_get(sel->workloads[i])->name, name))
			return true;
	return !sel->nr_workloads;
}

static void needs(struct argp_state *state, const struct selection *sel,
		  bool given, const char *option, const char *workload)
{
	if (given && !selected(sel, workload))
		argp_error(state, "%s is for %s, which is not among the workloads",
			   option, workload);
}

static bool has_count(const struct workload *w)
{
	return w->count;
}

static bool has_bytes(const struct workload *w)
{
	return w->bytes;
}

static bool has_sizes(const struct workload *w)
{
	return w->nr_sizes || workload_draws(w);
}

/* At least one of the workloads must make use of an option. */
static void some_use(struct argp_state *state, const struct selection *sel,
		     bool given, const char *option,
		     bool (*use)(const struct workload *))
{
	if (!given || !sel->nr_workloads)
		return;
	for (unsigned int i = 0; i < sel->nr_workloads; i++)
		if (use(workload_get(sel->workloads[i])))
			return;
	argp_error(state, "%s means nothing to the workloads that were chosen",
		   option);
}

/* A request that would change nothing is refused, not ignored. */
static void check(struct argp_state *state, const struct selection *sel)
{
	needs(state, sel, sel->ops_given, "--ops", "rnbench");
	needs(state, sel, sel->alloc_only, "--alloc-only", "rnbench");
	needs(state, sel, sel->pattern_given, "--pattern", "rnbench");
	needs(state, sel, sel->producers, "--producers", "prodcons");
	some_use(state, sel, sel->count, "--count", has_count);
	some_use(state, sel, sel->bytes, "--bytes", has_bytes);
	some_use(state, sel, sel->nr_sizes, "--sizes", has_sizes);
	some_use(state, sel, sel->most, "--sizes LOW-HIGH", workload_draws);
	some_use(state, sel, sel->dist, "--dist", workload_draws);
	if (!!sel->nr_sizes + !!sel->most + !!sel->dist > 1)
		argp_error(state, "--sizes LIST, --sizes LOW-HIGH and --dist exclude each other");
	if (sel->alloc_only && sel->ops_given)
		argp_error(state, "--alloc-only and --ops exclude each other");
	if (sel->alloc_only && (sel->pattern_given || sel->count))
		argp_error(state, "--alloc-only has a slot for each iteration: --pattern and --count mean nothing there");
}

static error_t parse_selection(int key, char *arg, struct argp_state *state)
{
	struct selection *sel = state->input;

	switch (key) {
	case 'w':
		return split_list(state, arg, "-w", add_workload, sel);
	case 't':
		return split_list(state, arg, "-t", add_threads, sel);
	case 's':
		return split_list(state, arg, "-s", add_size, sel);
	case 'n':
		sel->iterations = parse_number(state, "-n", arg, 1,
					       (uint64_t)1 << 40);
		return 0;
	case 'r':
		sel->runs = parse_number(state, "-r", arg, 1, 1000);
		return 0;
	case OPT_COUNT:
		sel->count = parse_number(state, "--count", arg, 1,
					  (uint64_t)1 << 32);
		return 0;
	case OPT_DIST:
		sel->dist = arg;
		return 0;
	case OPT_LATENCY:
		sel->latency = true;
		return 0;
	case OPT_OPS:
		sel->ops = one_of(state, "--ops", arg, "toggle", "random") ?
			OPS_RANDOM : OPS_TOGGLE;
		sel->ops_given = true;
		return 0;
	case OPT_ALLOC_ONLY:
		sel->alloc_only = true;
		return 0;
	case OPT_PATTERN:
		sel->pattern = one_of(state, "--pattern", arg, "rand", "seq") ?
			PATTERN_SEQ : PATTERN_RAND;
		sel->pattern_given = true;
		return 0;
	case OPT_PRODUCERS:
		sel->producers = parse_number(state, "--producers", arg, 1,
					      MAX_THREADS);
		return 0;
	case OPT_BYTES:
		sel->bytes = parse_number(state, "--bytes", arg, 512,
					  (uint64_t)1 << 44);
		return 0;
	case OPT_SEED:
		sel->seed = parse_number(state, "--seed", arg, 0, UINT64_MAX);
		return 0;
	case OPT_WARMUP:
		sel->warmup = parse_number(state, "--warmup", arg, 0, 100);
		return 0;
	case OPT_NO_PIN:
		sel->pin = false;
		return 0;
	case OPT_JSON:
		sel->json = arg;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "'%s': there are only options here", arg);
		return EINVAL;
	case ARGP_KEY_END:
		check(state, sel);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const struct argp selection_argp = {
	.options = selection_options,
	.parser = parse_selection,
};

/* --- rows --- */

/* The rest are consumers: there must be some. One thread alone is both. */
static unsigned int get_producers(const struct selection *sel,
				  unsigned int threads)
{
	if (!sel->producers)
		return threads > 1 ? threads / 2 : 1;
	if (sel->producers < threads)
		return sel->producers;
	fprintf(stderr, "slabbench: --producers %u leaves no consumer among %u threads\n",
		sel->producers, threads);
	exit(EXIT_USAGE);
}

static void draw_from_list(struct row *row, const struct selection *sel,
			   const struct workload *w)
{
	row->dist = DIST_LIST;
	row->nr_sizes = sel->nr_sizes;
	for (unsigned int i = 0; i < sel->nr_sizes; i++)
		row->sizes[i] = sel->sizes[i];
	for (unsigned int i = 0; !sel->nr_sizes && w->mix[i]; i++)
		row->sizes[row->nr_sizes++] = w->mix[i];
}

static void draw_from_range(struct row *row, size_t least, size_t most)
{
	row->dist = DIST_UNIFORM;
	row->least = least;
	row->most = most;
}

static void set_draws(struct row *row, const struct selection *sel,
		      const struct workload *w)
{
	if (!workload_draws(w))
		return;
	if (sel->dist) {
		if (dist_read(row, sel->dist))
			exit(EXIT_USAGE);
	} else if (sel->most) {
		draw_from_range(row, sel->least, sel->most);
	} else if (sel->nr_sizes || w->mix) {
		draw_from_list(row, sel, w);
	} else if (w->median) {
		dist_lognormal(row, w->median, w->least, w->most);
	} else {
		draw_from_range(row, w->least, w->most);
	}
}

static struct row make_row(const struct selection *sel, unsigned int workload,
			   unsigned int threads, size_t size)
{
	const struct workload *w = workload_get(workload);
	struct row row = {
		.workload = workload,
		.threads = threads,
		.size = size,
		.seed = sel->seed,
		.warmup = sel->warmup,
		.pin = sel->pin,
		.latency = sel->latency,
		.count = w->count && sel->count ? sel->count : w->count,
		.bytes = w->bytes && sel->bytes ? sel->bytes : w->bytes,
	};

	if (!strcmp(w->name, "rnbench")) {
		row.ops = sel->alloc_only ? OPS_ALLOC_ONLY : sel->ops;
		row.pattern = sel->pattern;
	}
	if (!strcmp(w->name, "prodcons"))
		row.producers = get_producers(sel, threads);
	set_draws(&row, sel, w);
	row.iterations = sel->iterations;
	if (!row.iterations)
		row.iterations = default_iterations(&row) / sel->divide;
	if (!row.iterations)
		row.iterations = 1;
	return row;
}

struct rows {
	struct row *row;
	size_t n, max;
};

static void add_row(struct rows *rows, struct row row)
{
	if (rows->n == rows->max) {
		rows->max = rows->max ? 2 * rows->max : 32;
		rows->row = realloc(rows->row, rows->max * sizeof(row));
		if (!rows->row) {
			fprintf(stderr, "slabbench: out of memory\n");
			exit(EXIT_FAILED);
		}
	}
	rows->row[rows->n++] = row;
}

static void add_sizes(struct rows *rows, const struct selection *sel,
		      unsigned int workload, unsigned int threads)
{
	const struct workload *w = workload_get(workload);
	unsigned int n = sel->nr_sizes ? sel->nr_sizes : w->nr_sizes;

	if (!w->nr_sizes)
		add_row(rows, make_row(sel, workload, threads, 0));
	for (unsigned int i = 0; w->nr_sizes && i < n; i++)
		add_row(rows, make_row(sel, workload, threads, sel->nr_sizes ?
				       sel->sizes[i] : w->sizes[i]));
}

static void add_workload_rows(struct rows *rows, const struct selection *sel,
			      unsigned int workload)
{
	const unsigned int *t = workload_get(workload)->threads;

	if (sel->quick_threads && t[1])
		t = sel->quick_threads;
	for (unsigned int i = 0; i < sel->nr_threads; i++)
		add_sizes(rows, sel, workload, sel->threads[i]);
	while (!sel->nr_threads && *t)
		add_sizes(rows, sel, workload, *t++);
}

/* All rows of a selection, their allocators not yet set; the caller frees. */
struct row *selection_rows(const struct selection *sel, size_t *n)
{
	struct rows rows = { .n = 0 };

	for (unsigned int i = 0; i < sel->nr_workloads; i++)
		add_workload_rows(&rows, sel, sel->workloads[i]);
	for (unsigned int i = 0; !sel->nr_workloads && workload_get(i); i++)
		add_workload_rows(&rows, sel, i);
	*n = rows.n;
	return rows.row;
}
