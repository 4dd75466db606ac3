// SPDX-License-Identifier: MIT
/*
 * slabbench replay: what a program was recorded to do, over one allocator after
 * the other; each run is a fresh process, which is looked at from outside.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "compare.h"
#include "plan.h"
#include "replay.h"

/* A look each 1 ms, or seldom enough that there are some hundred in all. */
#define CALLS_A_MS	1000000
#define DEFAULT_RUNS	3

enum { OPT_JSON = 0x900 };

struct replay_args {
	struct comparison cmp;
	unsigned int nr_files;
	const char *file[MAX_LIST];
};

static void add_file(struct argp_state *state, struct replay_args *args,
		     const char *name)
{
	if (args->nr_files == MAX_LIST)
		argp_error(state, "more than %d traces", MAX_LIST);
	args->file[args->nr_files++] = name;
}

static error_t parse_replay(int key, char *arg, struct argp_state *state)
{
	struct replay_args *args = state->input;

	switch (key) {
	case 'p':
		return split_list(state, arg, "-p", add_peer, &args->cmp);
	case 'r':
		args->cmp.sel.runs = parse_number(state, "-r", arg, 1, 1000);
		return 0;
	case OPT_JSON:
		args->cmp.sel.json = arg;
		return 0;
	case ARGP_KEY_ARG:
		add_file(state, args, arg);
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "there is no trace to replay");
		return EINVAL;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option replay_options[] = {
	{ "peers", 'p', "LIST", 0,
	  "Allocators, as in compare (default: its own, and rn-malloc)", 0 },
	{ "runs", 'r', "N", 0,
	  "Runs of each, a fresh process each (default: 3)", 0 },
	{ "json", OPT_JSON, "FILE", 0,
	  "Write an object a line for each run to FILE, with what was held "
	  "over its time; - is the standard output, and moves the table to "
	  "standard error", 0 },
	{ 0 }
};

static const struct argp replay_argp = {
	.options = replay_options,
	.parser = parse_replay,
	.args_doc = "FILE.rnt...",
	.doc = "What slabbench record has written down, over other allocators: "
	       "the same calls of as many threads, in an order that is as good "
	       "as the same.\v"
	       "FILE.rnt.zst is compressed. The exit code is 1 if in any run "
	       "not as many bytes were live at the peak as were recorded.",
};

/* 0, or -1 after a message. */
static int read_recording(struct recording *rec, const char *name)
{
	struct plan_head head;
	struct trace t;
	int ret = trace_load(&t, name), plan = -1;

	if (!ret)
		plan = plan_make(&t, &rec->sum, &head);
	trace_free(&t);
	if (plan < 0)
		return -1;
	rec->name = name;
	rec->calls = head.calls;
	rec->nr_threads = head.nr_threads;
	rec->row = (struct row){
		.workload = REPLAY,
		.threads = 1,
		.iterations = 1,
		.count = head.nr_slots,
		.bytes = rec->sum.peak,
		.pin = head.nr_threads == 1,
		.latency = true,
		.plan = plan,
	};
	return 0;
}

/* What was replayed is what was recorded; false after a message. */
static bool is_faithful(const struct recording *rec, const struct peer *peer,
			const struct result *res)
{
	if (res->peak_live_bytes == rec->sum.peak && res->ops == rec->calls &&
	    res->live_bytes == rec->sum.end)
		return true;
	fprintf(stderr, "slabbench: %s over %s: %" PRIu64 " calls, %" PRIu64 " bytes live at the peak, %" PRIu64 " at the end; recorded were %" PRIu64 ", %" PRIu64 ", %" PRIu64 "\n",
		rec->name, peer->name, res->ops, res->peak_live_bytes,
		res->live_bytes, rec->calls, rec->sum.peak, rec->sum.end);
	return false;
}

/* 0, or -1 after a message, or without one if interrupted(). */
static int run_one(struct recording *rec, unsigned int nr,
		   const struct peer *peer, unsigned int run,
		   struct json_out *json)
{
	struct series series = {
		.ms = (unsigned int)(1 + rec->calls / CALLS_A_MS),
	};
	struct result res = { .ops = 0 };
	int ret;

	rec->row.allocator = peer->allocator;
	progress_step("run %u: %s, %s", run, rec->name, peer->name);
	ret = spawn_row(&rec->row, peer, &series, &res);
	progress_clear();
	if (!ret && !is_faithful(rec, peer, &res))
		ret = -1;
	if (!ret) {
		if (replay_json(json, rec, peer, run, &series, &res))
			exit(EXIT_FAILED);
		replayed_add(&rec->replayed[nr], &series, &res);
	}
	free(series.point);
	return ret;
}

/* The peers take turns; another one is first in each run. */
static void run_once(const struct comparison *cmp, struct recording *rec,
		     unsigned int run, struct json_out *json)
{
	for (unsigned int i = 0; i < cmp->nr_peers; i++) {
		unsigned int p = (i + run) % cmp->nr_peers;
		struct replayed *r = &rec->replayed[p];

		if (interrupted() || cmp->peers[p].missing || r->failed ||
		    !run_one(rec, p, &cmp->peers[p], run, json) ||
		    interrupted())
			continue;
		fprintf(stderr, "slabbench: %s over %s failed in run %u\n",
			rec->name, cmp->peers[p].name, run);
		r->failed = true;
	}
}

/* Room for the figures of all runs, one behind the other. */
static void alloc_figures(struct replayed *r, unsigned int runs)
{
	double **figures[] = {
		&r->mops, &r->peak_mib, &r->mean_mib, &r->end_mib,
		&r->left_mib, &r->p50, &r->p99, &r->p999, &r->max,
	};

	for (size_t i = 0; i < ARRAY_SIZE(figures); i++)
		*figures[i] = alloc_or_exit(runs, sizeof(double));
}

static void free_figures(struct replayed *r)
{
	double *figures[] = {
		r->mops, r->peak_mib, r->mean_mib, r->end_mib, r->left_mib,
		r->p50, r->p99, r->p999, r->max,
	};

	for (size_t i = 0; i < ARRAY_SIZE(figures); i++)
		free(figures[i]);
}

static void free_recordings(struct recording *rec, const struct comparison *cmp,
			    unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		for (unsigned int p = 0; p < cmp->nr_peers; p++)
			free_figures(&rec[i].replayed[p]);
		free(rec[i].replayed);
		close(rec[i].row.plan);
	}
	free(rec);
}

static bool one_failed(const struct recording *rec,
		       const struct comparison *cmp, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		for (unsigned int p = 0; p < cmp->nr_peers; p++)
			if (rec[i].replayed[p].failed)
				return true;
	return false;
}

/* All of them, before anything is measured; NULL after a message. */
static struct recording *read_all(const struct replay_args *args)
{
	const struct comparison *cmp = &args->cmp;
	struct recording *rec = alloc_or_exit(args->nr_files, sizeof(*rec));

	for (unsigned int i = 0; i < args->nr_files; i++) {
		if (read_recording(&rec[i], args->file[i])) {
			free_recordings(rec, cmp, i);
			return NULL;
		}
		rec[i].replayed = alloc_or_exit(cmp->nr_peers,
						sizeof(*rec[i].replayed));
		for (unsigned int p = 0; p < cmp->nr_peers; p++)
			alloc_figures(&rec[i].replayed[p], cmp->sel.runs);
	}
	return rec;
}

/* EXIT_OK, or after a message another exit code. */
static int open_results(struct replay_args *args)
{
	for (unsigned int i = 0; i < args->nr_files; i++)
		if (is_input(args->cmp.sel.json, args->file[i]))
			return EXIT_FAILED;
	return results_open(&args->cmp.results, args->cmp.sel.json);
}

static int measure_and_print(struct replay_args *args, struct recording *rec)
{
	struct comparison *cmp = &args->cmp;
	FILE *out = cmp->results.out;

	where_start();
	interrupt_catch();
	progress_start(args->nr_files * cmp->nr_peers * cmp->sel.runs);
	for (unsigned int i = 0; i < args->nr_files; i++)
		for (unsigned int run = 1; run <= cmp->sel.runs; run++)
			run_once(cmp, &rec[i], run, &cmp->results.json);
	progress_end();
	print_where(out);
	if (interrupted())
		fprintf(out, "# interrupted: these are the runs until then\n");
	for (unsigned int i = 0; i < args->nr_files; i++)
		replay_print(&rec[i], cmp->peers, cmp->nr_peers, out);
	if (interrupted())
		return EXIT_INTERRUPTED;
	if (one_failed(rec, cmp, args->nr_files))
		return EXIT_FAILED;
	return one_missing(cmp) ? EXIT_USAGE : EXIT_OK;
}

int cmd_replay(int argc, char **argv)
{
	static struct replay_args args = { .cmp.sel = SELECTION_DEFAULTS };
	struct row any = { .workload = REPLAY };
	struct comparison *cmp = &args.cmp;
	struct recording *rec;
	int ret;

	cmp->sel.runs = DEFAULT_RUNS;
	argp_parse(&replay_argp, argc, argv, 0, NULL, &args);
	if (!cmp->nr_peers) {
		default_peers(cmp);
		peer_resolve(&cmp->peers[cmp->nr_peers++], "rn-malloc");
	}
	say_left_out(cmp, &any, 1);
	if (nothing_to_compare(cmp))
		return EXIT_USAGE;
	rec = read_all(&args);
	if (!rec)
		return EXIT_FAILED;
	ret = open_results(&args);
	if (!ret)
		ret = results_end(&cmp->results, measure_and_print(&args, rec));
	free_recordings(rec, cmp, args.nr_files);
	return ret;
}
