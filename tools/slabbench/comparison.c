// SPDX-License-Identifier: MIT
/*
 * What compare and scale have in common: every row over every allocator, a
 * fresh process for each run. The allocators take turns within a run, and a
 * different one starts each run, so that a machine that gets slower in between
 * gets slower for all.
 *
 * The null allocator always takes part: what a row costs over it is the
 * harness's own cost.
 */
#include <stdlib.h>
#include <string.h>
#include "compare.h"

#define DEFAULT_PEERS	"glibc,jemalloc,tcmalloc,mimalloc,rn"

enum { OPT_QUICK = 0x200, OPT_LIMIT };

static bool is_named(const struct comparison *args, const char *name)
{
	for (unsigned int i = 0; i < args->nr_peers; i++)
		if (!strcmp(args->peers[i].name, name))
			return true;
	return false;
}

/* Leaves out what is there by name already; false for no name of a group. */
static bool add_group(struct comparison *args, const char *word)
{
	struct peer *peers = &args->peers[args->nr_peers];
	unsigned int n = peers_group(peers, MAX_LIST - args->nr_peers, word);

	for (unsigned int i = 0; i < n; i++)
		if (!is_named(args, peers[i].name))
			args->peers[args->nr_peers++] = peers[i];
	return n;
}

static void add_one(struct argp_state *state, struct comparison *args,
		    const char *word)
{
	struct peer *peer = &args->peers[args->nr_peers];

	if (peer_resolve(peer, word))
		argp_error(state, "unknown peer '%s' (slabbench list has them)",
			   word);
	if (is_named(args, peer->name))
		argp_error(state, "peer %s is named twice", peer->name);
	peer->given = true;
	args->nr_peers++;
}

/* For split_list(), of a struct comparison. */
void add_peer(struct argp_state *state, const char *word, void *arg)
{
	struct comparison *args = arg;

	if (!add_group(args, word))
		add_one(state, args, word);
	/* One is kept for null. */
	if (args->nr_peers >= MAX_LIST)
		argp_error(state, "-p: more than %d", MAX_LIST - 1);
}

static error_t parse_comparison(int key, char *arg, struct argp_state *state)
{
	struct comparison *args = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &args->sel;
		state->child_inputs[1] = &args->results;
		return 0;
	case 'p':
		return split_list(state, arg, "-p", add_peer, args);
	case OPT_QUICK:
		args->quick = true;
		return 0;
	case OPT_LIMIT:
		args->limit = parse_number(state, "--limit", arg, 1, 1 << 30);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option comparison_options[] = {
	{ "limit", OPT_LIMIT, "SECONDS", 0,
	  "Begin no run that would end later than this, but the first; the "
	  "table says so", 0 },
	{ "peers", 'p', "LIST", 0,
	  "Allocators by the names that slabbench list has, NAME=PATH for a "
	  "library to preload, huge for the hugepage forms, all for all "
	  "that are there (default: " DEFAULT_PEERS ")", 0 },
	{ "quick", OPT_QUICK, NULL, 0,
	  "A tenth of the iterations, few thread counts, 256 MiB in seq, 3 "
	  "runs: a look, not a result", 0 },
	{ 0 }
};

static const struct argp_child comparison_children[] = {
	{ &selection_argp, 0, NULL, 1 },
	{ &results_argp, 0, NULL, 5 },
	{ 0 }
};

const struct argp comparison_argp = {
	.options = comparison_options,
	.parser = parse_comparison,
	.children = comparison_children,
};

/* Those of the default list that are not there are said and left out. */
void default_peers(struct comparison *args)
{
	static const char *const names[] = {
		"glibc", "jemalloc", "tcmalloc", "mimalloc", "rn",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		peer_resolve(&args->peers[args->nr_peers++], names[i]);
}

static void add_null(struct comparison *args)
{
	for (unsigned int i = 0; i < args->nr_peers; i++)
		if (args->peers[i].allocator == ALLOC_NULL)
			return;
	peer_resolve(&args->peers[args->nr_peers++], "null");
}

bool one_missing(const struct comparison *args)
{
	for (unsigned int i = 0; i < args->nr_peers; i++)
		if (args->peers[i].missing && args->peers[i].given)
			return true;
	return false;
}

/* Each peer that was asked for is missing, which has been said. */
bool nothing_to_compare(const struct comparison *args)
{
	for (unsigned int i = 0; i < args->nr_peers; i++)
		if (!args->peers[i].missing)
			return false;
	return args->nr_peers;
}

/* A peer asked for that can run none of the rows is as good as missing. */
void say_left_out(struct comparison *args, const struct row *rows,
		  size_t nr_rows)
{
	for (unsigned int p = 0; p < args->nr_peers; p++) {
		struct peer *peer = &args->peers[p];
		bool takes = false;

		for (size_t r = 0; r < nr_rows; r++)
			takes |= workload_takes(rows[r].workload,
						peer->allocator);
		if (takes || !peer->given)
			continue;
		peer->missing = true;
		fprintf(stderr, "slabbench: %s cannot take part in any of these workloads\n",
			peer->name);
	}
}

static void say_failed(const struct row *row, const struct peer *peer,
		       unsigned int run)
{
	char size[32] = "";

	if (row->size)
		snprintf(size, sizeof(size), "size %zu, ", row->size);
	fprintf(stderr, "slabbench: %s (%sthreads %u) over %s failed in run %u\n",
		workload_get(row->workload)->name, size, row->threads,
		peer->name, run);
}

static void run_cell(struct cell *cell, struct row row, const struct peer *peer,
		     unsigned int run, struct results *results)
{
	struct result res = { .ops = 0 };

	row.allocator = peer->allocator;
	if (interrupted() || cell->failed || peer->missing ||
	    !workload_takes(row.workload, row.allocator))
		return;
	progress_step("run %u: %s, %u threads, %s", run,
		      workload_get(row.workload)->name, row.threads,
		      peer->name);
	if (spawn_row(&row, peer, NULL, &res)) {
		progress_clear();
		if (interrupted())
			return;
		say_failed(&row, peer, run);
		cell->failed = true;
		return;
	}
	cell_add(cell, &res);
	if (results_row(results, &row, peer, run, &res))
		exit(EXIT_FAILED);
}

static void run_once(struct table *t, unsigned int run, struct results *results)
{
	for (size_t r = 0; r < t->nr_rows; r++)
		for (unsigned int i = 0; i < t->nr_peers; i++) {
			unsigned int p = (i + run) % t->nr_peers;

			run_cell(table_cell(t, r, p), t->rows[r], &t->peers[p],
				 run, results);
		}
}

/* How many runs there were. */
static unsigned int run_all(struct table *t, const struct comparison *args,
			    struct results *results)
{
	uint64_t limit = args->limit * 1000000000ULL, start = now_ns();
	unsigned int run = 0;

	progress_start(table_measured(t) * args->sel.runs);
	while (run < args->sel.runs && !interrupted()) {
		uint64_t used = now_ns() - start;

		if (run && limit && used + used / run > limit)
			break;
		run_once(t, ++run, results);
	}
	progress_end();
	return run;
}

static void print_head(const struct comparison *args, unsigned int runs,
		       FILE *out)
{
	print_where(out);
	if (interrupted())
		fprintf(out, "# interrupted in run %u of %u: what there is until then\n",
			runs, args->sel.runs);
	else if (runs < args->sel.runs)
		fprintf(out, "# --limit=%u: %u runs instead of %u\n",
			args->limit, runs, args->sel.runs);
}

static int exit_code(const struct table *t, const struct comparison *args)
{
	if (interrupted())
		return EXIT_INTERRUPTED;
	if (table_failed(t))
		return EXIT_FAILED;
	return one_missing(args) ? EXIT_USAGE : EXIT_OK;
}

/**
 * compare_measure() - measure all rows over all allocators, and print
 * @args: what was asked for, with defaults in place of what was not, but for
 *	the allocators; its results are open
 * @print: prints the table
 *
 * Return: what main() returns.
 */
int compare_measure(struct comparison *args,
		    void (*print)(const struct table *t, FILE *out))
{
	struct table table = { .peers = args->peers };
	struct results *results = &args->results;
	unsigned int runs;
	int ret;

	if (!args->nr_peers)
		default_peers(args);
	add_null(args);
	table.nr_peers = args->nr_peers;
	table.rows = selection_rows(&args->sel, &table.nr_rows);
	say_left_out(args, table.rows, table.nr_rows);
	table_alloc(&table, args->sel.runs);
	if (getenv("LD_PRELOAD") && *getenv("LD_PRELOAD"))
		fprintf(stderr, "slabbench: LD_PRELOAD is set; each peer is preloaded in its stead\n");
	where_start();
	interrupt_catch();
	runs = run_all(&table, args, results);
	print_head(args, runs, results->out);
	print(&table, results->out);
	ret = exit_code(&table, args);
	table_free(&table);
	return ret;
}

/* The same, for a command that does nothing else. */
int compare_rows(struct comparison *args,
		 void (*print)(const struct table *t, FILE *out))
{
	int ret;

	if (nothing_to_compare(args))
		return EXIT_USAGE;
	ret = results_open(&args->results, args->sel.json);
	if (ret)
		return ret;
	ret = compare_measure(args, print);
	return results_end(&args->results, ret);
}

/* Zeroed; without memory the program ends after a message. */
void *alloc_or_exit(size_t n, size_t size)
{
	void *p = calloc(n, size);

	if (p)
		return p;
	fprintf(stderr, "slabbench: out of memory\n");
	exit(EXIT_FAILED);
}
